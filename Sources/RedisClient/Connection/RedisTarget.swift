// What is to be connected to: one server, or whichever of several is the master at the moment.

import LinuxSystem

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

/// Sentinels that watch a master and its replicas, and the credentials for that master. See
/// https://redis.io/docs/latest/develop/reference/sentinel-clients/.
public struct SentinelGroup: Equatable, Sendable {
    /// Each with its own credentials, which are not those of the master.
    public var sentinels: [RedisEndpoint]
    /// What the sentinels call the master.
    public var masterName: String
    /// For the master.
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

// MARK: - Where it is, TLS and credentials

extension RedisTarget {
    /// Whether this is a Unix socket, a loopback address, or a name that stands for loopback addresses alone. Where sentinels
    /// will say the master is, is not known beforehand. A host name may block for as long as the system's resolver takes.
    public func isOnThisMachine() throws(RedisFailure) -> Bool {
        switch self {
        case .server(let endpoint): try endpoint.isOnThisMachine()
        case .master: false
        }
    }

    /// How to talk to the server that holds the data; nil: without TLS.
    public var tls: RedisTLS? {
        get {
            switch self {
            case .server(let endpoint): endpoint.tls
            case .master(let group): group.tls
            }
        }
        set {
            switch self {
            case .server(var endpoint):
                endpoint.tls = newValue
                self = .server(endpoint)
            case .master(var group):
                group.tls = newValue
                self = .master(group)
            }
        }
    }

    /// Of the server that holds the data; nil: it asks for none.
    public var credentials: RedisCredentials? {
        get {
            switch self {
            case .server(let endpoint): endpoint.credentials
            case .master(let group): group.credentials
            }
        }
        set {
            switch self {
            case .server(var endpoint):
                endpoint.credentials = newValue
                self = .server(endpoint)
            case .master(var group):
                group.credentials = newValue
                self = .master(group)
            }
        }
    }
}

extension RedisEndpoint {
    fileprivate func isOnThisMachine() throws(RedisFailure) -> Bool {
        guard case .internet(let host, let port) = location else { return true }
        do throws(ResolutionError) {
            let addresses = try AddressResolver.resolve(host: host, port: port)
            return !addresses.isEmpty && addresses.allSatisfy(\.isOnThisMachine)
        } catch {
            throw RedisFailure(.unreachable, error.cause, address: description)
        }
    }
}
