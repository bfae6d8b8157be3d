// TLS to Redis: the files and the name it takes, and what to tell the person who has to set them right.

import Cryptography
import LinuxSystem

/// TLS to a server: the authorities to trust, our own certificate, and the name to expect. The files are read anew for each
/// connection, so certificates may be replaced while a daemon runs.
public struct RedisTLS: Hashable, Sendable {
    /// PEM file of the authorities trusted; nil: those the system trusts.
    public var authorityFile: String?
    /// PEM file of our own certificate; nil: we have none.
    public var certificateFile: String?
    /// PEM file of its key.
    public var keyFile: String?
    /// The name or address the server's certificate must be for; nil: that by which we look for it.
    public var serverName: String?

    public init(
        authorityFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil, serverName: String? = nil
    ) {
        self.authorityFile = authorityFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
        self.serverName = serverName
    }

    /// Reads the files as a connection would.
    ///
    /// - Throws: what is wrong with the first that cannot be used, named by its setting.
    public func check() throws(RedisEndpointError) { _ = try makeContext() }

    func makeContext() throws(RedisEndpointError) -> TLSContext {
        let authorities = try authorityFile.map { path throws(RedisEndpointError) in
            try Self.contents(of: path, "redis_tls_ca_file")
        }
        let context = try Self.named("redis_tls_ca_file", authorityFile) { () throws(TLSError) in
            try TLSContext(authorities: authorities)
        }
        if let certificateFile {
            let text = try Self.contents(of: certificateFile, "redis_tls_cert_file")
            try Self.named("redis_tls_cert_file", certificateFile) { () throws(TLSError) in
                try context.setCertificate(text)
            }
        }
        if let keyFile {
            let text = try Self.contents(of: keyFile, "redis_tls_key_file")
            try Self.named("redis_tls_key_file", keyFile) { () throws(TLSError) in try context.setKey(text) }
        }
        return context
    }

    private static func contents(of path: String, _ setting: String) throws(RedisEndpointError) -> [UInt8] {
        do throws(SystemError) {
            return try FileSystem.guardedContents(of: path)
        } catch {
            throw RedisEndpointError("\(setting): \(error)")
        }
    }

    private static func named<Result>(
        _ setting: String, _ path: String?, _ step: () throws(TLSError) -> Result
    ) throws(RedisEndpointError) -> Result {
        do throws(TLSError) {
            return try step()
        } catch {
            throw RedisEndpointError("\(setting): \(path.map { "\($0): " } ?? "")\(error)")
        }
    }
}

extension RedisFailure {
    /// TLS that cannot go on.
    init(_ error: TLSError, _ tls: RedisTLS) {
        switch error.reason {
        case .unknownAuthority:
            self.init(.untrusted, "certificate verify failed: \(error); set redis_tls_ca_file to who signed it")
        case .otherName:
            self.init(
                .untrusted, "certificate verify failed: \(error); set redis_tls_server_name to a name it is for")
        case .certificateWanted where tls.certificateFile == nil:
            self.init(
                .untrusted,
                "the server refused us (\(error)): it may want a certificate, set redis_tls_cert_file and redis_tls_key_file"
            )
        case .notTLS: self.init(.untrusted, "TLS: \(error); does this port speak TLS?")
        case .certificateWanted, .refused: self.init(.untrusted, "the server refused us (\(error))")
        case .other: self.init(.untrusted, "TLS: \(error)")
        }
    }
}
