// Orders that the pages give: each is counted first, and carried out when a person has seen the number and agreed.

import LinuxSystem
import TaskModel
import TaskQueue
import WebServer

/// An order, as the page sends it.
enum WebOrder: Sendable {
    /// One task, or those that failed in the same way as one.
    case retry(Failures)
    case cancel(line: String)
    case pause(Bool, job: String)
    case drain(Bool, node: String)

    enum Failures: Sendable {
        case one(line: String)
        /// Of the job with this identifier, those of this cause whose command has the shape of this line's.
        case like(line: String, job: String, cause: String)
    }

    /// - Throws: a sentence, where the order is not understood.
    init(path: String, _ body: OrderBody) throws(CommandError) {
        switch path {
        case "/api/retry":
            if let line = body["line"] {
                self = .retry(.one(line: line))
            } else {
                self = .retry(
                    .like(line: try body.needed("like"), job: body["job"] ?? "", cause: try body.needed("cause")))
            }
        case "/api/cancel": self = .cancel(line: try body.needed("line"))
        case "/api/pause", "/api/resume": self = .pause(path == "/api/pause", job: try body.needed("job"))
        case "/api/drain", "/api/undrain": self = .drain(path == "/api/drain", node: try body.needed("node"))
        default: throw .noSuchTask("there is no order \(path)")
        }
    }
}

/// The body of an order: one object of texts, and whether it is only to be counted.
struct OrderBody: Sendable {
    private var texts: [String: String] = [:]
    private(set) var isOnlyCounted = false

    /// - Throws: a sentence, where it is anything else.
    init(_ bytes: [UInt8]) throws(CommandError) {
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONReader.read(bytes)
        } catch {
            throw .usage("the order is no JSON: \(error)")
        }
        guard case .object(let members) = value.content else { throw .usage("an order is a JSON object") }
        for member in members {
            switch member.value.content {
            case .string(let text): texts[member.name] = text
            case .boolean(let flag) where member.name == "dry_run": isOnlyCounted = flag
            default: throw .usage("\(member.name): expected a text")
            }
        }
    }

    /// Nil where it is not there, or empty.
    subscript(name: String) -> String? { texts[name].flatMap { $0.isEmpty ? nil : $0 } }

    func needed(_ name: String) throws(CommandError) -> String {
        guard let text = self[name] else { throw .usage("the order does not say \(name)") }
        return text
    }
}

/// What became of an order, or would.
struct OrderAnswer: Sendable {
    /// How many tasks, jobs or nodes it is about.
    let count: Int
    /// In words.
    let sentence: String

    var json: String {
        var writer = JSONObjectWriter()
        writer.field("count", count)
        writer.field("sentence", sentence)
        return writer.text
    }
}

extension QueueClient {
    /// Carries an order out, or counts what it is about.
    func carryOut(_ order: WebOrder, isOnlyCounted: Bool) throws(CommandError) -> OrderAnswer {
        switch order {
        case .retry(let failures): return try retry(failures, isOnlyCounted)
        case .cancel(let line):
            let isThere = try details(of: line).state.map { $0 == .todo || $0 == .inProgress } ?? false
            guard isThere else { throw .noSuchTask("the task neither waits nor runs any more") }
            if isOnlyCounted { return OrderAnswer(count: 1, sentence: "Cancel this task?") }
            let reply = try perform(CancelTask(line, keys: keys, jobs: try jobs(ofLine: line)))
            return reply == .notFound
                ? OrderAnswer(
                    count: 0,
                    sentence: "It could not be cancelled: it has ended, or a worker of the old system runs it.")
                : OrderAnswer(count: 1, sentence: reply == .cancelled ? "It is cancelled." : "It is being stopped.")
        case .pause(let isPausing, let identifier):
            guard let job = try job(identifier) else { throw .noSuchTask("there is no such job, or not any more") }
            if isOnlyCounted {
                return OrderAnswer(
                    count: 1,
                    sentence: isPausing ? "Give out nothing more of \(job.name)?" : "Give out \(job.name) again?")
            }
            try setPaused(isPausing, job)
            return OrderAnswer(
                count: 1, sentence: isPausing ? "\(job.name) is paused." : "\(job.name) is given out again.")
        case .drain(let isDraining, let node):
            if isOnlyCounted {
                return OrderAnswer(
                    count: 1,
                    sentence: isDraining
                        ? "Give \(node) nothing new? What it runs goes on." : "Let \(node) take tasks again?")
            }
            switch try drain([node], isDraining: isDraining).first {
            case .done:
                return OrderAnswer(
                    count: 1, sentence: isDraining ? "\(node) is given nothing new." : "\(node) takes tasks again.")
            case .oldWorker: throw .usage("\(node) is a worker of the old system, which cannot be drained")
            case .unknownNode, nil: throw .noSuchTask("there is no node \(node)")
            }
        }
    }

    private func retry(_ failures: WebOrder.Failures, _ isOnlyCounted: Bool) throws(CommandError) -> OrderAnswer {
        var count = 0
        var queued = 0
        func take(_ lines: [String]) throws(CommandError) {
            count += lines.count
            if !isOnlyCounted { queued += try retry(lines).queued }
        }
        switch failures {
        case .one(let line):
            guard try details(of: line).state == .failed else {
                throw .noSuchTask("the task has not failed, or is tried again already")
            }
            try take([line])
        case .like(let line, let job, let cause):
            guard let task = try parse(line) else { throw .usage("like: no task line of this queue") }
            let key = CommandShape(task).key
            selection = .one(job)
            var filter = TaskFilter(states: [.failed])
            filter.causes = [cause]
            // All are found before any is put back: one that fails again meanwhile is not of those that were counted.
            var lines: [String] = []
            try forEachFailure(filter) { failure in
                if let other = failure.task, CommandShape(other).key == key { lines.append(failure.line) }
                return true
            }
            for start in stride(from: 0, to: lines.count, by: SubmitTasks.linesMax) {
                try take(Array(lines[start..<min(lines.count, start + SubmitTasks.linesMax)]))
            }
        }
        let tasks = { (number: Int) in "\(grouped(number)) task\(number == 1 ? "" : "s")" }
        return isOnlyCounted
            ? OrderAnswer(count: count, sentence: "Try \(tasks(count)) again?")
            : OrderAnswer(count: queued, sentence: "\(tasks(queued)) queued again.")
    }
}
