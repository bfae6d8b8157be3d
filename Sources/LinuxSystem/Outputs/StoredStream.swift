// What an attempt wrote to one of its streams, for whoever reads it, wherever it stands: a file, which may still grow, or a piece of a
// segment, which was read as it was found.

import Glibc

/// One of the two streams of a task: its name is that of its file.
public enum TaskStream: String, CaseIterable, Sendable {
    case stdout, stderr
}

public struct StoredStream: Sendable {
    private enum Content {
        case file(SharedDescriptor)
        case bytes([UInt8])
    }

    private let content: Content
    /// As it was when it was opened.
    public let sizeBytes: Int64
    /// When a file last changed, in seconds since 1970; nil for what stands in a segment, where nothing does.
    public let modifiedUnixSeconds: Double?
    /// Tells a file from a later one of its name.
    public let inode: UInt64?

    public init(_ bytes: [UInt8]) {
        content = .bytes(bytes)
        (sizeBytes, modifiedUnixSeconds, inode) = (Int64(bytes.count), nil, nil)
    }

    public init(_ file: consuming OwnedDescriptor) throws(SystemError) {
        let status = try file.status(subject: "output")
        (sizeBytes, modifiedUnixSeconds, inode) = (status.sizeBytes, status.modifiedUnixSeconds, status.inode)
        content = .file(SharedDescriptor(file))
    }

    /// `count` bytes from `offset`, fewer where it ends earlier at present.
    public func read(at offset: Int64, count: Int, subject: String) throws(SystemError) -> [UInt8] {
        switch content {
        case .file(let file): return try file.read(at: offset, count: count, subject: subject)
        case .bytes(let bytes):
            guard offset >= 0, offset < bytes.count, count > 0 else { return [] }
            return Array(bytes[Int(offset)...].prefix(count))
        }
    }
}
