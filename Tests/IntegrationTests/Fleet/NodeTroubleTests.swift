// One node of two cannot start tasks: no task fails for it, it says why, and once it is repaired it goes on by itself.

import Glibc
import LinuxSystem
import Testing

@Suite("a node in trouble", .aFewAtATime, .enabled(if: Host.isRoot, "needs root, to mount disks"))
struct NodeTroubleTests {
    private let oneTry = ["max_retry_per_task": "1"]

    /// Runs a program to its end.
    private func run(_ words: String..., in scratch: Scratch) async throws {
        let result = try await RunningProgram(words[0], Array(words.dropFirst()), in: scratch).result()
        try #require(result.status == 0, "\(words): \(result.errors)")
    }

    /// A node whose result_dir is a disk of its own, unmounted in the end.
    private func withDisk(
        _ options: String, _ settings: [String: String] = [:],
        _ body: (Fleet, _ node: Node, _ disk: String) async throws -> Void
    ) async throws {
        try await withFleet { fleet in
            let disk = fleet.scratch.path + "/disk"
            try FileSystem.createDirectories(disk, mode: 0o755)
            try await run("/bin/mount", "-t", "tmpfs", "-o", options, "none", disk, in: fleet.scratch)
            defer { umount2(disk, Int32(MNT_DETACH)) }
            let node = try await fleet.startedNode(
                "broken", oneTry.merging(settings.merging(["result_dir": "\"\(disk)\""]) { $1 }) { $1 })
            try await body(fleet, node, disk)
            try await node.stop()
        }
    }

    private func lines(_ numbers: ClosedRange<Int>) -> [String] {
        numbers.map { "shell:5:0:1:60:echo \($0); sleep 0.05" }
    }

    /// Writes to a file until its disk is full.
    private func fill(_ path: String) throws {
        let file = try OwnedDescriptor.open(path, [.writeOnly, .create], mode: 0o600)
        let piece = [UInt8](repeating: 1, count: 4096)
        while write(file.raw, piece, piece.count) == piece.count {}
    }

    private func untilInTrouble(_ node: Node, _ reason: String) async throws {
        try await eventually("it says so", node.log) {
            node.log.split(separator: "\n").contains {
                $0.contains("no task can be started here") && $0.contains(reason)
            }
        }
    }

    /// All is well again: tasks that come now are run by this node too.
    private func expectRecovery(of node: Node, _ fleet: Fleet) async throws {
        try await eventually("it recovers", node.log) { node.log.contains("tasks can be started here again") }
        let before = try fleet.count("finished_tasks")
        try await fleet.submit(lines(1001...1030))
        try await fleet.untilFinished(before + 30)
        #expect(try fleet.hash("finished_tasks").values.contains { $0.hasPrefix("\(node.name): ") })
        try await expectNothingFailed(fleet)
    }

    private func expectNothingFailed(_ fleet: Fleet) async throws {
        try await fleet.untilIdle()
        #expect(try fleet.count("failed_tasks") == 0)
        #expect(try fleet.count("task_fail_reason") == 0)
        #expect(try fleet.hash("finished_tasks").values.allSatisfy { $0.contains(#"\n""#) })
        let attempts = try await fleet.distcomp("results", "--format", "jsonl").outputLines
            .map { try jsonObject(String($0)).integer("attempts") }
        #expect(attempts.allSatisfy { $0 == 1 }, "\(attempts)")
    }

    @Test("whose result_dir may only be read fails no task, and takes them again when it may be written")
    func readOnly() async throws {
        try await withDisk("size=8m") { fleet, broken, disk in
            try await run("/bin/mount", "-o", "remount,ro", disk, in: fleet.scratch)
            try await fleet.submit(lines(1...40))
            try await untilInTrouble(broken, "Read-only file system")
            try await eventually("it is told in the queue", broken.log) {
                try fleet.hash("distcomp:troubles").values.contains { $0.contains("Read-only file system") }
            }
            let sound = try await fleet.startedNode("sound", oneTry)
            try await fleet.untilFinished(40)
            try await expectNothingFailed(fleet)
            try await run("/bin/mount", "-o", "remount,rw", disk, in: fleet.scratch)
            try await expectRecovery(of: broken, fleet)
            #expect(try fleet.hash("distcomp:troubles").isEmpty)
            try await sound.stop()
            #expect(try FileSystem.entries(of: disk).allSatisfy { !$0.hasPrefix(".") }, "a trial left something")
        }
    }

