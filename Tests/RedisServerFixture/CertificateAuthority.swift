// Certificates of a test's own, made by the openssl program in a directory that goes with the test.

import Glibc
import LinuxSystem

/// An authority that nobody else trusts, and what it signs.
public final class CertificateAuthority {
    /// A certificate and its key, as PEM files.
    public struct Identity {
        public let certificateFile: String
        public let keyFile: String
    }

    /// The authority's own certificate.
    public var certificateFile: String { directory + "/authority.crt" }

    /// Where all files are; tests may put more there.
    public let directory: String
    private var count = 0

    public init() throws {
        directory = try FileSystem.makeTemporaryDirectory("/tmp/certificates-")
        try Self.openssl(
            ["req", "-x509", "-days", "2", "-subj", "/CN=authority of a test"] + Self.newKey + [
                directory + "/authority.key", "-out", certificateFile,
            ])
    }

    deinit { removeTree(directory) }

    /// Signs a new certificate.
    ///
    /// - Parameters:
    ///   - names: as OpenSSL writes them: `DNS:redis.example`, `IP:127.0.0.1`.
    ///   - days: how long it is valid; -1 for one that has expired.
    public func sign(_ names: [String] = [], days: Int = 2) throws -> Identity {
        count += 1
        let stem = directory + "/identity\(count)"
        let extensions =
            "basicConstraints = critical, CA:FALSE\n"
            + (names.isEmpty ? "" : "subjectAltName = \(names.joined(separator: ", "))\n")
        try FileSystem.replace(stem + ".ext", with: Array(extensions.utf8), mode: 0o600)
        try Self.openssl(
            ["req", "-new", "-subj", "/CN=identity\(count)"] + Self.newKey + [stem + ".key", "-out", stem + ".csr"])
        try Self.openssl([
            "x509", "-req", "-in", stem + ".csr", "-CA", certificateFile, "-CAkey", directory + "/authority.key",
            "-set_serial", "\(count)", "-days", "\(days)", "-extfile", stem + ".ext", "-out", stem + ".crt",
        ])
        return Identity(certificateFile: stem + ".crt", keyFile: stem + ".key")
    }

    /// The same key under a pass phrase.
    public func lock(_ identity: Identity) throws -> Identity {
        let locked = identity.keyFile + ".locked"
        try Self.openssl(["ec", "-in", identity.keyFile, "-aes256", "-passout", "pass:secret", "-out", locked])
        return Identity(certificateFile: identity.certificateFile, keyFile: locked)
    }

    private static let newKey = [
        "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout",
    ]

    private static func openssl(_ words: [String]) throws {
        let child = try spawn(["openssl"] + words, standardInput: nil)
        guard try ChildProcesses.wait(for: child) == .exit(code: 0) else {
            throw RedisServerFixtureError(description: "openssl \(words.joined(separator: " ")) failed")
        }
    }
}
