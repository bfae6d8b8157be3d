// Why a connection to Redis is of no use (any more), in the kinds a caller acts on differently. An error that Redis
// answers to one request is no failure: it is that request's reply, a `RedisError`; what those mean to us is told below.

/// The end of a connection, or of an attempt to make one. Described in one line: `cannot reach Redis at 127.0.0.1:6379:
/// Connection refused`.
public struct RedisFailure: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Kind: Equatable, Sendable {
        /// No connection came about: no address, nobody listening, no answer in time.
        case unreachable
        /// Redis refused the user, the password, or something we need that this user may not do.
        case authentication
        /// TLS failed: the certificate of the server could not be verified, or the server refused ours.
        case untrusted
        /// A Redis that cannot serve us as it is configured: older than 7, no such database, a script it cannot compile.
        case unsupported
        /// Redis is up but cannot serve yet (LOADING, MASTERDOWN, BUSY, too many clients).
        case notReady
        /// A replica answered (READONLY), or a server that has ceased to be the master (UNBLOCKED): look for the master again.
        case notMaster
        /// An established connection ended. What became of the outstanding requests is unknown.
        case connectionLost
        /// An established connection fell silent in the middle of a request. What became of it is unknown.
        case timeout
        /// What came is not RESP, or answers nothing we asked.
        case protocolViolation
        /// More is waiting to be sent than the connection may hold. Nothing was sent, and the connection lives on.
        case overloaded
    }

    public let kind: Kind
    /// What happened, without the address.
    public let detail: String
    /// Where, as the user knows it. Empty in a session, which knows no addresses.
    public let address: String

    public init(_ kind: Kind, _ detail: String, address: String = "") {
        self.kind = kind
        self.detail = detail
        self.address = address
    }

    public var description: String {
        let place = address.isEmpty ? "Redis" : "Redis at \(address)"
        return kind == .unreachable ? "cannot reach \(place): \(detail)" : "\(place): \(detail)"
    }

    func at(_ address: String) -> RedisFailure { RedisFailure(kind, detail, address: address) }
}

// MARK: - Error replies
//
// What is to be done about each, and what to tell the person who has to do it.

extension RedisError {
    /// What an error reply says about the connection it came on.
    public enum Remedy: Equatable, Sendable {
        /// It concerns this request only.
        case none
        /// Redis did not run the request and may run it later: ask again after a delay.
        case backOff
        /// This server is not the master: connect anew.
        case reconnect
        /// Redis does not know us, does not trust us, or is of a kind we cannot use; asking again will not help.
        case giveUp
    }

    public var remedy: Remedy {
        switch code {
        case "LOADING", "MASTERDOWN", "BUSY": .backOff
        // Redis closes the connection after this one, and has no code of its own for it.
        case "ERR" where message.hasPrefix("max number of clients"): .backOff
        case "READONLY", "UNBLOCKED": .reconnect
        case "NOAUTH", "WRONGPASS", "DENIED": .giveUp
        case _ where isOfPermission: .giveUp
        case "CLUSTERDOWN", "MOVED", "ASK", "CROSSSLOT", "TRYAGAIN": .giveUp
        default: .none
        }
    }

    /// Whether this user may not do what was asked for; what else there is may be allowed.
    public var isOfPermission: Bool { code == "NOPERM" || code == "ERR" && isMissingPermissionOfScript }

    /// What it means and what helps, followed by the words of Redis; those alone where there is nothing to add.
    public var explanation: String {
        let meaning: String? =
            switch code {
            case "LOADING": "it is still loading its data"
            case "MASTERDOWN": "it is a replica that has lost its master"
            case "BUSY": "it is busy with a script, which SCRIPT KILL would end"
            case "READONLY", "UNBLOCKED": "it is a replica, which takes no writes: its master is wanted"
            case "NOAUTH": "a password is needed"
            case "WRONGPASS": "wrong user name or password"
            case _ where isOfPermission: "this user lacks a permission"
            case "MISCONF": "it cannot save its data, and takes no writes until it can: look at its disk"
            case "NOREPLICAS": "it takes no writes while too few replicas are connected (min-replicas-to-write)"
            case "CLUSTERDOWN", "MOVED", "ASK", "CROSSSLOT", "TRYAGAIN": Self.clusterRefusal
            default: nil
            }
        return meaning.map { "\($0) (\(self))" } ?? description
    }

    static let clusterRefusal =
        "it is part of a Redis Cluster, which cannot hold a queue: use a Redis of its own, or one under Sentinel"

    /// A command inside a script is checked against the caller too, and refused without a code of its own.
    private var isMissingPermissionOfScript: Bool {
        message.hasPrefix("The user executing the script can't")  // Redis 7.0.
            || message.hasPrefix("ACL failure in script")  // Redis from 7.2 on, and Valkey.
    }
}
