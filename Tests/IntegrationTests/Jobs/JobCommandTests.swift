// Sweeps as their users have them: each a job of its own, with its own counts, its own ending and its own orders.

import Foundation
import Glibc
import LinuxSystem
import Testing

@Suite("jobs on one machine", .serialized)
struct JobRunTests {
    /// `distcomp run`, or a command that looks at such a run, in the state directory of this test.
    private func distcomp(_ scratch: Scratch, _ words: String...) async throws -> ProgramResult {
        try await distcomp(scratch, words: words)
    }

    private func distcomp(_ scratch: Scratch, words: [String]) async throws -> ProgramResult {
        let state = ["--state", scratch.path + "/state"]
        return try await RunningProgram(
            Products.distcomp, words.prefix(1) + state + words.dropFirst(), in: scratch
        ).result()
    }

    private func jobs(_ scratch: Scratch) async throws -> [String: [String: Any]] {
        let output = try await distcomp(scratch, "jobs", "--json").output
        let objects = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [[String: Any]] ?? []
        return Dictionary(uniqueKeysWithValues: objects.map { ($0["job"] as? String ?? "", $0) })
    }

    @Test("a sweep of which two die of oom, asked for again with more memory, runs these two and ends well")
    func moreMemory() async throws {
        try await withScratch { scratch in
            let marks = scratch.path + "/marks"
            let command = "echo {} >> \(marks); head -c {}M /dev/zero | tail -c {}M | wc -c"
            try scratch.write("marks", "")
            chmod(marks, 0o666)
            func sweep(_ memory: String) async throws -> ProgramResult {
                try await distcomp(
                    scratch, "run", "--quiet", "--memory", memory, "--", command, ":::", "1", "2", "3", "100", "120")
            }
            let first = try await sweep("60M")
            #expect(first.status == 1 && first.output.contains("3 finished, 2 failed (2 oom)"), "\(first.output)")
            let second = try await sweep("224M")
            #expect(second.status == 0 && second.output.contains("5 tasks: 5 finished"), "\(second.output)")
            #expect(scratch.lines("marks").sorted() == ["1", "100", "100", "120", "120", "2", "3"])
            #expect(try await jobs(scratch).count == 1)
        }
    }

    @Test(
        "tasks that run out of memory are tried with more of it until they have enough, and none of that is a failure")
    func growing() async throws {
        try await withScratch { scratch in
            let command = "head -c {}M /dev/zero | tail -c {}M | wc -c"
            let run = try await distcomp(
                scratch, "run", "--quiet", "--halt", "soon,fail=1", "--memory", "60M", "--memory-max", "250M", "--",
                command,
                ":::", "1", "100", "180")
            #expect(run.status == 0 && run.output.contains("3 tasks: 3 finished"), "\(run.output)\(run.errors)")
            let results = try await distcomp(scratch, "results", "--format", "jsonl").outputLines.map {
                try jsonObject(String($0))
            }
            let large = try #require(results.first { $0.string("command")?.contains("180M") == true })
            #expect(large.integer("attempts") == 3 && large.integer("memory_cap_bytes") == 240 << 20, "\(large)")
            #expect(large.integer("memory_grown_from_bytes") == 60 << 20)
            #expect(large.string("reason") == "exit 0; given 240 MB after it ran out of 60 MB")
            // All that it may have is not enough: that is a failure as any other.
            let failed = try await distcomp(
                scratch, "run", "--quiet", "--memory", "60M", "--memory-max", "100M", "--", "tail", "/dev/zero")
            #expect(failed.status == 1 && failed.output.contains("1 failed (1 oom)"), "\(failed.output)")
            let why = try await distcomp(scratch, "why", "tail /dev/zero").output
            #expect(why.contains("It had all that it may come to have"), "\(why)")
        }
    }

