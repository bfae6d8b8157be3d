// The types that fit on one line. Each accepts what the protocol specifies and nothing beside it: where a number parser
// of the standard library is laxer than that, the text is checked first.

import Notation

/// The text of a simple string or error. A lone CR in it means that a line end was misplaced or misread.
func simpleText(_ content: UnsafeRawBufferPointer) throws(RESPProtocolError) -> String {
    guard !content.contains(UInt8(ascii: "\r")) else { throw RESPProtocolError("a CR inside a line") }
    return String(decoding: content, as: UTF8.self)
}

func integer(_ content: UnsafeRawBufferPointer) throws(RESPProtocolError) -> Int64 {
    guard let number = DecimalInteger.parse(content) else {
        throw RESPProtocolError("'\(readable(content))' is no integer of 64 bits")
    }
    return number
}

func null(_ content: UnsafeRawBufferPointer) throws(RESPProtocolError) -> RESPValue {
    guard content.isEmpty else { throw RESPProtocolError("'\(readable(content))' after a null") }
    return .null
}

func boolean(_ content: UnsafeRawBufferPointer) throws(RESPProtocolError) -> RESPValue {
    if content.elementsEqual("t".utf8) { return .boolean(true) }
    if content.elementsEqual("f".utf8) { return .boolean(false) }
    throw RESPProtocolError("'\(readable(content))' is no boolean")
}

func bigNumber(_ content: UnsafeRawBufferPointer) throws(RESPProtocolError) -> RESPValue {
    let digits = content.first == UInt8(ascii: "-") ? content.dropFirst() : content[...]
    guard !digits.isEmpty, digits.allSatisfy(isDigit) else {
        throw RESPProtocolError("'\(readable(content))' is no big number")
    }
    return .bigNumber(String(decoding: content, as: UTF8.self))
}

/// `[+-]digits[.digits][e[+-]digits]`, `inf`, `-inf`, `nan`. Redis prints a NaN of either sign as C does.
func double(_ content: UnsafeRawBufferPointer) throws(RESPProtocolError) -> RESPValue {
    let text = String(decoding: content, as: UTF8.self)
    switch text {
    case "inf": return .double(.infinity)
    case "-inf": return .double(-.infinity)
    case "nan", "-nan": return .double(.nan)
    default: break
    }
    guard isDecimalNumber(content), let number = Double(text) else {
        throw RESPProtocolError("'\(readable(content))' is no double")
    }
    return .double(number)
}

/// Refuses what `Double.init` would take as well: hexadecimal, `infinity` and white space.
private func isDecimalNumber(_ content: UnsafeRawBufferPointer) -> Bool {
    var rest = content[...]
    func skip(_ candidates: StaticString) -> Bool {
        guard let first = rest.first, candidates.withUTF8Buffer({ $0.contains(first) }) else { return false }
        rest = rest.dropFirst()
        return true
    }
    func skipDigits() -> Bool {
        let before = rest.count
        rest = rest.drop(while: isDigit)
        return rest.count < before
    }
    _ = skip("+-")
    guard skipDigits() else { return false }
    if skip(".") { guard skipDigits() else { return false } }
    if skip("eE") {
        _ = skip("+-")
        guard skipDigits() else { return false }
    }
    return rest.isEmpty
}

private func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") <= 9 }

/// The beginning of something malformed, fit for a log line: a bounded length, and nothing that moves a cursor.
func readable(_ bytes: some Collection<UInt8>) -> String {
    let shown = bytes.prefix(40).map { byte in
        byte >= 0x20 && byte < 0x7F ? String(UnicodeScalar(byte)) : "\\x" + Hexadecimal.text(byte)
    }
    return shown.joined() + (bytes.count > 40 ? "..." : "")
}

// MARK: - Integers
//
// Integers as RESP spells them. Strict, so that two readers of the same bytes cannot disagree, and total: whatever
// arrives yields a number or nil, never a trap.

enum DecimalInteger {
    /// `-?[0-9]+` within Int64: no `+`, no spaces, no empty text, no overflow. Leading zeros are let through.
    static func parse(_ digits: some Collection<UInt8>) -> Int64? {
        let isNegative = digits.first == UInt8(ascii: "-")
        let magnitude = isNegative ? digits.dropFirst() : digits[...]
        guard !magnitude.isEmpty else { return nil }
        // Summed on the negative side, which is the longer one, so that Int64.min needs no case of its own.
        var sum: Int64 = 0
        for byte in magnitude {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (tens, tensOverflow) = sum.multipliedReportingOverflow(by: 10)
            let (next, nextOverflow) = tens.subtractingReportingOverflow(Int64(digit))
            guard !tensOverflow, !nextOverflow else { return nil }
            sum = next
        }
        if isNegative { return sum }
        return sum == .min ? nil : -sum
    }
}
