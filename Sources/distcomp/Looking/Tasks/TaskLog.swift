// The output of a task, from the nearest place that has it: its file on this machine, or what its node reported.

import LinuxSystem
import TaskModel
import TaskQueue

/// Reads and follows one of the two streams of tasks.
struct TaskLog {
    let queue: QueueClient
    /// Where the node keeps the output of tasks, a folder each.
    let resultDirectory: String
    /// The name of the node on this machine; nil when all tasks of the queue run here.
    let ownName: String?
    /// `stdout` or `stderr`.
    let stream: String
    let printer: LogPrinter

    private static let chunkBytes = 64 << 10

    /// Prints what there is.
    func print(_ line: String) throws(CommandError) {
        let details = try queue.details(of: line)
        if let path = localPath(details), let file = LogFile(path) {
            try copy(file)
            return try printer.finish()
        }
        try printReported(details)
    }

    /// Prints what there is and what comes, until the task has ended.
    func follow(_ line: String) throws(CommandError) {
        var file: LogFile?
        var isTold = false
        var absence = Absence()
        var backSinceSeconds: Double?
        while true {
            // The state is read before the file: if the task has ended, all of its output is read after that.
            let details: TaskDetails
            do throws(CommandError) {
                if try absence.isOver(queue) { backSinceSeconds = bootSeconds() }
                details = try queue.details(of: line)
            } catch .unreachable(let message) {
                if let news = try absence.begins(message) { standardError.write("distcomp: \(news)\n") }
                pause(milliseconds: 200)
                continue
            }
            // A Redis that lost its last moment hears from the task's node of what runs there.
            if details.state == nil, let back = backSinceSeconds,
                bootSeconds() - back < WatchedQueue.missingSecondsMax
            {
                pause(milliseconds: 200)
                continue
            }
            if details.state == .inProgress, let path = localPath(details) {
                if file.map({ !$0.isCurrent }) ?? true { file = LogFile(path) ?? file }
                if let file { try copy(file) }
            } else if details.state == .inProgress {
                throw .usage(
                    "it runs on \(details.standing.worker ?? ""): follow it there, or see what was reported once it has ended"
                )
            } else if details.state == .todo {
                if !isTold { standardError.write("distcomp: it waits; see distcomp why\n") }
                isTold = true
            } else {
                guard let last = file ?? localPath(details).flatMap({ LogFile($0) }) else {
                    return try printReported(details)
                }
                try copy(last)
                return try printer.finish()
            }
            pause(milliseconds: 200)
        }
    }

    private func copy(_ file: LogFile) throws(CommandError) {
        while true {
            let bytes: [UInt8]
            do {
                bytes = try file.next(Self.chunkBytes)
            } catch {
                throw .failed("\(error)")
            }
            if bytes.isEmpty { return }
            try printer.print(bytes)
        }
    }

    /// The file on this machine; nil when it is another machine's.
    private func localPath(_ details: TaskDetails) -> String? {
        if details.state == .inProgress, let name = details.standing.worker {
            guard ownName.map({ $0 == name }) ?? true else { return nil }
            return "\(resultDirectory)/\(TaskLine.identifier(of: details.line))/\(stream)"
        }
        guard let outcome = details.result?.outcome else { return nil }
        let path = stream == "stdout" ? outcome.stdoutPath : outcome.stderrPath
        // A record can name anything: no other file than this task's is shown.
        guard path.hasSuffix("/\(TaskLine.identifier(of: details.line))/\(stream)"),
            let status = LogFile(path)?.status
        else { return nil }
        // A file of that name may be left of an earlier attempt here: this one was written while the task ran.
        guard let ended = outcome.finishedAtUnixSeconds else { return path }
        let written = status.modifiedUnixSeconds
        return written >= ended - outcome.usage.wallSeconds - 2 && written <= ended + 2 ? path : nil
    }

    private func printReported(_ details: TaskDetails) throws(CommandError) {
        guard let result = details.result else {
            let place = details.standing.worker.map { "it runs on \($0), which has its output" } ?? "it has not run yet"
            throw .usage("nothing was reported: \(place)")
        }
        let path = stream == "stdout" ? result.outcome?.stdoutPath : result.outcome?.stderrPath
        let file = path.map { $0.isEmpty ? "" : " (\(result.node): \($0))" } ?? ""
        if stream == "stderr" {
            standardError.write("distcomp: the end of it, as \(result.node) reported\(file)\n")
            try printer.print(Array((result.outcome?.stderrTail ?? "").utf8))
        } else if let output = result.standardOutputJSON {
            try printer.print(Array((JSONText.unquoted(output) ?? "").utf8))
        } else {
            throw .failed("the standard output of a task that failed stays on its node\(file)")
        }
        try printer.finish()
    }
}

/// A file that may still grow, and the place up to which it was read.
///
/// A task owns its folder and may put anything in the place of its output. What is shown is a file of the task's own in that folder,
/// never what a link leads to: root would show the task what only root may read.
final class LogFile {
    private let path: String
    private let descriptor: SharedDescriptor
    let status: FileStatus
    private var offset: Int64 = 0

    /// - Parameter path: a directory of results, the task's folder in it, and the file.
    init?(_ path: String) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
        guard parts.count > 2,
            let results = try? GuardedDirectory(path: parts.dropLast(2).joined(separator: "/") + "/"),
            let folder = try? results.directory(parts[parts.count - 2]),
            let file = try? folder.open(parts[parts.count - 1], [.readOnly]),
            let status = try? file.status(subject: path)
        else { return nil }
        self.path = path
        self.status = status
        descriptor = SharedDescriptor(file)
    }

    /// Whether the name still means this file: another attempt has a new one.
    var isCurrent: Bool { LogFile(path)?.status.inode == status.inode }

    func next(_ bytesMax: Int) throws(SystemError) -> [UInt8] {
        let bytes = try descriptor.read(at: offset, count: bytesMax, subject: path)
        offset += Int64(bytes.count)
        return bytes
    }
}
