// Where a Redis is, and the user and password for it, from a URL or from the parts of conf.json.

import LinuxSystem

/// A Redis server, a database in it, and the credentials for it.
public struct RedisEndpoint: Equatable, Sendable, CustomStringConvertible {
    public enum Location: Equatable, Sendable {
        case internet(host: String, port: UInt16)
        case unix(path: String)
    }

    public var location: Location
    public var credentials: RedisCredentials?
    public var database: Int
    /// nil: no TLS.
    public var tls: RedisTLS?

    public init(
        location: Location, credentials: RedisCredentials? = nil, database: Int = 0, tls: RedisTLS? = nil
    ) {
        self.location = location
        self.tls = tls
        self.credentials = credentials
        self.database = database
    }

    public init(
        host: String, port: UInt16 = 6379, credentials: RedisCredentials? = nil, database: Int = 0, tls: RedisTLS? = nil
    ) {
        self.init(location: .internet(host: host, port: port), credentials: credentials, database: database, tls: tls)
    }

    public init(unixPath: String, credentials: RedisCredentials? = nil, database: Int = 0) {
        self.init(location: .unix(path: unixPath), credentials: credentials, database: database)
    }

    /// The name or address by which it is looked for; that of this machine for a Unix socket.
    public var host: String {
        switch location {
        case .internet(let host, _): host
        case .unix: "localhost"
        }
    }

    /// The address alone, as error messages show it: `127.0.0.1:6379`, `[::1]:6379`, `/run/redis.sock`.
    public var description: String {
        switch location {
        case .internet(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .unix(let path): path
        }
    }
}

// MARK: - Credentials
//
// A password lives in this one type, so that there is one place to keep it from being printed.

/// A user and password. Neither `print` nor `dump` nor string interpolation shows the password.
public struct RedisCredentials: Equatable, Sendable, CustomStringConvertible, CustomDebugStringConvertible,
    CustomReflectable
{
    /// The name; Redis calls the user without one `default`.
    public let user: String
    public let password: String

    public init(user: String = "default", password: String) {
        self.user = user
        self.password = password
    }

    public var description: String { "user \(user)" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["user": user]) }
}

extension RedisCredentials {
    /// The first line of a file; `setting` is what an error calls it.
    public static func password(inFile path: String, of setting: String) throws(RedisEndpointError) -> String {
        let bytes: [UInt8]
        do throws(SystemError) {
            bytes = try FileSystem.guardedContents(of: path, bytesMax: 4096)
        } catch {
            throw RedisEndpointError("\(setting): \(error)")
        }
        var line = bytes.prefix { $0 != UInt8(ascii: "\n") }
        if line.last == UInt8(ascii: "\r") { line.removeLast() }
        guard !line.isEmpty else { throw RedisEndpointError("\(setting): the first line of \(path) is empty") }
        guard let password = String(validating: line, as: UTF8.self), !line.contains(0) else {
            throw RedisEndpointError("\(setting): the first line of \(path) is not text")
        }
        return password
    }
}