    @Test(
        "a task that exits 85, or as its job says, is begun again with what it saved, and has not failed; one of no job has"
    )
    func goingBack() async throws {
        try await withScratch { scratch in
            try scratch.write("saved", "")
            chmod(scratch.path + "/saved", 0o666)
            let command =
                "echo $DISTCOMP_ATTEMPT >> \(scratch.path)/saved; [ $(wc -l < \(scratch.path)/saved) -ge 3 ] || exit {}"
            let run = try await distcomp(
                scratch, "run", "--quiet", "--halt", "soon,fail=1", "--name", "saves", "--", command, ":::", "85")
            #expect(run.status == 0 && run.output.contains("1 task: 1 finished"), "\(run.output)\(run.errors)")
            #expect(scratch.lines("saved") == ["1", "2", "3"])
            let results = try await distcomp(scratch, "results", "--format", "jsonl").outputLines
            let result = try jsonObject(String(try #require(results.first)))
            #expect(result.integer("attempts") == 3 && result.integer("requeues") == 2, "\(result)")
            #expect(result.string("reason") == "exit 0; it went back to the queue 2 times")
            // By other codes, 85 is a failure.
            let other = try await distcomp(
                scratch, "run", "--quiet", "--name", "other", "--requeue-exit-codes", "99,100", "--", "exit 85")
            #expect(other.status == 1 && other.output.contains("1 failed (1 exit)"), "\(other.output)")
            #expect(try await jobs(scratch)["other"]?["requeue_exit_codes"] as? [Int] == [99, 100])
            _ = try await distcomp(scratch, "set", "other", "--requeue-exit-codes", "none")
            #expect(try await jobs(scratch)["other"]?["requeue_exit_codes"] as? [Int] == [])
            #expect(try await jobs(scratch)["saves"]?["requeue_exit_codes"] as? [Int] == [85])
            try scratch.write("tasks.txt", "shell:1:0:0:exit 85\n")
            let ofNoJob = try await distcomp(scratch, "run", "--quiet", scratch.path + "/tasks.txt")
            #expect(ofNoJob.status == 1 && ofNoJob.output.contains("1 failed (1 exit)"), "\(ofNoJob.output)")
            let wrong = try await distcomp(scratch, "run", "--requeue-exit-codes", "0", "--", "true")
            #expect(wrong.status == 2 && wrong.errors.contains("--requeue-exit-codes"), "\(wrong.errors)")
        }
    }

    @Test("run --not-before waits for its time, says until when, and takes that for nothing else")
    func notBefore() async throws {
        try await withScratch { scratch in
            let mark = scratch.path + "/mark"
            try scratch.write("mark", "")
            chmod(mark, 0o666)
            let before = Date().timeIntervalSince1970
            // Long enough for two looks at a run in which nothing goes on.
            let run = try await distcomp(scratch, "run", "--not-before", "+6s", "--", "date +%s.%N > \(mark)")
            #expect(run.status == 0 && run.output.contains("1 task: 1 finished"), "\(run.output)\(run.errors)")
            #expect(run.errors.contains("waits until"), "\(run.errors)")
            let began = try #require(scratch.lines("mark").first.flatMap { Double($0) })
            #expect(began >= before + 6)
            let over = try await distcomp(
                scratch, "run", "--quiet", "--not-before", "2009-02-13T23:31:30Z", "--", "true")
            #expect(over.status == 0, "\(over.output)\(over.errors)")
            for text in ["none", "tomorrow"] {
                let wrong = try await distcomp(scratch, "run", "--not-before", text, "--", "true")
                #expect(wrong.status == 2 && wrong.errors.contains("--not-before"), "\(wrong.errors)")
            }
        }
    }

    @Test("a line of a file says how much its task may come to have, and so is a task of a job")
    func growingLines() async throws {
        try await withScratch { scratch in
            try scratch.write(
                "tasks.jsonl",
                """
                {"command": "true", "memory": "60M"}
                {"command": "head -c 100M /dev/zero | tail -c 100M | wc -c", "memory": "60M", "memory_max": "250M"}
                """)
            let run = try await distcomp(scratch, "run", "--quiet", scratch.path + "/tasks.jsonl")
            #expect(run.status == 0 && run.output.contains("2 tasks: 2 finished"), "\(run.output)\(run.errors)")
            try scratch.write("wrong.jsonl", #"{"command": "true", "memory": "60M", "memory_max": "1M"}"# + "\n")
            let wrong = try await distcomp(scratch, "run", "--quiet", scratch.path + "/wrong.jsonl")
            #expect(wrong.errors.contains("more than `memory`"), "\(wrong)")
        }
    }

    @Test("memory that makes no sense is refused before anything is added")
    func refusedMemory() async throws {
        try await withScratch { scratch in
            for (words, part) in [
                (["--memory-max", "4G"], "say --memory too"),
                (["--memory", "4G", "--memory-max", "2G"], "is not more than"),
                (["--memory", "4G", "--on-oom", "x2"], "say --memory-max too"),
                (["--memory", "4G", "--memory-like", "old"], "is for --memory auto"),
                (["--memory", "auto:x"], "--memory auto:x"),
            ] {
                let run = try await distcomp(scratch, words: ["run", "--quiet"] + words + ["--", "true"])
                #expect(run.status == 2 && run.errors.contains(part), "\(words): \(run.errors)")
            }
        }
    }

    @Test("single tasks are tried again with more memory and time, and the rest of the job keeps what it has")
    func retryWithMore() async throws {
        try await withScratch { scratch in
            let command = "test $(($DISTCOMP_MEMORY_BYTES >> 20)) -ge {} || exit 3"
            let first = try await distcomp(
                scratch, "run", "--quiet", "--memory", "60M", "--attempts", "1", "--", command, ":::", "50", "100",
                "200")
            #expect(first.status == 1 && first.output.contains("1 finished, 2 failed"), "\(first.output)")
            let retry = try await distcomp(scratch, "retry", "--job", "test", "--memory", "150M", "--timeout", "2h")
            #expect(retry.status == 0 && retry.output.contains("2 queued again"), "\(retry)")
            let shown = try await distcomp(scratch, "show", "*-ge 200*")
            #expect(shown.output.contains("150 MB") || shown.output.contains("157"), "\(shown.output)")
            let second = try await distcomp(scratch, "run", "--quiet", "--attempts", "1")
            #expect(second.output.contains("2 finished, 1 failed"), "\(second.output)")
            try scratch.write("lines", "shell:0:0:0:false\n")
            _ = try await distcomp(scratch, "run", "--quiet", "--attempts", "1", scratch.path + "/lines")
            let ofNone = try await distcomp(scratch, "retry", "--memory", "1G", "shell:0:0:0:false")
            #expect(ofNone.status != 0 && ofNone.errors.contains("left alone: 1 of no job"), "\(ofNone)")
        }
    }

    @Test("why tells of a job how its tasks stand, and of each kind of failure an example and an order that helps")
    func whyJob() async throws {
        try await withScratch { scratch in
            let run = try await distcomp(
                scratch, "run", "--quiet", "--timeout", "1", "--attempts", "1", "--name", "mix", "--",
                "test {} = 1 && exit 3; test {} = 2 && sleep 60; true", ":::", "1", "2", "3")
            #expect(run.status == 1)
            let why = try await distcomp(scratch, "why", "mix")
            let lines = why.outputLines
            #expect(lines.count == 3 && lines[0] == "mix: of 3, 1 finished, 2 failed.", "\(why.output)")
            #expect(lines.contains { $0.contains("1 failed by exit, such as ") && $0.contains("exit 3.") })
            #expect(
                lines.contains {
                    $0.contains(
                        "`distcomp retry --job mix --cause timeout --timeout 2s` tries it again with twice the time.")
                }, "\(why.output)")
            #expect(try await distcomp(scratch, "why", "mix", "--json").output.contains(#""because":"failed""#))

            let watch = try await distcomp(scratch, "watch", "mix")
            #expect(
                watch.status == 1 && watch.output.contains("exit 3") && watch.output.contains("3 tasks: 1 finished"))
            #expect(
                try await distcomp(scratch, "retry", "--job", "mix", "--cause", "timeout", "--timeout", "1h").status
                    == 0)
            let waiting = try await distcomp(scratch, "why", "mix")
            #expect(waiting.output.contains("What waits: "), "\(waiting.output)")
            let of = try await distcomp(scratch, "show", "*sleep 60*")
            #expect(of.status == 0)
        }
    }

