// Reads JSON: task lines with named fields, the configuration, the records of finished tasks.
//
// Foundation's JSONDecoder was tried first. On Linux it reports no place for an error, takes `{"a":1,}` for valid,
// drops one of two equal names without a word and makes 5.0 an integer; it takes 15 microseconds for a task line, this
// takes 2, and it would make a daemon of 6 MB one of 14. This reader is strict (RFC 8259), says at which byte a text
// goes wrong, and is bounded in depth. The one liberty: NaN and Infinity, which Python writes, are read as numbers, so
// that an error can name the setting that has one.

import Notation

/// A JSON value and where its text is.
package struct JSONValue {
    package enum Content {
        case null
        case boolean(Bool)
        case integer(Int64)
        /// With a fraction or an exponent, or beyond Int64; may be infinite or NaN.
        case number(Double)
        case string(String)
        case array([JSONValue])
        /// In the order of the text; a name may come twice.
        case object([JSONMember])
    }

    package let content: Content
    /// The bytes of the text this value was read from.
    let range: Range<Int>
}

/// A name and its value in a JSON object.
package struct JSONMember {
    package let name: String
    let nameOffset: Int
    package let value: JSONValue
}

/// Why a text is not JSON, and at which byte.
package struct JSONError: Error, CustomStringConvertible {
    let offset: Int
    let found: String
    let expected: String

    package var description: String { "at byte \(offset + 1) found \(found), expected \(expected)" }
}

