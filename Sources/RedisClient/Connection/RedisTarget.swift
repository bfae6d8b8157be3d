// What is to be connected to: one server, or whichever of several is the master at the moment.

/// Where the data is.
public enum RedisTarget: Equatable, Sendable, CustomStringConvertible {
    /// A server whose place is known.
    case server(RedisEndpoint)
    /// The server that sentinels name.
    case master(SentinelGroup)

    /// As error messages show it: `127.0.0.1:6379`, `mymaster (Sentinel)`.
    public var description: String {
        switch self {
        case .server(let endpoint): "\(endpoint)"
        case .master(let group): "\(group.masterName) (Sentinel)"
        }
    }
}

/// Sentinels that watch a master and its replicas, and who we are to that master. See
/// https://redis.io/docs/latest/develop/reference/sentinel-clients/.
public struct SentinelGroup: Equatable, Sendable {
    /// Each with the credentials sentinels want, if they want any; those of the master are others.
    public var sentinels: [RedisEndpoint]
    /// What the sentinels call the master.
    public var masterName: String
    /// Who we are to the master.
    public var credentials: RedisCredentials?
    public var database: Int
    /// How to talk to the master; each sentinel has its own. nil: without TLS.
    public var tls: RedisTLS?

    public init(
        sentinels: [RedisEndpoint], masterName: String, credentials: RedisCredentials? = nil, database: Int = 0,
        tls: RedisTLS? = nil
    ) {
        self.tls = tls
        self.sentinels = sentinels
        self.masterName = masterName
        self.credentials = credentials
        self.database = database
    }
}
