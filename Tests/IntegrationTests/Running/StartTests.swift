// Every way a daemon cannot start: one clear line each, and the exit status that scripts go by.

import Foundation
import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("distcompd at its start", .aFewAtATime)
struct StartTests {
    /// Starts a daemon that is expected to end by itself. Whether it leaves control groups has a test of its own.
    private func refused(
        _ scratch: Scratch, _ configuration: String, _ options: String..., removingGroups: Bool = true
    ) async throws -> ProgramResult {
        let path = try scratch.write("conf.json", configuration)
        let state = scratch.path + "/state"
        scratch.expectGroups(ofNode: "a", stateDirectory: state)
        let result = try await RunningProgram(
            Products.distcompd, ["--config", path, "--state", state, "--node", "a"] + options, in: scratch
        ).result()
        if removingGroups { scratch.removeControlGroups() }
        return result
    }

    @Test(
        "a daemon that is refused after it has made its control groups removes them")
    func leavesNoGroups() async throws {
        try await withScratch { scratch in
            let url = "unix://\(scratch.path)/none.sock"
            let result = try await refused(scratch, plain(scratch), "--redis", url, removingGroups: false)
            #expect(result.status == 3)
            let groups = try scratch.controlGroups()
            #expect(groups.isEmpty)
        }
    }

