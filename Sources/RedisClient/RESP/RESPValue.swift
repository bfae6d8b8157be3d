// What Redis can say, as one Swift value. RESP2 and RESP3 meet here: whoever reads a reply need not know which of the
// two spelled it.

/// A reply or a part of one.
///
/// Attributes are dropped by the reader; the three spellings of nothing (`_`, `$-1`, `*-1`) are all `.null`.
public enum RESPValue: Equatable, Sendable {
    case null
    case boolean(Bool)
    case integer(Int64)
    case double(Double)
    /// An integer of any size, as its digits with an optional sign.
    case bigNumber(String)
    case simpleString(String)
    case bulkString([UInt8])
    /// Text with a three-letter format, such as `txt` or `mkd`.
    case verbatimString(format: String, bytes: [UInt8])
    /// A simple error or a blob error.
    case error(RedisError)
    case array([RESPValue])
    case set([RESPValue])
    /// The entries in the order Redis sent them; keys may repeat.
    case map([RESPMapEntry])
    case push([RESPValue])
}

/// One key of a RESP3 map with its value.
public struct RESPMapEntry: Equatable, Sendable {
    public var key: RESPValue
    public var value: RESPValue

    public init(key: RESPValue, value: RESPValue) {
        self.key = key
        self.value = value
    }
}

/// An error reply: the first word is the code (`NOSCRIPT`, `WRONGPASS`, `ERR`), the rest is for people.
public struct RedisError: Error, Equatable, Sendable, CustomStringConvertible {
    public let code: String
    public let message: String

    public init(code: String, message: String) {
        self.code = code
        self.message = message
    }

    /// Splits the text of an error reply (without its `-`) at the first space.
    public init(text: String) {
        if let space = text.utf8.firstIndex(of: UInt8(ascii: " ")) {
            code = String(text[..<space])
            message = String(text[text.utf8.index(after: space)...])
        } else {
            code = text
            message = ""
        }
    }

    public var description: String { message.isEmpty ? code : "\(code) \(message)" }
}

extension RESPValue {
    public var isNull: Bool { self == .null }

    /// The text of any string; bytes that are not UTF-8 are repaired with U+FFFD. Nil for everything else.
    public var string: String? {
        switch self {
        case .simpleString(let text), .bigNumber(let text): text
        case .bulkString(let bytes), .verbatimString(_, let bytes): String(decoding: bytes, as: UTF8.self)
        case .null, .boolean, .integer, .double, .error, .array, .set, .map, .push: nil
        }
    }

    /// The bytes of any string, untouched. Nil for everything else.
    public var bytes: [UInt8]? {
        switch self {
        case .simpleString(let text), .bigNumber(let text): Array(text.utf8)
        case .bulkString(let bytes), .verbatimString(_, let bytes): bytes
        case .null, .boolean, .integer, .double, .error, .array, .set, .map, .push: nil
        }
    }

    /// An integer, also one spelled as a string (as hash values are). Nil when it is neither.
    public var int: Int? {
        switch self {
        case .integer(let number): Int(exactly: number)
        case .simpleString(let text), .bigNumber(let text): DecimalInteger.parse(text.utf8).flatMap(Int.init(exactly:))
        case .bulkString(let bytes): DecimalInteger.parse(bytes).flatMap(Int.init(exactly:))
        case .boolean(let flag): flag ? 1 : 0
        case .null, .double, .verbatimString, .error, .array, .set, .map, .push: nil
        }
    }

    /// The elements of an array, set or push. Nil for everything else.
    public var elements: [RESPValue]? {
        switch self {
        case .array(let values), .set(let values), .push(let values): values
        case .null, .boolean, .integer, .double, .bigNumber, .simpleString, .bulkString, .verbatimString, .error, .map:
            nil
        }
    }

    /// The entries of a map, also of one that RESP2 spelled as an array of keys and values in turn.
    public var entries: [RESPMapEntry]? {
        switch self {
        case .map(let entries): return entries
        case .array(let values) where values.count.isMultiple(of: 2):
            return stride(from: 0, to: values.count, by: 2)
                .map { RESPMapEntry(key: values[$0], value: values[$0 + 1]) }
        case .null, .boolean, .integer, .double, .bigNumber, .simpleString, .bulkString, .verbatimString, .error,
            .array, .set, .push:
            return nil
        }
    }

    /// The error, if this reply is one. An error inside an aggregate does not count.
    public var error: RedisError? {
        if case .error(let error) = self { error } else { nil }
    }
}
