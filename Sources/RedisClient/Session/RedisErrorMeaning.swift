// What the error replies of Redis mean to us: what is to be done about each, and what to tell the person who has to do it.

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
        case "NOAUTH", "WRONGPASS", "NOPERM", "DENIED": .giveUp
        case "ERR" where isMissingPermissionOfScript: .giveUp
        case "CLUSTERDOWN", "MOVED", "ASK", "CROSSSLOT", "TRYAGAIN": .giveUp
        default: .none
        }
    }

    /// What it means and what helps, with the words of Redis behind it; those alone where they say it all.
    public var explanation: String {
        let meaning: String? =
            switch code {
            case "LOADING": "it is still loading its data"
            case "MASTERDOWN": "it is a replica that has lost its master"
            case "BUSY": "it is busy with a script, which SCRIPT KILL would end"
            case "READONLY", "UNBLOCKED": "it is a replica, which takes no writes: its master is wanted"
            case "NOAUTH": "a password is needed"
            case "WRONGPASS": "wrong user name or password"
            case "NOPERM": "this user lacks a permission"
            case "ERR" where isMissingPermissionOfScript: "this user lacks a permission"
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
    private var isMissingPermissionOfScript: Bool { message.hasPrefix("The user executing the script can't") }
}