    @Test("whose result_dir has no inodes left fails no task, and takes them again when there are some")
    func noInodes() async throws {
        try await withDisk("size=8m,nr_inodes=400") { fleet, broken, disk in
            var files = 0
            while let file = try? OwnedDescriptor.open(disk + "/file\(files)", [.writeOnly, .create], mode: 0o600) {
                _ = file
                files += 1
            }
            let sound = try await fleet.startedNode("sound", oneTry)
            try await fleet.submit(lines(1...40))
            try await untilInTrouble(broken, "no inodes are left")
            try await fleet.untilFinished(40)
            try await expectNothingFailed(fleet)
            for index in 0..<files { try FileSystem.remove(disk + "/file\(index)") }
            try await expectRecovery(of: broken, fleet)
            try await sound.stop()
        }
    }

    @Test("whose disk becomes full while a task runs gives that task back, and what comes after")
    func full() async throws {
        try await withDisk("size=4m") { fleet, broken, disk in
            let gate = fleet.scratch.path + "/gate"
            let held = "shell:9:0:0:600:until [ -e \(gate) ]; do sleep 0.02; done; echo written"
            try await fleet.submit([held])
            try await eventually("it runs") { try fleet.count("in_progress_tasks") == 1 }
            try await eventually("and waits") { !fleet.scratch.processes(with: "until [ -e").isEmpty }
            try fill(disk + "/full")
            try fleet.scratch.write("gate", "")
            try await untilInTrouble(broken, "No space left on device")
            try await fleet.submit(lines(1...20))
            let sound = try await fleet.startedNode("sound", oneTry)
            try await fleet.untilFinished(21)
            #expect(try fleet.hash("finished_tasks")[held] == #"sound: "written\n""#)
            try await expectNothingFailed(fleet)
            try FileSystem.remove(disk + "/full")
            try await expectRecovery(of: broken, fleet)
            try await sound.stop()
        }
    }

