// The programs over TLS: tasks run, and what is wrong with certificates is told by the one who meets it.

import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("Redis over TLS", .aFewAtATime)
struct SecureRedisTests {
    private let authority: CertificateAuthority
    private let redis: RedisServerFixture
    private let client: CertificateAuthority.Identity

    init() throws {
        authority = try CertificateAuthority()
        let identity = try authority.sign(["IP:127.0.0.1"])
        client = try authority.sign()
        redis = try RedisServerFixture(
            listening: .tls(authority, identity, wantsCertificates: true), password: "secret")
    }

    private var certificates: [String: String] {
        [
            "redis_tls_ca_file": "\"\(authority.certificateFile)\"",
            "redis_tls_cert_file": "\"\(client.certificateFile)\"", "redis_tls_key_file": "\"\(client.keyFile)\"",
        ]
    }

    /// Settings of a node on this Redis.
    private func settings(_ scratch: Scratch, _ more: [String: String]) throws -> String {
        var all = [
            "redis_tls": "true", "redis_port": "\(redis.port ?? 0)", "redis_pass": "\"secret\"",
            "result_dir": "\"\(scratch.path)/result\"", "task_user": "\"nobody\"",
            "min_dram_gb_accept_new_task": "0.02", "min_dram_gb_trigger_return": "0.01", "stop_grace_seconds": "0",
        ]
        all.merge(more) { $1 }
        let text = all.map { "\"\($0.key)\": \($0.value)" }.sorted().joined(separator: ",\n  ")
        return try scratch.write(scratch.nextName() + ".json", "{\n  \(text)\n}\n")
    }

    private func daemon(_ scratch: Scratch, _ configuration: String) throws -> RunningProgram {
        let state = scratch.path + "/state"
        scratch.expectGroups(ofNode: "a", stateDirectory: state)
        return try RunningProgram(
            Products.distcompd, ["--config", configuration, "--state", state, "--node", "a"], in: scratch)
    }

    @Test("tasks are submitted, run and listed over TLS with a client certificate")
    func tasks() async throws {
        try await withScratch { scratch in
            let configuration = try settings(scratch, certificates)
            let node = try daemon(scratch, configuration)
            try await eventually("connected", node.errors) { node.errors.contains(" connected ") }
            let lines = (1...50).map { "shell:1:0:0:30:echo \($0)" }
            let file = try scratch.write("x.tasks", lines.joined(separator: "\n") + "\n")
            let submitted = try await RunningProgram(
                Products.distcomp, ["submit", file, "--config", configuration], in: scratch
            ).result()
            #expect(submitted.status == 0, "\(submitted.errors)")
            let client = try redis.client()
            try await eventually("50 finished", node.errors) {
                try client.call(.command(.init("HLEN", "finished_tasks"))).int == 50
            }
            // By URL, with the rest from the settings.
            let url = "rediss://:secret@127.0.0.1:\(redis.port ?? 0)"
            let status = try await RunningProgram(
                Products.distcomp, ["status", "--json", "--redis", url, "--config", configuration], in: scratch
            ).result()
            #expect(status.output.contains(#""finished":50"#), "\(status.output)\(status.errors)")
            node.send(SIGTERM)
            #expect(try await node.result().status == 0)
        }
    }

    @Test("a Redis that is replaced by one without our authority's certificate gets nothing from a node that runs")
    func impostor() async throws {
        try await withScratch { scratch in
            let node = try daemon(scratch, try settings(scratch, certificates))
            try await eventually("connected", node.errors) { node.errors.contains(" connected ") }
            let others = try CertificateAuthority()
            let identity = try others.sign(["IP:127.0.0.1"])
            for (from, to) in [
                (identity.certificateFile, authority.directory + "/identity1.crt"),
                (identity.keyFile, authority.directory + "/identity1.key"),
            ] {
                try FileSystem.replace(to, with: try FileSystem.contents(of: from), mode: 0o600)
            }
            try redis.restart()
            try await eventually("its refusal", node.errors) {
                node.errors.contains("certificate verify failed: ") && node.errors.contains("tasks go on")
            }
            #expect(!redis.log.contains("secret"))
            node.send(SIGTERM)
            #expect(try await node.result().status == 0)
        }
    }

    @Test("what is wrong with certificates is one line: a file is exit status 2, a refusal 3")
    func wrong() async throws {
        let others = try CertificateAuthority()
        defer { withExtendedLifetime(others) {} }
        try await withScratch { scratch in
            let cases: [([String: String], Int32, String)] = [
                (["redis_tls_ca_file": "\"/none.crt\""], 2, "redis_tls_ca_file: open /none.crt: No such file"),
                ([:], 3, "set redis_tls_cert_file and redis_tls_key_file"),
                (
                    certificates.merging(["redis_tls_ca_file": "\"\(others.certificateFile)\""]) { $1 }, 3,
                    "certificate verify failed: "
                ),
                (
                    certificates.merging(["redis_tls_server_name": "\"redis.example\""]) { $1 }, 3,
                    "set redis_tls_server_name"
                ),
            ]
            for (wrong, status, problem) in cases {
                let only = wrong.isEmpty ? ["redis_tls_ca_file": "\"\(authority.certificateFile)\""] : wrong
                let configuration = try settings(scratch, only)
                let node = try await daemon(scratch, configuration).result()
                scratch.removeControlGroups()
                #expect(node.status == status, "\(node.errors)")
                let told = node.errorLines.filter { $0.hasPrefix("distcompd: ") }
                #expect(told.count == 1 && told[0].contains(problem), "\(node.errors)")
                let command = try await RunningProgram(
                    Products.distcomp, ["status", "--config", configuration], in: scratch
                ).result()
                #expect(command.status == status && command.errors.contains(problem), "\(command.errors)")
                #expect(command.errorLines.count == 1, "\(command.errors)")
            }
        }
    }
}
