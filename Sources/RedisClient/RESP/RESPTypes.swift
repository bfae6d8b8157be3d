// The pieces of RESP that a reader works with: what the first byte of a line means, what a counted string becomes, and
// an aggregate whose elements are still arriving.

/// The first byte of a line.
enum RESPType: UInt8 {
    case simpleString = 0x2B  // +
    case simpleError = 0x2D  // -
    case integer = 0x3A  // :
    case bulkString = 0x24  // $
    case array = 0x2A  // *
    case null = 0x5F  // _
    case boolean = 0x23  // #
    case double = 0x2C  // ,
    case bigNumber = 0x28  // (
    case bulkError = 0x21  // !
    case verbatimString = 0x3D  // =
    case map = 0x25  // %
    case set = 0x7E  // ~
    case push = 0x3E  // >
    case attribute = 0x7C  // |
    case streamedPart = 0x3B  // ;
    case streamedEnd = 0x2E  // .
}

/// The types that announce a length and then carry that many bytes.
enum BulkKind {
    case string
    case error
    case verbatim

    func value(of bytes: [UInt8]) throws(RESPProtocolError) -> RESPValue {
        switch self {
        case .string: return .bulkString(bytes)
        case .error: return .error(RedisError(text: String(decoding: bytes, as: UTF8.self)))
        case .verbatim:
            guard bytes.count >= 4, bytes[3] == UInt8(ascii: ":") else {
                throw RESPProtocolError("a verbatim string without its three-letter format")
            }
            let format = String(decoding: bytes[..<3], as: UTF8.self)
            return .verbatimString(format: format, bytes: Array(bytes[4...]))
        }
    }
}

/// An aggregate that has been announced and lacks elements.
struct OpenAggregate {
    enum Kind {
        case array, set, push, map
        case attribute
    }

    private let kind: Kind
    /// Elements for most, entries for maps and attributes.
    private var remaining: Int64
    private var elements: [RESPValue] = []
    private var entries: [RESPMapEntry] = []
    private var key: RESPValue?

    init(_ kind: Kind, count: Int64) {
        self.kind = kind
        remaining = count
    }

    /// Takes the next element. Returns whether it was the last.
    mutating func take(_ value: RESPValue) -> Bool {
        assert(remaining > 0, "an aggregate that lacks nothing was given an element")
        switch kind {
        case .array, .set, .push:
            elements.append(value)
            remaining -= 1
        case .map, .attribute:
            guard let key else {
                self.key = value
                return false
            }
            if kind == .map { entries.append(RESPMapEntry(key: key, value: value)) }
            self.key = nil
            remaining -= 1
        }
        return remaining == 0
    }

    /// What this has become; nil for an attribute, which no one reads.
    var value: RESPValue? {
        switch kind {
        case .array: .array(elements)
        case .set: .set(elements)
        case .push: .push(elements)
        case .map: .map(entries)
        case .attribute: nil
        }
    }
}
