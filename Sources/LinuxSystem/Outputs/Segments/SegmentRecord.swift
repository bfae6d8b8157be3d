// The form in which small outputs stand in a segment: a head of 64 bytes, then what was written to standard output, then what was
// written to standard error. A record is believed when its two checksums are right, so one that was cut short, or damaged, is known
// for what it is; it also says whose it is, so a place that is wrong, or forged, never shows the output of another task.

import CLinux

/// Where a small output stands.
public struct SegmentPlace: Hashable, Sendable {
    /// The number of the segment, from 1; 0 for an output of which nothing is kept, since it is empty.
    public let segment: UInt32
    /// Where standard output begins in it; standard error follows.
    public let offset: Int64
    public let standardOutputBytes: Int
    public let standardErrorBytes: Int

    /// Of an output in which nothing was written.
    public static let empty = SegmentPlace(segment: 0, offset: 0, standardOutputBytes: 0, standardErrorBytes: 0)

    /// nil for what no segment can hold.
    public init?(checking segment: UInt32, offset: Int64, standardOutputBytes: Int, standardErrorBytes: Int) {
        let range = 0...SegmentRecord.bytesMax
        guard range.contains(standardOutputBytes), range.contains(standardErrorBytes),
            standardOutputBytes + standardErrorBytes <= SegmentRecord.bytesMax,
            (segment == 0) == (standardOutputBytes + standardErrorBytes == 0),
            (segment == 0 ? 0...0 : Int64(SegmentRecord.headBytes)...Int64(SegmentRecord.segmentBytesMax))
                .contains(offset)
        else { return nil }
        self.init(
            segment: segment, offset: offset, standardOutputBytes: standardOutputBytes,
            standardErrorBytes: standardErrorBytes)
    }

    init(segment: UInt32, offset: Int64, standardOutputBytes: Int, standardErrorBytes: Int) {
        (self.segment, self.offset) = (segment, offset)
        (self.standardOutputBytes, self.standardErrorBytes) = (standardOutputBytes, standardErrorBytes)
    }

    var recordOffset: Int64 { offset - Int64(SegmentRecord.headBytes) }
    var recordBytes: Int { SegmentRecord.headBytes + standardOutputBytes + standardErrorBytes }
}

/// The head of a record, and the bytes of all of it.
struct SegmentRecord: Equatable {
    static let headBytes = 64
    /// More than this of an output is not packed, whatever the settings of whoever wrote it.
    static let bytesMax = 1 << 20
    /// No segment is longer, so that offsets are bounded.
    static let segmentBytesMax = 1 << 31
    private static let magic: UInt32 = 0x4F50_4344  // "DCPO"

    /// The task's identifier as a number.
    let task: UInt64
    let attempt: UInt32
    let standardOutputBytes: Int
    let standardErrorBytes: Int
    let endedUnixMilliseconds: Int64

    var bytes: Int { Self.headBytes + standardOutputBytes + standardErrorBytes }

    /// Writes the head before the two streams, which stand in `record` behind the room for it.
    func writeHead(to record: UnsafeMutableRawBufferPointer) {
        func put(_ value: some FixedWidthInteger, at offset: Int) {
            record.storeBytes(of: value.littleEndian, toByteOffset: offset, as: type(of: value))
        }
        UnsafeMutableRawBufferPointer(rebasing: record[..<Self.headBytes]).initializeMemory(
            as: UInt8.self, repeating: 0)
        put(Self.magic, at: 0)
        put(checksum(UnsafeRawBufferPointer(rebasing: record[Self.headBytes..<bytes])), at: 8)
        put(attempt, at: 12)
        put(UInt32(standardOutputBytes), at: 16)
        put(UInt32(standardErrorBytes), at: 20)
        put(task, at: 24)
        put(endedUnixMilliseconds, at: 32)
        put(checksum(UnsafeRawBufferPointer(rebasing: record[8..<Self.headBytes])), at: 4)
    }

    /// Reads a head; nil where there is none, or it is damaged.
    init?(head: UnsafeRawBufferPointer) {
        guard head.count >= Self.headBytes else { return nil }
        func number<Number: FixedWidthInteger>(at offset: Int) -> Number {
            Number(littleEndian: head.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
        guard number(at: 0) == Self.magic,
            number(at: 4) == checksum(UnsafeRawBufferPointer(rebasing: head[8..<Self.headBytes]))
        else { return nil }
        let (output, error): (UInt32, UInt32) = (number(at: 16), number(at: 20))
        guard output <= Self.bytesMax, error <= Self.bytesMax, output + error <= Self.bytesMax else { return nil }
        attempt = number(at: 12)
        task = number(at: 24)
        endedUnixMilliseconds = number(at: 32)
        (standardOutputBytes, standardErrorBytes) = (Int(output), Int(error))
    }

    init(
        task: UInt64, attempt: Int, standardOutputBytes: Int, standardErrorBytes: Int, endedUnixMilliseconds: Int64
    ) {
        (self.task, self.attempt) = (task, UInt32(clamping: attempt))
        (self.standardOutputBytes, self.standardErrorBytes) = (standardOutputBytes, standardErrorBytes)
        self.endedUnixMilliseconds = endedUnixMilliseconds
    }

    /// Whether all of a record is as it was written.
    func isWhole(_ record: UnsafeRawBufferPointer) -> Bool {
        guard record.count >= bytes else { return false }
        let expected = UInt32(littleEndian: record.loadUnaligned(fromByteOffset: 8, as: UInt32.self))
        return checksum(UnsafeRawBufferPointer(rebasing: record[Self.headBytes..<bytes])) == expected
    }

    func streams(of record: UnsafeRawBufferPointer) -> PackedStreams {
        let middle = Self.headBytes + standardOutputBytes
        return PackedStreams(
            standardOutput: Array(record[Self.headBytes..<middle]), standardError: Array(record[middle..<bytes]))
    }

    /// A task's identifier, which is sixteen hexadecimal digits, as a number; nil for any other name.
    static func task(named name: String) -> UInt64? {
        guard name.utf8.count == 16, name.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") })
        else { return nil }
        return UInt64(name, radix: 16)
    }
}

func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 { clinux_checksum(bytes.baseAddress, bytes.count) }
