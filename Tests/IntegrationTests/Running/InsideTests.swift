// What a task finds around it, and that nothing of it outlives its end. Root's daemon, tasks as nobody.

import Foundation
import Glibc
import LinuxSystem
import TaskModel
import Testing

@Suite("inside a task of root's daemon", .aFewAtATime, .enabled(if: Host.isRoot, "needs root"))
struct InsideTests {
    /// Runs one line on a node of these settings; its result, as `distcomp results` prints it.
    private func result(
        of line: String, _ settings: [String: String] = [:], _ also: (Fleet, Node) async throws -> Void = { _, _ in }
    ) async throws -> [String: Any] {
        var found: [String: Any] = [:]
        try await withFleet { fleet in
            var all = ["max_retry_per_task": "0"]
            all.merge(settings) { $1 }
            let node = try await fleet.startedNode("a", all)
            try await fleet.submit([line.replacing("SCRATCH", with: fleet.scratch.path)])
            try await also(fleet, node)
            try await fleet.untilIdle()
            let lines = try await fleet.distcomp("results", "--format", "jsonl").outputLines
            #expect(lines.count == 1)
            found = try jsonObject(String(try #require(lines.first)))
            let groups = try fleet.scratch.taskGroupsInUse()
            #expect(groups.isEmpty, "what a task left outlived it")
            #expect(try await node.stop().status == 0)
            #expect(try fleet.scratch.taskGroups().isEmpty)
        }
        return found
    }

    private func output(of line: String, _ settings: [String: String] = [:]) async throws -> [Substring] {
        let result = try await result(of: line, settings)
        #expect(result.string("cause") == "exit" && result.integer("exit_code") == 0, "\(result)")
        return try #require(result.string("stdout")).split(separator: "\n")
    }

    @Test("the user is nobody, no capability is left, none can be gained, and signals are as a new process expects")
    func credentials() async throws {
        let nobody = try #require(Account(named: "nobody"))
        var status: [Substring: String] = [:]
        for line in try await output(of: "shell:1:0:0:cat /proc/self/status") {
            let fields = line.split(separator: ":", maxSplits: 1)
            status[fields[0]] =
                fields.count > 1 ? fields[1].split(whereSeparator: \.isWhitespace).joined(separator: " ") : ""
        }
        let user = Array(repeating: "\(nobody.userIdentifier)", count: 4).joined(separator: " ")
        #expect(status["Uid"] == user)
        #expect(status["Groups"].map { $0.split(separator: " ").contains("0") } == false)
        #expect(status["Gid"]?.split(separator: " ").contains("0") == false)
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            #expect(status[Substring(set)] == "0000000000000000", "\(set)")
        }
        #expect(status["NoNewPrivs"] == "1")
        #expect(status["SigBlk"] == "0000000000000000")
        #expect(status["SigIgn"] == "0000000000000000")
        #expect(status["Umask"] == "0022")
    }

    @Test("the daemon itself can pass on no capability but those its work needs")
    func boundingSet() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            let status = text(of: "/proc/\(node.process)/status").split(separator: "\n")
            let line = try #require(status.first { $0.hasPrefix("CapBnd:") })
            let set = try #require(UInt64(line.dropFirst("CapBnd:".count).trimmingPrefix("\t"), radix: 16))
            let needed = Capability.allCases.reduce(UInt64(0)) { $0 | 1 << UInt64($1.rawValue) }
            #expect(set & ~needed == 0, "\(line)")
            try await node.stop()
        }
    }

    @Test("descriptors are 0, 1 and 2 only: nothing, and the two files of its output")
    func descriptors() async throws {
        // Without a shell, which would have pipes of its own open. What ls opens is the directory it reads.
        let lines = try await output(of: "shell:1:0:0:ls -l /proc/self/fd").filter { $0.contains(" -> ") }
        let files = lines.compactMap { $0.split(separator: ">").first?.split(separator: " ").dropLast().last }
        #expect(files == ["0", "1", "2", "3"], "\(lines)")
        #expect(lines.first?.hasSuffix("0 -> /dev/null") == true, "\(lines)")
        // Files without a name: so the kernel calls them.
        let places = lines.dropFirst().prefix(2)
        #expect(places.allSatisfy { $0.contains("/result-") && $0.hasSuffix(" (deleted)") }, "\(lines)")
        #expect(Set(places).count == 2, "\(lines)")
        #expect(lines.last?.hasSuffix("/fd") == true, "\(lines)")
    }

    @Test("it leads a session of its own, under the umask of the settings, and may not dump core")
    func sessionAndLimits() async throws {
        let lines = try await output(
            of: "shell:1:0:0:cut -d' ' -f1,6 /proc/$$/stat; umask; ulimit -c; ulimit -f",
            ["task_umask": "\"027\"", "max_output_bytes": "5120"])
        let stat = try #require(lines.first).split(separator: " ")
        #expect(stat[0] == stat[1])
        #expect(lines.dropFirst() == ["0027", "0", "10"])
    }

    @Test("the environment is a clean one with what the task may want to know, and nothing of the daemon's")
    func environment() async throws {
        let lines = try await output(of: "shell:1:1M:1.5:env")
        let variables = Dictionary(
            lines.map { $0.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false) }
                .map { (String($0[0]), String($0.last ?? "")) }, uniquingKeysWith: { $1 })
        #expect(variables["DISTCOMP_TASK"]?.count == 16)
        #expect(variables["DISTCOMP_ATTEMPT"] == "1")
        #expect(variables["DISTCOMP_MEMORY_BYTES"] == "1048576")
        #expect(variables["DISTCOMP_CORES"] == "1.5")
        #expect(variables["DISTCOMP_OUTPUT_DIR"]?.hasPrefix("/tmp/distcomp-test-") == true)
        #expect(variables["USER"] == "nobody" && variables["LOGNAME"] == "nobody")
        #expect(variables["PATH"]?.contains("/usr/bin") == true)
        let known: Set = [
            "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "PWD", "OLDPWD", "SHLVL", "_", "DISTCOMP_TASK",
            "DISTCOMP_ATTEMPT", "DISTCOMP_MEMORY_BYTES", "DISTCOMP_CORES", "DISTCOMP_OUTPUT_DIR",
            "DISTCOMP_DEADLINE", "DISTCOMP_NODE_MARK",
        ]
        #expect(Set(variables.keys).subtracting(known).isEmpty, "\(variables.keys.sorted())")
    }

    @Test("a task of whole cores is told how many threads to start, one of parts of cores is not")
    func threads() async throws {
        let names = TaskVariables.threads
        let told = try await output(of: "shell:1:0:1:env")
        for name in names { #expect(told.contains("\(name)=1"), "\(name)") }
        let untold = try await output(of: "shell:1:0:0.5:env")
        #expect(!untold.contains { line in names.contains { line.hasPrefix($0 + "=") } })
    }

    @Test("pinned tasks of one core each run on processors of their own", .enabled(if: Host.coreCount > 1))
    func pinned() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["cpu_limit": #""pin""#])
            // Each waits until the other has begun too.
            let begun = fleet.scratch.path + "/begun"
            mkdir(begun, 0o777)
            chmod(begun, 0o777)
            try await fleet.submit(
                (1...2).map {
                    "shell:1:0:1:grep Cpus_allowed_list /proc/self/status; touch \(begun)/\($0); "
                        + "until [ -e \(begun)/1 ] && [ -e \(begun)/2 ]; do sleep 0.05; done"
                })
            try await fleet.untilIdle()
            let lines = try await fleet.distcomp("results", "--format", "jsonl").outputLines
            let processors = try lines.map { try jsonObject(String($0)).string("stdout") ?? "" }
            #expect(Set(processors).count == 2)
            for text in processors { #expect(text.wholeMatch(of: /Cpus_allowed_list:\t[0-9]+\n/) != nil, "\(text)") }
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("a daemon that a task leaves, in a session of its own and forked twice, dies with the task")
    func escapedDaemon() async throws {
        let line = "shell:1:0:0:setsid sh -c 'setsid sleep 1000.25 & exit' </dev/null >/dev/null 2>&1; echo main ends"
        let result = try await result(of: line) { fleet, _ in
            try await fleet.untilIdle()
            #expect(fleet.scratch.processes(with: "sleep 1000.25").isEmpty)
        }
        #expect(result.string("stdout") == "main ends\n")
        #expect(result.string("state") == "finished")
    }

    @Test("a grandchild that holds standard output does not hold up its task's end")
    func heldOutput() async throws {
        let result = try await result(of: "shell:1:0:0:1000:sleep 1000.5 & echo main ends")
        #expect(result.string("stdout") == "main ends\n")
        #expect((result["wall_seconds"] as? Double ?? 1000) < 30)
    }

    @Test("a task past its timeout is told to end, and ends as a timeout even when it exits 0 then")
    func timeout() async throws {
        let line = "shell:1:0:0:1:trap 'echo told; exit 0' TERM; while true; do sleep 0.01; done"
        let result = try await result(of: line, ["kill_grace_seconds": "30"])
        #expect(result.string("cause") == "timeout")
        #expect(result.string("reason")?.hasPrefix("timeout (1 s)") == true)
        #expect(text(of: result.string("stdout_path") ?? "").isEmpty, "the files went with the test")
        let seconds = result["wall_seconds"] as? Double ?? 0
        #expect(seconds >= 1 && seconds < 30)
    }

    @Test("a task that ignores TERM is killed after its grace")
    func ignoresTerm() async throws {
        let line = "shell:1:0:0:1:trap '' TERM; while true; do sleep 0.01; done"
        let result = try await result(of: line, ["kill_grace_seconds": "0.5"])
        #expect(result.string("cause") == "timeout")
        let seconds = result["wall_seconds"] as? Double ?? 0
        #expect(seconds >= 1.5 && seconds < 30)
    }

    @Test("a task that has stopped itself is ended at its timeout like any other")
    func stopsItself() async throws {
        let result = try await result(of: "shell:1:0:0:1:kill -STOP $$; echo never")
        #expect(result.string("cause") == "timeout")
    }

    @Test("an end by a signal from outside is that signal, not oom and not a timeout")
    func outsideKill() async throws {
        let result = try await result(of: "shell:1:1G:0:sh -c 'kill -9 $PPID'; echo never")
        #expect(result.string("cause") == "signal")
        #expect(result.integer("signal") == 9)
        #expect(result["exit_code"] is NSNull)
        #expect(result.string("reason")?.hasPrefix("signal 9 (SIGKILL)") == true)
    }

    @Test("a task over its memory cap ends as oom, and its neighbour feels nothing")
    func memoryCap() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "0"])
            try await fleet.submit([
                "shell:1:32M:0:60:tail /dev/zero", "shell:1:64M:0:60:head -c 20M /dev/zero | wc -c",
            ])
            try await fleet.untilIdle()
            let results = try await fleet.distcomp("results", "--json").outputLines.map { try jsonObject(String($0)) }
            let over = try #require(results.first { $0.string("task")?.contains("tail") == true })
            #expect(over.string("cause") == "oom")
            #expect(over.string("reason")?.hasPrefix("oom (cap 32 MB, peak ") == true, "\(over)")
            let neighbour = try #require(results.first { $0.string("task")?.contains("head") == true })
            #expect(neighbour.string("stdout") == "20971520\n")
            try await node.stop()
        }
    }

    @Test("a fork bomb meets its limit of processes and ends within its timeout")
    func forkBomb() async throws {
        let line = "shell:1:64M:0:2:bomb() { bomb | bomb & }; bomb; while true; do sleep 0.1; done"
        let result = try await result(of: line, ["max_processes_per_task": "40"])
        #expect(result.string("state") == "failed")
        #expect(result.string("stderr_tail")?.contains("Cannot fork") == true, "\(result)")
        #expect((result["wall_seconds"] as? Double ?? 1000) < 30)
    }

    @Test(
        "a program that cannot be started is a launch failure with its step and errno",
        arguments: [
            ("shell:1:0:0:/no/such/program x", "No such file or directory", 2),
            ("shell:1:0:0:/etc/passwd x", "Permission denied", 13),
            ("shell:1:0:0:/ x", "Permission denied", 13),
        ])
    func launchFailure(_ line: String, _ message: String, _ code: Int) async throws {
        let result = try await result(of: line)
        #expect(result.string("cause") == "launch")
        #expect(result.string("reason")?.hasPrefix("launch failed: execve") == true, "\(result)")
        #expect(result.string("reason")?.contains(message) == true, "\(result)")
        #expect(result.integer("errno") == code)
        #expect(result.string("launch_step")?.hasPrefix("execve") == true)
    }

    @Test("a quote that is never closed in a python task is a failure that says so, not a task that hangs")
    func unclosedQuote() async throws {
        let result = try await result(of: "python:1:0:0:-c 'print(1)")
        #expect(result.string("state") == "failed")
        #expect(result.string("cause") == "launch", "\(result)")
    }

    @Test("the end of standard error is kept with a failure")
    func errorTail() async throws {
        let result = try await result(of: "shell:1:0:0:seq 1 5000 >&2; echo the reason >&2; exit 4")
        #expect(result.integer("exit_code") == 4)
        let tail = try #require(result.string("stderr_tail"))
        #expect(tail.hasSuffix("\n5000\nthe reason\n"))
        #expect(tail.utf8.count <= 2048)
    }

    @Test("a symbolic link that the task puts in the place of its output is not followed by the next attempt")
    func swappedOutput() async throws {
        try await withFleet { fleet in
            let target = try fleet.scratch.write("precious", "untouched")
            let log = fleet.scratch.path + "/tries"
            // One directory for both, so that the second attempt meets what the first one left.
            let settings = ["max_retry_per_task": "2", "result_dir": "\"\(fleet.scratch.path)/shared\""]
            let node = try await fleet.startedNode("a", settings)
            let other = try await fleet.startedNode("b", settings)
            try await fleet.submit([
                "shell:1:0:0:echo try >> \(log); rm -f $DISTCOMP_OUTPUT_DIR/stdout;"
                    + " ln -s \(target) $DISTCOMP_OUTPUT_DIR/stdout; echo overwritten; exit 1"
            ])
            try await fleet.untilIdle()
            #expect(fleet.scratch.lines("tries").count == 2)
            #expect(fleet.scratch.lines("precious") == ["untouched"])
            try await node.stop()
            try await other.stop()
        }
    }

    @Test("200 tasks leave no zombie, no descriptor and no group behind")
    func nothingAccumulates() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "8"])
            try await fleet.submit((1...20).map { "shell:1:0:0:true \($0)" })
            try await fleet.untilFinished(20)
            try await eventually("a launch waits") { fleet.scratch.waitingLaunches().count == 1 }
            let before = try descriptors(of: node)
            try await fleet.submit((21...220).map { "shell:1:0:0:true \($0)" })
            try await fleet.untilFinished(220)
            try await eventually("as many descriptors as before", "\(before)") {
                try descriptors(of: node) <= before
            }
            try await eventually("no child but the launch that waits for the next task, and launchers") {
                let children = text(of: "/proc/\(node.process)/task/\(node.process)/children")
                let known = fleet.scratch.waitingLaunches() + fleet.scratch.stayingLaunchers()
                return children.split(separator: " ").compactMap { pid_t($0) }.sorted() == known.sorted()
            }
            #expect(try fleet.scratch.taskGroupsInUse().isEmpty)
            try await node.stop()
            #expect(try fleet.scratch.taskGroups().isEmpty)
        }
    }

    private func descriptors(of node: Node) throws -> Int {
        try FileSystem.entries(of: "/proc/\(node.process)/fd").count
    }
}
