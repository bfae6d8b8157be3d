// What a browser asks for and gets, without anything of the library that carries it: whoever answers is tested without a connection.

/// A request.
public struct WebRequest: Sendable {
    public var method: String
    /// Before the question mark, as it was sent: our own paths need no encoding.
    public var path: String
    /// The fields of the query, decoded.
    public var query: WebQuery
    /// The headers that anybody here reads, by their names in small letters.
    public var headers: [String: String]
    /// At most ``PageServer/bodyBytesMax``.
    public var body: [UInt8]

    public init(
        method: String = "GET", path: String, query: WebQuery = WebQuery(""), headers: [String: String] = [:],
        body: [UInt8] = []
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
    }
}

/// The fields of a query such as `state=failed&cause=oom`.
public struct WebQuery: Sendable, Equatable {
    private var fields: [(name: String, value: String)] = []

    /// More are not read: no page of ours has as many.
    private static let fieldsMax = 32

    /// Reads what stands behind the question mark: percent-encoded, `+` for a blank. What cannot be decoded counts as not there.
    public init(_ text: String) {
        for part in text.split(separator: "&").prefix(Self.fieldsMax) {
            let halves = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(halves[0]), let value = Self.decoded(halves.count > 1 ? halves[1] : "")
            else { continue }
            fields.append((name, value))
        }
    }

    /// The first field of that name; nil where there is none, or it is empty, as of a form in which nothing was entered.
    public subscript(name: String) -> String? {
        fields.first { $0.name == name }.flatMap { $0.value.isEmpty ? nil : $0.value }
    }

    public static func == (left: WebQuery, right: WebQuery) -> Bool {
        left.fields.elementsEqual(right.fields) { $0 == $1 }
    }

    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "+"): bytes.append(UInt8(ascii: " "))
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8($0) }
    }
}

/// An answer.
public struct WebResponse: Sendable {
    public var status: Int
    public var contentType: String
    public var body: [UInt8]
    /// Further headers.
    public var headers: [(name: String, value: String)] = []

    public init(status: Int = 200, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }

    public static func page(_ page: HTML, status: Int = 200) -> WebResponse {
        WebResponse(status: status, contentType: "text/html; charset=utf-8", body: Array(page.source.utf8))
    }

    public static func text(_ text: String, status: Int = 200) -> WebResponse {
        WebResponse(status: status, contentType: "text/plain; charset=utf-8", body: Array(text.utf8))
    }

    public static func json(_ text: String, status: Int = 200) -> WebResponse {
        WebResponse(status: status, contentType: "application/json", body: Array(text.utf8))
    }

    /// Sends the browser elsewhere on these pages.
    public static func seeOther(_ link: String) -> WebResponse {
        var response = text("see \(link)\n", status: 303)
        response.headers.append(("location", link))
        return response
    }
}
