// TLS between us and a real server: that it carries all that a socket does, and that it lets nobody else in between.

import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@testable import RedisClient

@Suite("TLS to a real server")
struct TransportTests {
    private let authority: CertificateAuthority

    init() throws { authority = try CertificateAuthority() }

    /// A server whose certificate is for 127.0.0.1 unless other names are given.
    private func server(
        _ names: [String] = ["IP:127.0.0.1"], days: Int = 2, wantsCertificates: Bool = false,
        configuration: [String] = []
    ) throws -> RedisServerFixture {
        let identity = try authority.sign(names, days: days)
        return try RedisServerFixture(
            listening: .tls(authority, identity, wantsCertificates: wantsCertificates), configuration: configuration)
    }

    private func endpoint(
        _ server: RedisServerFixture, host: String = "127.0.0.1", _ change: (inout RedisTLS) -> Void = { _ in }
    ) throws -> RedisEndpoint {
        var tls = RedisTLS(authorityFile: authority.certificateFile)
        change(&tls)
        return RedisEndpoint(host: host, port: try #require(server.port), tls: tls)
    }

    private func failure(_ endpoint: RedisEndpoint) throws -> RedisFailure {
        try #require(throws: RedisFailure.self) { try BlockingRedisClient(endpoint) }
    }

    private func command(_ words: String...) -> RedisRequest {
        .command(RedisCommand(bytes: words.map { Array($0.utf8) }))
    }

    // MARK: What it carries

    @Test("a client is shaken hands, by an address as by a name", arguments: ["127.0.0.1", "localhost"])
    func handshake(host: String) throws {
        let server = try server(["IP:127.0.0.1", "DNS:localhost"])
        let client = try BlockingRedisClient(try endpoint(server, host: host))
        #expect(try client.call(command("PING")) == .simpleString("PONG"))
    }

    @Test("TLS 1.2 serves, and nothing older does")
    func versions() throws {
        let older = try server(configuration: ["tls-protocols TLSv1.2"])
        #expect(try BlockingRedisClient(endpoint(older)).call(command("PING")) == .simpleString("PONG"))
        let oldest = try server(configuration: ["tls-protocols TLSv1.1", "tls-ciphers ALL:@SECLEVEL=0"])
        #expect(try failure(endpoint(oldest)).kind == .untrusted)
    }

    @Test("a pipeline larger than all buffers, both ways, arrives whole and does not lock up")
    func largePipeline() throws {
        let server = try server()
        let client = try BlockingRedisClient(try endpoint(server))
        let texts = (0..<250).map {
            String(repeating: Character(UnicodeScalar(UInt8(65 + $0 % 26))), count: 200_000 + $0)
        }
        let replies = try client.pipeline(texts.map { command("ECHO", $0) })
        #expect(replies.map(\.string) == texts)
        let short = try client.pipeline((0..<10_000).map { command("ECHO", "\($0)") })
        #expect(short.map(\.string) == (0..<10_000).map { "\($0)" })
    }

    @Test("an idle connection wants nothing, and a message of another reaches it")
    func wakeUp() throws {
        let server = try server()
        let driver = try ConnectionDriver(try endpoint(server)) { $0.session.channels = ["wake"] }
        try driver.run { $0.connection.isReady }
        #expect(!driver.connection.wantsWrite)
        #expect(driver.connection.nextDeadlineNanoseconds == nil)
        let descriptor = driver.connection.descriptor
        #expect(try server.client().call(command("PUBLISH", "wake", "5")) == .integer(1))
        #expect(try DescriptorWait.until(descriptor, readable: true, writable: false, atMostMilliseconds: 20_000))
        try driver.run { $0.messages == ["5"] }
    }

    @Test("what does not go out at once goes out when the server reads on")
    func backPressure() throws {
        let server = try server()
        let driver = try ConnectionDriver(try endpoint(server))
        try driver.run { $0.connection.isReady }
        server.pause()
        let value = String(repeating: "x", count: 16 << 20)
        let request = try driver.send("SET", "a", value)
        _ = driver.connection.handleWritable(now: SystemClock.bootNanoseconds())
        #expect(driver.connection.wantsWrite)
        server.resume()
        try driver.run { $0.reply(to: request) != nil }
        let length = try driver.send("STRLEN", "a")
        try driver.run { $0.reply(to: length) != nil }
        #expect(driver.reply(to: length) == .integer(16 << 20))
        #expect(!driver.connection.wantsWrite)
    }

    @Test("a server that is killed loses the outstanding requests, each by name")
    func killed() throws {
        let server = try server()
        let driver = try ConnectionDriver(try endpoint(server))
        try driver.run { $0.connection.isReady }
        let request = try driver.send("BLPOP", "nothing", "0")
        _ = driver.connection.handleWritable(now: 0)
        server.kill9()
        try driver.run { $0.failure != nil }
        #expect(driver.events.contains(.lost(request)))
        #expect(driver.failure?.kind == .connectionLost)
    }

    @Test("a server that says nothing is given up after the connect timeout, without turning the loop meanwhile")
    func silent() throws {
        let server = try server()
        server.pause()
        defer { server.resume() }
        let driver = try ConnectionDriver(try endpoint(server)) { $0.connectTimeoutSeconds = 0.2 }
        try driver.turn()
        #expect(!driver.connection.wantsWrite)
        try driver.run { $0.failure != nil }
        #expect(
            driver.failure?.description
                == "cannot reach Redis at 127.0.0.1:\(server.port ?? 0): connected, but no TLS handshake within 0.2 s; "
                + "does this port speak TLS?")
    }