    @Test("commands at standard input that nobody asked to read are no reason to say that nothing waits")
    func inputUnasked() async throws {
        try await withScratch { scratch in
            #expect(try await distcomp(scratch, "run", "--quiet", "--", "true").status == 0)
            try scratch.write("commands", "echo a\n")
            let run = "exec \(Products.distcomp) run --state \(scratch.path)/state"
            let passed = try await RunningProgram("/bin/sh", ["-c", run + " < commands"], in: scratch).result()
            #expect(passed.status == 2 && passed.errors.contains("`distcomp run -` reads it"), "\(passed.errors)")
            let resumed = try await RunningProgram("/bin/sh", ["-c", run + " < /dev/null"], in: scratch).result()
            #expect(resumed.status == 0, "\(resumed.errors)")
        }
    }

    @Test("the same commands piped in again go on, and others are another job")
    func pipedAgain() async throws {
        try await withScratch { scratch in
            func pipe(_ commands: String) async throws -> String {
                let run = "\(Products.distcomp) run --state \(scratch.path)/state - 2>&1"
                return try await RunningProgram("/bin/sh", ["-c", "printf '\(commands)' | " + run], in: scratch)
                    .result().output
            }
            let first = try await pipe("echo a\\nfalse\\n")
            let again = try await pipe("echo a\\nfalse\\n")
            let other = try await pipe("echo b\\n")
            #expect(first.contains("job commands: 2 tasks added"), "\(first)")
            #expect(again.contains("job commands: 1 task added, 1 finished before"), "\(again)")
            #expect(other.contains("job commands-2: 1 task added"), "\(other)")
        }
    }

