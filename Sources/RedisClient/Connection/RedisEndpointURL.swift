// The URL forms of an endpoint. A message here names the part that is wrong and never quotes a part that may hold
// a password by mistake.

import Notation

/// A URL that names no Redis, and why.
public struct RedisEndpointError: Error, Equatable, Sendable, CustomStringConvertible {
    public let description: String

    public init(_ description: String) { self.description = description }
}

extension RedisEndpoint {
    /// Parses `redis://[user[:password]@]host[:port][/database]`, the same with `rediss://` for TLS, or
    /// `unix:///path[?db=database]`. A user may be empty (`redis://:secret@host`). User, password and path may be
    /// percent-encoded, and must be where they hold `@`, `/`, `?` or `%`; an IPv6 address stands in brackets.
    public init(parsing url: String) throws(RedisEndpointError) {
        guard let (scheme, rest) = url.splitOnce("://") else {
            throw RedisEndpointError("a Redis URL starts with redis://, rediss:// or unix://")
        }
        switch scheme.lowercased() {
        case "redis": try self.init(parsingInternet: rest)
        case "unix", "redis+unix": try self.init(parsingUnix: rest)
        case "rediss":
            try self.init(parsingInternet: rest)
            tls = RedisTLS()
        default: throw RedisEndpointError("a Redis URL starts with redis://, rediss:// or unix://")
        }
    }

    private init(parsingInternet text: Substring) throws(RedisEndpointError) {
        let authority = text.prefix { $0 != "/" && $0 != "?" }
        let rest = text[authority.endIndex...]
        guard !rest.contains("@") else {
            throw RedisEndpointError("'/' and '?' in a user name or password must be written %2F and %3F")
        }
        var host = authority
        var credentials: RedisCredentials?
        if let at = authority.lastIndex(of: "@") {
            credentials = try Self.credentials(in: authority[..<at])
            host = authority[authority.index(after: at)...]
        }
        let server = try Self.serverAddress(host)
        let (path, query) = rest.splitOnce("?") ?? (rest, "")
        var database = try Self.database(inQuery: query) ?? 0
        let number = path.dropFirst()
        if !number.isEmpty { database = try Self.database(number) }
        self.init(host: server.host, port: server.port, credentials: credentials, database: database)
    }

    private init(parsingUnix text: Substring) throws(RedisEndpointError) {
        let (location, query) = text.splitOnce("?") ?? (text, "")
        var path = location
        var credentials: RedisCredentials?
        if let at = location.lastIndex(of: "@"), location.firstIndex(of: "/").map({ at < $0 }) ?? true {
            credentials = try Self.credentials(in: location[..<at])
            path = location[location.index(after: at)...]
        }
        guard path.hasPrefix("/") else {
            throw RedisEndpointError("the path of a Unix socket is absolute: unix:///run/redis/redis.sock")
        }
        let decoded = try Self.decode(path, part: "path")
        self.init(unixPath: decoded, credentials: credentials, database: try Self.database(inQuery: query) ?? 0)
    }

    private static func credentials(in text: Substring) throws(RedisEndpointError) -> RedisCredentials? {
        let (user, password) = text.splitOnce(":") ?? (text, "")
        guard !text.isEmpty, text != ":" else { return nil }
        let name = try decode(user, part: "user name")
        return RedisCredentials(user: name.isEmpty ? "default" : name, password: try decode(password, part: "password"))
    }

    private static func serverAddress(_ text: Substring) throws(RedisEndpointError) -> ServerAddress {
        do throws(ServerAddress.Problem) {
            return try ServerAddress(text, defaultPort: 6379)
        } catch {
            switch error {
            case .host: throw RedisEndpointError("a Redis URL names a host: redis://host:6379")
            case .brackets: throw RedisEndpointError("an IPv6 address is written [::1] or [::1]:6379")
            case .port: throw RedisEndpointError("the port of a Redis URL is a number from 1 to 65535")
            }
        }
    }

    private static func database(inQuery query: Substring) throws(RedisEndpointError) -> Int? {
        var database: Int?
        for parameter in query.split(separator: "&") {
            guard let (name, value) = parameter.splitOnce("="), name == "db" else {
                throw RedisEndpointError("the only parameter of a Redis URL is db=NUMBER")
            }
            database = try Self.database(value)
        }
        return database
    }

    private static func database(_ text: Substring) throws(RedisEndpointError) -> Int {
        guard let number = DecimalInteger.parse(text.utf8), (0...Int64(Int32.max)).contains(number) else {
            throw RedisEndpointError("the database of a Redis URL is a number from 0 up")
        }
        return Int(number)
    }

    private static func decode(_ text: Substring, part: String) throws(RedisEndpointError) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(Hexadecimal.value),
                let low = rest.popFirst().flatMap(Hexadecimal.value)
            else {
                throw RedisEndpointError("in the \(part) of a Redis URL, '%' is followed by two hexadecimal digits")
            }
            bytes.append(high << 4 | low)
        }
        guard let decoded = String(validating: bytes, as: UTF8.self), !bytes.contains(0) else {
            throw RedisEndpointError("the \(part) of a Redis URL is not text")
        }
        return decoded
    }
}

extension StringProtocol where SubSequence == Substring {
    /// What is before and after the first `separator`; nil when there is none.
    fileprivate func splitOnce(_ separator: String) -> (Substring, Substring)? {
        var index = startIndex
        while index < endIndex {
            if self[index...].hasPrefix(separator) {
                return (self[..<index], self[self.index(index, offsetBy: separator.count)...])
            }
            formIndex(after: &index)
        }
        return nil
    }
}
