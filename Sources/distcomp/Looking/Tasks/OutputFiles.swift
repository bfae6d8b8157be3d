// Where the output of tasks is now. A record says where it was written; a run's directory may have been moved since, and another
// machine has files of its own by that name.

import LinuxSystem
import TaskModel
import TaskQueue

/// The files on this machine that tasks wrote.
struct OutputFiles {
    /// Where the node keeps the output of tasks, a folder each.
    private let directory: String
    /// The name of the node on this machine; nil when all tasks of the queue ran here, as those of a `distcomp run` did.
    private let ownName: String?

    /// - Parameter stateDirectory: of the run that is looked at, if it is one.
    init(_ queue: QueueClient, stateDirectory: String?) {
        // As a whole path: what is printed is to be found from any directory.
        directory =
            stateDirectory.map { ((try? FileSystem.resolved($0)) ?? $0) + "/result" } ?? queue.settings.resultDirectory
        ownName = stateDirectory == nil ? queue.settings.nodeName ?? Host.shortName : nil
    }

    /// No node's: of results that are far from where they came about.
    init() { (directory, ownName) = ("", "") }

    /// Whether a node of that name would have its files on this machine.
    func areHere(of node: String) -> Bool { ownName ?? node == node }

    /// What an attempt at a task wrote, or writes, on a node; nil where it is not on this machine, or not kept.
    func file(_ stream: OutputStream, of line: String, attempt: Int, on node: String) -> LogFile? {
        areHere(of: node) ? LogFile(ownPath(stream, of: line), attempt: attempt) : nil
    }

    /// What attempts are kept of a task on this machine, the last one first.
    func keptAttempts(of line: String) -> [Int] {
        guard let results = try? GuardedDirectory(path: directory + "/"),
            let folder = try? results.directory(TaskLine.identifier(of: line)), let kept = try? folder.keptAttempts()
        else { return [] }
        return kept.numbers
    }

    /// What an attempt that is over wrote; nil where it is not on this machine.
    func file(_ stream: OutputStream, of line: String, _ outcome: TaskOutcome) -> LogFile? {
        for path in paths(stream, of: line, outcome) {
            if let file = LogFile(path), isWritten(file.status, by: outcome, path) { return file }
        }
        return nil
    }

    /// The path of what an attempt wrote: where it is now if it is on this machine, else where it was written.
    func path(_ stream: OutputStream, of line: String, _ outcome: TaskOutcome) -> String {
        let recorded = stream == .stdout ? outcome.stdoutPath : outcome.stderrPath
        guard !recorded.isEmpty else { return "" }
        return paths(stream, of: line, outcome).first { FileSystem.exists($0) } ?? recorded
    }

    /// Where it may be, the likeliest first. A record can name anything: nothing but a file of this task is ever meant.
    private func paths(_ stream: OutputStream, of line: String, _ outcome: TaskOutcome) -> [String] {
        let recorded = stream == .stdout ? outcome.stdoutPath : outcome.stderrPath
        let suffix = "/\(TaskLine.identifier(of: line))/\(stream.rawValue)"
        guard recorded.hasSuffix(suffix) else { return [] }
        let own = ownPath(stream, of: line)
        // A copy of a run's directory has files of its own, whatever is left at the old place.
        guard let ownName else { return [own, recorded] }
        return outcome.node == ownName ? [recorded, own] : [recorded]
    }

    private func ownPath(_ stream: OutputStream, of line: String) -> String {
        "\(directory)/\(TaskLine.identifier(of: line))/\(stream.rawValue)"
    }

    /// A file of that name may be left of an earlier attempt here: this one was written while the task ran.
    private func isWritten(_ status: FileStatus, by outcome: TaskOutcome, _ path: String) -> Bool {
        guard let ended = outcome.finishedAtUnixSeconds else { return true }
        let written = status.modifiedUnixSeconds
        guard written >= ended - outcome.usage.wallSeconds - 2 else { return false }
        // In a run's directory that was copied all files are as new as the copy; no other node has written there.
        return written <= ended + 2 || (ownName == nil && path.hasPrefix(directory + "/"))
    }
}

/// A file that may still grow, and the place up to which it was read.
///
/// A task owns its folder and may put anything in the place of its output. What is shown is a file of the task's own in that folder,
/// never what a link leads to: root would show the task what only root may read.
final class LogFile {
    private let path: String
    private let attempt: Int?
    private let descriptor: SharedDescriptor
    let status: FileStatus
    private var offset: Int64 = 0

    /// - Parameters:
    ///   - path: a directory of results, the task's folder in it, and the file.
    ///   - attempt: what this one wrote, nil: the last one.
    init?(_ path: String, attempt: Int? = nil) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
        guard parts.count > 2,
            let results = try? GuardedDirectory(path: parts.dropLast(2).joined(separator: "/") + "/"),
            let folder = try? results.directory(parts[parts.count - 2])
        else { return nil }
        let stream = parts[parts.count - 1]
        // A folder that says nothing of attempts has the first, or whichever was the last before nodes kept more.
        let opened: OwnedDescriptor?
        do throws(SystemError) {
            let kept = attempt == nil ? nil : try folder.keptAttempts()
            let isLast = kept.map { $0.numbers.first == attempt } ?? true
            opened =
                isLast
                ? try folder.open(stream, [.readOnly]) : try folder.openOutput(stream, ofAttempt: attempt ?? 1)
        } catch {
            return nil
        }
        guard let opened, let status = try? opened.status(subject: path) else { return nil }
        self.path = path
        self.attempt = attempt
        self.status = status
        descriptor = SharedDescriptor(opened)
    }

    /// Whether the name still means this file: another attempt has a new one.
    var isCurrent: Bool { LogFile(path, attempt: attempt)?.status.inode == status.inode }

    func next(_ bytesMax: Int) throws(SystemError) -> [UInt8] {
        let bytes = try coming(bytesMax)
        skip(bytes.count)
        return bytes
    }

    /// What comes next, without going on.
    func coming(_ bytesMax: Int) throws(SystemError) -> [UInt8] {
        try descriptor.read(at: offset, count: bytesMax, subject: path)
    }

    func skip(_ byteCount: Int) { offset += Int64(byteCount) }

    /// The beginning of what it held when it was opened.
    func head(_ bytesMax: Int) throws(SystemError) -> [UInt8] {
        try descriptor.read(at: 0, count: Int(min(status.sizeBytes, Int64(bytesMax))), subject: path)
    }
}
