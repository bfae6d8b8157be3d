// A Redis that anybody on the network can write to is a way to run commands on every node.

import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("A Redis open to others", .aFewAtATime)
struct OpenRedisTests {
    /// Runs a daemon to its end, or to its being connected.
    private func daemon(_ scratch: Scratch, _ settings: String, _ options: String...) async throws -> ProgramResult {
        let path = try scratch.write(
            "conf.json",
            """
            {"result_dir": "\(scratch.path)/result", "task_user": "nobody", "min_dram_gb_accept_new_task": 0.02,
             "min_dram_gb_trigger_return": 0.01, \(settings)}
            """)
        let state = scratch.path + "/state"
        scratch.expectGroups(ofNode: "a", stateDirectory: state)
        let program = try RunningProgram(
            Products.distcompd, ["--config", path, "--state", state, "--node", "a"] + options, in: scratch)
        try await eventually("its end or its work", program.errors) {
            program.hasEnded || program.errors.contains(" connected ")
        }
        program.send(SIGTERM)
        return try await program.result()
    }

    @Test(
        "without a password it is refused before anything is tried, with the remedy",
        arguments: ["198.51.100.7", "2001:db8::7", "0.0.0.0"])
    func refused(host: String) async throws {
        try await withScratch { scratch in
            let url = "redis://" + (host.contains(":") ? "[\(host)]" : host) + ":6380"
            for result in [
                try await daemon(scratch, #""redis_host": "\#(host)", "redis_port": 6380"#),
                try await daemon(scratch, #""redis_db": 0"#, "--redis", url),
            ] {
                #expect(result.status == 2)
                #expect(result.errorLines.count == 1, "\(result.errors)")
                #expect(result.errors.contains(":6380 is used without a password"), "\(result.errors)")
                #expect(result.errors.contains("allow_insecure_redis"))
            }
            let doctor = try await RunningProgram(Products.distcomp, ["doctor", "--redis", url], in: scratch).result()
            #expect(doctor.status == 2)
            let finding = doctor.outputLines.first { $0.contains("without a password") }
            #expect(finding?.hasPrefix("missing  redis") == true, "\(doctor.output)")
        }
    }

    @Test("on a loopback address, by number or by name, it needs no password", arguments: ["127.0.0.1", "localhost"])
    func loopback(host: String) async throws {
        let redis = try RedisServerFixture(listening: .port)
        defer { redis.stop() }
        let port = try #require(redis.port)
        try await withScratch { scratch in
            let result = try await daemon(scratch, #""redis_host": "\#(host)", "redis_port": \#(port)"#)
            #expect(result.status == 0, "\(result.errors)")
        }
    }

    @Test(
        "doctor warns of a local one that tasks can reach and that asks for no password, and nodes start all the same")
    func local() async throws {
        let open = try RedisServerFixture(listening: .port)
        defer { open.stop() }
        let guarded = try RedisServerFixture(listening: .port, password: "right")
        defer { guarded.stop() }
        try await withScratch { scratch in
            func finding(_ redis: RedisServerFixture, _ place: String, _ more: String) async throws -> Substring {
                let path = try scratch.write(
                    "doctor.json",
                    "{\(place), \"result_dir\": \"\(scratch.path)/result\", \"task_user\": \"nobody\" \(more)}")
                let words = ["doctor", "--config", path]
                let result = try await RunningProgram(Products.distcomp, words, in: scratch).result()
                return try #require(result.outputLines.first { $0.contains("  redis  ") }, "\(result.output)")
            }
            func port(_ redis: RedisServerFixture) throws -> String { "\"redis_port\": \(try #require(redis.port))" }
            let warned = try await finding(open, try port(open), "")
            #expect(warned.hasPrefix("warning"), "\(warned)")
            #expect(warned.contains("requirepass") && warned.contains("redis_pass_file"), "\(warned)")
            let asked = try await finding(guarded, try port(guarded), #", "redis_pass": "right""#)
            #expect(asked.hasPrefix("ok"), "\(asked)")
            if Host.isRoot {
                let socket = #""redis_url": "unix://\#(open.socketPath)""#
                chmod(open.socketPath, 0o700)
                #expect(try await finding(open, socket, "").hasPrefix("ok"))
                chmod(open.socketPath, 0o777)
            }
            let started = try await daemon(scratch, try port(open))
            #expect(started.status == 0, "\(started.errors)")
        }
    }

    @Test(
        "one that takes a password and asks strangers for none is refused; one that asks, or is allowed, serves",
        .enabled(if: addressForOthers() != nil))
    func knocked() async throws {
        let host = try #require(addressForOthers())
        let open = try RedisServerFixture(
            listening: .port, configuration: ["bind 0.0.0.0", "protected-mode no", "user other on >right ~* &* +@all"])
        defer { open.stop() }
        let guarded = try RedisServerFixture(listening: .port, password: "right", configuration: ["bind 0.0.0.0"])
        defer { guarded.stop() }
        try await withScratch { scratch in
            func settings(_ redis: RedisServerFixture, _ more: String) throws -> String {
                #""redis_host": "\#(host)", "redis_port": \#(try #require(redis.port)), \#(more)"#
            }
            let taken = try await daemon(scratch, settings(open, #""redis_pass": "any""#))
            #expect(taken.status == 2)
            #expect(taken.errors.contains("lets in anybody on the network"), "\(taken.errors)")
            let named = try await daemon(scratch, settings(open, #""redis_user": "other", "redis_pass": "right""#))
            #expect(named.status == 2)
            let allowed = try await daemon(scratch, settings(open, #""allow_insecure_redis": true"#))
            #expect(allowed.status == 0, "\(allowed.errors)")
            let asked = try await daemon(scratch, settings(guarded, #""redis_pass": "right""#))
            #expect(asked.status == 0, "\(asked.errors)")
        }
    }

    @Test(
        "the command line warns of it and goes on, and is quiet when it is allowed",
        .enabled(if: addressForOthers() != nil))
    func commandLine() async throws {
        let host = try #require(addressForOthers())
        let redis = try RedisServerFixture(listening: .port, configuration: ["bind 0.0.0.0", "protected-mode no"])
        defer { redis.stop() }
        let port = try #require(redis.port)
        try await withScratch { scratch in
            let words = ["status", "--json", "--redis", "redis://\(host):\(port)"]
            let warned = try await RunningProgram(Products.distcomp, words, in: scratch).result()
            #expect(warned.status == 0)
            #expect(warned.errors.contains("warning: Redis at \(host):\(port) is used without a password"))
            let allowing = try scratch.write("allowing.json", #"{"allow_insecure_redis": true}"#)
            let quiet = try await RunningProgram(
                Products.distcomp, words + ["--config", allowing], in: scratch
            ).result()
            #expect(quiet.status == 0)
            #expect(quiet.errors.isEmpty, "\(quiet.errors)")
        }
    }
}

/// An address of this machine that is not a loopback address; nil where there is none.
private func addressForOthers() -> String? {
    var list: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&list) == 0 else { return nil }
    defer { freeifaddrs(list) }
    for entry in sequence(first: list, next: { $0?.pointee.ifa_next }) {
        guard let entry, let address = entry.pointee.ifa_addr, address.pointee.sa_family == sa_family_t(AF_INET) else {
            continue
        }
        var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let length = socklen_t(MemoryLayout<sockaddr_in>.size)
        guard getnameinfo(address, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 else { continue }
        let name = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        if !SocketAddress.internet(address: name, port: 1).isOnThisMachine { return name }
    }
    return nil
}
