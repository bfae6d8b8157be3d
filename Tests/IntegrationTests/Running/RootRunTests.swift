// `distcomp run` by root: whom its tasks run as, what they cannot reach, and what root does not follow in a directory of theirs.

import Foundation
import Glibc
import LinuxSystem
import Testing

@Suite("distcomp run by root", .aFewAtATime, .enabled(if: Host.isRoot && Products.areReachableByAnybody))
struct RootRunTests {
    private let nobody = Account(named: "nobody")?.userIdentifier ?? 65_534

    /// The words of `distcomp run` with variables of its own, in a directory.
    private func run(
        _ scratch: Scratch, _ variables: [String] = [], in directory: String? = nil, _ words: [String]
    ) async throws -> ProgramResult {
        let program = try RunningProgram(
            "/usr/bin/env", variables + [Products.distcomp] + words, in: scratch, workingDirectory: directory)
        return try await program.result()
    }

    private func output(_ scratch: Scratch, _ state: String = "state") async throws -> String {
        let result = try await run(scratch, ["results", "--format", "jsonl", "--state", state])
        return try result.outputLines.map { try jsonObject(String($0)).string("stdout") ?? "" }.joined()
    }

    private func run(_ scratch: Scratch, _ words: [String]) async throws -> ProgramResult {
        try await run(scratch, [], words)
    }

