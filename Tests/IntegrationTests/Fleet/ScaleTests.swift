// `distcomp scale`, and the loop that has a hook start and remove nodes.

import Glibc
import LinuxSystem
import Testing

@Suite("a fleet that is scaled", .aFewAtATime)
struct ScaleTests {
    /// A program of a test's own as hook; `$log` is where it may write.
    private func hook(_ fleet: Fleet, _ body: String) throws -> String {
        let path = try fleet.scratch.write("hook", "#!/bin/sh\nlog=\(fleet.scratch.path)/asked\n\(body)\n")
        chmod(path, 0o755)
        return path
    }

    private func shapes(_ fleet: Fleet, _ text: String) throws -> String {
        try fleet.scratch.write("shapes.json", text)
    }

    private func asked(_ fleet: Fleet) -> [String] { fleet.scratch.lines("asked") }

    @Test(
        "the hook shipped for processes of this machine starts nodes for what waits, and they are gone when nothing does"
    )
    func local() async throws {
        try await withFleet { fleet in
            // What a node of this machine has is known from one.
            let first = try await fleet.startedNode("first")
            let plan = try jsonObject(try await fleet.distcomp("scale", "--json").output)
            let shape = try #require((plan["shapes"] as? [[String: Any]])?.first)
            let memory = try #require(shape.integer("memory_bytes"))
            #expect(shape.integer("have") == 1 && shape.integer("wanted") == 0, "\(plan)")
            #expect(shape["removable"] as? [String] == ["first"])
            #expect(try await first.stop().status == 0)

            let settings = try fleet.node("unused", ["stop_grace_seconds": "5"]).configurationPath
            let state = fleet.scratch.path + "/nodes"
            let script = try hook(
                fleet,
                """
                echo "$@" >> $log
                export HOOK_DISTCOMPD=\(Products.distcompd) HOOK_CONFIG=\(settings) HOOK_STATE=\(state) HOOK_REDIS=\(fleet.url(.node))
                exec \(Products.package)/packaging/hooks/local "$@"
                """)
            let cores = try #require(shape["cores"] as? Double)
            let file = try shapes(
                fleet, #"[{"name": "here", "memory": "\#(memory / 1024)K", "cores": \#(cores), "max": 2}]"#)
            let tasks = (1...Int(cores * 2)).map { "shell:1:0:1:echo \($0)" }
            try await fleet.submit(tasks)
            let loop = try fleet.start(
                [
                    "scale", "--exec", script, "--shapes", file, "--every", "0.2", "--down-after", "1",
                    "--hook-seconds", "600",
                ])
            try await eventually("both nodes are there", within: 600, loop.errors) {
                let names = (try fleet.call("ZRANGE", "distcomp:leases", "0", "-1").elements ?? []).compactMap {
                    $0.string?.split(separator: "/").first.map(String.init)
                }
                for name in names { fleet.scratch.expectGroups(ofNode: name, stateDirectory: "\(state)/\(name)") }
                return asked(fleet).contains { $0.hasPrefix("start here") && $0.split(separator: " ").count == 4 }
            }
            try await fleet.untilFinished(tasks.count)
            try await eventually("all nodes are gone", within: 600, loop.errors) {
                try fleet.call("EXISTS", "distcomp:leases", "distcomp:drained", "worker_status").int == 0
            }
            try await eventually("nothing is noted of them", within: 600, loop.errors) {
                try fleet.call("HKEYS", "distcomp:scaling").elements?.contains { $0.string?.hasPrefix("node ") == true }
                    == false
            }
            #expect(!loop.hasEnded)
            loop.send(SIGTERM)
            _ = try await loop.result()
            #expect(asked(fleet).filter { $0.hasPrefix("start") }.count == 1, "\(asked(fleet))")
            #expect(
                asked(fleet).contains { $0.hasPrefix("may-drain here") }
                    && asked(fleet).contains { $0.hasPrefix("remove here") })
            #expect(try fleet.count("failed_tasks") == 0)
        }
    }

