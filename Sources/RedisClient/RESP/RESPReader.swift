// Bytes of Redis in, values out, whatever the pieces they arrive in.
//
// The reader keeps no copy of its input. What is whole in a chunk is read where it lies; only a line or a string that the
// end of a chunk cuts is carried over, and so are the aggregates it stands in. So each byte is looked at once, however
// small the chunks are, and what is held is what has arrived: an announced count or length never allocates.

/// Bytes that are no RESP, or more than we are willing to read. The connection that brought them is of no more use.
public struct RESPProtocolError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    init(_ description: String) { self.description = description }
}

/// What a reader accepts at most. Redis itself stays below each of these.
public struct RESPLimits: Equatable, Sendable {
    /// Aggregates inside one another, attributes included.
    public var depthMax = 64
    /// The length of one string. Redis's own limit is `proto-max-bulk-len`, 512 MB unless set.
    public var bulkBytesMax = 512 << 20
    /// The length of a line: type, simple string or number, without CR LF.
    public var lineBytesMax = 64 << 10
    /// The elements an aggregate may announce.
    public var elementsMax = Int(UInt32.max)
    /// All bytes of one reply.
    public var replyBytesMax = 1 << 30

    public init() {}
}

/// A parser of RESP2 and RESP3 that can stop at any byte and go on later.
///
/// Attributes are checked and dropped wherever they stand. Streamed strings and aggregates (`$?`, `*?`), which Redis does
/// not send, are refused.
public struct RESPReader: Sendable {
    /// What the next byte belongs to.
    private enum Stage {
        case line
        case payload(BulkKind, remaining: Int)
        case payloadEnd(BulkKind, seen: Int)
    }

    private let limits: RESPLimits
    private var stage = Stage.line
    /// The beginning of a line or payload that the end of a chunk cut.
    private var carried: [UInt8] = []
    private var open: [OpenAggregate] = []
    private var replyBytes = 0
    private var failure: RESPProtocolError?

    /// How many bytes were looked at or copied, for the test that this stays in proportion to the input.
    private(set) var workBytes = 0

    public init(limits: RESPLimits = RESPLimits()) {
        self.limits = limits
    }

    /// Whether a value has begun that has not ended yet.
    public var isInsideValue: Bool { replyBytes > 0 }

    /// Reads on at the front of `input`, which is shortened by what was used, until a value is whole.
    ///
    /// Returns nil when the input is used up; the rest of the value is then expected at the next call. After an error every
    /// further call throws the same error.
    public mutating func next(from input: inout UnsafeRawBufferPointer) throws(RESPProtocolError) -> RESPValue? {
        if let failure { throw failure }
        do throws(RESPProtocolError) {
            while !input.isEmpty {
                let before = input.count
                let element = try readElement(&input)
                replyBytes += before - input.count
                guard replyBytes <= limits.replyBytesMax else {
                    throw RESPProtocolError("a reply is longer than \(limits.replyBytesMax) bytes")
                }
                if let element, let whole = close(with: element) {
                    replyBytes = 0
                    return whole
                }
            }
            return nil
        } catch {
            failure = error
            carried = []
            open = []
            throw error
        }
    }

    /// Puts an element in its place. Returns the value this completes, if nothing encloses it.
    private mutating func close(with element: RESPValue) -> RESPValue? {
        var value = element
        while let last = open.indices.last {
            guard open[last].take(value) else { return nil }
            // A nil here is an attribute: dropped, and the value it describes follows.
            guard let aggregate = open.removeLast().value else { return nil }
            value = aggregate
        }
        return value
    }
}

// MARK: - Stages

extension RESPReader {
    /// One step forward. Nil when it completed no element: a header was read, an attribute was empty, or the input ended.
    private mutating func readElement(
        _ input: inout UnsafeRawBufferPointer
    ) throws(RESPProtocolError) -> RESPValue? {
        switch stage {
        case .line:
            return try readLine(&input)
        case .payload(let kind, let remaining):
            return try readPayload(kind, remaining, &input)
        case .payloadEnd(let kind, let seen):
            return try readPayloadEnd(kind, seen, &input)
        }
    }

    private mutating func readLine(_ input: inout UnsafeRawBufferPointer) throws(RESPProtocolError) -> RESPValue? {
        let lineFeed = input.firstIndex(of: UInt8(ascii: "\n"))
        let length = lineFeed ?? input.count
        workBytes += length
        // CR is still in these counts, hence the one beyond the limit.
        guard carried.count + length <= limits.lineBytesMax + 1 else {
            throw RESPProtocolError("a line is longer than \(limits.lineBytesMax) bytes")
        }
        guard let lineFeed else {
            carry(&input, input.count)
            // So that something that is no RESP is refused now and not after more of it.
            if let type = carried.first, RESPType(rawValue: type) == nil { throw unknownType(carried[...]) }
            return nil
        }
        if carried.isEmpty {
            let line = UnsafeRawBufferPointer(rebasing: input[..<lineFeed])
            input = UnsafeRawBufferPointer(rebasing: input[(lineFeed + 1)...])
            return try interpret(line)
        }
        carry(&input, lineFeed)
        input = UnsafeRawBufferPointer(rebasing: input.dropFirst())
        let line = carried
        carried = []
        return try line.withUnsafeBufferPointer { bytes throws(RESPProtocolError) in
            try interpret(UnsafeRawBufferPointer(bytes))
        }
    }

