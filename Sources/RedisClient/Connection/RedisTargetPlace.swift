// Whether others could be talking to a Redis besides us.

import LinuxSystem

extension RedisTarget {
    /// Whether this is a Unix socket, a loopback address, or a name that stands for loopback addresses alone. Where a master is
    /// that sentinels name nobody knows beforehand. A host name may block for as long as the system's resolver takes.
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

    /// Who we are to the server that holds the data; nil: nobody in particular.
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