    @Test("what we close, the server sees closed")
    func closed() throws {
        let server = try server()
        let driver = try ConnectionDriver(try endpoint(server)) { $0.session.clientName = "leaving" }
        try driver.run { $0.connection.isReady }
        let other = try server.client()
        #expect(try other.call(command("CLIENT", "LIST")).string?.contains("name=leaving") == true)
        _ = driver.connection.close()
        // The socket is open for as long as the connection is; it is the goodbye that ends it.
        let deadline = SystemClock.bootNanoseconds() + 200_000_000_000
        while try other.call(command("CLIENT", "LIST")).string?.contains("name=leaving") == true {
            try #require(SystemClock.bootNanoseconds() < deadline)
        }
        _ = driver
    }

    // MARK: Whom it refuses

    @Test("an authority we do not trust is refused, with the setting that would trust it")
    func unknownAuthority() throws {
        let server = try server()
        let bySystem = try failure(try endpoint(server) { $0.authorityFile = nil })
        #expect(bySystem.kind == .untrusted)
        #expect(bySystem.description.contains("certificate verify failed: "), "\(bySystem)")
        #expect(bySystem.description.hasSuffix("set redis_tls_ca_file to who signed it"), "\(bySystem)")
        let other = try CertificateAuthority()
        let byOther = try failure(try endpoint(server) { $0.authorityFile = other.certificateFile })
        #expect(byOther.kind == .untrusted)
        #expect(byOther.description.contains("certificate verify failed: "), "\(byOther)")
    }

    @Test("a certificate for another name or address is refused, and taken by the name it is for")
    func otherName() throws {
        let server = try server(["DNS:redis.example", "IP:10.1.2.3"])
        let byAddress = try failure(try endpoint(server))
        #expect(byAddress.kind == .untrusted)
        #expect(byAddress.description.contains("IP address mismatch; set redis_tls_server_name"), "\(byAddress)")
        let byName = try failure(try endpoint(server) { $0.serverName = "other.example" })
        #expect(byName.description.contains("hostname mismatch; set redis_tls_server_name"), "\(byName)")
        for name in ["redis.example", "10.1.2.3"] {
            let client = try BlockingRedisClient(try endpoint(server) { $0.serverName = name })
            #expect(try client.call(command("PING")) == .simpleString("PONG"))
        }
        for name in ["", "redis.example\0.attacker"] {
            #expect(try failure(try endpoint(server) { $0.serverName = name }).kind == .untrusted)
        }
    }

    @Test("a name in the certificate's subject alone is no name, and none at all is none")
    func noName() throws {
        let server = try server([])
        #expect(try failure(try endpoint(server)).kind == .untrusted)
    }

    @Test("a certificate that has expired is refused")
    func expired() throws {
        let server = try server(days: -1)
        let failure = try failure(try endpoint(server))
        #expect(failure.kind == .untrusted)
        #expect(failure.description.hasSuffix(": TLS: certificate has expired"), "\(failure)")
    }

