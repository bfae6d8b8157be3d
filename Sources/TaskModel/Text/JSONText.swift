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
        json.append(UInt8(ascii: "\""))
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
            json.append(contentsOf: "u00".utf8)
            json.append(Hexadecimal.digit(code >> 4))
            json.append(Hexadecimal.digit(code & 0xF))
        }
    }
}