    @Test("what is cancelled is told as other listings tell it, by what other commands take")
    func cancelled() async throws {
        try await withScratch { scratch in
            let go = scratch.path + "/go"
            let command = "test -e \(go) || sleep 600; true {}"
            let sweep =
                ["run", "--state", scratch.path + "/state", "--slots", "1", "--name", "long", "--", command, ":::"]
                + (1...1500).map(String.init)
            let program = try RunningProgram(Products.distcomp, sweep, in: scratch)
            try await eventually("its first task runs", program.errors) { !scratch.tasks(with: go).isEmpty }
            let cancelled = try await distcomp(scratch, "cancel", "long")
            let lines = cancelled.output.split(separator: "\n")
            #expect(cancelled.status == 0 && lines.count == 1500, "\(cancelled.errors)")
            let last = try #require(lines.first { $0.hasSuffix("true 1500") })
            let words = last.split(separator: " ")
            #expect(words[0] == "cancelled:" && last.hasSuffix("  " + command.replacing("{}", with: "1500")))
            #expect(try await program.result().status == 1)
            let why = try await distcomp(scratch, "why", String(words[1]))
            #expect(why.output.contains("cancelled"), "\(why.output) \(why.errors)")
        }
    }

    @Test("a sweep that was interrupted waits while another runs, whose status is its own; asked for again, it goes on")
    func interrupted() async throws {
        try await withScratch { scratch in
            let go = scratch.path + "/go"
            let sweep = [
                "run", "--state", scratch.path + "/state", "--slots", "1", "--name", "first", "--",
                "test -e \(go) || sleep 600; test {} != 2", ":::", "1", "2", "3",
            ]
            let program = try RunningProgram(Products.distcomp, sweep, in: scratch)
            try await eventually("its first task runs", program.errors) { !scratch.tasks(with: go).isEmpty }
            program.send(SIGINT)
            #expect(try await program.result().status == 130)

            let other = try await distcomp(scratch, "run", "--quiet", "--", "echo", "{}", ":::", "a", "b")
            #expect(other.status == 0 && other.output.contains("2 tasks: 2 finished"), "\(other.output)")
            var jobs = try await jobs(scratch)
            #expect(jobs["first"]?["todo"] as? Int == 3 && jobs["first"]?["state"] as? String == "waiting")
            #expect(jobs["echo"]?["finished"] as? Int == 2)

            try scratch.write("go", "")
            let again = try await RunningProgram(Products.distcomp, sweep, in: scratch).result()
            #expect(again.status == 1 && again.output.contains("2 finished, 1 failed (1 exit)"), "\(again.output)")
            jobs = try await self.jobs(scratch)
            #expect(jobs["first"]?["state"] as? String == "failed" && jobs["echo"]?["state"] as? String == "finished")
            #expect(try await distcomp(scratch, "watch", "--quiet", "echo").status == 0)
            #expect(try await distcomp(scratch, "watch", "--quiet", "first").status == 1)
        }
    }
}