    private mutating func readPayload(
        _ kind: BulkKind, _ remaining: Int, _ input: inout UnsafeRawBufferPointer
    ) throws(RESPProtocolError) -> RESPValue? {
        let isWhole = carried.isEmpty && input.count >= 2 && input.count - 2 >= remaining
        if isWhole, input[remaining] == UInt8(ascii: "\r"), input[remaining + 1] == UInt8(ascii: "\n") {
            workBytes += remaining
            let bytes = [UInt8](UnsafeRawBufferPointer(rebasing: input[..<remaining]))
            input = UnsafeRawBufferPointer(rebasing: input[(remaining + 2)...])
            stage = .line
            return try kind.value(of: bytes)
        }
        let count = min(remaining, input.count)
        carry(&input, count)
        stage = count == remaining ? .payloadEnd(kind, seen: 0) : .payload(kind, remaining: remaining - count)
        return nil
    }

    private mutating func readPayloadEnd(
        _ kind: BulkKind, _ seen: Int, _ input: inout UnsafeRawBufferPointer
    ) throws(RESPProtocolError) -> RESPValue? {
        guard let byte = input.first else { return nil }
        guard byte == (seen == 0 ? UInt8(ascii: "\r") : UInt8(ascii: "\n")) else {
            throw RESPProtocolError("a string is not followed by CR LF")
        }
        input = UnsafeRawBufferPointer(rebasing: input.dropFirst())
        guard seen == 1 else {
            stage = .payloadEnd(kind, seen: 1)
            return nil
        }
        let bytes = carried
        carried = []
        stage = .line
        return try kind.value(of: bytes)
    }

    private mutating func carry(_ input: inout UnsafeRawBufferPointer, _ count: Int) {
        workBytes += count
        carried.append(contentsOf: UnsafeRawBufferPointer(rebasing: input[..<count]))
        input = UnsafeRawBufferPointer(rebasing: input[count...])
    }
}

// MARK: - Lines

extension RESPReader {
    /// Acts on a line, its CR still at the end and its LF gone: it is an element itself, or it announces one.
    private mutating func interpret(_ line: UnsafeRawBufferPointer) throws(RESPProtocolError) -> RESPValue? {
        guard let first = line.first, let type = RESPType(rawValue: first) else {
            throw unknownType(Array(line.prefix(40))[...])
        }
        guard line.count >= 2, line[line.count - 1] == UInt8(ascii: "\r") else {
            throw RESPProtocolError("a line does not end with CR LF")
        }
        let content = UnsafeRawBufferPointer(rebasing: line[1..<(line.count - 1)])
        switch type {
        case .simpleString: return .simpleString(try simpleText(content))
        case .simpleError: return .error(RedisError(text: try simpleText(content)))
        case .integer: return .integer(try integer(content))
        case .null: return try null(content)
        case .boolean: return try boolean(content)
        case .double: return try double(content)
        case .bigNumber: return try bigNumber(content)
        case .bulkString: return try openPayload(.string, content)
        case .bulkError: return try openPayload(.error, content)
        case .verbatimString: return try openPayload(.verbatim, content)
        case .array: return try openAggregate(.array, content)
        case .map: return try openAggregate(.map, content)
        case .set: return try openAggregate(.set, content)
        case .push: return try openAggregate(.push, content)
        case .attribute: return try openAggregate(.attribute, content)
        case .streamedPart, .streamedEnd: throw streamed()
        }
    }

    private mutating func openPayload(
        _ kind: BulkKind, _ content: UnsafeRawBufferPointer
    ) throws(RESPProtocolError) -> RESPValue? {
        if content.elementsEqual("?".utf8) { throw streamed() }
        let length = try integer(content)
        if kind == .string && length == -1 { return .null }
        guard length >= 0, length <= Int64(limits.bulkBytesMax) else {
            throw RESPProtocolError("a string of \(length) bytes; 0 to \(limits.bulkBytesMax) are accepted")
        }
        stage = .payload(kind, remaining: Int(length))
        return nil
    }

    private mutating func openAggregate(
        _ kind: OpenAggregate.Kind, _ content: UnsafeRawBufferPointer
    ) throws(RESPProtocolError) -> RESPValue? {
        if content.elementsEqual("?".utf8) { throw streamed() }
        let count = try integer(content)
        if kind == .array && count == -1 { return .null }
        guard count >= 0, count <= Int64(limits.elementsMax) else {
            throw RESPProtocolError("an aggregate of \(count) elements; 0 to \(limits.elementsMax) are accepted")
        }
        guard open.count < limits.depthMax else {
            throw RESPProtocolError("aggregates are nested more than \(limits.depthMax) deep")
        }
        guard kind != .push || open.isEmpty else { throw RESPProtocolError("a push inside another reply") }
        let aggregate = OpenAggregate(kind, count: count)
        if count == 0 { return aggregate.value }
        open.append(aggregate)
        return nil
    }

    private func streamed() -> RESPProtocolError {
        RESPProtocolError("streamed strings and aggregates are not supported")
    }

    private func unknownType(_ line: ArraySlice<UInt8>) -> RESPProtocolError {
        RESPProtocolError("'\(readable(line))' is not RESP; is this a Redis server?")
    }
}
