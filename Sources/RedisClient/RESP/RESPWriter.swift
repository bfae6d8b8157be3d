// Requests as the bytes Redis reads, gathered for a connection that takes them as the socket does. Small ones share a buffer; a
// large argument is not copied into it but stands in line by itself, since a copy of megabytes would hold up whoever asked.

import DequeModule

/// Encoded commands that wait to be sent. The memory of the buffer is used again; only after a burst is it given back.
public struct RESPWriter: Sendable {
    /// What stands before ``buffer``, in the order in which it is sent.
    private var line: Deque<[UInt8]> = []
    private var lineBytes = 0
    private var buffer: [UInt8] = []
    /// How many bytes of the first array, in ``line`` or else ``buffer``, have been taken.
    private var taken = 0

    /// Capacity above this goes back to the system once the buffer is empty.
    private static let keptBytesMax = 1 << 20
    /// An argument of so many bytes is not copied.
    private static let largeBytesMin = 32 << 10

    public init() {}

    /// Bytes that are written here and not yet taken.
    public var count: Int {
        assert(taken <= lineBytes + buffer.count)
        return lineBytes + buffer.count - taken
    }
    public var isEmpty: Bool { count == 0 }

    public mutating func write(_ command: RedisCommand) {
        writeArrayHeader(count: command.arguments.count)
        for argument in command.arguments { write(argument) }
    }

    /// EVALSHA or EVAL: the name, the digest or source, the number of keys, the keys, the arguments.
    mutating func write(_ call: RedisScriptCall, as name: StaticString, _ script: some Collection<UInt8>) {
        writeArrayHeader(count: 3 + call.keys.count + call.arguments.count)
        name.withUTF8Buffer { writeCopy(of: $0) }
        writeCopy(of: script)
        writeCopy(of: String(call.keys.count).utf8)
        for key in call.keys { write(key) }
        for argument in call.arguments { write(argument) }
    }

    /// Gives bytes not yet taken to `body`, the next of them and perhaps not all; it says how many of them it used.
    public mutating func take<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) {
        let start = taken
        let used = try (line.first ?? buffer).withUnsafeBufferPointer { bytes throws(Failure) in
            try body(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[start...])))
        }
        taken = min(taken + max(0, used), (line.first ?? buffer).count)
        while let first = line.first, taken == first.count {
            line.removeFirst()
            lineBytes -= first.count
            taken = 0
        }
        if line.isEmpty { compact() }
    }

    /// Empties the buffer; nothing of it will be sent.
    mutating func discard() { self = RESPWriter() }

    private mutating func compact() {
        if taken == buffer.count {
            buffer.removeAll(keepingCapacity: buffer.capacity <= Self.keptBytesMax)
            taken = 0
        } else if taken > buffer.count / 2 {
            // Moves fewer bytes than were sent since the last move, so the cost stays in proportion.
            buffer.removeSubrange(..<taken)
            taken = 0
        }
    }

    private mutating func writeArrayHeader(count: Int) {
        buffer.append(RESPType.array.rawValue)
        writeLine(count)
    }

    private mutating func write(_ bulk: [UInt8]) {
        guard bulk.count >= Self.largeBytesMin else { return writeCopy(of: bulk) }
        buffer.append(RESPType.bulkString.rawValue)
        writeLine(bulk.count)
        line.append(buffer)
        line.append(bulk)
        lineBytes += buffer.count + bulk.count
        buffer = []
        buffer.append(UInt8(ascii: "\r"))
        buffer.append(UInt8(ascii: "\n"))
    }

    private mutating func writeCopy(of bulk: some Collection<UInt8>) {
        buffer.append(RESPType.bulkString.rawValue)
        writeLine(bulk.count)
        buffer.append(contentsOf: bulk)
        buffer.append(UInt8(ascii: "\r"))
        buffer.append(UInt8(ascii: "\n"))
    }

    /// A count and CR LF, without a string in between.
    private mutating func writeLine(_ count: Int) {
        var divisor = 1
        while count / divisor >= 10 { divisor = divisor * 10 }
        while divisor > 0 {
            buffer.append(UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: count / divisor % 10))
            divisor /= 10
        }
        buffer.append(UInt8(ascii: "\r"))
        buffer.append(UInt8(ascii: "\n"))
    }
}
