// Where the output of tasks is now. A record says where it was written; a run's directory may have been moved since, and another
// machine has files of its own by that name.

import LinuxSystem
import TaskModel
import TaskQueue

/// The files on this machine that tasks wrote.
struct OutputFiles {
    /// Where the node keeps the output of tasks.
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

    /// What an attempt at a task writes on a node; nil where it is not on this machine, or has no file by now.
    func file(_ stream: OutputStream, of line: String, running attempt: Int, on node: String) -> LogFile? {
        areHere(of: node) ? LogFile(ownPath(stream, of: line), attempt: attempt) : nil
    }

    /// What an attempt at a task wrote on a node before the last one; nil where it is not on this machine, or not kept.
    func file(_ stream: OutputStream, of line: String, earlier attempt: Int, on node: String) -> LogFile? {
        areHere(of: node) ? LogFile(ownPath(stream, of: line), ofEarlier: attempt) : nil
    }

    /// What attempts are kept of a task on this machine, the last one first.
    ///
    /// - Parameter last: how the last one that is over ended.
    func keptAttempts(of line: String, last: TaskOutcome?) -> [Int] {
        guard let results = try? GuardedDirectory(path: directory + "/") else { return [] }
        let here = last.flatMap { areHere(of: $0.node) && file(.stdout, of: line, $0) != nil ? $0.attempt : nil }
        return (try? results.keptAttempts(ofTask: TaskLine.identifier(of: line), last: here)) ?? []
    }

    /// What an attempt that is over wrote; nil where it is not on this machine.
    func file(_ stream: OutputStream, of line: String, _ outcome: TaskOutcome) -> LogFile? {
        if let place = outcome.packedOutput {
            guard areHere(of: outcome.node) else { return nil }
            for directory in directories(of: place) {
                let path = path(stream, of: line, in: directory)
                if let file = LogFile(path, in: place, attempt: outcome.attempt) { return file }
            }
            return nil
        }
        for path in paths(stream, of: line, outcome) {
            if let file = LogFile(path), isWritten(file, by: outcome, path) { return file }
        }
        return nil
    }

    /// Where a small output stands: where that is now if it is on this machine, else where it was written.
    func place(of outcome: TaskOutcome) -> PackedOutput? {
        guard var place = outcome.packedOutput, place.segment > 0, areHere(of: outcome.node) else {
            return outcome.packedOutput
        }
        for directory in directories(of: place) {
            place.directory = directory
            if let path = place.segmentPath, FileSystem.exists(path) { return place }
        }
        return outcome.packedOutput
    }

    /// The directories of results it may be in, the likeliest first.
    private func directories(of place: PackedOutput) -> [String] {
        let recorded = place.directory.isEmpty ? directory : place.directory
        // A copy of a run's directory has files of its own, whatever is left at the old place.
        return ownName == nil ? [directory, recorded] : [recorded, directory]
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

    private func ownPath(_ stream: OutputStream, of line: String) -> String { path(stream, of: line, in: directory) }

    private func path(_ stream: OutputStream, of line: String, in directory: String) -> String {
        "\(directory)/\(TaskLine.identifier(of: line))/\(stream.rawValue)"
    }

    /// A file of that name may be left of an earlier attempt here: this one was written while the task ran.
    private func isWritten(_ file: LogFile, by outcome: TaskOutcome, _ path: String) -> Bool {
        guard let ended = outcome.finishedAtUnixSeconds, let written = file.modifiedUnixSeconds else { return true }
        guard written >= ended - outcome.usage.wallSeconds - 2 else { return false }
        // In a run's directory that was copied all files are as new as the copy; no other node has written there.
        return written <= ended + 2 || (ownName == nil && path.hasPrefix(directory + "/"))
    }
}

/// What a task wrote, or still writes, and the place up to which it was read.
///
/// A task owns its folder and may put anything in the place of its output. What is shown is a file of the task's own in that folder,
/// never what a link leads to: root would show the task what only root may read.
final class LogFile {
    private let path: String
    /// nil for what does not change any more, or is known by another name.
    private let attempt: Int?
    private let isPacked: Bool
    private let stream: StoredStream
    private var offset: Int64 = 0

