// Where a node puts small outputs: one behind the other in few large files, `segments/00000001` and so on in its result_dir. A million
// tasks are then some files instead of three million; and what a task's own group no longer holds is charged to nobody's memory.
//
// Only the node appends, by one pwrite(2) a record, so a record is there whole or not at all, unless the machine loses its power or the
// disk is full: then its end is torn, and cut off when the node next appends. Nothing here is ever changed; what is old goes with its segment.

import CLinux
import Glibc

/// The segments of a directory of results, and the one of them that this node appends to.
final class SegmentStore {
    /// A segment that has grown to this is finished.
    static let segmentBytes: Int64 = 64 << 20
    /// One that is longer when a node starts is left as it is: to find its end would take long.
    static let resumedBytesMax: Int64 = 4 << 20
    static let directoryName = "segments"
    static let indexSuffix = ".attempts"

    /// The one that is written to. Nobody else appends to it: it is locked.
    final class Segment {
        let number: UInt32
        let file: SharedDescriptor
        fileprivate(set) var end: Int64
        fileprivate let begunNanoseconds = SystemClock.bootNanoseconds()
        fileprivate var index: SharedDescriptor?

        fileprivate init(number: UInt32, file: SharedDescriptor, end: Int64) {
            (self.number, self.file, self.end) = (number, file, end)
        }
    }

    private let results: SharedDescriptor
    /// nil until something is to be written: a node that has run nothing leaves nothing.
    private var opened: SharedDescriptor?
    private let path: String
    private let mode: UInt32
    private let owner: (user: UInt32, group: UInt32)?
    private let segmentBytesMax: Int64
    private(set) var current: Segment?
    /// Whether the last segment there is may be one of an earlier life.
    private var mayResume = true
    /// Those that were finished since last asked.
    private var finished: [SharedDescriptor] = []

    /// - Parameters:
    ///   - results: the directory of results.
    ///   - mode: of the directory and its files, but for who may enter.
    ///   - owner: whose they are; nil: ours.
    init(
        in results: SharedDescriptor, _ path: String, mode: UInt32, owner: (user: UInt32, group: UInt32)?,
        segmentBytes: Int64 = SegmentStore.segmentBytes
    ) {
        self.path = "\(path)/\(Self.directoryName)"
        (self.results, self.mode, self.owner, segmentBytesMax) = (results, mode, owner, segmentBytes)
    }

    private func directory() throws(SystemError) -> SharedDescriptor {
        if let opened { return opened }
        let isNew = mkdirat(results.raw, Self.directoryName, mode | (mode & 0o444) >> 2) == 0
        if !isNew && errno != EEXIST { throw .last("mkdir", self.path) }
        let directory = SharedDescriptor(
            try OwnedDescriptor.open(Self.directoryName, [.readOnly, .directory, .doNotFollow], below: results))
        if isNew { try Self.give(directory.raw, owner, self.path) }
        opened = directory
        return directory
    }

    private static func give(
        _ raw: Int32, _ owner: (user: UInt32, group: UInt32)?, _ subject: String
    ) throws(SystemError) {
        guard let owner, fchown(raw, owner.user, owner.group) != 0 else { return }
        throw .last("chown", subject)
    }

    // MARK: Appending

