// Where a Redis is and who we are there, from a URL or from the parts of conf.json.

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