    @Test(
        "a server that wants a certificate is told apart from one that does not like ours",
        arguments: ["TLSv1.2", "TLSv1.3"])
    func clientCertificates(version: String) throws {
        let server = try server(wantsCertificates: true, configuration: ["tls-protocols \(version)"])
        let without = try failure(try endpoint(server))
        #expect(without.kind == .untrusted, "\(without)")
        #expect(without.description.contains("the server refused us ("), "\(without)")
        #expect(without.description.hasSuffix("set redis_tls_cert_file and redis_tls_key_file"), "\(without)")

        func using(_ identity: CertificateAuthority.Identity) throws -> RedisEndpoint {
            try endpoint(server) {
                $0.certificateFile = identity.certificateFile
                $0.keyFile = identity.keyFile
            }
        }
        let client = try BlockingRedisClient(try using(try authority.sign()))
        #expect(try client.call(command("PING")) == .simpleString("PONG"))
        let others = try CertificateAuthority()
        defer { withExtendedLifetime(others) {} }
        let stranger = try failure(try using(try others.sign()))
        #expect(stranger.kind == .untrusted, "\(stranger)")
        #expect(stranger.description.contains("the server refused us ("), "\(stranger)")
    }

    @Test("a port that does not speak TLS is told; one that speaks nothing else hangs up")
    func notTLS() throws {
        let scripted = try ScriptedServer(in: authority.directory, answering: "-ERR unknown command\r\n")
        var endpoint = scripted.endpoint
        endpoint.tls = RedisTLS(authorityFile: authority.certificateFile)
        let garbage = try failure(endpoint)
        #expect(garbage.kind == .untrusted)
        #expect(garbage.description.hasSuffix("does this port speak TLS?"), "\(garbage)")

        let plain = try RedisServerFixture(listening: .port)
        defer { plain.stop() }
        let atPlain = try failure(try self.endpoint(plain))
        #expect(atPlain.description.hasSuffix("does this port speak TLS?"), "\(atPlain)")

        let secure = try server()
        defer { secure.stop() }
        var withoutTLS = try self.endpoint(secure)
        withoutTLS.tls = nil
        let atSecure = try failure(withoutTLS)
        #expect(atSecure.kind == .connectionLost, "\(atSecure)")
    }

    // MARK: Files

    @Test("files that cannot be used are named by their setting before anything is connected")
    func files() throws {
        let identity = try authority.sign()
        let other = try authority.sign()
        let locked = try authority.lock(identity)
        let text = authority.directory + "/text"
        try FileSystem.replace(text, with: Array("no certificate\n".utf8), mode: 0o600)
        let missing = authority.directory + "/none"
        func told(_ tls: RedisTLS) throws -> String {
            try #require(throws: RedisEndpointError.self) { try tls.check() }.description
        }
        #expect(
            try told(RedisTLS(authorityFile: missing))
                == "redis_tls_ca_file: open \(missing): No such file or directory")
        #expect(try told(RedisTLS(authorityFile: text)).hasPrefix("redis_tls_ca_file: \(text): "))
        #expect(
            try told(RedisTLS(certificateFile: text, keyFile: identity.keyFile))
                .hasPrefix("redis_tls_cert_file: \(text): "))
        #expect(
            try told(RedisTLS(certificateFile: identity.certificateFile, keyFile: other.keyFile))
                .hasPrefix("redis_tls_key_file: \(other.keyFile): "))
        #expect(
            try told(RedisTLS(certificateFile: locked.certificateFile, keyFile: locked.keyFile))
                .hasPrefix("redis_tls_key_file: \(locked.keyFile): "))
        try RedisTLS(certificateFile: identity.certificateFile, keyFile: identity.keyFile).check()
        try RedisTLS(authorityFile: authority.certificateFile).check()
    }

    @Test("a certificate that was replaced is used by the next connection")
    func replaced() throws {
        let server = try server(wantsCertificates: true)
        let others = try CertificateAuthority()
        defer { withExtendedLifetime(others) {} }
        let (good, bad) = (try authority.sign(), try others.sign())
        let place = authority.directory + "/current"
        func put(_ identity: CertificateAuthority.Identity) throws {
            let (certificate, key) = (identity.certificateFile, identity.keyFile)
            try FileSystem.replace(place + ".crt", with: try FileSystem.contents(of: certificate), mode: 0o600)
            try FileSystem.replace(place + ".key", with: try FileSystem.contents(of: key), mode: 0o600)
        }
        try put(bad)
        let endpoint = try endpoint(server) {
            $0.certificateFile = place + ".crt"
            $0.keyFile = place + ".key"
        }
        #expect(try failure(endpoint).kind == .untrusted)
        try put(good)
        #expect(try BlockingRedisClient(endpoint).call(command("PING")) == .simpleString("PONG"))
    }
}
