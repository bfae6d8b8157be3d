// What one attempt at a task writes, as the daemon holds it: two files while it runs, which may have no name yet; a piece of a segment
// when it has ended and was small.

import CLinux
import Glibc

/// Two files for what a task writes, open for whoever reads them.
final class OutputPair {
    let standardOutput: SharedDescriptor
    let standardError: SharedDescriptor

    init(standardOutput: SharedDescriptor, standardError: SharedDescriptor) {
        (self.standardOutput, self.standardError) = (standardOutput, standardError)
    }

    subscript(_ stream: TaskStream) -> SharedDescriptor {
        switch stream {
        case .stdout: standardOutput
        case .stderr: standardError
        }
    }
}

/// The output of one attempt at a task.
public final class TaskOutput {
    /// Where it stands.
    enum Content {
        case files(OutputPair)
        /// With all of the record, where that is short.
        case packed(SegmentPlace, SharedDescriptor?, record: [UInt8]?)
    }

    public let folderPath: String
    public let attempt: Int
    var content: Content
    /// The folder, for those that may be given names in it, or lose them again.
    let folder: TaskFolder?
    /// What the task is to have open; nil once it has: then that it writes no more is to be seen.
    private var ends: OutputPair?
    /// Whether the files have their names in the folder.
    public internal(set) var isNamed: Bool
    /// Whether its report has been made: where it stands is not to change any more.
    public var isReported = false
    /// When it was made, in nanoseconds since the boot.
    let begunNanoseconds = SystemClock.bootNanoseconds()

    init(
        _ files: OutputPair, ends: OutputPair? = nil, folder: TaskFolder?, folderPath: String, attempt: Int,
        isNamed: Bool
    ) {
        content = .files(files)
        self.ends = ends ?? files
        (self.folder, self.folderPath, self.attempt, self.isNamed) = (folder, folderPath, attempt, isNamed)
    }

    /// Of files that have their names.
    public convenience init(
        standardOutput: SharedDescriptor, standardError: SharedDescriptor, folderPath: String, attempt: Int = 1
    ) {
        self.init(
            OutputPair(standardOutput: standardOutput, standardError: standardError), folder: nil,
            folderPath: folderPath, attempt: attempt, isNamed: true)
    }

    // MARK: For the launch

    /// What a task is handed: it is read by the output itself, wherever that stands by then.
    public struct End {
        fileprivate let file: SharedDescriptor

        public var raw: Int32 { file.raw }
    }

    /// What the task is to write to; once it has been begun, what is open of it here.
    public var standardOutput: End { End(file: (ends ?? files)[.stdout]) }
    public var standardError: End { End(file: (ends ?? files)[.stderr]) }

    /// The task has what it writes to, or never will.
    public func closeEnds() { ends = nil }

    var files: OutputPair {
        guard case .files(let pair) = content else { preconditionFailure("it stands in a segment") }
        return pair
    }

    /// What its folder is called.
    public var name: String { String(folderPath.split(separator: "/").last ?? "") }

    /// Whether it was begun so long ago.
    public func isOlder(than nanoseconds: Int64, at now: Int64) -> Bool { now - begunNanoseconds >= nanoseconds }

    // MARK: Where it stands

    public var standardOutputPath: String { path(.stdout) }
    public var standardErrorPath: String { path(.stderr) }

    private func path(_ stream: TaskStream) -> String { isNamed ? "\(folderPath)/\(stream.rawValue)" : "" }

    /// nil for one that stands in files.
    public var place: SegmentPlace? { if case .packed(let place, _, _) = content { place } else { nil } }

    // MARK: Reading

    /// How long it is at present; nil where that cannot be told.
    public func sizeBytes(_ stream: TaskStream) -> Int64? {
        switch content {
        case .files(let pair): pair[stream].sizeBytes
        case .packed(let place, _, _):
            Int64(stream == .stdout ? place.standardOutputBytes : place.standardErrorBytes)
        }
    }

    /// `count` bytes from `offset`, fewer where it ends earlier.
    public func read(_ stream: TaskStream, at offset: Int64, count: Int) throws(SystemError) -> [UInt8] {
        switch content {
        case .files(let pair): return try pair[stream].read(at: offset, count: count, subject: path(stream))
        case .packed(let place, let segment, let record):
            let size = sizeBytes(stream) ?? 0
            let count = min(Int64(count), size - offset)
            guard offset >= 0, count > 0 else { return [] }
            let start = (stream == .stdout ? 0 : Int64(place.standardOutputBytes)) + offset
            if let record {
                let first = SegmentRecord.headBytes + Int(start)
                return Array(record[first..<first + Int(count)])
            }
            guard let segment else { return [] }
            return try segment.read(at: place.offset + start, count: Int(count), subject: stream.rawValue)
        }
    }

    /// All that was written to standard output, or nil when it is more than `bytesMax`.
    public func standardOutputContents(bytesMax: Int) throws(SystemError) -> [UInt8]? {
        let size = sizeBytes(.stdout) ?? 0
        guard size <= bytesMax else { return nil }
        return try read(.stdout, at: 0, count: Int(size))
    }

    /// The last `bytesMax` bytes of standard error.
    public func standardErrorTail(bytesMax: Int) throws(SystemError) -> [UInt8] {
        let size = sizeBytes(.stderr) ?? 0
        let start = max(0, size - Int64(bytesMax))
        return try read(.stderr, at: start, count: Int(size - start))
    }

    /// How much of the disk the files take that no folder shows.
    var bytesOnDiskUnnamed: UInt64 {
        guard case .files(let pair) = content, !isNamed else { return 0 }
        return [pair.standardOutput, pair.standardError].reduce(0) { sum, file in
            var status = stat()
            guard fstat(file.raw, &status) == 0 else { return sum }
            return sum &+ UInt64(max(0, status.st_blocks)) &* 512
        }
    }
}