    /// A process in a group of the v2 tree below our own, which is removed again.
    private func withProcess(
        in group: String, _ scratch: Scratch, variable: String = "A=1",
        _ body: (RunningProgram) async throws -> Void
    ) async throws {
        var paths = [try #require(try ControlGroupMounts.current().unified)]
        for part in group.split(separator: "/") { paths.append(paths[paths.count - 1] + "/" + part) }
        let program = try RunningProgram("/usr/bin/env", [variable, "sleep", "6061"], in: scratch)
        var failure: (any Error)?
        do {
            for path in paths.dropFirst() where mkdir(path, 0o755) != 0 && errno != EEXIST {
                throw SystemError.last("mkdir", path)
            }
            let file = try OwnedDescriptor.open(paths[paths.count - 1] + "/cgroup.procs", [.writeOnly])
            try file.writeAll(Array("\(program.process)".utf8), subject: "cgroup.procs")
            try await body(program)
        } catch {
            failure = error
        }
        program.send(SIGKILL)
        try await program.result()
        // Those that another process is in as well are removed with that.
        for path in paths.dropFirst().reversed() { rmdir(path) }
        #expect(!FileSystem.exists(paths[paths.count - 1]))
        if let failure { throw failure }
    }

    @Test(
        "what an earlier life left running is ended wherever its group is, as under systemd, where each run has a scope of its own",
        .enabled(if: Host.isRoot))
    func leftoversElsewhere() async throws {
        try await withScratch { scratch in
            let group = scratch.groupName(ofNode: "a", stateDirectory: scratch.path + "/state")
            try await withProcess(in: "test-scope-\(getpid())/\(group)/tasks/7.1", scratch) { task in
                let result = try await refused(scratch, plain(scratch), "--clear")
                #expect(result.status == 0, "\(result)")
                #expect(result.errors.contains("ended 1 processes that an earlier life"), "\(result.errors)")
                #expect(try await task.result().ending == .signal(SIGKILL))
            }
        }
    }

    @Test(
        "a task of a living node of the same name, as one in another container has, is none of ours",
        .enabled(if: Host.isRoot))
    func tasksOfATwin() async throws {
        try await withScratch { scratch in
            let group = scratch.groupName(ofNode: "a", stateDirectory: scratch.path + "/state")
            let mark = "DISTCOMP_NODE_MARK=\(group.dropFirst("distcomp.".count)) 1:1"
            try await withProcess(in: "test-marked-\(getpid())/\(group)/tasks/7.1", scratch, variable: mark) { task in
                let result = try await refused(scratch, plain(scratch), "--clear")
                #expect(result.status == 0 && !task.hasEnded, "\(result)")
            }
            try await withProcess(in: "test-twin-\(getpid())/\(group)/tasks/7.1", scratch) { task in
                try await withProcess(in: "test-twin-\(getpid())/\(group)/supervisor", scratch) { _ in
                    let result = try await refused(scratch, plain(scratch), "--clear")
                    #expect(result.status == 0, "\(result)")
                    #expect(!result.errors.contains("earlier life"), "\(result.errors)")
                    #expect(!task.hasEnded)
                }
            }
        }
    }

    @Test("a node, or pages, whose run has ended before they could ask to be told end by themselves")
    func runThatHasEnded() async throws {
        try await withScratch { scratch in
            let node = try await refused(scratch, plain(scratch), "--serve-parent=1")
            #expect(
                node.status == 2 && node.errors.contains("the run that this node was to serve has ended"), "\(node)")
            let words = ["web", "--state", scratch.path + "/run", "--listen", "0", "--of-run", "1"]
            let pages = try await RunningProgram(Products.distcomp, words, in: scratch).result()
            #expect(
                pages.status == 1 && pages.errors.contains("the run that these pages were to show has ended"),
                "\(pages)")
        }
    }

    /// The lines that are no log lines: what the operator is told.
    private func told(_ result: ProgramResult) -> [Substring] {
        result.errorLines.filter { $0.hasPrefix("distcompd: ") }
    }

    private func plain(_ scratch: Scratch, _ more: String = "") -> String {
        """
        {"result_dir": "\(scratch.path)/result", "task_user": "nobody", "min_dram_gb_accept_new_task": 0.02,
         "min_dram_gb_trigger_return": 0.01\(more.isEmpty ? "" : ", " + more)}
        """
    }

    @Test("a Redis that cannot be reached is one line and exit status 3")
    func unreachable() async throws {
        try await withScratch { scratch in
            let result = try await refused(scratch, plain(scratch), "--redis", "unix://\(scratch.path)/none.sock")
            #expect(result.status == 3)
            #expect(told(result).count == 1)
            #expect(told(result).first?.contains("\(scratch.path)/none.sock") == true, "\(result.errors)")
        }
    }

    @Test("a wrong password is one line that does not show it, and exit status 3")
    func wrongPassword() async throws {
        let redis = try RedisServerFixture(listening: .port, password: "right")
        defer { redis.stop() }
        let port = try #require(redis.port)
        try await withScratch { scratch in
            for password in [#""redis_pass": "wr0ng""#, #""redis_pass": null"#] {
                let result = try await refused(scratch, plain(scratch, "\(password), \"redis_port\": \(port)"))
                #expect(result.status == 3)
                #expect(told(result).count == 1)
                #expect(told(result).first?.contains("127.0.0.1:\(port)") == true, "\(result.errors)")
                #expect(told(result).first?.contains("password") == true, "\(result.errors)")
                #expect(!result.errors.contains("wr0ng"))
            }
        }
    }

    @Test("the right password lets it in")
    func rightPassword() async throws {
        let redis = try RedisServerFixture(listening: .port, password: "right")
        defer { redis.stop() }
        let port = try #require(redis.port)
        try await withScratch { scratch in
            let settings = plain(scratch, "\"redis_pass\": \"right\", \"redis_port\": \(port)")
            let path = try scratch.write("conf.json", settings)
            let state = scratch.path + "/state"
            scratch.expectGroups(ofNode: "a", stateDirectory: state)
            let program = try RunningProgram(
                Products.distcompd, ["--config", path, "--state", state, "--node", "a"], in: scratch)
            try await eventually("connected", program.errors) { program.errors.contains("connected") }
            program.send(15)
            #expect(try await program.result().status == 0)
        }
    }

    @Test("a conf.json that is no JSON is one line with its place, and exit status 2")
    func brokenJSON() async throws {
        try await withScratch { scratch in
            let result = try await refused(scratch, "{\n  \"redis_port\": 6379,\n  oops\n}\n")
            #expect(result.status == 2)
            #expect(told(result).count == 1)
            #expect(told(result).first?.contains("/conf.json:3:3: ") == true, "\(result.errors)")
        }
    }

    @Test("all settings that are wrong are named at once, each with place, value and what is allowed")
    func wrongSettings() async throws {
        try await withScratch { scratch in
            let configuration = """
                {
                  "redis_port": 0,
                  "redis_db": -1,
                  "lease_seconds": "soon",
                  "min_dram_gb_accept_new_task": 1,
                  "min_dram_gb_trigger_return": "two",
                  "task_umask": "9",
                  "max_retry_per_task": 1e30
                }
                """
            let result = try await refused(scratch, configuration)
            #expect(result.status == 2)
            #expect(told(result).count == 6, "\(result.errors)")
            let named = [
                "redis_port is 0", "redis_db is -1", "lease_seconds is \"soon\"",
                "min_dram_gb_trigger_return is \"two\"",
                "task_umask is \"9\"", "max_retry_per_task is 1e30",
            ]
            for (setting, place) in zip(named, [":2:", ":3:", ":4:", ":6:", ":7:", ":8:"]) {
                let line = told(result).first { $0.contains(setting) }
                #expect(line?.contains("/conf.json" + place) == true, "\(setting): \(result.errors)")
                #expect(line?.contains("allowed") == true, "\(line ?? "")")
            }
        }
    }

    @Test("a configuration that is missing, or a directory, is one line and exit status 2")
    func missingConfiguration() async throws {
        try await withScratch { scratch in
            for path in [scratch.path + "/none.json", scratch.path] {
                let result = try await RunningProgram(Products.distcompd, ["--config", path], in: scratch).result()
                #expect(result.status == 2)
                #expect(result.errorLines.count == 1)
                #expect(result.errors.contains(path + ": "), "\(result.errors)")
            }
        }
    }

    @Test("a result_dir that cannot be made is one line and exit status 2")
    func resultDirectory() async throws {
        try await withScratch { scratch in
            try scratch.write("file", "")
            let configuration = "{\"result_dir\": \"\(scratch.path)/file/result\", \"task_user\": \"nobody\"}"
            let result = try await refused(scratch, configuration)
            #expect(result.status == 2)
            #expect(told(result).count == 1)
            #expect(result.errors.contains("/file/result: Not a directory"), "\(result.errors)")
        }
    }

    @Test("an unknown setting is a warning with the nearest name, and the daemon starts")
    func unknownSetting() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["lease_second": "30"])
            let warning = node.log.split(separator: "\n").first { $0.contains("\"lease_second\"") }
            #expect(warning?.contains("did you mean lease_seconds?") == true, "\(node.log)")
            #expect(warning?.contains(" warning ") == true)
            try await node.stop()
        }
    }

    @Test("a Redis that may evict tasks is refused")
    func eviction() async throws {
        try await withFleet(redis: ["maxmemory 100mb", "maxmemory-policy allkeys-lru"]) { fleet in
            let result = try await fleet.node("a").launch().result()
            fleet.scratch.removeControlGroups()
            #expect(result.status == 3)
            #expect(told(result).count == 1)
            #expect(told(result).first?.contains("maxmemory-policy allkeys-lru") == true, "\(result.errors)")
            #expect(told(result).first?.contains("noeviction") == true)
        }
    }

    @Test("a second daemon of one name on a machine is refused, and the first goes on")
    func twins() async throws {
        try await withFleet { fleet in
            let first = try await fleet.startedNode("a")
            let second = try await fleet.node("a").launch().result()
            #expect(second.status == 2)
            #expect(told(second).count == 1)
            #expect(told(second).first?.contains("another distcompd runs here as node \"a\"") == true)
            try await fleet.submit(["shell:1:0:0:true"])
            try await fleet.untilFinished(1)
            #expect(try await first.stop().status == 0)
        }
    }

    @Test("a node whose last life's lock is let go of a moment late starts all the same")
    func lateLock() async throws {
        try await withFleet { fleet in
            let node = try fleet.node("a")
            let directory = fleet.scratch.path + "/state/a"
            try FileSystem.createDirectories(directory, mode: 0o750)
            let file = try OwnedDescriptor.open(directory + "/lock", [.readWrite, .create], mode: 0o600)
            let isLocked = try file.tryLock(subject: "lock")
            #expect(isLocked)
            let lock = SharedDescriptor(file)
            let events = try OpenEvents(of: directory + "/lock")
            // In a thread of its own: the node waits two seconds, which a test among many may have to wait for its next turn.
            Thread.detachNewThread {
                events.waitForOne()
                flock(lock.raw, LOCK_UN)
            }
            let program = try node.launch()
            try await eventually("it serves", program.errors) { try fleet.hash("worker_status")["a"] != nil }
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("a name that another machine uses is refused, and the tasks of that machine stay its own")
    func nameTaken() async throws {
        try await withFleet { fleet in
            let first = try await fleet.startedNode("a")
            // Another state directory is to the queue what another machine is.
            let state = fleet.scratch.path + "/elsewhere"
            fleet.scratch.expectGroups(ofNode: "a", stateDirectory: state)
            let second = try await RunningProgram(
                Products.distcompd,
                [
                    "--config", first.configurationPath, "--redis", fleet.redisURL, "--state", state, "--node", "a",
                ], in: fleet.scratch
            ).result()
            #expect(second.status == 3)
            #expect(told(second).count == 1, "\(second.errors)")
            // The first one's are in use, and stay.
            fleet.scratch.removeControlGroups(ofNode: "a", stateDirectory: state)
            try await fleet.submit(["shell:1:0:0:true"])
            try await fleet.untilFinished(1)
            #expect(try await first.stop().status == 0)
        }
    }

    @Test("an unknown option is named with the usage, exit status 2; --help and --version are printed, 0")
    func options() async throws {
        try await withScratch { scratch in
            let unknown = try await RunningProgram(Products.distcompd, ["--frobnicate"], in: scratch).result()
            #expect(unknown.status == 2)
            #expect(unknown.errorLines.first == "distcompd: unknown option --frobnicate")
            #expect(unknown.output.isEmpty)
            let help = try await RunningProgram(Products.distcompd, ["--help"], in: scratch).result()
            #expect(help.status == 0)
            #expect(help.output.hasPrefix("usage: distcompd ") && help.errors.isEmpty)
            let version = try await RunningProgram(Products.distcompd, ["--version"], in: scratch).result()
            #expect(version.status == 0)
            #expect(version.output.hasPrefix("distcompd "))
            for missing in [["--config"], ["--node="]] {
                let result = try await RunningProgram(Products.distcompd, missing, in: scratch).result()
                #expect(result.status == 2)
            }
        }
    }

    @Test("a user of tasks that does not exist, and a name no node may have, are refused by name")
    func wrongNames() async throws {
        try await withScratch { scratch in
            let user = try await refused(scratch, "{\"task_user\": \"no-such-user\"}")
            #expect(user.status == 2)
            #expect(told(user).first?.contains("no user \"no-such-user\"") == true, "\(user.errors)")
            let node = try await RunningProgram(Products.distcompd, ["--node", "a/b"], in: scratch).result()
            #expect(node.status == 2)
            #expect(node.errors.contains("node_name \"a/b\""), "\(node.errors)")
        }
    }

    @Test("the conf.json of the old system starts as it is")
    func oldConfiguration() async throws {
        let redis = try RedisServerFixture(listening: .port)
        defer { redis.stop() }
        let port = try #require(redis.port)
        try await withScratch { scratch in
            let path = try scratch.write(
                "conf.json",
                """
                {
                    "min_dram_gb_accept_new_task": 0.5,
                    "min_dram_gb_trigger_return": 0.1,
                    "sleep_sec_between_accepting_task": 2,
                    "health_report_interval": 1,
                    "max_task_per_worker": 8,
                    "max_retry_per_task": 3,
                    "default_task_timeout_seconds": 3600,
                    "task_timeout_check_interval": 30,
                    "result_dir": "\(scratch.path)/result",
                    "redis_host": "127.0.0.1",
                    "redis_port": \(port),
                    "redis_pass": "",
                    "redis_db": 0
                }
                """)
            // The state directory is the only thing given: the tests are not to touch /var/lib.
            let state = scratch.path + "/state"
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state)
            let program = try RunningProgram(Products.distcompd, ["--config", path, "--state", state], in: scratch)
            try await eventually("in worker_status", program.errors) {
                try redis.client().call(.command(.init("HLEN", "worker_status"))).int == 1
            }
            #expect(!program.errors.contains("it is ignored"), "\(program.errors)")
            program.send(15)
            #expect(try await program.result().status == 0)
        }
    }

    @Test("the conf.json of this repository starts on a machine of any size")
    func ownConfiguration() async throws {
        try await withFleet { fleet in
            let state = fleet.scratch.path + "/state"
            fleet.scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state)
            let program = try RunningProgram(
                Products.distcompd,
                ["--config", Products.package + "/conf.json", "--state", state, "--redis", fleet.redisURL],
                in: fleet.scratch)
            try await eventually("connected", program.errors) { program.errors.contains(" connected ") }
            let warnings = program.errors.split(separator: "\n").filter { $0.contains(" warning ") }
            #expect(warnings.allSatisfy { $0.contains("no user \"distcomp\"") }, "\(warnings)")
            program.send(15)
            #expect(try await program.result().status == 0)
        }
    }
}

/// Tells when a file is opened (inotify(7)).
private final class OpenEvents: Sendable {
    private let descriptor: Int32

    init(of path: String) throws {
        descriptor = inotify_init1(Int32(IN_CLOEXEC))
        guard descriptor >= 0, inotify_add_watch(descriptor, path, UInt32(IN_OPEN)) >= 0 else {
            throw SystemError.last("inotify", path)
        }
    }

    deinit { close(descriptor) }

    /// Returns once the file has been opened, or is gone.
    func waitForOne() {
        var events = [UInt8](repeating: 0, count: 4_096)
        while read(descriptor, &events, events.count) < 0 && errno == EINTR {}
    }
}
