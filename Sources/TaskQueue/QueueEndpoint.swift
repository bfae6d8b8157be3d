// Which Redis the settings mean, the same for the daemon and the command line.

import RedisClient
import TaskModel

extension RedisEndpoint {
    /// The Redis of `--redis`, else of `redis_url`, else of `redis_host` and its companions.
    public init(_ configuration: Configuration, urlFromCommandLine: String?) throws(RedisEndpointError) {
        if let url = urlFromCommandLine ?? configuration.redisURL {
            try self.init(parsing: url)
        } else {
            self.init(
                host: configuration.redisHost, port: UInt16(clamping: configuration.redisPort),
                database: configuration.redisDatabase)
        }
        if credentials == nil, let password = configuration.redisPassword {
            credentials = RedisCredentials(user: configuration.redisUser ?? "default", password: password)
        }
    }
}