    /// How long it was when it was opened.
    var sizeBytes: Int64 { stream.sizeBytes }
    /// When it was written last; nil for what stands in a segment.
    var modifiedUnixSeconds: Double? { stream.modifiedUnixSeconds }

    /// - Parameters:
    ///   - path: a directory of results, the task's folder in it, and the file.
    ///   - attempt: what this one wrote, nil: the last one.
    init?(_ path: String, attempt: Int? = nil) {
        guard let (results, task, stream) = Self.parts(path), let folder = try? results.directory(task) else {
            return nil
        }
        // A folder that says nothing of attempts has the first, or whichever was the last before nodes kept more.
        let opened: StoredStream?
        do throws(SystemError) {
            let kept = attempt == nil ? nil : try folder.keptAttempts()
            let isLast = kept.map { $0.numbers.first == attempt } ?? true
            if isLast {
                opened = try StoredStream(try folder.open(stream.rawValue, [.readOnly]))
            } else {
                guard let file = try folder.openOutput(stream.rawValue, ofAttempt: attempt ?? 1) else { return nil }
                opened = try StoredStream(file)
            }
        } catch {
            return nil
        }
        guard let opened else { return nil }
        (self.path, self.attempt, self.stream, isPacked) = (path, attempt, opened, false)
    }

    /// What stands in a segment.
    ///
    /// - Parameter path: where it would be as a file.
    init?(_ path: String, in place: PackedOutput, attempt: Int?) {
        guard let place = SegmentPlace(place), let (results, task, stream) = Self.parts(path),
            let streams = try? results.packedOutput(ofTask: task, attempt: attempt, at: place)
        else { return nil }
        (self.path, self.attempt, isPacked) = (path, nil, true)
        self.stream = StoredStream(streams[stream])
    }

    /// What an attempt wrote that is not the last one, wherever it stands.
    ///
    /// - Parameter path: where it would be as the file of the last one.
    init?(_ path: String, ofEarlier attempt: Int) {
        guard let (results, task, stream) = Self.parts(path),
            let found = try? results.earlierOutput(ofTask: task, stream, attempt: attempt)
        else { return nil }
        (self.path, self.attempt, self.stream, isPacked) = (path, nil, found, true)
    }

    private static func parts(_ path: String) -> (results: GuardedDirectory, task: String, stream: TaskStream)? {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
        guard parts.count > 2, let stream = TaskStream(rawValue: parts[parts.count - 1]),
            let results = try? GuardedDirectory(path: parts.dropLast(2).joined(separator: "/") + "/")
        else { return nil }
        return (results, parts[parts.count - 2], stream)
    }

    /// Whether the name still means this file: another attempt has a new one.
    var isCurrent: Bool { isPacked || LogFile(path, attempt: attempt)?.stream.inode == stream.inode }

    func next(_ bytesMax: Int) throws(SystemError) -> [UInt8] {
        let bytes = try coming(bytesMax)
        skip(bytes.count)
        return bytes
    }

    /// What comes next, without going on.
    func coming(_ bytesMax: Int) throws(SystemError) -> [UInt8] {
        try stream.read(at: offset, count: bytesMax, subject: path)
    }

    func skip(_ byteCount: Int) { offset += Int64(byteCount) }

    /// The beginning of what it held when it was opened.
    func head(_ bytesMax: Int) throws(SystemError) -> [UInt8] {
        try stream.read(at: 0, count: Int(min(sizeBytes, Int64(bytesMax))), subject: path)
    }
}

extension SegmentPlace {
    /// nil for what no segment can hold.
    init?(_ packed: PackedOutput) {
        self.init(
            checking: packed.segment, offset: packed.offset, standardOutputBytes: packed.stdoutBytes,
            standardErrorBytes: packed.stderrBytes)
    }
}
