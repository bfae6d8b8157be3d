// Requests as the bytes Redis reads, gathered in one buffer that a connection empties as the socket takes it.

/// An output buffer of encoded commands. Its memory is used again; only after a burst is it given back.
public struct RESPWriter: Sendable {
    private var buffer: [UInt8] = []
    /// What lies before this index has been taken.
    private var taken = 0

    /// Capacity above this goes back to the system once the buffer is empty.
    private static let keptBytesMax = 1 << 20

    public init() {}

    /// Bytes that are written here and not yet taken.
    public var count: Int {
        assert(taken <= buffer.count)
        return buffer.count - taken
    }
    public var isEmpty: Bool { count == 0 }

    public mutating func write(_ command: RedisCommand) {
        writeArrayHeader(count: command.arguments.count)
        for argument in command.arguments { write(argument) }
    }

    /// EVALSHA or EVAL: the name, the digest or source, the number of keys, the keys, the arguments.
    mutating func write(_ call: RedisScriptCall, as name: StaticString, _ script: some Collection<UInt8>) {
        writeArrayHeader(count: 3 + call.keys.count + call.arguments.count)
        name.withUTF8Buffer { write($0) }
        write(script)
        write(String(call.keys.count).utf8)
        for key in call.keys { write(key) }
        for argument in call.arguments { write(argument) }
    }

    /// Gives the bytes not yet taken to `body`, which says how many of them it used.
    public mutating func take<Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) {
        let start = taken
        let used = try buffer.withUnsafeBufferPointer { bytes throws(Failure) in
            try body(UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[start...])))
        }
        taken = min(taken + max(0, used), buffer.count)
        compact()
    }

    /// Empties the buffer; nothing of it will be sent.
    mutating func discard() {
        buffer = []
        taken = 0
    }

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

    private mutating func write(_ bulk: some Collection<UInt8>) {
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
