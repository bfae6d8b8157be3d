// Where a small output stands on its node, as a record says it. Records are what others may have written into the queue, so what is read
// back is no more than a place to look at: whoever does finds out whose output is there.

/// A place in one of the files in which a node keeps small outputs, `segments/NNNNNNNN` of its result_dir.
public struct PackedOutput: Hashable, Sendable {
    /// The node's result_dir; empty where that is not said.
    public var directory: String
    /// The number of the file, from 1; 0 where nothing was written.
    public let segment: UInt32
    /// Where standard output begins in it; standard error follows.
    public let offset: Int64
    public let stdoutBytes: Int
    public let stderrBytes: Int

    public init(directory: String = "", segment: UInt32, offset: Int64, stdoutBytes: Int, stderrBytes: Int) {
        (self.directory, self.segment, self.offset) = (directory, segment, offset)
        (self.stdoutBytes, self.stderrBytes) = (stdoutBytes, stderrBytes)
    }

    /// Nil for what cannot be.
    private init?(directory: String, segment: UInt32, offset: Int64, stdoutBytes: Int64, stderrBytes: Int64) {
        guard Self.byteCounts.contains(stdoutBytes), Self.byteCounts.contains(stderrBytes),
            Self.offsets.contains(offset), (segment == 0) == (stdoutBytes == 0 && stderrBytes == 0)
        else { return nil }
        self.init(
            directory: directory, segment: segment, offset: offset, stdoutBytes: Int(stdoutBytes),
            stderrBytes: Int(stderrBytes))
    }

    private static let byteCounts: ClosedRange<Int64> = 0...(1 << 30)
    private static let offsets: ClosedRange<Int64> = 0...(1 << 40)
    private static let pathBytesMax = 4096
    private static let folder = "/segments/"

    // MARK: In a record

    /// The file; nil where nothing was written.
    public var segmentPath: String? { segment > 0 ? directory + Self.folder + Self.fileName(segment) : nil }

    /// Reads back what a record says; nil where it says nothing, or what cannot be.
    ///
    /// - Parameter path: ``segmentPath``.
    init?(path: String?, offset: Int64?, stdoutBytes: Int64?, stderrBytes: Int64?) {
        guard let stdoutBytes, let stderrBytes else { return nil }
        guard let path else {
            self.init(directory: "", segment: 0, offset: 0, stdoutBytes: stdoutBytes, stderrBytes: stderrBytes)
            return
        }
        guard path.utf8.count <= Self.pathBytesMax, let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")),
            let segment = UInt32(path[path.index(after: slash)...]), segment > 0, let offset
        else { return nil }
        let end = Self.folder + Self.fileName(segment)
        guard path.hasPrefix("/"), path.hasSuffix(end) else { return nil }
        self.init(
            directory: String(path.dropLast(end.count)), segment: segment, offset: offset, stdoutBytes: stdoutBytes,
            stderrBytes: stderrBytes)
    }

    private static func fileName(_ segment: UInt32) -> String {
        let digits = String(segment)
        return String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
    }

    // MARK: As a word

    /// For notes and requests, which are about the one node whose directory is known.
    public var text: String { "\(segment):\(offset):\(stdoutBytes):\(stderrBytes)" }

    /// Reads back ``text``; nil for what is none.
    public init?(text: some StringProtocol) {
        let numbers = text.split(separator: ":", omittingEmptySubsequences: false).compactMap { Int64($0) }
        guard numbers.count == 4, text.utf8.count(where: { $0 == UInt8(ascii: ":") }) == 3,
            let segment = UInt32(exactly: numbers[0])
        else { return nil }
        self.init(
            directory: "", segment: segment, offset: numbers[1], stdoutBytes: numbers[2], stderrBytes: numbers[3])
    }
}
