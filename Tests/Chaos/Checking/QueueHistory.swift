// The history of the queue: Redis syncs every write to its append-only file before it answers, so that file tells what happened
// to each line, however often, where the hashes tell only the end of it.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct QueueHistory {
    /// How often each task was written into finished_tasks.
    private(set) var finishCounts: [Int]
    /// Tasks that were put into todo_tasks after they had finished.
    private(set) var revived: Set<Int> = []
    /// Why each try of a task failed that was held against it.
    private(set) var failedTries: [Int: [Cause]] = [:]
    private let tasks: TaskSet
    private let keys = QueueKeys()

    /// - Parameter directory: where Redis keeps its append-only files, see `appenddirname`.
    init(of tasks: TaskSet, directory: String) throws {
        self.tasks = tasks
        finishCounts = Array(repeating: 0, count: tasks.count)
        let names = try FileSystem.entries(of: directory).filter { $0.hasSuffix(".incr.aof") }
        // Nothing is ever rewritten here, so there is one.
        guard names.count == 1 else { throw ChaosError(description: "\(directory) holds \(names), not one history") }
        try read(directory + "/" + names[0])
    }

    private mutating func read(_ path: String) throws {
        let file = SharedDescriptor(try OwnedDescriptor.open(path, [.readOnly]))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 16)
        defer { buffer.deallocate() }
        var reader = RESPReader()
        while true {
            let count = try file.readNext(into: buffer, subject: path)
            guard count > 0 else { break }
            var input = UnsafeRawBufferPointer(rebasing: buffer[..<count])
            while let command = try reader.next(from: &input) { note(command.elements ?? []) }
        }
        guard !reader.isInsideValue else { throw ChaosError(description: "\(path) ends within a command") }
    }

    /// What an entry of the outcomes, `token {record}`, names as the cause.
    static func cause(_ outcome: String?) -> Cause? {
        guard let outcome, let space = outcome.firstIndex(of: " ") else { return nil }
        return try? TaskOutcome(record: Array(outcome[space...].dropFirst().utf8)).cause
    }

    private mutating func note(_ words: [RESPValue]) {
        guard words.count >= 4, let command = words[0].string?.uppercased(), command.hasPrefix("HSET"),
            let key = words[1].string
        else { return }
        guard [keys.finished, keys.todo, keys.outcomes].contains(key) else { return }
        for index in stride(from: 2, to: words.count - 1, by: 2) {
            guard let line = words[index].string, let number = tasks.number(in: line),
                finishCounts.indices.contains(number)
            else { continue }
            if key == keys.outcomes {
                guard let cause = Self.cause(words[index + 1].string), cause != .exit(code: 0) else { continue }
                failedTries[number, default: []].append(cause)
            } else if key == keys.finished {
                finishCounts[number] += 1
            } else if finishCounts[number] > 0 {
                revived.insert(number)
            }
        }
    }
}
