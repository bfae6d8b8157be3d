// Whoever can write to the queue's Redis runs commands on every node. So a Redis that can be reached over the network has to ask
// who is calling, unless the operator says otherwise.

import RedisClient
import TaskModel

public enum OpenRedis {
    /// Why the settings name a Redis that anybody on the network could use too; nil when they do not, or when the operator
    /// allows it. Also nil when the host's name stands for no address, which connecting will tell.
    public static func problem(with target: RedisTarget, _ configuration: Configuration) -> String? {
        // A certificate is a proof as well; whether it is asked for shows when a stranger comes without.
        guard target.credentials?.password.isEmpty ?? true, target.tls?.certificateFile == nil,
            isToBeGuarded(target, configuration)
        else { return nil }
        return """
            Redis at \(target) is used without a password, over the network: whoever reaches it runs commands on every node; \
            set redis_pass_file here and requirepass in redis.conf, or allow_insecure_redis: true where everybody is trusted
            """
    }

    /// Knocks at Redis as a stranger would. A password in our settings proves nothing: a Redis that wants none takes any.
    ///
    /// - Returns: that a stranger may write there; nil when not, or when the operator allows it. Also nil when Redis cannot be
    ///   reached, which whoever goes on to use it will notice.
    public static func problem(
        foundByKnockingAt target: RedisTarget, _ configuration: Configuration
    ) -> String? {
        guard isToBeGuarded(target, configuration),
            let address = addressOpenToStrangers(target, prefix: configuration.keyPrefix)
        else { return nil }
        return """
            Redis at \(address) lets in anybody on the network, without the password or certificate that is set here: \
            whoever reaches it runs commands on every node; set requirepass in redis.conf, or allow_insecure_redis: true where \
            everybody is trusted
            """
    }

    /// Whether whoever reaches that Redis may write there, though only this machine does: its tasks, for example, which could change the
    /// queue and forge each other's results.
    public static func isOpenToThisMachine(_ target: RedisTarget, _ configuration: Configuration) -> Bool {
        guard let isOnThisMachine = try? target.isOnThisMachine(), isOnThisMachine else { return false }
        return addressOpenToStrangers(target, prefix: configuration.keyPrefix) != nil
    }

    /// The server's address, when a stranger may write there.
    private static func addressOpenToStrangers(_ target: RedisTarget, prefix: String) -> String? {
        var door = target
        door.credentials = nil
        door.tls?.certificateFile = nil
        door.tls?.keyFile = nil
        guard let stranger = try? BlockingRedisClient(door) else { return nil }
        // A write that changes nothing, since no task is empty. A user without rights is told so.
        let write = RedisCommand("HDEL", QueueKeys(prefix: prefix).todo, "")
        guard let reply = try? stranger.call(.command(write)), reply.int != nil else { return nil }
        return "\(stranger.address)"
    }

    private static func isToBeGuarded(_ target: RedisTarget, _ configuration: Configuration) -> Bool {
        guard !configuration.allowInsecureRedis, let isOnThisMachine = try? target.isOnThisMachine() else {
            return false
        }
        return !isOnThisMachine
    }
}
