// Task files on their way into the queue: read in pieces, sent in batches, so that ten million lines need no more memory than
// ten thousand. What is not a task is reported with its place, and the rest is loaded.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

/// What came of submitting one or more files.
struct Submission {
    /// How many problems are printed one by one; beyond that they are only counted.
    private static let problemsShownMax = 50

    private(set) var reply = SubmitReply()
    private(set) var errorCount = 0

    var hasErrors: Bool { errorCount > 0 }

    /// `1,000 tasks added, 20 finished before, 3 already in todo`.
    var summary: String {
        var parts = ["\(grouped(reply.added)) task\(reply.added == 1 ? "" : "s") added"]
        if reply.finished > 0 { parts.append("\(grouped(reply.finished)) finished before") }
        if reply.inTodo > 0 { parts.append("\(grouped(reply.inTodo)) already in todo") }
        if reply.inProgress > 0 { parts.append("\(grouped(reply.inProgress)) already running") }
        if errorCount > 0 { parts.append("\(grouped(errorCount)) line\(errorCount == 1 ? "" : "s") not understood") }
        return parts.joined(separator: ", ")
    }

    /// Loads `paths` (`-` is standard input) into the queue.
    static func submit(_ paths: [String], to queue: QueueClient) throws(CommandError) -> Submission {
        var submission = Submission()
        for path in paths { try submission.load(path, into: queue) }
        return submission
    }

    private mutating func load(_ path: String, into queue: QueueClient) throws(CommandError) {
        let descriptor: SharedDescriptor
        do throws(SystemError) {
            descriptor = SharedDescriptor(
                path == "-" ? try OwnedDescriptor.duplicate(of: 0) : try OwnedDescriptor.open(path, [.readOnly]))
        } catch {
            throw .usage("\(error)")
        }
        var file = TaskFile(named: path == "-" ? "standard input" : path)
        var lines: [TaskLine] = []
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count: Int
            do throws(SystemError) {
                count = try descriptor.readNext(into: buffer, subject: path)
            } catch {
                throw .usage("\(error)")
            }
            if count == 0 { break }
            file.read(UnsafeRawBufferPointer(rebasing: buffer[..<count])) { take($0, &lines) }
            if lines.count >= 20_000 { try send(&lines, to: queue) }
        }
        file.finish { take($0, &lines) }
        try send(&lines, to: queue)
    }

    private mutating func take(_ entry: TaskFile.Entry, _ lines: inout [TaskLine]) {
        switch entry {
        case .task(let line, _): lines.append(line)
        case .problem(let problem):
            errorCount += 1
            if errorCount <= Self.problemsShownMax { standardError.write("\(problem)\n") }
            if errorCount == Self.problemsShownMax {
                standardError.write("(further lines like these are only counted)\n")
            }
        }
    }

    private mutating func send(_ lines: inout [TaskLine], to queue: QueueClient) throws(CommandError) {
        reply.add(try queue.submit(lines))
        lines.removeAll(keepingCapacity: true)
    }
}
