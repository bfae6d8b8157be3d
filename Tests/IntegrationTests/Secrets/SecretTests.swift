// What the daemon knows, its tasks do not find out.

import Foundation
import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("Secrets of the daemon", .aFewAtATime)
struct SecretTests {
    /// A file for root alone, unless `mode` says otherwise.
    private func secretFile(_ scratch: Scratch, _ name: String, _ text: String, mode: mode_t = 0o600) throws -> String {
        let path = try scratch.write(name, text)
        try #require(chmod(path, mode) == 0)
        return path
    }

    @Test(
        "a task finds neither the password nor the key, in files, arguments, environment, memory or descriptors",
        .enabled(if: Host.isRoot))
    func outOfReach() async throws {
        let redis = try RedisServerFixture(password: "s3cret-password")
        defer { redis.stop() }
        try await withScratch { scratch in
            let password = try secretFile(scratch, "password", "s3cret-password\n")
            let key = try secretFile(scratch, "task.key", "s3cret-key-of-more-than-thirty-two-bytes\n")
            let certificateKey = try secretFile(scratch, "tls.key", "s3cret-key\n")
            let configuration = try secretFile(
                scratch, "conf.json",
                """
                {"redis_pass_file": "\(password)", "task_key_file": "\(key)", "task_user": "nobody",
                 "result_dir": "\(scratch.path)/result", "min_dram_gb_accept_new_task": 0.02,
                 "min_dram_gb_trigger_return": 0.01, "stop_grace_seconds": 0}
                """)
            let state = scratch.path + "/state"
            let url = "unix://" + redis.socketPath
            scratch.expectGroups(ofNode: "a", stateDirectory: state)
            let node = try RunningProgram(
                Products.distcompd,
                ["--config", configuration, "--state", state, "--node", "a", "--redis", url], in: scratch)
            try await eventually("connected", node.errors) { node.errors.contains(" connected ") }
            #expect(!node.errors.contains("warning"), "\(node.errors)")

            // Every place one might look, each refusal a line; what can be read would be in the output.
            let places = [password, key, certificateKey, configuration, "/proc/$PPID/environ", "/proc/$PPID/mem"]
            let looking = places.map { "cat \($0) || echo refused" }.joined(separator: "; ")
            let line = "shell:1:0:0:30:\(looking); ls /proc/$PPID/fd/0 || echo refused; cat /proc/$PPID/cmdline; env"
            let file = try scratch.write("x.tasks", line + "\n")
            let submitted = try await RunningProgram(
                Products.distcomp, ["submit", file, "--config", configuration, "--redis", url], in: scratch
            ).result()
            try #require(submitted.status == 0, "\(submitted.errors)")
            let client = try redis.client()
            let output = try await eventually("its end") {
                try client.call(.command(.init("HGET", "finished_tasks", line))).string
            }
            #expect(output.components(separatedBy: "refused").count - 1 == places.count + 1, "\(output)")
            #expect(!output.contains("s3cret"), "\(output)")
            #expect(!node.errors.contains("s3cret"))
            node.send(SIGTERM)
            #expect(try await node.result().status == 0)
        }
    }

    @Test("a file with a secret that tasks can read is warned of, by the daemon and by doctor")
    func readable() async throws {
        let redis = try RedisServerFixture(password: "s3cret")
        defer { redis.stop() }
        try await withScratch { scratch in
            let password = try secretFile(scratch, "password", "s3cret\n", mode: 0o644)
            let configuration = try scratch.write(
                "conf.json",
                """
                {"redis_pass_file": "\(password)", "task_user": "nobody", "result_dir": "\(scratch.path)/result",
                 "min_dram_gb_accept_new_task": 0.02, "min_dram_gb_trigger_return": 0.01}
                """)
            let url = "unix://" + redis.socketPath
            let warning =
                "tasks can read \(password), which holds a secret: chown root \(password); chmod 640 \(password)"
            let doctor = try await RunningProgram(
                Products.distcomp, ["doctor", "--config", configuration, "--redis", url], in: scratch
            ).result()
            #expect(doctor.output.contains(warning), "\(doctor.output)")
            #expect(doctor.output.contains("warning  secrets"))
            #expect(chmod(password, 0o640) == 0)
            let better = try await RunningProgram(
                Products.distcomp, ["doctor", "--config", configuration, "--redis", url], in: scratch
            ).result()
            #expect(!better.output.contains("secrets"), "\(better.output)")
            // The settings themselves count where the password stands in them.
            let inside = try scratch.write(
                "inside.json", text(of: configuration).replacing("\"redis_pass_file\"", with: "\"redis_pass\""))
            let told = try await RunningProgram(
                Products.distcomp, ["doctor", "--config", inside, "--redis", url], in: scratch
            ).result()
            #expect(told.output.contains("tasks can read \(inside), which holds a secret"), "\(told.output)")
        }
    }
}