    @Test("tasks run as the daemon's would, or as who called sudo, or whose the directory is; the first line says so")
    func user() async throws {
        try await withScratch { scratch in
            let theirs = scratch.path + "/theirs"
            #expect(mkdir(theirs, 0o755) == 0 && chown(theirs, 4242, 4242) == 0)
            let usual = Account(named: "distcomp")?.name ?? "nobody"
            let cases: [(variables: [String], directory: String, words: [String], name: String, identity: String)] = [
                ([], scratch.path, [], usual, "\(Account(named: usual)?.userIdentifier ?? 0)"),
                (["SUDO_UID=1", "SUDO_GID=1"], scratch.path, [], "daemon", "1"),
                ([], theirs, [], "4242:4242", "4242"),
                (["SUDO_UID=1", "SUDO_GID=1"], scratch.path, ["--user", "games"], "games", "5"),
                ([], scratch.path, ["--user", "root"], "root", "0"),
            ]
            for (index, one) in cases.enumerated() {
                let state = scratch.path + "/state\(index)"
                scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state + "/node")
                let result = try await run(
                    scratch, one.variables, in: one.directory,
                    ["run", "--state", state] + one.words + ["--", "sh", "-c", "id -u; echo $HOME $USER"])
                #expect(result.status == 0, "\(result.errors)")
                #expect(result.errorLines.first?.hasPrefix("tasks run as \(one.name)") == true, "\(result.errors)")
                let said = try await output(scratch, state)
                #expect(said.hasPrefix(one.identity + "\n"), "\(said)")
                if one.name == "daemon" { #expect(said.contains("/usr/sbin daemon"), "\(said)") }
                if one.name == "root" { #expect(result.errors.contains("not held by caps"), "\(result.errors)") }
            }
        }
    }

    @Test("where nobody else may enter, tasks are root's, and that no cap holds them is said")
    func closedDirectory() async throws {
        try await withScratch { scratch in
            let closed = scratch.path + "/closed"
            #expect(mkdir(closed, 0o700) == 0)
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: closed + "/.distcomp/node")
            let result = try await run(scratch, in: closed, ["run", "--", "true"])
            #expect(result.status == 0)
            #expect(
                result.errorLines.first?.hasPrefix("tasks run as root, for nobody else may enter this directory: ")
                    == true,
                "\(result.errors)")
        }
    }

    @Test("a task reaches neither the run's Redis nor its control group nor the daemon nor the launch that waits")
    func outOfReach() async throws {
        try await withScratch { scratch in
            let run = try Run(
                scratch,
                [
                    "shell:1:0:0:cat SCRATCH/state/redis/password; cat SCRATCH/state/redis/appendonlydir/*",
                    "shell:1:0:0:redis-cli -s SCRATCH/state/redis/sock PING; ls SCRATCH/state/redis",
                    "shell:1:64M:0:60:for p in $(cut -d: -f3- /proc/self/cgroup); do [ $p = / ] && continue;"
                        + " for f in /sys/fs/cgroup/memory$p/memory.limit_in_bytes /sys/fs/cgroup$p/memory.max;"
                        + " do [ -e $f ] && echo 1000000000 > $f && echo raised $f; done; done; true",
                    "shell:0:0:0:60:for p in $PPID $(pgrep -P $PPID -x distcomp-launch) $(pgrep -x -u root redis-server);"
                        + " do kill -STOP $p && echo stopped $p; done; true",
                    "shell:1:64M:0:60:tail /dev/zero",
                ].map { $0.replacing("SCRATCH", with: scratch.path) })
            // One at a time, and last the one that stops what it can: it may stop another task, for that is its user's.
            #expect(try await run.finished("--slots", "1").result.status == 1)
            #expect(try await run.results().count == 5)
            let said = try await output(scratch)
            for word in ["raised", "stopped", "PONG", "todo_tasks"] { #expect(!said.contains(word), "\(said)") }
            #expect(try await run.result(of: "tail /dev/zero").string("cause") == "oom")
            let password = try FileSystem.status(of: run.state + "/redis/password")
            #expect(password.permissions == 0o600 && password.ownerIdentifier == 0)
            #expect(try FileSystem.status(of: run.state + "/redis").permissions == 0o700)
        }
    }

    @Test("the run's Redis asks for a password, which stands in no argument and no environment, and --state knows it")
    func password() async throws {
        try await withScratch { scratch in
            let run = try Run(
                scratch,
                ["shell:1:0:0:echo up >> \(scratch.path)/log; while ! test -e \(scratch.path)/go; do sleep 0.05; done"])
            let program = try run.launch()
            try await eventually("it runs", program.errors) { scratch.lines("log") == ["up"] }
            let password = text(of: run.state + "/redis/password")
            #expect(password.utf8.count > 30)
            let stranger = try await RunningProgram(
                "/usr/bin/redis-cli", ["-s", run.state + "/redis/sock", "PING"], in: scratch
            ).result()
            #expect((stranger.output + stranger.errors).contains("NOAUTH"), "\(stranger.output)")
            for (process, _) in scratch.processes() {
                for file in ["cmdline", "environ"] {
                    let text = String(
                        decoding: (try? FileSystem.contents(of: "/proc/\(process)/\(file)", bytesMax: 4 << 20)) ?? [],
                        as: UTF8.self)
                    #expect(!text.contains(password), "\(process) \(file)")
                }
            }
            let status = try jsonObject(try await run.distcomp("status", "--json").output)
            #expect(status.integer("in_progress") == 1)
            try scratch.write("go", "")
            #expect(try await program.result().status == 0)
            #expect(try await run.distcomp("status", "--json").status == 0)
            #expect(text(of: run.state + "/redis/password") == password)
        }
    }

    @Test("honest work that takes root's rights fails with a hint")
    func hint() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:chown root \(scratch.path)"])
            let result = try await run.launch().result()
            #expect(result.status == 1)
            #expect(result.output.contains("without root's rights"), "\(result.output)")
            #expect(result.output.contains("--user"), "\(result.output)")
        }
    }

    // MARK: A directory of another user's

    /// Puts a link to `target` in the place of `name`, as that user does.
    private func swap(_ path: String, for target: String) {
        unlink(path)
        #expect(symlink(target, path) == 0)
        #expect(lchown(path, nobody, nobody) == 0)
    }

    @Test(
        "in a state directory of another user's, root writes through none of their links, and waits for none of their FIFOs",
        arguments: [
            "node.log", "conf.json", "lock", "redis/password", "redis/redis.log", "node/host/lock", "node/host/lives",
        ], ["link", "fifo"])
    func links(_ name: String, _ kind: String) async throws {
        try await withScratch { scratch in
            let precious = try scratch.write("precious", "untouched\n")
            let identity = ["--reuid=\(nobody)", "--regid=\(nobody)", "--clear-groups"]
            let words = ["run", "--state", "state", "--", "true"]
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
            let first = try await RunningProgram(
                "/usr/bin/setpriv", identity + [Products.distcomp] + words, in: scratch
            )
            .result()
            #expect(first.status == 0, "\(first.errors)")
            let path = scratch.path + "/state/" + name.replacing("host", with: Host.shortName)
            if kind == "link" {
                swap(path, for: precious)
            } else {
                unlink(path)
                #expect(mkfifo(path, 0o666) == 0 && chown(path, nobody, nobody) == 0)
            }
            for words in [words, ["status", "--state", "state"]] {
                let result = try await run(scratch, ["SUDO_UID=\(nobody)"], words)
                #expect([0, 1, 2].contains(result.status), "\(result.errors)")
            }
            #expect(scratch.lines("precious") == ["untouched"])
            let status = try FileSystem.status(of: precious)
            #expect(status.ownerIdentifier == 0 && status.permissions == 0o644)
        }
    }

    @Test(
        "neither is a directory of theirs, of Redis, of the node, or of results, a way out of it",
        arguments: ["redis", "node", "result"])
    func directories(_ name: String) async throws {
        try await withScratch { scratch in
            let roots = scratch.path + "/roots"
            #expect(mkdir(roots, 0o700) == 0 && mkdir(scratch.path + "/state", 0o755) == 0)
            #expect(chown(scratch.path + "/state", nobody, nobody) == 0)
            swap(scratch.path + "/state/" + name, for: roots)
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
            let result = try await run(scratch, ["SUDO_UID=\(nobody)"], ["run", "--state", "state", "--", "true"])
            #expect(result.status == 2 || result.status == 1, "\(result.errors)")
            #expect(try FileSystem.entries(of: roots).isEmpty)
        }
    }

    @Test("a run of another user's can be looked at by root, and goes on to be theirs")
    func lookedAt() async throws {
        try await withScratch { scratch in
            let identity = ["/usr/bin/setpriv", "--reuid=\(nobody)", "--regid=\(nobody)", "--clear-groups"]
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
            let words = [Products.distcomp, "run", "--state", "state", "--", "echo", "theirs"]
            #expect(try await RunningProgram("/usr/bin/env", identity + words, in: scratch).result().status == 0)
            #expect(try await output(scratch) == "theirs\n")
            let logs = try await run(scratch, ["logs", "--state", "state", "*echo*"])
            #expect(logs.output == "theirs\n", "\(logs.errors)")
            let again = try await RunningProgram("/usr/bin/env", identity + words, in: scratch).result()
            #expect(again.status == 0, "\(again.errors)")
            for name in try FileSystem.entries(of: scratch.path + "/state/redis") {
                let owner = try FileSystem.status(of: scratch.path + "/state/redis/" + name).ownerIdentifier
                #expect(owner == nobody, "\(name)")
            }
        }
    }

    @Test("a directory that sudo made belongs to who called it, and its Redis to root")
    func sudo() async throws {
        try await withScratch { scratch in
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
            let variables = ["SUDO_UID=\(nobody)", "SUDO_GID=\(nobody)"]
            let line = "cat state/redis/password || redis-cli -s state/redis/sock PING"
            let result = try await run(scratch, variables, ["run", "--state", "state", "--", "sh", "-c", line])
            #expect(result.errorLines.first == "tasks run as nobody, who called sudo (--user NAME takes another)")
            #expect(try FileSystem.status(of: scratch.path + "/state").ownerIdentifier == nobody)
            #expect(try FileSystem.status(of: scratch.path + "/state/redis").ownerIdentifier == 0)
            #expect(!(try await output(scratch)).contains("PONG"))
        }
    }

    @Test(
        "logs by root shows no file but the task's own, whatever the task put in its place",
        arguments: [
            "ln -s PRECIOUS $O/stdout", "ln PRECIOUS $O/stdout", "mkfifo $O/stdout",
            "rmdir $O; ln -s $(dirname PRECIOUS) $O",
        ])
    func logs(_ trick: String) async throws {
        try await withScratch { scratch in
            let roots = scratch.path + "/roots"
            #expect(mkdir(roots, 0o755) == 0)
            let precious = try scratch.write("roots/stdout", "secret of root\n")
            let command = trick.replacing("PRECIOUS", with: precious)
            let run = try Run(
                scratch,
                [
                    "shell:1:0:0:echo its own; O=$DISTCOMP_OUTPUT_DIR; rm $O/stdout $O/stderr; \(command) 2>&1; touch -h $O/stdout; true"
                ])
            let result = try await run.launch().result()
            #expect(result.status == 0, "\(result.output)")
            // A hard link is not for tasks to make where the kernel protects root's files from them, so root makes it here.
            if trick.hasPrefix("ln PRECIOUS") {
                for folder in try FileSystem.entries(of: run.state + "/result") {
                    link(precious, run.state + "/result/\(folder)/stdout")
                }
            }
            let logs = try await run.distcomp("logs", "*its own*")
            #expect(!logs.output.contains("secret"), "\(logs.output)")
            #expect(logs.output.hasPrefix("its own\n") || logs.status != 0, "\(logs.output) \(logs.errors)")
        }
    }

    @Test("a run that an earlier version began, with its queue beside the rest, goes on")
    func earlierLayout() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, ["shell:1:0:0:echo once >> \(scratch.path)/log"])
            #expect(try await run.finished().result.status == 0)
            #expect(rename(run.state + "/redis/appendonlydir", run.state + "/appendonlydir") == 0)
            try FileSystem.removeTree(run.state + "/redis")
            #expect(try await run.finished().result.status == 0)
            #expect(scratch.lines("log") == ["once"])
            #expect(!FileSystem.exists(run.state + "/appendonlydir"))
        }
    }

    @Test("a node and a run of an ordinary user can be traced by none of their tasks")
    func tracing() async throws {
        try await withScratch { scratch in
            let identity = ["/usr/bin/setpriv", "--reuid=\(nobody)", "--regid=\(nobody)", "--clear-groups"]
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
            let line =
                "N=$PPID; R=$(cut -d' ' -f4 /proc/$N/stat); for p in $N $R; do cat /proc/$p/comm; tr '\\0' '\\n' < /proc/$p/environ; done"
            let words = [Products.distcomp, "run", "--state", "state", "--", "sh", "-c", line]
            _ = try await RunningProgram("/usr/bin/env", identity + words, in: scratch).result()
            let result = try await run(scratch, ["results", "--json", "--state", "state"])
            let told = try jsonObject(result.output)
            #expect(told.integer("exit_code") != 0, "\(told)")
            #expect(told.string("stderr_tail")?.contains("Permission denied") == true, "\(told)")
        }
    }

    @Test("whoever leaves the control group of its task is told, with the task it was of")
    func leaver() async throws {
        guard let group = try ControlGroupMounts.current().unified else { return }
        try await withScratch { scratch in
            let settings = try scratch.write(
                "own.json",
                "{\"memory_caps\": \"best-effort\", \"result_dir\": \"\(scratch.path)/result\", \"health_report_interval\": 0.2}"
            )
            let run = try Run(
                scratch, ["shell:1:0:0:setsid sleep 1000.125 & while ! test -e \(scratch.path)/go; do sleep 0.05; done"]
            )
            let program = try run.launch("--config", settings)
            var process: pid_t = 0
            try await eventually("it runs", program.errors) {
                process = scratch.processes().first { $0.command == "sleep 1000.125" }?.process ?? 0
                return process > 0
            }
            // As a service manager would: into the group of this test.
            let file = try OwnedDescriptor.open(group + "/cgroup.procs", [.writeOnly])
            try file.writeAll(Array("\(process)".utf8), subject: group)
            try await eventually("it is told", program.errors) {
                program.errors.contains("process \(process) (sleep) of task ")
            }
            kill(process, SIGKILL)
            try scratch.write("go", "")
            let result = try await program.result()
            #expect(result.errors.split(separator: "has left its control group").count == 2, "\(result.errors)")
        }
    }

    @Test("under a closed umask a task of another user still reaches its own folder")
    func closedUmask() async throws {
        try await withScratch { scratch in
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
            let line =
                "umask 077; exec \(Products.distcomp) run --state state -- sh -c 'echo > $DISTCOMP_OUTPUT_DIR/made'"
            let result = try await RunningProgram("/bin/sh", ["-c", line], in: scratch).result()
            #expect(result.status == 0, "\(result.output)")
        }
    }

    // MARK: As whoever types it expects

    @Test("tasks and outputs of a run are made under the umask of who typed it", arguments: ["027", "002", "077"])
    func umask(_ mask: String) async throws {
        try await withScratch { scratch in
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
            let line =
                "umask $0; exec \(Products.distcomp) run --state state -- sh -c 'umask; touch made; mkdir folder; head -c 100000 /dev/zero >&2'"
            let result = try await RunningProgram("/bin/sh", ["-c", line, mask], in: scratch).result()
            #expect(result.status == 0, "\(result.errors)")
            #expect(try await output(scratch) == "0\(mask)\n")
            let bits = try #require(UInt32(mask, radix: 8))
            #expect(try FileSystem.status(of: scratch.path + "/made").permissions == 0o666 & ~bits)
            let results = scratch.path + "/state/result"
            let folder = try #require(try FileSystem.entries(of: results).first)
            #expect(try FileSystem.status(of: results + "/" + folder).permissions == 0o777 & ~bits)
            #expect(try FileSystem.status(of: "\(results)/\(folder)/stdout").permissions == 0o666 & ~bits)
        }
    }

    @Test("a task keeps its caller's environment, but for what leads to a service manager")
    func environment() async throws {
        try await withScratch { scratch in
            let withheld = [
                "XDG_RUNTIME_DIR=/run/user/0", "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/0/bus", "INVOCATION_ID=1",
            ]
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
            let result = try await run(
                scratch, withheld + ["DOCKER_HOST=unix:///d", "OWN=1"], ["run", "--state", "state", "--", "env"])
            #expect(result.status == 0, "\(result.errors)")
            let said = try await output(scratch)
            #expect(said.contains("\nOWN=1\n") && said.contains("\nDOCKER_HOST="), "\(said)")
            for name in withheld { #expect(!said.contains(name.prefix { $0 != "=" }), "\(said)") }
        }
    }
}
