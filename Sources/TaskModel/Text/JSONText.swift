// Writes JSON. What a task printed goes to Redis as a JSON string, up to a mebibyte of it a task, so strings are
// written in runs: bytes that may stay as they are are copied together.

import Notation

public enum JSONText {
    /// A JSON string of these bytes; what is not UTF-8 becomes U+FFFD, the replacement character.
    public static func quoted(bytes: [UInt8]) -> [UInt8] {
        var json: [UInt8] = []
        if (try? UTF8Span(validating: bytes.span)) != nil {
            bytes.withUnsafeBufferPointer { appendQuoted(utf8: $0, to: &json) }
        } else {
            appendQuoted(String(decoding: bytes, as: UTF8.self), to: &json)
        }
        return json
    }

    /// A JSON string of this text.
    public static func quoted(_ text: String) -> String {
        var json: [UInt8] = []
        appendQuoted(text, to: &json)
        return String(decoding: json, as: UTF8.self)
    }

    /// The text a JSON string stands for; nil when `json` is none.
    public static func unquoted(_ json: [UInt8]) -> String? {
        guard let value = try? JSONReader.read(json), case .string(let text) = value.content else { return nil }
        return text
    }

    /// Appends a JSON string of `text`: quote, backslash and control characters escaped. Those include DEL and the C1
    /// controls, which JSON would allow but a terminal obeys.
    public static func appendQuoted(_ text: String, to json: inout [UInt8]) {
        var text = text
        text.withUTF8 { appendQuoted(utf8: $0, to: &json) }
    }

    private static func appendQuoted(utf8 bytes: UnsafeBufferPointer<UInt8>, to json: inout [UInt8]) {
        // Room for some escapes too: growing afterwards would copy it all. Small strings grow as their array does.
        if bytes.count >= 4096 { json.reserveCapacity(json.count + bytes.count + bytes.count / 16) }
        json.append(UInt8(ascii: "\""))
        appendEscaped(utf8: bytes, to: &json)
        json.append(UInt8(ascii: "\""))
    }

    /// What stands between the quotes.
    fileprivate static func appendEscaped(utf8 bytes: UnsafeBufferPointer<UInt8>, to json: inout [UInt8]) {
        var runStart = 0
        var index = 0
        while index < bytes.count {
            if isPlainWord(bytes, index) {
                index += 8
                continue
            }
            let length = escapedLength(bytes, index)
            if length > 0 {
                json.append(contentsOf: bytes[runStart..<index])
                appendEscape(of: bytes[index + length - 1], to: &json)  // U+0080...U+009F end in their own value.
                runStart = index + length
            }
            index += max(length, 1)
        }
        json.append(contentsOf: bytes[runStart...])
    }

    /// Whether the eight bytes from `index` on are there and none of them begins what must be escaped. Looks at all
    /// eight at once: output is mostly plain, and one byte at a time takes twice as long.
    @inline(__always)
    private static func isPlainWord(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Bool {
        guard index + 8 <= bytes.count else { return false }
        let word = UnsafeRawBufferPointer(bytes).loadUnaligned(fromByteOffset: index, as: UInt64.self)
        let special =
            belowSpace(word) | zeroByte(word ^ each(UInt8(ascii: "\""))) | zeroByte(word ^ each(UInt8(ascii: "\\")))
            | zeroByte(word ^ each(0x7F)) | zeroByte(word ^ each(0xC2))
        return special & each(0x80) == 0
    }

    /// A word of eight times the same byte.
    @inline(__always)
    private static func each(_ byte: UInt8) -> UInt64 { UInt64(byte) &* 0x0101_0101_0101_0101 }

    /// Not zero under 0x80 of each byte when any byte of `word` is zero.
    @inline(__always)
    private static func zeroByte(_ word: UInt64) -> UInt64 { (word &- each(0x01)) & ~word }

    /// Not zero under 0x80 of each byte when any byte of `word` is a control below the space.
    @inline(__always)
    private static func belowSpace(_ word: UInt64) -> UInt64 { (word &- each(0x20)) & ~word }

    /// How many bytes at `index` are one character that must be escaped; 0 when it may stay.
    @inline(__always)
    private static func escapedLength(_ bytes: UnsafeBufferPointer<UInt8>, _ index: Int) -> Int {
        let byte = bytes[index]
        if byte < 0x20 || byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte == 0x7F { return 1 }
        if byte == 0xC2, index + 1 < bytes.count, bytes[index + 1] < 0xA0 { return 2 }
        return 0
    }

    private static func appendEscape(of code: UInt8, to json: inout [UInt8]) {
        json.append(UInt8(ascii: "\\"))
        switch code {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): json.append(code)
        case 0x08: json.append(UInt8(ascii: "b"))
        case 0x09: json.append(UInt8(ascii: "t"))
        case 0x0A: json.append(UInt8(ascii: "n"))
        case 0x0C: json.append(UInt8(ascii: "f"))
        case 0x0D: json.append(UInt8(ascii: "r"))
        default:
            json.append(UInt8(ascii: "u"))
            json.append(UInt8(ascii: "0"))
            json.append(UInt8(ascii: "0"))
            json.append(Hexadecimal.digit(code >> 4))
            json.append(Hexadecimal.digit(code & 0xF))
        }
    }
}

