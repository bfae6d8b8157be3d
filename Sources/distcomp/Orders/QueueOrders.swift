// Orders to the queue that concern many tasks: given in batches, as many lines to a script as it takes.

import RedisClient
import TaskModel
import TaskQueue

/// Collects lines and hands them on a thousand at a time.
struct LineBatch<Line> {
    private var lines: [Line] = []
    private let act: ([Line]) throws(CommandError) -> Void

    init(_ act: @escaping ([Line]) throws(CommandError) -> Void) { self.act = act }

    mutating func add(_ line: Line) throws(CommandError) {
        lines.append(line)
        if lines.count >= SubmitTasks.linesMax { try flush() }
    }

    mutating func flush() throws(CommandError) {
        if !lines.isEmpty { try act(lines) }
        lines.removeAll(keepingCapacity: true)
    }
}

extension LineBatch<String> {
    /// Adds every line of a file; those that are not tasks are reported.
    mutating func add(file path: String, _ problems: inout ProblemList) throws(CommandError) {
        try TaskFile.read(path) { entry throws(CommandError) in
            switch entry {
            case .form: break  // Such a file has task lines only.
            case .task(let line, _): try add(line.text)
            case .problem(let problem): problems.add(problem)
            }
        }
    }
}

extension QueueClient {
    /// Queues lines again that failed for good, and lets those that wait for their retry run at once; how many of each.
    ///
    /// - Parameter change: what those of a job are given; those of none say themselves what they may use.
    func retry(_ lines: [String], _ change: SizeChange = SizeChange()) throws(CommandError) -> RetryTasks.Reply {
        var total = RetryTasks.Reply()
        for lines in Self.byJob(try taskLines(lines)) {
            for (own, lines) in try given(change, lines) {
                let reply = try perform(RetryTasks(lines[...], own: own, keys: keys))
                total.queued += reply.queued
                total.hastened += reply.hastened
            }
        }
        return total
    }

    /// The lines of one job by what they have with these.
    private func given(
        _ change: SizeChange, _ lines: [TaskLine]
    ) throws(CommandError) -> [OwnSettings?: [TaskLine]] {
        guard !change.isEmpty, lines.first?.job != nil else { return [nil: lines] }
        let known = try valuesEach(\.own, of: lines.map { Array($0.text.utf8) })
        var groups: [OwnSettings?: [TaskLine]] = [:]
        for (line, text) in zip(lines, known) {
            let before =
                text.flatMap { OwnSettings(text: String(decoding: $0, as: UTF8.self)) }
                ?? OwnSettings(memoryBytes: line.memoryBytes, millicores: line.millicores, timeout: line.timeout)
            groups[change.applied(to: before), default: []].append(line)
        }
        return groups
    }

    /// Puts lines that are in progress back into todo; how many were.
    func requeue(_ lines: [String]) throws(CommandError) -> Int {
        try perform(RequeueTasks(try taskLines(lines)[...], keys: keys))
    }

    /// Text that is not a task line was put there by hand, and does not belong in todo.
    private func taskLines(_ lines: [String]) throws(CommandError) -> [TaskLine] {
        var tasks: [TaskLine] = []
        for line in lines { if let task = try parse(line) { tasks.append(task) } }
        return tasks
    }
}
