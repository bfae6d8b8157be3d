// Where the outputs of failed attempts stand. Of the last attempt at a task the queue knows that; of those before it, of which there are
// few, a line beside each segment does: 32 bytes for each attempt that failed while the segment was written.

import CLinux
import Glibc

/// One attempt that failed, and where its output is.
struct IndexedAttempt: Equatable {
    static let bytes = 32
    /// In place of an offset: in the files of the task's folder.
    private static let inFolder = UInt32.max

    let task: UInt64
    let attempt: UInt32
    let endedUnixSeconds: UInt32
    /// nil: in the files of the task's folder.
    let place: SegmentPlace?

    var encoded: [UInt8] {
        var entry: [UInt8] = []
        entry.reserveCapacity(Self.bytes)
        func put(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.littleEndian) { entry += $0 } }
        put(task)
        put(attempt)
        put(endedUnixSeconds)
        put(place.map { UInt32(clamping: $0.offset) } ?? Self.inFolder)
        put(UInt32(place?.standardOutputBytes ?? 0))
        put(UInt32(place?.standardErrorBytes ?? 0))
        put(entry.withUnsafeBytes { checksum($0) })
        return entry
    }

    /// - Parameter segment: beside which it stands.
    init?(_ entry: UnsafeRawBufferPointer, beside segment: UInt32) {
        guard entry.count == Self.bytes else { return nil }
        func number<Number: FixedWidthInteger>(at offset: Int) -> Number {
            Number(littleEndian: entry.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
        guard number(at: 28) == checksum(UnsafeRawBufferPointer(rebasing: entry[..<28])) else { return nil }
        let (offset, output, error): (UInt32, UInt32, UInt32) = (number(at: 16), number(at: 20), number(at: 24))
        if offset == Self.inFolder {
            place = nil
        } else {
            let isEmpty = output == 0 && error == 0
            guard
                let place = SegmentPlace(
                    checking: isEmpty ? 0 : segment, offset: Int64(offset), standardOutputBytes: Int(output),
                    standardErrorBytes: Int(error))
            else { return nil }
            self.place = place
        }
        (task, attempt, endedUnixSeconds) = (number(at: 0), number(at: 8), number(at: 12))
    }

    init(task: UInt64, attempt: Int, endedUnixSeconds: Int64, place: SegmentPlace?) {
        (self.task, self.attempt) = (task, UInt32(clamping: attempt))
        (self.endedUnixSeconds, self.place) = (UInt32(clamping: endedUnixSeconds), place)
    }
}