@Suite("jobs of a fleet", .serialized)
struct JobFleetTests {
    private func job(_ fleet: Fleet, _ name: String) async throws -> [String: Any] {
        let output = try await fleet.distcomp("jobs", "--json").output
        let objects = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [[String: Any]] ?? []
        return objects.first { $0["job"] as? String == name } ?? [:]
    }

    private func numbers(_ fleet: Fleet, _ name: String) async throws -> [Int] {
        let job = try await job(fleet, name)
        return ["todo", "in_progress", "finished", "failed"].map { job[$0] as? Int ?? -1 }
    }

    @Test("every order and every listing is confined to the job that is named")
    func orders() async throws {
        try await withFleet { fleet in
            func expect(_ words: String..., saying text: String = "", status: Int32 = 0) async throws {
                let result = try await fleet.distcomp(words)
                #expect(
                    result.status == status && (text.isEmpty || (result.output + result.errors).contains(text)),
                    "\(words): \(result)")
            }
            try await fleet.submit(["shell:1:0:0:echo line"])
            try await expect(
                "submit", "--name", "a", "--", "test {} = 1 || exit 3", ":::", "1", "2", saying: "job a: 2 tasks added")
            try await expect("submit", "--name", "b", "--", "echo", "b{}", ":::", "1", "2", "3")
            try await expect("pause", "b")
            let node = try await fleet.startedNode("n", ["max_retry_per_task": "1"])
            try await expect("watch", "--quiet", "a", status: 1)
            try await fleet.untilFinished(1)
            #expect(try await numbers(fleet, "a") == [0, 0, 1, 1])
            #expect(try await numbers(fleet, "b") == [3, 0, 0, 0])
            #expect(try await job(fleet, "b")["state"] as? String == "paused")

            try await expect("results", "a", "--failed", "--json", saying: "exit 3")
            #expect(try await fleet.distcomp("tasks", "b", "--json").outputLines.count == 3)
            #expect(try await fleet.distcomp("tasks", "default", "--json").outputLines.count == 1)
            #expect(try await fleet.distcomp("tasks", "--json").outputLines.count == 6)
            try await expect("why", "echo b2", saying: "paused")
            try await expect("cancel", "echo b3", saying: "cancelled")
            try await expect("set", "b", "--memory", "100M", "--timeout", "1h")
            #expect(try await job(fleet, "b")["memory_bytes"] as? Int == 100 << 20)
            try await expect("retry", "a", saying: "1 queued again")
            try await expect("watch", "--quiet", "a", status: 1)

            try await expect("rename", "b", "c")
            try await expect("forget", "c", saying: "nothing was forgotten", status: 1)
            try await expect("resume", "c")
            try await expect("watch", "--quiet", "c", status: 1)
            #expect(try await numbers(fleet, "c") == [0, 0, 2, 1])
            let all = try await fleet.distcomp("results", "--json")
            #expect(all.outputLines.count == 6 && all.output.contains(#""stdout":"b2\n""#))
            try await expect("forget", "c", saying: "3 forgotten")
            try await expect("status", "c", saying: "there is no job c", status: 2)
            #expect(try await fleet.distcomp("tasks", "--json").outputLines.count == 3)
            try await node.stop()
        }
    }

    @Test("a job that waits for its time says so everywhere, and begins at once when it is let")
    func scheduled() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("n")
            func said(_ words: String...) async throws -> String {
                let result = try await fleet.distcomp(words)
                #expect(result.status == 0, "\(words): \(result)")
                return result.output
            }
            let before = Date().timeIntervalSince1970
            let submitted = try await said(
                "submit", "--name", "later", "--not-before", "+2h", "--", "echo", "{}", ":::", "a", "b")
            #expect(submitted.contains("waits until"), "\(submitted)")
            let listed = try await job(fleet, "later")
            #expect(listed["state"] as? String == "scheduled" && listed["waits_for_others"] as? Int == 0, "\(listed)")
            let begins = try #require(listed["not_before"] as? Double)
            let status = try jsonObject(try await said("status", "--json"))
            #expect(status.integer("waits_for_time") == 2 && status.integer("waits_for_others") == 0, "\(status)")
            let soonest = before + 7199
            #expect(begins >= soonest && status["begins_at"] as? Double ?? 0 >= soonest, "\(begins), \(status)")
            #expect(try await said("status").contains("2 of todo wait for their time, the first until"))
            #expect(try await said("tasks", "later").contains("not before"))
            let why = try jsonObject(try await said("why", "--json", "echo a"))
            #expect(why.string("because") == "not-before", "\(why)")
            #expect(why.string("explanation")?.hasPrefix("It waits until ") == true, "\(why)")
            #expect(try await said("show", "echo a").contains("todo, waits until"))
            _ = try await said("set", "later", "--not-before", "none")
            _ = try await said("watch", "--quiet", "later")
            #expect(try await numbers(fleet, "later") == [0, 0, 2, 0])
            try await node.stop()
        }
    }

    @Test("a job that is to halt ends its watch with status 1, and goes on when it is resumed")
    func halted() async throws {
        try await withFleet { fleet in
            let submitted = try await fleet.distcomp(
                "submit", "--name", "h", "--halt", "soon,fail=2", "--", "test {} -gt 5", ":::", "1", "2", "3", "4", "5",
                "6",
                "7")
            #expect(submitted.status == 0, "\(submitted.errors)")
            let node = try await fleet.startedNode("n", ["max_retry_per_task": "1", "max_task_per_worker": "1"])
            let watch = try await fleet.distcomp("watch", "h")
            #expect(watch.status == 1 && watch.errors.contains("distcomp resume h lets it go on"), "\(watch)")
            #expect(try await job(fleet, "h")["state"] as? String == "halted")
            #expect(try await fleet.distcomp("why", "h").output.contains("--halt soon,fail=2"))
            #expect(try await job(fleet, "h")["halt"] as? String == "soon,fail=2")
            _ = try await fleet.distcomp("set", "h", "--halt", "soon,fail=99%")
            #expect(try await fleet.distcomp("resume", "h").status == 0)
            #expect(try await fleet.distcomp("watch", "h").status == 1)
            #expect(try await numbers(fleet, "h").first == 0)
            try await fleet.submit(["shell:1:0:0:true"])
            let file = try fleet.scratch.write("lines", "shell:1:0:0:true\n")
            let ofLines = try await fleet.distcomp("submit", "--halt", "soon,fail=1", file)
            #expect(ofLines.status == 2 && ofLines.errors.contains("--halt"), "\(ofLines)")
            #expect(try await fleet.distcomp("submit", "--halt", "later", "--", "true").status == 2)
            try await node.stop()
        }
    }

    @Test("a job whose record cannot be read is told, and hides no other")
    func unreadable() async throws {
        try await withFleet { fleet in
            for name in ["a", "b"] { _ = try await fleet.distcomp("submit", "--name", name, "--", "true") }
            let identifier = try #require(try fleet.hash("distcomp:job-names")["a"])
            _ = try fleet.call("HSET", "distcomp:jobs", identifier, "a\n{}\n{\"container\": \"x\"}")
            let jobs = try await fleet.distcomp("jobs")
            #expect(jobs.status == 0 && jobs.output.contains("\nb "), "\(jobs.output)")
            #expect(jobs.errors.contains("job \(identifier) is left out: ") && jobs.errors.contains("later version"))
        }
    }

    @Test("the tasks of a job outlast a node that is killed, and end once each")
    func killedNode() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("n", ["max_task_per_worker": "4", "lease_seconds": "3"])
            let marks = fleet.scratch.path + "/marks"
            try fleet.scratch.write("marks", "")
            chmod(marks, 0o666)
            _ = try await fleet.distcomp(
                ["submit", "--name", "j", "--", "sleep 0.3; echo {} >> \(marks)", ":::"] + (1...40).map(String.init))
            try await eventually("some have ended", node.log) { fleet.scratch.lines("marks").count > 5 }
            try await node.kill9()
            try await node.start()
            #expect(try await fleet.distcomp("watch", "--quiet", "j").status == 0)
            #expect(try await numbers(fleet, "j") == [0, 0, 40, 0])
            #expect(Set(fleet.scratch.lines("marks")) == Set((1...40).map(String.init)))
            try await node.stop()
        }
    }

    @Test("a line that ends a worker of the old system is not added while one is alive, unless it is forced")
    func lineForOldWorker() async throws {
        try await withFleet { fleet in
            _ = try fleet.call("HSET", "worker_status", "old", "\(SystemClock.wallSeconds()):0:8:0:16")
            for line in [
                "shell:1:0:0:5m:true", "shell:1:512M:0:true", #"{"command": "true"}"#, "shell:1:0:0:echo 10:30",
            ] {
                let file = try fleet.scratch.write("tasks", "\(line)\n")
                let refused = try await fleet.distcomp("submit", file)
                #expect(refused.status == 2 && refused.errors.contains("old is a worker of the old system"), "\(line)")
                #expect(try fleet.count("todo_tasks") == 0)
                #expect(try await fleet.distcomp("submit", "--force", file).status == 0)
                _ = try fleet.call("DEL", "todo_tasks")
            }
            let file = try fleet.scratch.write("tasks", "shell:1:2:0:echo old\n")
            #expect(try await fleet.distcomp("submit", file).status == 0)
        }
    }

    @Test("nothing of a job is added while a worker of the old system is alive, unless it is forced")
    func oldWorker() async throws {
        try await withFleet { fleet in
            _ = try fleet.call("HSET", "worker_status", "old", "\(SystemClock.wallSeconds()):0:8:0:16")
            let refused = try await fleet.distcomp("submit", "--name", "j", "--", "true")
            #expect(refused.status == 2 && refused.errors.contains("old is a worker of the old system"), "\(refused)")
            #expect(try fleet.call("EXISTS", "distcomp:jobs").int == 0)
            #expect(try await fleet.distcomp("submit", "--force", "--name", "j", "--", "true").status == 0)
            #expect(try await numbers(fleet, "j") == [1, 0, 0, 0])
        }
    }
}