package struct JSONReader {
    /// Nothing we read nests deeper than a few levels; the bound keeps hostile text off the end of the stack.
    static let depthMax = 64

    private let bytes: [UInt8]
    private var index = 0

    /// Reads a whole text: one value, with nothing but white space around it.
    package static func read(_ bytes: [UInt8]) throws(JSONError) -> JSONValue {
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: bytes.span)
        } catch {
            let offset = error.byteOffsets.lowerBound
            throw JSONError(
                offset: offset, found: "the byte 0x\(Hexadecimal.text(bytes[offset]))", expected: "UTF-8 text")
        }
        var reader = JSONReader(bytes: bytes)
        let value = try reader.value(depth: 0)
        guard reader.next() == nil else { throw reader.unexpected("the end of the text") }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    // MARK: Values

    private mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        let first = next()
        let start = index
        let content: JSONValue.Content
        switch first {
        case UInt8(ascii: "{"): content = .object(try members(depth: depth + 1))
        case UInt8(ascii: "["): content = .array(try elements(depth: depth + 1))
        case UInt8(ascii: "\""): content = .string(try string())
        case let byte? where byte.isDigit || byte == UInt8(ascii: "-"): content = try number()
        default: content = try word()
        }
        return JSONValue(content: content, range: start..<index)
    }

    private mutating func members(depth: Int) throws(JSONError) -> [JSONMember] {
        try enter(depth)
        var members: [JSONMember] = []
        if take("}") { return members }
        repeat {
            guard next() == UInt8(ascii: "\"") else { throw unexpected("a name in double quotes") }
            let nameOffset = index
            let name = try string()
            guard take(":") else { throw unexpected("a colon after the name") }
            members.append(JSONMember(name: name, nameOffset: nameOffset, value: try value(depth: depth)))
        } while take(",")
        guard take("}") else { throw unexpected("a comma or a closing brace") }
        return members
    }

    private mutating func elements(depth: Int) throws(JSONError) -> [JSONValue] {
        try enter(depth)
        var elements: [JSONValue] = []
        if take("]") { return elements }
        repeat { elements.append(try value(depth: depth)) } while take(",")
        guard take("]") else { throw unexpected("a comma or a closing bracket") }
        return elements
    }

    /// Steps over an opening brace or bracket.
    private mutating func enter(_ depth: Int) throws(JSONError) {
        guard depth <= Self.depthMax else { throw unexpected("at most \(Self.depthMax) levels of nesting") }
        index += 1
    }

    private mutating func word() throws(JSONError) -> JSONValue.Content {
        if takeWord("null") { return .null }
        if takeWord("true") { return .boolean(true) }
        if takeWord("false") { return .boolean(false) }
        if takeWord("NaN") { return .number(.nan) }
        if takeWord("Infinity") { return .number(.infinity) }
        throw unexpected("a value")
    }

    // MARK: Numbers

    private mutating func number() throws(JSONError) -> JSONValue.Content {
        let start = index
        if bytes[index] == UInt8(ascii: "-") {
            index += 1
            if takeWord("Infinity") { return .number(-.infinity) }
        }
        let firstDigit = current
        let digitCount = takeDigits()
        // A number of two digits and more that starts with 0 is octal to some readers and an error to JSON.
        guard digitCount == 1 || (digitCount > 1 && firstDigit != UInt8(ascii: "0")) else {
            index = start
            throw unexpected("a number")
        }
        var isInteger = true
        if current == UInt8(ascii: ".") {
            isInteger = false
            index += 1
            guard takeDigits() > 0 else { throw unexpected("a digit after the decimal point") }
        }
        if let letter = current, letter | 0x20 == UInt8(ascii: "e") {
            isInteger = false
            index += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { index += 1 }
            guard takeDigits() > 0 else { throw unexpected("a digit in the exponent") }
        }
        let text = String(decoding: bytes[start..<index], as: UTF8.self)
        if isInteger, let integer = Int64(text) { return .integer(integer) }
        return .number(Double(text) ?? .nan)
    }

    private mutating func takeDigits() -> Int {
        let start = index
        while let byte = current, byte.isDigit { index += 1 }
        return index - start
    }

    // MARK: Strings

    /// Reads a string, the quote that opens it being next.
    private mutating func string() throws(JSONError) -> String {
        index += 1
        var runStart = index
        var text: [UInt8] = []
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                index += 1
                // Most strings have no escapes, and are made of their bytes in one step.
                if text.isEmpty { return String(decoding: bytes[runStart..<index - 1], as: UTF8.self) }
                text += bytes[runStart..<index - 1]
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                text += bytes[runStart..<index]
                index += 1
                text += try escape().utf8
                runStart = index
            case ..<0x20: throw unexpected("an escape; controls may not stand in a string as they are")
            default: index += 1
            }
        }
        throw unexpected("the quote that ends the string")
    }

    private mutating func escape() throws(JSONError) -> String {
        guard let letter = current else { throw unexpected("an escape") }
        switch letter {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"):
            index += 1
            return String(Unicode.Scalar(letter))
        case UInt8(ascii: "b"): return taken("\u{08}")
        case UInt8(ascii: "f"): return taken("\u{0C}")
        case UInt8(ascii: "n"): return taken("\n")
        case UInt8(ascii: "r"): return taken("\r")
        case UInt8(ascii: "t"): return taken("\t")
        case UInt8(ascii: "u"): return String(try escapedScalar())
        default: throw unexpected("one of \" \\ / b f n r t u after the backslash")
        }
    }

    private mutating func taken(_ text: String) -> String {
        index += 1
        return text
    }

    private mutating func escapedScalar() throws(JSONError) -> Unicode.Scalar {
        let start = index
        let first = try hexadecimalUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        if first < 0xDC00, current == UInt8(ascii: "\\") {
            index += 1
            if current == UInt8(ascii: "u") {
                let second = try hexadecimalUnit()
                let code = 0x10000 + ((first & 0x3FF) << 10) + (second & 0x3FF)
                if second & 0xFC00 == 0xDC00, let scalar = Unicode.Scalar(code) { return scalar }
            }
        }
        index = start
        throw JSONError(offset: start - 1, found: "half a surrogate pair", expected: "both halves")
    }

    /// Reads `uXXXX`.
    private mutating func hexadecimalUnit() throws(JSONError) -> UInt32 {
        index += 1
        var unit: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Hexadecimal.value(of: byte) else {
                throw unexpected("four hexadecimal digits")
            }
            unit = unit << 4 | UInt32(digit)
            index += 1
        }
        return unit
    }

    // MARK: Bytes

    private var current: UInt8? { index < bytes.count ? bytes[index] : nil }

    /// The next byte that is not white space, without taking it.
    private mutating func next() -> UInt8? {
        while let byte = current {
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            index += 1
        }
        return nil
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard next() == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    private mutating func takeWord(_ word: StaticString) -> Bool {
        let end = index + word.utf8CodeUnitCount
        guard end <= bytes.count, bytes.span.extracting(index..<end).equals(word) else { return false }
        index = end
        return true
    }

    private func unexpected(_ expected: String) -> JSONError {
        guard index < bytes.count else { return JSONError(offset: index, found: "the end", expected: expected) }
        // A character, not a byte of it: the text is known to be UTF-8.
        var end = index + 1
        while end < bytes.count, bytes[end] & 0xC0 == 0x80 { end += 1 }
        return JSONError(offset: index, found: bytes.span.shown(index..<end), expected: expected)
    }
}
