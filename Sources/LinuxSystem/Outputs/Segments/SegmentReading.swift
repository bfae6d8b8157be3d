// Reading outputs back from segments: by whoever looks at the results of a node on its machine, and by the node for those who ask from
// elsewhere. Where one stands is what the queue says, or a file that a task's user may own, so nothing of it is believed.

import CLinux
import Glibc

/// What a small output was.
public struct PackedStreams: Equatable, Sendable {
    public let standardOutput: [UInt8]
    public let standardError: [UInt8]

    public subscript(_ stream: TaskStream) -> [UInt8] {
        switch stream {
        case .stdout: standardOutput
        case .stderr: standardError
        }
    }

    init(standardOutput: [UInt8], standardError: [UInt8]) {
        (self.standardOutput, self.standardError) = (standardOutput, standardError)
    }
}

extension GuardedDirectory {
    /// What an attempt at a task wrote, in the segments of this directory of results; nil where there is nothing of the kind at that
    /// place.
    ///
    /// - Parameter attempt: nil for any.
    /// - Throws: what tells of the machine: then it may be there.
    public func packedOutput(
        ofTask name: String, attempt: Int?, at place: SegmentPlace
    ) throws(SystemError) -> PackedStreams? {
        if place.segment == 0 { return PackedStreams(standardOutput: [], standardError: []) }
        guard let task = SegmentRecord.task(named: name) else { return nil }
        do throws(SystemError) {
            let segments = try directory(SegmentStore.directoryName)
            let file = try segments.open(SegmentStore.fileName(place.segment), [.readOnly])
            let bytes = try file.read(
                at: place.recordOffset, count: place.recordBytes, subject: SegmentStore.fileName(place.segment))
            return bytes.withUnsafeBytes { bytes in
                guard let record = SegmentRecord(head: bytes), record.isWhole(bytes), record.task == task,
                    attempt == nil || record.attempt == UInt32(clamping: attempt ?? 0),
                    record.standardOutputBytes == place.standardOutputBytes,
                    record.standardErrorBytes == place.standardErrorBytes
                else { return nil }
                return record.streams(of: bytes)
            }
        } catch {
            if error.isOfTheMachine { throw error }
            return nil
        }
    }

    /// What is noted of failed attempts at a task, the newest first.
    private func indexedAttempts(ofTask name: String) throws(SystemError) -> [IndexedAttempt] {
        guard let task = SegmentRecord.task(named: name) else { return [] }
        do throws(SystemError) {
            let segments = try directory(SegmentStore.directoryName)
            var found: [IndexedAttempt] = []
            var bytesLeft = Self.indexBytesMax
            for number in try segments.segmentNumbers().reversed() where bytesLeft > 0 {
                let indexName = SegmentStore.fileName(number) + SegmentStore.indexSuffix
                guard segments.has(indexName) else { continue }
                let index = try segments.open(indexName, [.readOnly])
                let size = min(Int(index.sizeBytes ?? 0) / IndexedAttempt.bytes * IndexedAttempt.bytes, bytesLeft)
                let bytes = try index.read(at: 0, count: size, subject: indexName)
                bytesLeft -= size
                bytes.withUnsafeBytes { bytes in
                    for start in stride(from: 0, to: bytes.count - IndexedAttempt.bytes + 1, by: IndexedAttempt.bytes)
                        .reversed()
                    where UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: start, as: UInt64.self)) == task {
                        let entry = UnsafeRawBufferPointer(rebasing: bytes[start..<start + IndexedAttempt.bytes])
                        if let attempt = IndexedAttempt(entry, beside: number) { found.append(attempt) }
                    }
                }
            }
            return found
        } catch {
            if error.isOfTheMachine { throw error }
            return []
        }
    }

    /// Half a million failed attempts: a look takes some milliseconds at the most.
    private static let indexBytesMax = 16 << 20

    private func segmentNumbers() throws(SystemError) -> [UInt32] {
        try FileSystem.entries(of: "/proc/self/fd/\(descriptor.raw)").compactMap { SegmentStore.number(of: $0) }
            .sorted()
    }

    /// What an earlier attempt at a task wrote to a stream; nil where that is not kept.
    public func earlierOutput(
        ofTask name: String, _ stream: TaskStream, attempt: Int
    ) throws(SystemError) -> StoredStream? {
        let noted = try indexedAttempts(ofTask: name).first { $0.attempt == UInt32(clamping: attempt) }
        let file = try fileOfAttempt(attempt, ofTask: name, stream)
        if let noted, let place = noted.place {
            // A node that was killed could not note what it left in files.
            if let file, let written = file.modifiedUnixSeconds, written > Double(noted.endedUnixSeconds) + 1 {
                return file
            }
            if let streams = try packedOutput(ofTask: name, attempt: attempt, at: place) {
                return StoredStream(streams[stream])
            }
        }
        return file
    }

    private func fileOfAttempt(
        _ attempt: Int, ofTask name: String, _ stream: TaskStream
    ) throws(SystemError) -> StoredStream? {
        do throws(SystemError) {
            guard has(name), let opened = try directory(name).openOutput(stream.rawValue, ofAttempt: attempt) else {
                return nil
            }
            return try StoredStream(opened)
        } catch {
            if error.isOfTheMachine { throw error }
            return nil
        }
    }

    /// The attempts at a task of which this directory of results has the output, the last one first.
    ///
    /// - Parameter last: one that is known to be here.
    public func keptAttempts(ofTask name: String, last: Int?) throws(SystemError) -> [Int] {
        var numbers = Set([last].compactMap(\.self))
        do throws(SystemError) {
            if has(name), let kept = try directory(name).keptAttempts() { numbers.formUnion(kept.numbers) }
        } catch {
            // What is in its place, or gone meanwhile, holds none.
            if error.isOfTheMachine { throw error }
        }
        // Attempts are counted anew when a task is retried by hand: then nothing before is of this count.
        var lowest = UInt32(clamping: last ?? .max)
        for noted in try indexedAttempts(ofTask: name) {
            guard noted.attempt < lowest || noted.attempt == lowest && noted.attempt == UInt32(clamping: last ?? 0)
            else { break }
            lowest = noted.attempt
            numbers.insert(Int(noted.attempt))
        }
        return numbers.sorted(by: >).prefix(KeptAttempts.countMax).map(\.self)
    }
}
