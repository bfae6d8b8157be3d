// Pages as text in which nothing from outside is ever markup: a page is written as a literal, and every value put into it is escaped. The
// only way around that is a literal in the source.

/// A piece of a page.
///
/// Written as a literal, in which `\(value)` stands for the text of the value: `"<td>\(name)</td>"`. What is of this type already is put in
/// as it is.
public struct HTML: Sendable, Equatable {
    /// As it is sent.
    public private(set) var source: String

    private init(source: String) { self.source = source }

    /// Nothing.
    public init() { source = "" }

    /// Text that means what it says: no character of it is markup, and those that nobody sees are told by their numbers, but for line
    /// breaks and tabs.
    public init(text: String) { source = Self.escaped(text) }

    public static func += (left: inout HTML, right: HTML) { left.source += right.source }

    public static func + (left: HTML, right: HTML) -> HTML { HTML(source: left.source + right.source) }

    /// Characters that end text or an attribute are written by name; so are, by their numbers, those that move a cursor, that turn the
    /// direction of what follows around, or that have no width, for with them a line can be made to look like another.
    private static func escaped(_ text: String) -> String {
        // Most is names and numbers, thousands to a page.
        if text.utf8.allSatisfy({ isPlain($0) }) { return text }
        var result = ""
        result.reserveCapacity(text.utf8.count + 16)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            case "\n", "\t": result.unicodeScalars.append(scalar)
            default:
                if isUnseen(scalar) {
                    result += "\\u{" + String(scalar.value, radix: 16) + "}"
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result
    }

    /// Of ASCII, and nothing that is escaped.
    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "&"), UInt8(ascii: "<"), UInt8(ascii: ">"), UInt8(ascii: "\""), UInt8(ascii: "'"): false
        case UInt8(ascii: "\n"), UInt8(ascii: "\t"), 0x20...0x7E: true
        default: false
        }
    }

    private static func isUnseen(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
        default: false
        }
    }
}

extension HTML: ExpressibleByStringInterpolation {
    public init(stringLiteral value: String) { source = value }

    public init(stringInterpolation: Interpolation) { source = stringInterpolation.source }

    /// What a literal comes to: its own characters as they are, everything put into it as text.
    public struct Interpolation: StringInterpolationProtocol {
        fileprivate var source = ""

        public init(literalCapacity: Int, interpolationCount: Int) { source.reserveCapacity(literalCapacity * 2) }

        public mutating func appendLiteral(_ literal: String) { source += literal }

        public mutating func appendInterpolation(_ page: HTML) { source += page.source }

        public mutating func appendInterpolation(_ text: String) { source += HTML.escaped(text) }

        public mutating func appendInterpolation(_ number: Int) { source += String(number) }
    }
}

extension Sequence {
    /// A piece of a page for each, one behind the other.
    public func html(_ piece: (Element) throws -> HTML) rethrows -> HTML {
        var page = HTML()
        for element in self { page += try piece(element) }
        return page
    }
}

/// Addresses of our own pages.
public enum PageAddress {
    /// A path, and the fields of its query in this order; those without a value are left out.
    ///
    /// - Returns: every byte of the fields percent-encoded that is not a letter, a digit or one of `-._~` (RFC 3986).
    public static func to(_ path: StaticString, _ fields: [(name: String, value: String?)] = []) -> String {
        let known = fields.compactMap { field in field.value.map { "\(field.name)=\(percentEncoded($0))" } }
        return "\(path)" + (known.isEmpty ? "" : "?" + known.joined(separator: "&"))
    }
}

private func percentEncoded(_ text: String) -> String {
    let digits = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "~"):
            bytes.append(byte)
        default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
