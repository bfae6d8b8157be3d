// What a task writes on another node, read through the queue. The command line of these tests is on no node: it has no settings that say
// so, and its host is not among the nodes. Its user may only look.

import Foundation
import Glibc
import LinuxSystem
import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

@Suite("Output elsewhere", .aFewAtATime)
struct OutputElsewhereTests {
    /// Sixteen hexadecimal digits.
    private static func reader(_ number: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    /// Waits, as a task, for a file.
    private func untilThere(_ file: String) -> String { "while [ ! -e \(file) ]; do sleep 0.05; done" }

    /// `logs`, on a machine that may have other things to do than to answer within seconds.
    private func logs(_ fleet: Fleet, _ words: String...) async throws -> ProgramResult {
        while true {
            let result = try await fleet.distcomp(["logs"] + words)
            if !result.errors.contains("does not answer") { return result }
        }
    }

    /// Takes from this machine what a node wrote, which still has it open: as if that were another machine.
    private func hide(_ node: String, _ fleet: Fleet) {
        #expect(rename("\(fleet.scratch.path)/result-\(node)", "\(fleet.scratch.path)/hidden-\(node)") == 0)
    }

    @Test("The output of a task that runs on another node, live")
    func live() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("elsewhere")
            let go = fleet.scratch.path + "/go"
            try await fleet.submit(["shell:1:0:0:echo first; echo worse >&2; \(untilThere(go)); echo last"])
            try await eventually("it running") { try fleet.count("in_progress_tasks") == 1 }
            hide("elsewhere", fleet)
            let log = try fleet.start(["logs", "-f", "*first*"])
            let errors = try fleet.start(["logs", "-f", "--stderr", "*first*"])
            try await eventually("its first line", log.errors) { log.output == "first\n" }
            try await eventually("what it wrote to the other stream", errors.errors) { errors.output == "worse\n" }
            let soFar = try await logs(fleet, "*first*")
            #expect(soFar.output == "first\n" && soFar.status == 0, "\(soFar.errors)")
            try fleet.scratch.write("go", "")
            let result = try await log.result()
            #expect(result.output == "first\nlast\n" && result.status == 0, "\(result.errors)")
            #expect(try await errors.result().output == "worse\n")
            try await node.stop()
        }
    }

    @Test("a task that waits is waited for, and one that is tried again on another node is followed there")
    func secondAttempt() async throws {
        try await withFleet { fleet in
            let (go, path) = ("$DISTCOMP_ATTEMPT", fleet.scratch.path)
            let command = "echo try \(go); \(untilThere("\(path)/go\(go)")); echo end \(go); [ \(go) = 2 ]"
            try await fleet.submit(["shell:1:0:0:" + command])
            let log = try fleet.start(["logs", "-f", "*try*"])
            try await eventually("word that it waits", log.output) { log.errors.contains("it waits; see distcomp why") }
            let nodes = [try await fleet.startedNode("a"), try await fleet.startedNode("b")]
            try await eventually("the first attempt", log.errors) { log.output == "try 1\n" }
            let first = try #require(try fleet.hash("in_progress_tasks").first?.value)
            try fleet.scratch.write("go1", "")
            try await eventually("the second attempt", log.errors) { log.output.hasSuffix("try 2\n") }
            let second = try #require(try fleet.hash("in_progress_tasks").first?.value)
            try fleet.scratch.write("go2", "")
            let result = try await log.result()
            #expect(result.output == "try 1\nend 1\ntry 2\nend 2\n" && result.status == 0, "\(result.errors)")
            #expect(first != second && result.errors.contains("attempt 2, on \(second)\n"), "\(result.errors)")
            for node in nodes { try await node.stop() }
        }
    }

    @Test("a task that is tried again on this machine is followed from one attempt to the next, all of both")
    func secondAttemptHere() async throws {
        try await withFleet { fleet in
            let (number, path) = ("$DISTCOMP_ATTEMPT", fleet.scratch.path)
            let command =
                "echo try \(number); \(untilThere("\(path)/go\(number)")); echo end \(number); [ \(number) = 3 ]"
            let node = try await fleet.startedNode("a", ["node_name": "\"a\"", "max_retry_per_task": "3"])
            try await fleet.submit(["shell:1:0:0:" + command])
            let log = try RunningProgram(
                Products.distcomp,
                ["logs", "-f", "*try*", "--redis", fleet.url(.watcher), "--config", node.configurationPath],
                in: fleet.scratch)
            for number in 1...3 {
                try await eventually("attempt \(number)", log.errors) { log.output.hasSuffix("try \(number)\n") }
                try fleet.scratch.write("go\(number)", "")
            }
            let result = try await log.result()
            #expect(result.output == "try 1\nend 1\ntry 2\nend 2\ntry 3\nend 3\n" && result.status == 0)
            #expect(
                result.errors.contains("attempt 2, on a\n") && result.errors.contains("attempt 3, on a\n"),
                "\(result.errors)")
            try await node.stop()
        }
    }

    @Test("a daemon that executes itself anew hands on what its tasks write, as before")
    func reExecuted() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["restart_mode": "\"keep\""])
            let go = fleet.scratch.path + "/go"
            try await fleet.submit(["shell:1:0:0:0:echo first; \(untilThere(go)); echo last"])
            let log = try fleet.start(["logs", "-f", "*first*"])
            try await eventually("its first line", log.errors) { log.output == "first\n" }
            node.program?.send(SIGHUP)
            try await eventually("the next program", node.log) {
                node.log.components(separatedBy: " connected").count > 2
            }
            hide("a", fleet)
            let soFar = try await logs(fleet, "*first*")
            #expect(soFar.output == "first\n" && soFar.status == 0, "\(soFar.errors)")
            try fleet.scratch.write("go", "")
            let result = try await log.result()
            #expect(result.output == "first\nlast\n" && result.status == 0, "\(result.errors)")
            try await node.stop()
        }
    }

    @Test("what has ended is asked of its node where it was not reported whole, to the last byte")
    func ended() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit([
                "shell:3:0:0:echo why it fails; seq 3000 >&2; exit 3", "shell:2:0:0:seq 300000",
                "shell:1:0:0:echo small",
            ])
            try await fleet.untilIdle()
            hide("a", fleet)
            let failed = try await logs(fleet, "*why*")
            #expect(failed.output == "why it fails\n" && failed.status == 0, "\(failed.errors)")
            #expect(failed.errors.contains("failed: exit 3"), "\(failed.errors)")
            #expect(
                try await logs(fleet, "--stderr", "*why*").output == (1...3000).map { "\($0)\n" }.joined())
            let large = try await logs(fleet, "*seq 300000")
            #expect(large.output == (1...300_000).map { "\($0)\n" }.joined(), "\(large.errors)")
            // Reported whole: nobody is asked.
            _ = try fleet.call("CONFIG", "RESETSTAT")
            #expect(try await fleet.distcomp("logs", "*small*").output == "small\n")
            #expect(!(try fleet.call("INFO", "commandstats").string ?? "").contains("cmdstat_publish"))
            try await node.stop()
            let gone = try await fleet.distcomp("logs", "*why*")
            #expect(gone.status == 1 && gone.errors.contains("a is no node of this queue any more"), "\(gone.errors)")
            #expect(gone.errors.contains("stays on its node"), "\(gone.errors)")
        }
    }

    @Test("a node that is stopped is waited for some seconds, and then what is known of it is said")
    func stopped() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit([
                "shell:2:0:0:echo out; echo bad >&2; exit 1", "shell:1:0:0:echo waiting; sleep 1000",
            ])
            try await eventually("one failed, one running") {
                try fleet.count("failed_tasks") == 1 && fleet.count("in_progress_tasks") == 1
            }
            hide("a", fleet)
            node.pause()
            let running = try await fleet.distcomp("logs", "*waiting*")
            #expect(running.status == 1, "\(running.output)")
            #expect(running.errors.contains("a does not answer: it was last heard of"), "\(running.errors)")
            #expect(running.errors.contains("its lease holds for"), "\(running.errors)")
            let failed = try await fleet.distcomp("logs", "--stderr", "*bad*")
            #expect(
                failed.output == "bad\n" && failed.errors.contains("the end of it, as a reported"), "\(failed.errors)")
            let log = try fleet.start(["logs", "-f", "*waiting*"])
            try await eventually("word of it", log.errors) { log.errors.contains("a does not answer") }
            node.resume()
            try await eventually("its output", log.errors) { log.output == "waiting\n" }
            try await fleet.distcomp("cancel", "*waiting*")
            #expect(try await log.result().status == 0)
            try await node.stop()
        }
    }

    @Test("an older distcompd is named with its version, and not waited for")
    func older() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:true"])
            let node = try PretendedNode("old", version: "1.0.3", on: fleet)
            _ = try node.claim(1)
            _ = try fleet.call("CONFIG", "RESETSTAT")
            for words in [["logs", "*true"], ["logs", "--attempt", "1", "*true"]] {
                let result = try await fleet.distcomp(words)
                #expect(result.status == 1, "\(result.output)")
                #expect(
                    result.errors.contains("old runs distcompd 1.0.3, which hands on no output"), "\(result.errors)")
            }
            #expect(!(try fleet.call("INFO", "commandstats").string ?? "").contains("cmdstat_publish"))
        }
    }

    @Test(
        "a node hands on no file but the task's own, whatever the task put in its place",
        arguments: [
            "ln -s PRECIOUS $O/stdout", "ln PRECIOUS $O/stdout", "mkfifo $O/stdout", "mkdir $O/stdout",
            "rmdir $O; ln -s $(dirname PRECIOUS) $O", "mkfifo $O/stdout.1 $O/.attempts; echo x > $O/stdout",
        ], [1, 2])
    func nothingElse(_ trick: String, attempts: Int) async throws {
        try await withFleet { fleet in
            #expect(mkdir(fleet.scratch.path + "/roots", 0o755) == 0)
            let precious = try fleet.scratch.write("roots/stdout", "secret of root\n")
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "\(attempts)"])
            let command = trick.replacing("PRECIOUS", with: precious)
            let go = fleet.scratch.path + "/go"
            try await fleet.submit([
                "shell:1:0:0:echo its own; O=$DISTCOMP_OUTPUT_DIR; rm $O/stdout $O/stderr; \(command); \(untilThere(go)); exit 1"
            ])
            try await eventually("its trick", node.log) { try fleet.count("in_progress_tasks") == 1 }
            // While it runs, what it wrote is what it wrote.
            hide("a", fleet)
            let log = try fleet.start(["logs", "-f", "*its own*"])
            try await eventually("what it wrote", log.errors) { log.output == "its own\n" }
            try fleet.scratch.write("go", "")
            try await fleet.untilIdle()
            if trick.hasPrefix("ln PRECIOUS") {
                for folder in try FileSystem.entries(of: fleet.scratch.path + "/hidden-a") {
                    unlink(fleet.scratch.path + "/hidden-a/\(folder)/stdout")
                    link(precious, fleet.scratch.path + "/hidden-a/\(folder)/stdout")
                }
            }
            let followed = try await log.result().output
            #expect(!followed.contains("secret") && followed.hasPrefix("its own\n"), "\(followed)")
            for words in [["logs", "*its own*"], ["logs", "--attempt", "1", "*its own*"]] {
                let result = try await fleet.distcomp(words)
                #expect(!result.output.contains("secret"), "\(result.output)")
                #expect(["", "its own\n", "x\n"].contains(result.output), "\(result.output)")
            }
            try await node.stop()
        }
    }

    @Test(
        "whatever is asked of a node, and how often: it answers what it can, a few at a time, and goes on with its work"
    )
    func hostile() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            try await fleet.submit(["shell:1:0:0:yes | head -c 4000000; sleep 1000"])
            let line = try await eventually("it running") { try fleet.hash("in_progress_tasks").first?.key }
            let task = TaskLine.identifier(of: line)
            try await eventually("all it writes") {
                let output = "\(fleet.scratch.path)/result-a/\(task)/stdout"
                return (try? FileSystem.status(of: output).sizeBytes) == 4_000_000
            }
            hide("a", fleet)
            let client = try BlockingRedisClient(
                RedisEndpoint(
                    unixPath: fleet.redis.socketPath,
                    credentials: RedisCredentials(user: "distcomp-watcher", password: "secret")))
            func publish(_ messages: [String]) throws {
                _ = try client.pipeline(messages.map { .command(RedisCommand("PUBLISH", "distcomp:wake", $0)) })
            }
            let reader = "0123456789abcdef"
            try publish([
                "output a \(reader) 1 1 \(task) 1 running stdout -1",
                "output a \(reader) 1 1 \(task) 1 running stdout 9223372036854775807",
                "output a \(reader) 1 1 \(task) 1 running stdout 99999999999999999999",
                "output a \(reader) 1 128 \(task) 1 running stdout 0",
                "output a \(reader) 1 1 ../../../../etc 1 running stdout 0",
                "output a \(reader) 1 1 \(task) 1 running ../../x 0", "output a", "output ",
                "output a \(reader) 1 1 \(task) 0 ended stdout 0",
                "output a \(reader) 1 1 \(task) 1 running stdout 0 \(String(repeating: "x", count: 100_000))",
            ])
            // What it understands it answers: nothing beyond the end, nothing of what it does not have.
            func answer(_ wanted: OutputRequest?) async throws -> OutputAnswer {
                let wanted = try #require(wanted)
                return try await eventually("an answer") {
                    // One that is dropped, or lost on its way, is asked again.
                    try publish([wanted.message])
                    return try client.perform(ReadOutputAnswer(wanted, keys: QueueKeys())).answer(to: wanted)
                }
            }
            func request(
                _ number: Int, task: String = task, attempt: Int = 1, isRunning: Bool = true, offset: Int64 = 0
            ) -> OutputRequest? {
                OutputRequest(
                    node: "a", reader: reader, number: number, place: 1, task: task, attempt: attempt,
                    isRunning: isRunning, stream: .stdout, offset: offset)
            }
            #expect(try await answer(request(2, offset: .max >> 1)) == .piece([], sizeBytes: 4_000_000))
            #expect(try await answer(request(3, task: "fedcba9876543210", isRunning: false)) == .absent)
            #expect(try await answer(request(4, attempt: 7)) == .notBegun)
            #expect(try await answer(request(5, attempt: 7, isRunning: false)) == .absent)

            // A thousand at once, of as many readers: most are dropped.
            let before = SystemClock.bootNanoseconds()
            try publish(
                (0..<1000).map {
                    "output a \(OutputElsewhereTests.reader($0)) 1 \($0 % 128) \(task) 1 running stdout 0"
                })
            try await fleet.submit(["shell:1:0:0:echo meanwhile"])
            try await fleet.untilFinished(1)
            let last = try await answer(request(6))
            let seconds = Double(SystemClock.bootNanoseconds() - before) / 1e9
            if case .piece(let bytes, _) = last {
                #expect(bytes.count == OutputRequest.pieceBytesMax)
            } else {
                #expect(last == .absent)
            }
            // One that was read at once, eight that waited, and what came while there was room again.
            let places = try (0..<OutputRequest.placeCount).filter {
                try fleet.call("EXISTS", "distcomp:output:\($0)").int == 1
            }
            #expect(places.count < 20 + Int(seconds * 8), "\(places)")

            // Who may only look can write no answer, and nothing stays.
            #expect(try client.call(.command(RedisCommand("SET", "distcomp:output:1", "x"))).error?.code == "NOPERM")
            for place in 0..<OutputRequest.placeCount {
                #expect((try fleet.call("PTTL", "distcomp:output:\(place)").int ?? 0) <= AnswerOutput.keptMilliseconds)
            }
            try await fleet.distcomp("cancel", "*sleep*")
            try await node.stop()
        }
    }

    @Test(
        "the last three attempts are kept, here and elsewhere, in segments or in files", arguments: ["packed", "files"])
    func attempts(store: String) async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode(
                "a", ["node_name": "\"a\"", "max_retry_per_task": "4", "output_store": "\"\(store)\""])
            try await fleet.submit(["shell:1:0:0:echo try $DISTCOMP_ATTEMPT; exit 1"])
            try await eventually("four attempts", node.log) {
                try fleet.hash("failed_tasks").first?.value == "a,a,a,a," && fleet.count("todo_tasks") == 0
                    && fleet.count("in_progress_tasks") == 0
            }
            let results = fleet.scratch.path + "/result-a"
            let line = try #require(try fleet.hash("failed_tasks").first?.key)
            let folder = TaskLine.identifier(of: line)
            if store == "files" {
                #expect(
                    try FileSystem.entries(of: results + "/" + folder).sorted()
                        == [".attempts", "stderr", "stderr.2", "stderr.3", "stdout", "stdout.2", "stdout.3"])
                #expect(text(of: "\(results)/\(folder)/stdout") == "try 4\n")
            } else {
                #expect(!FileSystem.exists("\(results)/\(folder)"))
            }
            func logs(_ number: Int, here: Bool) async throws -> ProgramResult {
                let place = here ? ["--config", node.configurationPath] : []
                let words = ["logs", "--attempt", "\(number)", "*try*", "--redis", fleet.url(.watcher)] + place
                while true {
                    let result = try await RunningProgram(Products.distcomp, words, in: fleet.scratch).result()
                    if !result.errors.contains("does not answer") { return result }
                }
            }
            let shown = try await RunningProgram(
                Products.distcomp,
                ["show", "*try*", "--redis", fleet.url(.watcher), "--config", node.configurationPath], in: fleet.scratch
            ).result()
            #expect(
                shown.output.contains("attempts 2, 3 and 4 are kept here: distcomp logs --attempt N"), "\(shown.output)"
            )
            let why = try await fleet.distcomp("why", "*try*")
            #expect(
                why.output.contains("distcomp logs --attempt 3 \(folder.prefix(8))` shows what it wrote before"),
                "\(why.output)")
            for here in [true, false] {
                if !here { hide("a", fleet) }
                for number in 2...4 {
                    let result = try await logs(number, here: here)
                    #expect(result.output == "try \(number)\n" && result.status == 0, "\(number): \(result.errors)")
                }
                let first = try await logs(1, here: here)
                if store == "files" {
                    #expect(first.errors.contains("what attempt 1 wrote is not to be had"))
                } else {
                    #expect(first.output == "try 1\n", "more than three cost nothing")
                }
                #expect(try await logs(5, here: here).errors.contains("the last one is attempt 4"))
            }
            try await node.stop()
        }
    }

    @Test("a watcher whose rights are of before is told what it lacks, and shown what was reported")
    func earlierRights() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit(["shell:1:0:0:echo bad >&2; exit 1"])
            try await fleet.untilIdle()
            hide("a", fleet)
            for words in [
                ["ACL", "SETUSER", "distcomp-watcher", "-publish"],
                ["ACL", "SETUSER", "distcomp-watcher", "resetchannels"],
            ] {
                #expect(
                    try fleet.redis.client().call(.command(RedisCommand(words[0], Array(words.dropFirst())))).string
                        == "OK")
                let result = try await fleet.distcomp("logs", "--stderr", "*bad*")
                #expect(result.output == "bad\n" && result.status == 0, "\(result.errors)")
                #expect(result.errors.contains("this user of Redis may not ask a for it"), "\(result.errors)")
            }
            try await node.stop()
        }
    }
}
