// Which Redis the settings mean, the same for the daemon and the command line.

import RedisClient
import TaskModel

extension RedisTarget {
    /// The Redis of `--redis`, else of `redis_sentinels`, of `redis_url`, or of `redis_host` and its companions. A URL that says
    /// not who we are leaves that to `redis_user` and `redis_pass` or `redis_pass_file`. Reads the files of passwords, and
    /// looks whether those of TLS can be used.
    public init(_ configuration: Configuration, urlFromCommandLine: String?) throws(RedisEndpointError) {
        if let url = urlFromCommandLine {
            var endpoint = try RedisEndpoint(parsing: url)
            if endpoint.credentials == nil { endpoint.credentials = try configuration.redisCredentials }
            endpoint.tls = configuration.tls(for: endpoint)
            self = .server(endpoint)
        } else if let masterName = configuration.redisMasterName {
            self = .master(
                SentinelGroup(
                    sentinels: try configuration.sentinelEndpoints, masterName: masterName,
                    credentials: try configuration.redisCredentials, database: configuration.redisDatabase,
                    tls: configuration.redisTLS ? configuration.redisTLSDetails : nil))
        } else if let url = configuration.redisURL {
            self = .server(try configuration.endpoint(ofSetting: url))
        } else {
            self = .server(
                RedisEndpoint(
                    host: configuration.redisHost, port: UInt16(clamping: configuration.redisPort),
                    credentials: try configuration.redisCredentials, database: configuration.redisDatabase,
                    tls: configuration.redisTLS ? configuration.redisTLSDetails : nil))
        }
        try tls?.check()
    }
}

extension Configuration {
    fileprivate func endpoint(ofSetting url: String) throws(RedisEndpointError) -> RedisEndpoint {
        var endpoint: RedisEndpoint
        do {
            endpoint = try RedisEndpoint(parsing: url)
        } catch {
            throw RedisEndpointError("redis_url: \(error)")
        }
        if endpoint.credentials == nil {
            endpoint.credentials = try redisCredentials
        } else if redisUser != nil || redisPassword != nil || redisPasswordFile != nil {
            throw RedisEndpointError(
                "redis_url names a user or a password, and so do redis_user, redis_pass or redis_pass_file: say it once"
            )
        }
        endpoint.tls = tls(for: endpoint)
        return endpoint
    }

    /// Where a URL says nothing of it, `redis_tls` does: it is not forgotten because another server is named.
    fileprivate func tls(for endpoint: RedisEndpoint) -> RedisTLS? {
        if case .unix = endpoint.location { return nil }
        return redisTLS || endpoint.tls != nil ? redisTLSDetails : nil
    }

    fileprivate var redisTLSDetails: RedisTLS {
        RedisTLS(
            authorityFile: redisTLSAuthorityFile, certificateFile: redisTLSCertificateFile, keyFile: redisTLSKeyFile,
            serverName: redisTLSServerName)
    }

    /// Who we are to Redis; nil: nobody in particular.
    fileprivate var redisCredentials: RedisCredentials? {
        get throws(RedisEndpointError) {
            var password = redisPassword
            if let file = redisPasswordFile {
                password = try RedisCredentials.password(inFile: file, of: "redis_pass_file")
            }
            // A user may need no password; it is still to be that user.
            guard password != nil || redisUser != nil else { return nil }
            return RedisCredentials(user: redisUser ?? "default", password: password ?? "")
        }
    }

    fileprivate var sentinelEndpoints: [RedisEndpoint] {
        get throws(RedisEndpointError) {
            var credentials: RedisCredentials?
            if let file = redisSentinelPasswordFile {
                let password = try RedisCredentials.password(inFile: file, of: "redis_sentinel_pass_file")
                credentials = RedisCredentials(user: redisSentinelUser ?? "default", password: password)
            } else if let user = redisSentinelUser {
                credentials = RedisCredentials(user: user, password: "")
            }
            return redisSentinels.map {
                RedisEndpoint(
                    host: $0.host, port: $0.port, credentials: credentials,
                    tls: redisTLS ? redisTLSDetails : nil)
            }
        }
    }
}