    @Test("the hook has the plan on its standard input, and what is wanted of it in words")
    func told() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:2G:1:a", "shell:1:2G:1:b", "shell:1:900G:1:c"])
            let script = try hook(
                fleet,
                #"echo "$@ $SHAPE_MEMORY_BYTES $SHAPE_MILLICORES" >> $log; cat >> $log; echo >> $log; echo hello"#)
            let words = ["scale", "--exec", script, "--shape", "big=4G,1,max=5", "--once"]
            let result = try await fleet.distcomp(words)
            #expect(result.status == 0, "\(result)")
            #expect(result.errors.contains("hook: hello") && result.errors.contains("big-"), "\(result.errors)")
            let lines = asked(fleet)
            #expect(lines.count == 2, "\(lines)")
            let asked = lines[0].split(separator: " ").map(String.init)
            #expect(
                asked.count == 6 && asked[0] == "start" && asked[1] == "big" && asked[4...] == ["4294967296", "1000"])
            let told = try jsonObject(lines[1])
            #expect(told.string("action") == "start" && told.integer("count") == 2)
            #expect(told["nodes"] as? [String] == Array(asked[2...3]))
            let plan = try #require(told["plan"] as? [String: Any])
            #expect(plan.integer("due") == 2)
            #expect((plan["unrunnable"] as? [[String: Any]])?.first?.integer("tasks") == 1)

