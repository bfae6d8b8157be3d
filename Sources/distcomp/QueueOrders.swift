// Orders to the queue that concern many tasks: given in batches, as many lines to a script as it takes.

import RedisClient
import TaskModel
import TaskQueue

/// Collects lines and hands them on a thousand at a time.
struct LineBatch {
    private var lines: [String] = []
    private let act: ([String]) throws(CommandError) -> Void

    init(_ act: @escaping ([String]) throws(CommandError) -> Void) { self.act = act }

    mutating func add(_ line: String) throws(CommandError) {
        lines.append(line)
        if lines.count >= SubmitTasks.linesMax { try flush() }
    }

    mutating func flush() throws(CommandError) {
        if !lines.isEmpty { try act(lines) }
        lines.removeAll(keepingCapacity: true)
    }
}

extension QueueClient {
    /// Queues lines again that failed for good, and hastens those that wait for their retry; how many of each.
    func retry(_ lines: [String]) throws(CommandError) -> RetryTasks.Reply {
        let value = try call(RetryTasks(taskLines(lines)[...], keys: keys).request)
        return try parsed { () throws(QueueError) in try RetryTasks.parse(value) }
    }

    /// Puts lines that are in progress back into todo; how many were.
    func requeue(_ lines: [String]) throws(CommandError) -> Int {
        let value = try call(RequeueTasks(taskLines(lines)[...], keys: keys).request)
        return try parsed { () throws(QueueError) in try RequeueTasks.parse(value) }
    }

    /// Forgets how lines ended; how many there were.
    func forget(_ state: ForgetTasks.State, _ lines: [String]) throws(CommandError) -> Int {
        let bytes = lines.map { Array($0.utf8) }
        let value = try call(ForgetTasks(state, bytes[...], keys: keys).request)
        return try parsed { () throws(QueueError) in try ForgetTasks.parse(value) }
    }

    /// Stops the giving of tasks, or lets it go on.
    func setPaused(_ isPaused: Bool) throws(CommandError) {
        let value = try call(PauseQueue(isPaused, keys: keys).request)
        try parsed { () throws(QueueError) in try PauseQueue.parse(value) }
    }

    /// What is no task line was put there by hand, and has no place in todo.
    private func taskLines(_ lines: [String]) -> [TaskLine] { lines.compactMap { try? TaskLine(parsing: $0) } }
}
