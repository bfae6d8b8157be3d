// A descriptor with two owners is closed twice, and the second close hits a descriptor of somebody else; one without an owner
// leaks. The compiler keeps the count here.

import CLinux
import Glibc

/// A file descriptor with exactly one owner, closed when the owner goes.
public struct OwnedDescriptor: ~Copyable, Sendable {
    public let raw: Int32

    /// Takes over an open descriptor; the caller must not close it any more.
    public init(adopting raw: Int32) { self.raw = raw }

    deinit { close(raw) }  // EINTR included: on Linux the descriptor is gone either way.
}

/// A descriptor kept in collections and optionals, which hold only copyable values; closed when the last holder lets go.
public final class SharedDescriptor: Sendable {
    private let owned: OwnedDescriptor

    public init(_ owned: consuming OwnedDescriptor) { self.owned = owned }

    public var raw: Int32 { owned.raw }

    /// See `OwnedDescriptor.status(subject:)`.
    public func status(subject: String) throws(SystemError) -> FileStatus { try owned.status(subject: subject) }

    /// See `OwnedDescriptor.readNext(into:subject:)`.
    public func readNext(into buffer: UnsafeMutableRawBufferPointer, subject: String) throws(SystemError) -> Int {
        try owned.readNext(into: buffer, subject: subject)
    }

    /// See `OwnedDescriptor.writeAll(_:subject:)`.
    public func writeAll(_ bytes: [UInt8], subject: String) throws(SystemError) {
        try owned.writeAll(bytes, subject: subject)
    }

    /// What fits into `buffer` from `offset` on, by one pread(2).
    func read(
        at offset: Int64, into buffer: UnsafeMutableRawBufferPointer, subject: String
    ) throws(SystemError) -> Int {
        let count = retryingInterrupted { pread(owned.raw, buffer.baseAddress, buffer.count, off_t(offset)) }
        guard count >= 0 else { throw .last("read", subject) }
        return count
    }

    /// See `OwnedDescriptor.sizeBytes`.
    public var sizeBytes: Int64? { owned.sizeBytes }

    /// See `OwnedDescriptor.read(at:count:subject:)`.
    public func read(at offset: Int64, count: Int, subject: String) throws(SystemError) -> [UInt8] {
        try owned.read(at: offset, count: count, subject: subject)
    }
}

extension OwnedDescriptor {
    /// Opens `path`, by openat(2) below `directory` when one is given. Always close-on-exec: only what a launch passes
    /// on explicitly reaches a task.
    public static func open(
        _ path: String, _ flags: OpenFlags, mode: UInt32 = 0, below directory: SharedDescriptor
    ) throws(SystemError) -> OwnedDescriptor {
        try open(path, flags, mode: mode, belowRaw: directory.raw)
    }

    /// Opens `path` by open(2), relative to the working directory.
    public static func open(_ path: String, _ flags: OpenFlags, mode: UInt32 = 0) throws(SystemError) -> OwnedDescriptor
    {
        try open(path, flags, mode: mode, belowRaw: AT_FDCWD)
    }

    private static func open(
        _ path: String, _ flags: OpenFlags, mode: UInt32, belowRaw directory: Int32
    ) throws(SystemError) -> OwnedDescriptor {
        let raw = retryingInterrupted { clinux_openat(directory, path, flags.rawValue | O_CLOEXEC, mode) }
        guard raw >= 0 else { throw .last("open", path) }
        return OwnedDescriptor(adopting: raw)
    }

    /// Another descriptor for what `raw` is open on (F_DUPFD_CLOEXEC, see fcntl(2)).
    public static func duplicate(of raw: Int32) throws(SystemError) -> OwnedDescriptor {
        let copy = clinux_duplicate_from(raw, 0)
        guard copy >= 0 else { throw .last("fcntl F_DUPFD_CLOEXEC", "descriptor \(raw)") }
        return OwnedDescriptor(adopting: copy)
    }

    /// A file in memory that holds `bytes` and has no name: what is handed on in it can be neither looked up nor changed by others.
    public static func memoryFile(_ name: String, _ bytes: [UInt8]) throws(SystemError) -> OwnedDescriptor {
        let raw = clinux_memory_file(name)
        guard raw >= 0 else { throw .last("memfd_create", name) }
        let file = OwnedDescriptor(adopting: raw)
        guard clinux_set_close_on_exec(raw, true) == 0 else { throw .last("fcntl F_SETFD", name) }
        try file.writeAll(bytes, subject: name)
        guard lseek(raw, 0, SEEK_SET) == 0 else { throw .last("lseek", name) }
        return file
    }

    /// A pipe whose ends are both close-on-exec and non-blocking, see pipe2(2).
    public static func pipe() throws(SystemError) -> PipeEnds {
        var ends: [Int32] = [-1, -1]
        guard clinux_pipe(&ends) == 0 else { throw .last("pipe2", "close-on-exec, non-blocking") }
        return PipeEnds(reading: OwnedDescriptor(adopting: ends[0]), writing: OwnedDescriptor(adopting: ends[1]))
    }
}

/// The two ends of a pipe.
public struct PipeEnds: ~Copyable {
    public let reading: OwnedDescriptor
    public let writing: OwnedDescriptor

    public init(reading: consuming OwnedDescriptor, writing: consuming OwnedDescriptor) {
        self.reading = reading
        self.writing = writing
    }
}

/// How a file is opened; the names of open(2).
public struct OpenFlags: OptionSet, Sendable {
    public let rawValue: Int32
    public init(rawValue: Int32) { self.rawValue = rawValue }

    public static let readOnly = OpenFlags(rawValue: O_RDONLY)
    public static let writeOnly = OpenFlags(rawValue: O_WRONLY)
    public static let readWrite = OpenFlags(rawValue: O_RDWR)
    public static let append = OpenFlags(rawValue: O_APPEND)
    public static let create = OpenFlags(rawValue: O_CREAT)
    public static let exclusive = OpenFlags(rawValue: O_EXCL)
    public static let truncate = OpenFlags(rawValue: O_TRUNC)
    public static let directory = OpenFlags(rawValue: O_DIRECTORY)
    public static let doNotFollow = OpenFlags(rawValue: O_NOFOLLOW)
    public static let nonBlocking = OpenFlags(rawValue: O_NONBLOCK)
    public static let pathOnly = OpenFlags(rawValue: 0o10_000_000)  // O_PATH, which needs _GNU_SOURCE
}

/// Occupies the descriptors below `lowest` that are free, for the life of the process.
///
/// A launch hands descriptors to its child at fixed low numbers (see `ProcessLauncher`); with those numbers never in use here,
/// no dup2 of a launch can overwrite the source of another.
public func reserveDescriptors(below lowest: Int32) throws(SystemError) {
    while true {
        let raw = retryingInterrupted { clinux_openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0) }
        guard raw >= 0 else { throw .last("open", "/dev/null") }
        if raw >= lowest {
            close(raw)
            return
        }
    }
}