            // They are awaited, and so not started again, by whoever looks.
            #expect(try await fleet.distcomp(words).status == 0)
            #expect(self.asked(fleet).count == 2)
            let other = try jsonObject(try await fleet.distcomp("scale", "--shape", "big=4G,1,max=5", "--json").output)
            let shape = try #require((other["shapes"] as? [[String: Any]])?.first)
            #expect(
                shape.integer("starting") == 2 && shape.integer("wanted") == 2 && shape.integer("to_start") == 0,
                "\(other)")
        }
    }

    @Test("a hook that fails is asked three times, and then the loop ends and says so")
    func failing() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:1:a"])
            let script = try hook(fleet, "echo x >> $log; echo broken >&2; exit 7")
            let result = try await fleet.distcomp(
                "scale", "--exec", script, "--shape", "big=4G,1,max=5", "--every", "0.1", "--hook-seconds", "600")
            #expect(result.status == 1, "\(result)")
            #expect(result.errors.contains("ended with exit 7"), "\(result.errors)")
            #expect(result.errors.contains("the third failure in a row: stopped"), "\(result.errors)")
            #expect(result.errors.contains("hook: broken"))
            #expect(asked(fleet).count == 3)
            #expect(try fleet.call("EXISTS", "distcomp:scaling").int == 0, "what was not started is not awaited")
        }
    }

    @Test("nodes that a hook was to start when it was killed may come: they are awaited, and removed if they do not")
    func hanging() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:1:a"])
            let script = try hook(fleet, #"echo "$1 $3" >> $log; [ $1 = remove ] || exec sleep 7000"#)
            let result = try await fleet.distcomp(
                "scale", "--exec", script, "--shape", "big=4G,1,max=5", "--every", "0.1", "--hook-seconds", "2",
                "--boot-seconds", "3")
            #expect(result.status == 1, "\(result)")
            #expect(result.errors.contains("took more than 2 s and was killed: big-"), "\(result.errors)")
            #expect(result.errors.contains("did not come, 3 times in a row"), "\(result.errors)")
            let asked = asked(fleet).map { $0.split(separator: " ").map(String.init) }
            #expect(asked.map(\.first) == ["start", "remove", "start", "remove", "start"], "\(asked)")
            #expect(asked.count == 5 && asked[0].last == asked[1].last, "what was to be started is what is removed")
            #expect(fleet.scratch.processes(with: "sleep 7000").isEmpty)
        }
    }

    @Test("nodes that are started and never come are not started for ever")
    func neverComing() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:1:a"])
            let script = try hook(fleet, #"echo "$1" >> $log"#)
            let result = try await fleet.distcomp(
                "scale", "--exec", script, "--shape", "big=4G,1,max=5", "--every", "0.2", "--boot-seconds", "1")
            #expect(result.status == 1 && result.errors.contains("did not come, 3 times in a row"), "\(result)")
            #expect(asked(fleet) == ["start", "remove", "start", "remove", "start"])
        }
    }

    @Test("a node that is not wanted stays while the hook says so, and is never taken from its tasks")
    func keeping() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            let plan = try jsonObject(try await fleet.distcomp("scale", "--json").output)
            let shape = try #require((plan["shapes"] as? [[String: Any]])?.first)
            let memory = try #require(shape.integer("memory_bytes"))
            let cores = try #require(shape["cores"] as? Double)
            let script = try hook(
                fleet, "echo \"$@\" >> $log\n[ \"$1\" != may-drain ] || [ -e \(fleet.scratch.path)/may ]")
            let file = try shapes(
                fleet, #"[{"name": "here", "memory": "\#(memory / 1024)K", "cores": \#(cores), "max": 1}]"#)
            let loop = try fleet.start(
                [
                    "scale", "--exec", script, "--shapes", file, "--every", "0.1", "--down-after", "0",
                    "--hook-seconds", "600",
                ])
            try await eventually("it was asked, and again", within: 600, loop.errors) { asked(fleet).count >= 3 }
            #expect(asked(fleet).allSatisfy { $0 == "may-drain here a" }, "\(asked(fleet))")
            #expect(try fleet.call("EXISTS", "distcomp:drained").int == 0)
            try fleet.scratch.write("may", "")
            try await eventually("it is drained and asked to go", within: 600, loop.errors) {
                asked(fleet).contains("remove here a")
            }
            #expect(try fleet.call("SMEMBERS", "distcomp:drained").elements?.compactMap(\.string) == ["a"])
            loop.send(SIGTERM)
            _ = try await loop.result()
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("of two loops one works and the other waits, and goes on when that was killed; one look of a third says so")
    func two() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:1:true"])
            let script = try hook(fleet, "echo $PPID $1 >> $log")
            let words = ["scale", "--exec", script, "--shape", "big=4G,1,max=1", "--every", "0.1"]
            let first = try fleet.start(words)
            try await eventually("it starts a node", first.errors) { asked(fleet) == ["\(first.process) start"] }
            let second = try fleet.start(words)
            try await eventually("it waits", second.errors) { second.errors.contains("waiting for its end") }
            #expect(second.errors.contains(", process \(first.process))"), "\(second.errors)")
            let third = try await fleet.distcomp(words + ["--once"])
            #expect(third.status == 1 && third.errors.contains("nothing was done"), "\(third.errors)")
            #expect(!third.errors.contains("waiting"))
            #expect(asked(fleet).count == 1)
            first.send(SIGKILL)
            _ = try await first.result()
            try await eventually("the other has its turn", second.errors) {
                try fleet.call("HGET", "distcomp:scaling", "turn").string?.contains(":\(second.process):") == true
            }
            #expect(asked(fleet).count == 1, "what the first has started is awaited")
            second.send(SIGTERM)
            #expect(try await second.result().status == 0)
            #expect(try fleet.call("HGET", "distcomp:scaling", "turn").isNull, "whoever is next need not wait")
        }
    }

    @Test("told to end while the hook is at work, it lets that end and calls it no more")
    func toldToEnd() async throws {
        try await withFleet { fleet in
            try await fleet.submit((0..<40).map { "shell:1:0:1:echo \($0)" })
            let script = try hook(fleet, "echo $1 $2 >> $log; until [ -e $log.go ]; do sleep 0.02; done")
            let ways: [(words: [String], signal: Int32, status: Int32)] = [
                (["--every", "0.1"], SIGTERM, 0), (["--once"], SIGINT, 130),
            ]
            for (words, signal, status) in ways {
                let log = asked(fleet).count
                let loop = try fleet.start(
                    ["scale", "--exec", script, "--shape", "small=1G,1,max=4", "--shape", "big=4G,2,max=4"] + words)
                try await eventually("the hook is called", loop.errors) { asked(fleet).count == log + 1 }
                loop.send(signal)
                try fleet.scratch.write("asked.go", "")
                #expect(try await loop.result().status == status, "\(loop.errors)")
                #expect(asked(fleet).count == log + 1, "\(asked(fleet))")
                #expect(try fleet.call("HGET", "distcomp:scaling", "turn").isNull)
                #expect(unlink(fleet.scratch.path + "/asked.go") == 0)
                _ = try fleet.call("DEL", "distcomp:scaling")
            }
        }
    }

    @Test("mistakes are told at once")
    func mistakes() async throws {
        try await withFleet { fleet in
            for (words, complaint) in [
                (["--exec", "/bin/true"], "--exec needs to know what can be started"),
                (["--exec", "true", "--shape", "a=1,1,max=1"], "expected the path of a program"),
                (["--exec", "/no/such", "--shape", "a=1,1,max=1"], "there is no such program"),
                (["--exec", "/bin/true", "--shape", "a=1,1"], "shape \"a\" needs a max"),
                (["--shape", "a=1,1", "--shape", "a=2,2"], "two shapes are called \"a\""),
                (["--shape", "a"], "expected NAME=MEMORY,CORES"), (["--shapes", "/no/such"], "No such file"),
                (["--once"], "--once goes with --exec"), (["--every", "soon"], "expected a time"),
            ] {
                let result = try await fleet.distcomp(["scale"] + words)
                #expect(result.status == 2 && result.errors.contains(complaint), "\(words): \(result)")
            }
        }
    }
}