    @Test("whose result_dir was removed makes it anew, and loses no task")
    func removed() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", oneTry)
            let results = fleet.scratch.path + "/result-a"
            rmdir(results)
            try #require(!FileSystem.exists(results))
            try await fleet.submit(lines(1...5))
            try await fleet.untilFinished(5)
            try await node.logs("No such file or directory")
            try await expectNothingFailed(fleet)
            try await node.stop()
        }
    }

    @Test("from its start, since its result_dir may only be read, runs and takes tasks once that is mended")
    func brokenAtStart() async throws {
        try await withDisk("size=8m") { fleet, node, disk in
            try await node.stop()
            try await run("/bin/mount", "-o", "remount,ro", disk, in: fleet.scratch)
            try await node.start()
            try await untilInTrouble(node, "Read-only file system")
            try await fleet.submit(lines(1...5))
            #expect(try fleet.count("finished_tasks") == 0)
            let doctor = try await fleet.start(["doctor", "--config", node.configurationPath]).result()
            #expect(doctor.status == 2)
            #expect(doctor.output.contains("it may only be read: mount it for writing"), "\(doctor.output)")
            try await run("/bin/mount", "-o", "remount,rw", disk, in: fleet.scratch)
            try await expectRecovery(of: node, fleet)
        }
    }

    @Test("may be replaced by the installed program, which is in trouble too and loses no task")
    func reExecuted() async throws {
        try await withDisk("size=4m", ["restart_mode": "\"keep\""]) { fleet, node, disk in
            let gate = fleet.scratch.path + "/gate"
            let held = "shell:9:0:0:600:until [ -e \(gate) ]; do sleep 0.02; done"
            try await fleet.submit([held])
            try await eventually("it runs") { try fleet.count("in_progress_tasks") == 1 }
            try fill(disk + "/full")
            try await fleet.submit(lines(1...3))
            try await untilInTrouble(node, "No space left on device")
            node.program?.send(SIGHUP)
            try await eventually("the next program says so too", node.log) {
                node.log.split(separator: "no task can be started here").count == 3
                    && node.log.split(separator: " connected").count == 3
            }
            #expect(fleet.scratch.tasks(with: "until [ -e").count == 1)
            try fleet.scratch.write("gate", "")
            try await fleet.untilFinished(1)
            try FileSystem.remove(disk + "/full")
            try await fleet.untilFinished(4)
            #expect(try fleet.count("failed_tasks") == 0)
        }
    }

    @Test("that may not give files away takes no task for another user, and says what refused it")
    func chownRefused() async throws {
        try await withFleet { fleet in
            let node = try fleet.node("a", oneTry)
            node.command = ["/usr/bin/setpriv", "--bounding-set=-chown", Products.distcompd]
            try await node.start()
            try await untilInTrouble(node, "Operation not permitted")
            try await node.logs("chown \(fleet.scratch.path)/result-a")
            try await fleet.submit(lines(1...10))
            let sound = try await fleet.startedNode("sound", oneTry)
            try await fleet.untilFinished(10)
            try await expectNothingFailed(fleet)
            // A life that may, takes tasks again; nothing is left of the trials.
            try await node.stop()
            try await sound.stop()
            #expect(try FileSystem.entries(of: fleet.scratch.path + "/result-a") == [])
        }
    }

    @Test(
        "is none whose file system refuses chown, where whose the files are is right already",
        .enabled(if: FileSystem.isExecutable("/usr/bin/bindfs") && FileSystem.exists("/dev/fuse"), "needs bindfs"),
        arguments: ["root", "nobody"])
    func ownerIsRight(user: String) async throws {
        try await withFleet { fleet in
            let (place, view) = (fleet.scratch.path + "/place", fleet.scratch.path + "/view")
            for path in [place, view] { try FileSystem.createDirectories(path, mode: 0o755) }
            let owner = user == "root" ? [] : ["--force-user=nobody", "--force-group=nogroup"]
            let mounted = try await RunningProgram(
                "/usr/bin/bindfs", ["--chown-deny", "--chgrp-deny"] + owner + [place, view], in: fleet.scratch
            ).result()
            try #require(mounted.status == 0, "\(mounted.errors)")
            defer { umount2(view, Int32(MNT_DETACH)) }
            let settings = ["result_dir": "\"\(view)\"", "task_user": "\"\(user)\""]
            let node = try await fleet.startedNode("a", oneTry.merging(settings) { $1 })
            try await fleet.submit(lines(1...5))
            try await fleet.untilFinished(5)
            try await expectNothingFailed(fleet)
            #expect(!node.log.contains("no task can be started"), "\(node.log)")
            try await node.stop()
        }
    }

    @Test("charges a task what only its command is at fault for")
    func commandsFault() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", oneTry)
            try fleet.scratch.write("plain", "\u{1}\0no program")
            let commands = [
                "/nonexistent/program", "\(fleet.scratch.path)/plain", "\(fleet.scratch.path)", "/etc/passwd/x",
                "unheard-of-program",
            ]
            try await fleet.submit(commands.map { "shell:1:0:0:60:\($0)" })
            try await fleet.untilIdle()
            #expect(try fleet.count("failed_tasks") == commands.count)
            #expect(try fleet.hash("task_fail_reason").values.allSatisfy { $0.contains("execve") })
            #expect(!node.log.contains("no task can be started"), "\(node.log)")
            try await node.stop()
        }
    }
}

@Suite("the wall time of short tasks", .aFewAtATime)
struct ShortTaskTests {
    @Test("is never less than what they took of the processors", arguments: [1, 8])
    func wallTime(slots: Int) async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "\(slots)"])
            // One after the other, so that each finds a launch that waits; then many at once.
            for index in 1...10 {
                try await fleet.submit(["shell:1:0:0:60:/bin/true \(index)"])
                try await fleet.untilFinished(index)
                try await eventually("a launch waits", node.log) {
                    !Host.isRoot || !fleet.scratch.waitingLaunches().isEmpty
                }
            }
            try await fleet.submit((11...100).map { "shell:1:0:0:60:/bin/true \($0)" })
            try await fleet.untilFinished(100)
            for line in try await fleet.distcomp("results", "--format", "jsonl").outputLines {
                let result = try jsonObject(String(line))
                let wall = try #require(result["wall_seconds"] as? Double)
                guard let processors = result["cpu_seconds"] as? Double else { continue }
                #expect(wall >= processors - 0.000_002, "\(result)")
                #expect(wall < 30)
            }
            try await node.stop()
        }
    }
}