/// A JSON string from bytes that come in pieces: the same as `JSONText.quoted(bytes:)` of all of them, wherever they were divided.
public struct JSONStringWriter: Sendable {
    public private(set) var json: [UInt8]
    /// The bytes at the end of the last piece that may be the beginning of a character.
    private var held: [UInt8] = []

    /// Of a byte of input there may come so many of JSON.
    public static let growthMax = 6

    /// - Parameter start: what the string is appended to.
    public init(after start: [UInt8] = []) {
        json = start
        json.append(UInt8(ascii: "\""))
    }

    public mutating func reserveCapacity(_ byteCount: Int) { json.reserveCapacity(byteCount) }

    public mutating func append(_ piece: [UInt8]) {
        let bytes = held.isEmpty ? piece : held + piece
        let heldCount = Self.unfinishedCount(bytes)
        held = Array(bytes.suffix(heldCount))
        bytes.withUnsafeBufferPointer { appendWhole(UnsafeBufferPointer(rebasing: $0.dropLast(heldCount))) }
    }

    /// Nothing more comes.
    public mutating func finish() -> [UInt8] {
        held.withUnsafeBufferPointer { appendWhole($0) }
        json.append(UInt8(ascii: "\""))
        defer { (json, held) = ([], []) }
        return json
    }

    /// Bytes that end where a character ends, as far as they are UTF-8 at all; what is not becomes U+FFFD.
    private mutating func appendWhole(_ bytes: UnsafeBufferPointer<UInt8>) {
        if (try? UTF8Span(validating: bytes.span)) != nil {
            JSONText.appendEscaped(utf8: bytes, to: &json)
        } else {
            Self.repaired(bytes).withUnsafeBufferPointer { JSONText.appendEscaped(utf8: $0, to: &json) }
        }
    }

    /// UTF-8 with U+FFFD for what is none, as `String(decoding:as:)` has it: one for each longest piece that begins a character.
    private static func repaired(_ bytes: UnsafeBufferPointer<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(3 * bytes.count)
        var index = 0
        while index < bytes.count {
            let lead = bytes[index]
            var next = index + 1
            var isWhole = lead < 0x80
            if let (count, second) = continuations(of: lead) {
                while next < bytes.count, next - index <= count,
                    (next == index + 1 ? second : 0x80...0xBF).contains(bytes[next])
                {
                    next += 1
                }
                isWhole = next - index == count + 1
            }
            if isWhole {
                for position in index..<next { result.append(bytes[position]) }
            } else {
                result.append(0xEF)
                result.append(0xBF)
                result.append(0xBD)
            }
            index = next
        }
        return result
    }

    /// How many bytes follow a first byte, and which may be the next; nil for what begins no longer character.
    @inline(__always)
    private static func continuations(of lead: UInt8) -> (count: Int, second: ClosedRange<UInt8>)? {
        switch lead {
        case 0xC2...0xDF: (1, 0x80...0xBF)
        case 0xE0: (2, 0xA0...0xBF)
        case 0xED: (2, 0x80...0x9F)
        case 0xE1...0xEF: (2, 0x80...0xBF)
        case 0xF0: (3, 0x90...0xBF)
        case 0xF1...0xF3: (3, 0x80...0xBF)
        case 0xF4: (3, 0x80...0x8F)
        default: nil
        }
    }

    /// How many bytes at the end begin a character of more bytes. A character always begins at a byte that is no continuation, so to
    /// divide just before one never divides a character, nor what is replaced as one.
    private static func unfinishedCount(_ bytes: [UInt8]) -> Int {
        for count in 1...3 where count <= bytes.count {
            let byte = bytes[bytes.count - count]
            if byte < 0x80 { return 0 }
            if byte >= 0xC0 {
                let length = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
                return length > count ? count : 0
            }
        }
        return 0
    }
}