    /// Appends what two files hold, and says where it stands, with all of the record.
    ///
    /// - Throws: where it cannot; then nothing of it is there.
    func append(
        _ record: SegmentRecord, from output: SharedDescriptor, _ error: SharedDescriptor
    ) throws(SystemError) -> (place: SegmentPlace, segment: SharedDescriptor, record: [UInt8]) {
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: record.bytes) { buffer, count in
            let raw = UnsafeMutableRawBufferPointer(buffer)
            do throws(SystemError) {
                var at = SegmentRecord.headBytes
                for (file, size) in [(output, record.standardOutputBytes), (error, record.standardErrorBytes)] {
                    guard size > 0 else { continue }
                    let done = try file.read(
                        at: 0, into: UnsafeMutableRawBufferPointer(rebasing: raw[at..<at + size]), subject: "output")
                    // It had this size a moment ago, and nothing writes to it any more.
                    guard done == size else { throw SystemError(call: "read", subject: "output", code: EIO) }
                    at += size
                }
                record.writeHead(to: raw)
                count = record.bytes
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        let segment = try segmentToWrite(for: record.bytes)
        try write(bytes, to: segment)
        let place = SegmentPlace(
            segment: segment.number, offset: segment.end + Int64(SegmentRecord.headBytes),
            standardOutputBytes: record.standardOutputBytes, standardErrorBytes: record.standardErrorBytes)
        segment.end += Int64(record.bytes)
        return (place, segment.file, bytes)
    }

    /// Behind what is there, or not at all.
    private func write(_ bytes: [UInt8], to segment: Segment) throws(SystemError) {
        let done = bytes.withUnsafeBytes { buffer in
            retryingInterrupted { pwrite(segment.file.raw, buffer.baseAddress, buffer.count, off_t(segment.end)) }
        }
        guard done != bytes.count else { return }
        let error =
            done < 0
            ? SystemError.last("write", name(of: segment.number))
            : SystemError(call: "write", subject: name(of: segment.number), code: ENOSPC)
        // What is left of it if this fails too is written over by the next, or cut off by the next life.
        ftruncate(segment.file.raw, off_t(segment.end))
        throw error
    }

    /// Notes where the output of an attempt is that failed: beside the segment it stands in, or the one that is written to.
    func note(_ attempt: IndexedAttempt) throws(SystemError) {
        let segment = try segmentToWrite(for: 0)
        let wanted = attempt.place?.segment ?? 0
        if wanted != 0, wanted != segment.number {
            return try openIndex(of: wanted).writeAll(attempt.encoded, subject: indexName(of: wanted))
        }
        if segment.index == nil { segment.index = SharedDescriptor(try openIndex(of: segment.number)) }
        try segment.index?.writeAll(attempt.encoded, subject: indexName(of: segment.number))
    }

    private func openIndex(of number: UInt32) throws(SystemError) -> OwnedDescriptor {
        let name = Self.fileName(number) + Self.indexSuffix
        let directory = try directory()
        let raw = retryingInterrupted {
            clinux_openat(
                directory.raw, name, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
        }
        if raw >= 0 {
            let file = OwnedDescriptor(adopting: raw)
            try Self.give(file.raw, owner, indexName(of: number))
            return file
        }
        guard errno == EEXIST else { throw .last("open", indexName(of: number)) }
        let file = try OwnedDescriptor.open(
            name, [.writeOnly, .append, .doNotFollow, .nonBlocking], below: directory)
        guard isOurs(try file.requirePlainFile(subject: indexName(of: number))) else {
            throw SystemError(call: "open (it is not the node's)", subject: indexName(of: number), code: EPERM)
        }
        return file
    }

    /// Whether nobody else can have put a file there.
    private func isOurs(_ status: FileStatus) -> Bool {
        status.linkCount == 1 && status.ownerIdentifier == owner?.user ?? geteuid()
    }

    // MARK: Segments

    private func segmentToWrite(for bytes: Int) throws(SystemError) -> Segment {
        if let current, current.end + Int64(bytes) <= segmentBytesMax || current.end == 0 { return current }
        if let old = current {
            finished.append(old.file)
            current = nil
        }
        if mayResume, let segment = try resumed() {
            (current, mayResume) = (segment, false)
            return segment
        }
        let segment = try created()
        (current, mayResume) = (segment, false)
        return segment
    }

    /// Has the next output begin another segment, if this one was begun so long ago: one goes when its newest output is old.
    func finishCurrent(olderThanSeconds seconds: Double) {
        guard let segment = current, segment.end > 0,
            Double(SystemClock.bootNanoseconds() - segment.begunNanoseconds) > seconds * 1e9
        else { return }
        finished.append(segment.file)
        current = nil
    }

    /// Segments that nothing is added to any more, each once.
    func takeFinished() -> [SharedDescriptor] {
        defer { finished = [] }
        return finished
    }

    /// The numbers of the segments that are there, in their order.
    func numbers() throws(SystemError) -> [UInt32] {
        try FileSystem.entries(of: "/proc/self/fd/\(try directory().raw)").compactMap { Self.number(of: $0) }.sorted()
    }

    private func created() throws(SystemError) -> Segment {
        var number = (try numbers().last ?? 0) + 1
        let directory = try directory()
        while true {
            let raw = retryingInterrupted {
                clinux_openat(
                    directory.raw, Self.fileName(number), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode)
            }
            if raw >= 0 {
                let file = OwnedDescriptor(adopting: raw)
                try Self.give(file.raw, owner, name(of: number))
                // It is new, so nobody else has it. Where there are no locks, no other node goes on with it.
                _ = try? file.tryLock(subject: name(of: number))
                return Segment(number: number, file: SharedDescriptor(file), end: 0)
            }
            guard errno == EEXIST else { throw .last("open", name(of: number)) }
            number += 1  // Another node's, in the same place.
        }
    }

    /// The last segment of an earlier life, where it is short and nobody appends to it, without what is torn at its end.
    private func resumed() throws(SystemError) -> Segment? {
        guard let number = try numbers().last else { return nil }
        let subject = name(of: number)
        let file = try OwnedDescriptor.open(
            Self.fileName(number), [.readWrite, .doNotFollow, .nonBlocking], below: try directory())
        let status = try file.requirePlainFile(subject: subject)
        guard isOurs(status), status.permissions == mode, status.sizeBytes < min(Self.resumedBytesMax, segmentBytesMax),
            (try? file.tryLock(subject: subject)) == true,
            // What is too old is removed under the same lock, which may have been just before.
            try file.status(subject: subject).linkCount > 0
        else { return nil }
        let bytes = try file.read(at: 0, count: Int(status.sizeBytes), subject: subject)
        guard let end = bytes.withUnsafeBytes({ Self.end(of: $0) }) else { return nil }
        if Int64(end) < status.sizeBytes, ftruncate(file.raw, off_t(end)) != 0 { throw .last("truncate", subject) }
        return Segment(number: number, file: SharedDescriptor(file), end: Int64(end))
    }

    /// Where the last whole record ends, if all before it can be passed over; nil where something in the middle is damaged, so that
    /// it cannot be told what is its end.
    static func end(of segment: UnsafeRawBufferPointer) -> Int? {
        var at = 0
        var end = 0
        while at < segment.count {
            let rest = UnsafeRawBufferPointer(rebasing: segment[at...])
            guard let record = SegmentRecord(head: rest) else {
                return hasRecord(UnsafeRawBufferPointer(rebasing: segment[at...].dropFirst())) ? nil : end
            }
            at += record.bytes
            // One whose bytes are damaged is passed over; if it is the last, it is the torn one.
            if record.isWhole(rest) { end = at }
        }
        return end
    }

    private static func hasRecord(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count >= SegmentRecord.headBytes else { return false }
        return (0...(bytes.count - SegmentRecord.headBytes)).contains { start in
            let rest = UnsafeRawBufferPointer(rebasing: bytes[start...])
            return SegmentRecord(head: rest)?.isWhole(rest) == true
        }
    }

    // MARK: Names

    private func name(of number: UInt32) -> String { "\(path)/\(Self.fileName(number))" }

    private func indexName(of number: UInt32) -> String { name(of: number) + Self.indexSuffix }

    static func fileName(_ number: UInt32) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 8 - digits.utf8.count)) + digits
    }

    /// nil for what is no segment.
    static func number(of name: String) -> UInt32? {
        guard name.utf8.count >= 8, name.utf8.count <= 10, let number = UInt32(name), number > 0,
            fileName(number) == name
        else { return nil }
        return number
    }
}
