// Orders take globs and jobs, and a glob may match more than was meant: they can be asked what they would do, and ask a person before they
// do it to many.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

struct OrderCaution: ParsableArguments {
    @Flag(help: "Say which tasks it is about and how many, and do nothing.")
    var dryRun = false

    @Flag(name: .shortAndLong, help: "Do not ask. Without it, more than 100 tasks are asked about on a terminal.")
    var yes = false

    /// Of so many a person need not be asked.
    private static let unaskedMax = 100

    /// Takes the line of a task; whether another is wanted.
    typealias Use = (String) throws(CommandError) -> Bool

    /// Whether the order is to be carried out; where it is only tried, what it would be done to has been printed. Throws where a person
    /// says no.
    ///
    /// - Parameters:
    ///   - order: what is done, such as `cancel`.
    ///   - tasks: hands over the tasks that were named, or that a glob, a job or an option stands for.
    func agrees(
        to order: String, asJSON: Bool = false, _ tasks: (Use) throws(CommandError) -> Void
    ) throws(CommandError) -> Bool {
        var problems = ProblemList()
        return try agrees(to: order, asJSON: asJSON, files: [], &problems, tasks)
    }

    /// - Parameter files: files of tasks, each named in them, about which nobody needs to be asked.
    func agrees(
        to order: String, asJSON: Bool, files: [String], _ problems: inout ProblemList,
        _ tasks: (Use) throws(CommandError) -> Void
    ) throws(CommandError) -> Bool {
        if dryRun {
            var listing = OrderListing(asJSON: asJSON)
            try tasks { line throws(CommandError) in
                try listing.add(line)
                return true
            }
            for path in files {
                try TaskFile.read(path) { entry throws(CommandError) in
                    switch entry {
                    case .form: break  // Such a file has task lines only.
                    case .task(let line, _): try listing.add(line.text)
                    case .problem(let problem): problems.add(problem)
                    }
                }
            }
            try listing.end(order)
            return false
        }
        guard !yes, standardInputIsTerminal else { return true }
        var count = 0
        try tasks { _ in
            count += 1
            return true
        }
        guard count > Self.unaskedMax else { return true }
        guard try isConfirmed("\(order) \(grouped(count)) tasks? yes or no: ") else {
            throw .usage("nothing was done")
        }
        return true
    }
}

/// Prints what an order would be done to.
private struct OrderListing {
    private let asJSON: Bool
    private let listing = TaskListing(
        [.init(heading: "ID", width: 8)], columns: standardOutput.terminalColumns, BufferedOutput())
    private var count = 0

    init(asJSON: Bool) { self.asJSON = asJSON }

    mutating func add(_ line: String) throws(CommandError) {
        count += 1
        if asJSON { return }
        let identifier = String(TaskLine.identifier(of: line).prefix(8))
        try listing.add(TaskListing.Row(cells: [identifier], command: TaskLine.command(ofLine: line)))
    }

    func end(_ order: String) throws(CommandError) {
        try listing.flush()
        if asJSON {
            var writer = JSONObjectWriter()
            writer.field("dry_run", true)
            writer.field("tasks", count)
            return try show(writer.text + "\n")
        }
        try show("\(order): \(grouped(count)) task\(count == 1 ? "" : "s"); nothing was done\n")
    }
}

extension QueueClient {
    /// Every line that `text` names; none where it names none.
    func forEachLineIfAny(
        named text: String, in states: Set<TaskState>, _ use: OrderCaution.Use
    ) throws(CommandError) {
        do throws(CommandError) {
            try forEachLine(named: text, in: states, use)
        } catch .noSuchTask {
        }
    }

    /// Of the lines that `text` names, those that have failed before and wait for another try.
    func forEachRetrying(named text: String, _ use: OrderCaution.Use) throws(CommandError) {
        var lines: [String] = []
        func flush() throws(CommandError) {
            let states = try retryStates(of: lines.map { Array($0.utf8) })
            for (line, state) in zip(lines, states) where state == .retrying { _ = try use(line) }
            lines.removeAll(keepingCapacity: true)
        }
        try forEachLineIfAny(named: text, in: [.todo]) { line throws(CommandError) in
            lines.append(line)
            if lines.count == ReadRetrying.linesMax { try flush() }
            return true
        }
        try flush()
    }
}
