// A server as people name it: `host:port`.

/// A host name or address, and a port.
public struct ServerAddress: Hashable, Sendable, CustomStringConvertible {
    public let host: String
    public let port: UInt16

    /// What keeps a text from naming a server.
    public enum Problem: Error, Hashable, Sendable {
        /// There is no host, or it holds what no host does: white space, a control character, `@`, `/` or a bracket.
        case host
        /// A bracket that is never closed, or something other than a port behind it.
        case brackets
        /// The port is no number from 1 to 65535.
        case port
    }

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// Reads `host`, `host:port`, `[::1]` or `[::1]:port`.
    public init(_ text: some StringProtocol, defaultPort: UInt16) throws(Problem) {
        let (host, port) = try Self.parts(Substring(text))
        // A user or a path has no place here, and white space would end up in a name that nobody has.
        guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 != 0x7F }), !host.contains(where: "@/[]".contains)
        else { throw .host }
        self.host = String(host)
        guard let port else {
            self.port = defaultPort
            return
        }
        // Digits alone: UInt16 would take a sign as well.
        guard port.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = UInt16(port), number > 0 else {
            throw .port
        }
        self.port = number
    }

    private static func parts(_ text: Substring) throws(Problem) -> (host: Substring, port: Substring?) {
        guard text.hasPrefix("[") else {
            guard let colon = text.firstIndex(of: ":") else { return (text, nil) }
            return (text[..<colon], text[text.index(after: colon)...])
        }
        guard let end = text.firstIndex(of: "]") else { throw .brackets }
        let rest = text[text.index(after: end)...]
        guard rest.isEmpty || rest.hasPrefix(":") else { throw .brackets }
        return (text[text.index(after: text.startIndex)..<end], rest.isEmpty ? nil : rest.dropFirst())
    }

    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
