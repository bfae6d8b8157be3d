// Jobs and tasks that wait for others, as people have them: commands, real nodes, real tasks.

import Foundation
import Glibc
import LinuxSystem
import TaskModel
import TaskQueue
import Testing

@Suite("jobs and tasks that wait for others", .serialized)
struct AfterTests {
    private func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    /// todo, in progress, finished, failed of a job, and how many wait for others.
    private func numbers(_ fleet: Fleet, _ job: String) async throws -> [Int] {
        let output = try await fleet.distcomp("jobs", "--json").output
        let jobs = try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [[String: Any]] ?? []
        let status = try #require(jobs.first { $0["job"] as? String == job }, "\(output)")
        return ["todo", "in_progress", "finished", "failed", "waits_for_others"].map { status[$0] as? Int ?? -1 }
    }

    private func makeMarks(_ fleet: Fleet) throws -> String {
        try fleet.scratch.write("marks", "")
        chmod(fleet.scratch.path + "/marks", 0o666)
        return fleet.scratch.path + "/marks"
    }

    @Test("prepare, then each of a sweep after its like, then a collection of all: on two nodes, of which one dies")
    func threeSteps() async throws {
        try await withFleet { fleet in
            let marks = try makeMarks(fleet)
            func submit(_ words: [String]) async throws {
                let result = try await fleet.distcomp(["submit"] + words)
                #expect(result.status == 0, "\(words): \(result)")
            }
            let values = ["a", "b", "c", "d"]
            try await submit(
                ["--name", "prepare", "--", "sleep 0.$((RANDOM % 3)); echo prepare {} >> \(marks)", ":::"] + values)
            try await submit(
                ["--name", "sweep", "--after", "prepare:each", "--", "echo sweep {1} {2} >> \(marks)", ":::"] + values
                    + [":::", "1", "2", "3"])
            try await submit(["--name", "collect", "--after", "sweep", "--", "echo collect >> \(marks)"])
            #expect(try await numbers(fleet, "sweep") == [12, 0, 0, 0, 12])
            #expect(try await numbers(fleet, "collect") == [1, 0, 0, 0, 1])
            let why = try await fleet.distcomp("why", "collect")
            #expect(why.output.contains("It waits for sweep (0 of 12 have ended)."), "\(why.output)")
            let status = try object(try await fleet.distcomp("status", "--json").output)
            #expect(status["todo"] as? Int == 17 && status["waits_for_others"] as? Int == 13)
            let listed = try await fleet.distcomp("jobs")
            #expect(listed.output.contains("collect  blocked"), "\(listed.output)")

            let lease = ["max_task_per_worker": "2", "lease_seconds": "3"]
            let (first, second) = (try await fleet.startedNode("a", lease), try await fleet.startedNode("b", lease))
            try await eventually("some have ended", first.log) { fleet.scratch.lines("marks").count > 2 }
            try await first.kill9()
            try await first.start()  // Which clears what its earlier life left.
            #expect(try await fleet.distcomp("watch", "--quiet", "collect").status == 0)
            let order = fleet.scratch.lines("marks")
            for value in values {
                let prepared = try #require(order.firstIndex(of: "prepare \(value)"))
                for number in 1...3 {
                    let swept = try #require(order.firstIndex(of: "sweep \(value) \(number)"))
                    #expect(prepared < swept)
                }
            }
            #expect(order.last == "collect" && order.filter { $0 == "collect" }.count == 1)
            #expect(try await numbers(fleet, "sweep") == [0, 0, 12, 0, 0])
            for node in [first, second] { try await node.stop() }
        }
    }

    @Test("what waits for what failed ends and names it, is revived by a retry of that, and has its say in why")
    func failure() async throws {
        try await withFleet { fleet in
            let marks = try makeMarks(fleet)
            let file = try fleet.scratch.write(
                "dag.jsonl",
                """
                {"name": "all", "command": "echo all >> \(marks)", "after": ["fit-a", "fit-b"]}
                {"name": "prep", "command": "echo prep >> \(marks)"}
                {"name": "fit-a", "command": "echo fit-a >> \(marks)", "after": ["prep"], "memory": "64M"}
                {"name": "fit-b", "command": "test -e \(fleet.scratch.path)/ok && echo fit-b >> \(marks)", "after": "prep"}

                """)
            let submitted = try await fleet.distcomp("submit", file)
            #expect(submitted.output.hasPrefix("job dag: 4 tasks added"), "\(submitted)")
            let after = try await fleet.distcomp("submit", "--after", "dag", "--", "echo last >> \(marks)")
            #expect(after.output == "job echo: 1 task added, waits for dag (0 of 4 have ended)\n", "\(after)")
            let node = try await fleet.startedNode("n", ["max_retry_per_task": "1"])
            #expect(try await fleet.distcomp("watch", "--quiet", "echo").status == 1)
            #expect(fleet.scratch.lines("marks") == ["prep", "fit-a"])
            #expect(try await numbers(fleet, "dag") == [0, 0, 2, 2, 0])
            let results = try await fleet.distcomp("results", "--failed", "--json")
            #expect(results.output.contains(#""cause":"dependency""#), "\(results.output)")
            #expect(results.output.contains("dependency: fit-b failed"), "\(results.output)")
            #expect(results.output.contains("dependency: dag failed"), "\(results.output)")
            let why = try await fleet.distcomp("why", "dag")
            #expect(why.output.contains("What it waited for is to be retried: then it waits again."), "\(why.output)")

            try fleet.scratch.write("ok", "")
            #expect(try await fleet.distcomp("retry", "--job", "dag", "--cause", "exit").status == 0)
            #expect(try await fleet.distcomp("watch", "--quiet", "echo").status == 0)
            #expect(fleet.scratch.lines("marks") == ["prep", "fit-a", "fit-b", "all", "last"])
            #expect(try await fleet.distcomp("forget", "dag").status == 0)
            try await node.stop()
        }
    }

    @Test("what cannot be is refused before anything is added: circles, unknown names and jobs, tasks without a like")
    func refused() async throws {
        try await withFleet { fleet in
            func expect(_ words: [String], saying text: String) async throws {
                let result = try await fleet.distcomp(words)
                #expect(result.status == 2 && result.errors.contains(text), "\(words): \(result)")
            }
            let circle = try fleet.scratch.write(
                "circle.jsonl",
                #"{"name":"a","command":"x","after":["b"]}"# + "\n" + #"{"name":"b","command":"x","after":["a"]}"#
                    + "\n")
            try await expect(
                ["submit", circle], saying: "these wait for each other: a after b after a; nothing was added")
            let unknown = try fleet.scratch.write("unknown.jsonl", #"{"name":"a","command":"x","after":["z"]}"# + "\n")
            try await expect(["submit", unknown], saying: "unknown.jsonl:1: after: there is no task named `z`")
            try await expect(["submit", "--after", "nope", "--", "x"], saying: "there is no job nope")
            #expect(try await fleet.distcomp("jobs").output == "no jobs\n")

            #expect(try await fleet.distcomp("submit", "--name", "p", "--", "echo {}", ":::", "1", "2").status == 0)
            try await expect(
                ["submit", "--name", "q", "--after", "p:each", "--", "echo {}", ":::", "2", "3"],
                saying: "--after p:each: it has no task with the value 3; nothing was added")
            try await expect(
                ["submit", "--name", "p", "--after", "p", "--", "echo {}", ":::", "1", "2"],
                saying: "these jobs would wait for each other: p after p")
            #expect(try await numbers(fleet, "p") == [2, 0, 0, 0, 0])
            // A command of a file has no value.
            let commands = try fleet.scratch.write("c.txt", "echo 1\n")
            try await expect(["submit", "--after", "p:each", commands], saying: "neither names nor values in common")
            let first = try fleet.scratch.write("first.txt", "echo a\n\necho b\n")
            let second = try fleet.scratch.write("second.txt", "echo x\necho y\n")
            #expect(try await fleet.distcomp("submit", "--quiet", first).status == 0)
            #expect(try await fleet.distcomp("submit", "--quiet", "--after", "first:each", second).status == 0)
            let why = try await fleet.distcomp("why", "*echo y")
            #expect(why.output.contains("It waits for `echo b`, which waits itself."), "\(why.output)")
            let third = try fleet.scratch.write("third.txt", "echo x\necho y\necho z\n")
            try await expect(["submit", "--after", "first:each", third], saying: "no task in place 3, only 2")
            #expect(try await !fleet.distcomp("jobs").output.contains("third"), "nothing of it was added")
            // What was given wrongly is put right.
            #expect(try await fleet.distcomp("submit", "--name", "r", "--after", "p", "--", "true").status == 0)
            #expect(try await numbers(fleet, "r") == [1, 0, 0, 0, 1])
            #expect(try await fleet.distcomp("set", "r", "--after", "none").status == 0)
            #expect(try await numbers(fleet, "r") == [1, 0, 0, 0, 0])
        }
    }

    @Test(
        "the like of a task is the one in its place of the file, by its name or its values, also where others were forgotten"
    )
    func forgottenLikes() async throws {
        try await withFleet { fleet in
            func submit(_ words: String...) async throws {
                let result = try await fleet.distcomp(["submit", "--quiet"] + words)
                #expect(result.status == 0, "\(words): \(result)")
            }
            func expect(_ words: [String], saying text: String) async throws {
                let result = try await fleet.distcomp(["submit"] + words)
                #expect(result.status == 2 && result.errors.contains(text), "\(words): \(result)")
            }
            let ending = try Ending(on: fleet)
            func expectWaiting(_ pattern: String, for parent: String) async throws {
                let why = try await fleet.distcomp("why", pattern)
                #expect(why.output.contains("It waits for `\(parent)`"), "\(pattern): \(why)")
            }
            // By places.
            let first = try fleet.scratch.write("first.txt", "echo 1\necho 2\necho 3\necho 4\n")
            let second = try fleet.scratch.write("second.txt", "echo a\necho b\necho c\necho d\n")
            try await submit(first)
            try await ending.forget("first", "echo 1", "echo 2")
            try await submit("--after", "first:each", second)
            #expect(try await numbers(fleet, "second") == [4, 0, 0, 0, 2])
            try await expectWaiting("*echo c", for: "echo 3")
            // What is left out has its place too.
            let log = try fleet.scratch.write(
                "jobs.log",
                "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n1\t:\t1\t1\t0\t0\t0\t0\techo e\n"
            )
            let rest = try fleet.scratch.write("rest.txt", "echo e\necho f\necho g\necho h\n")
            try await submit("--resume-joblog", log, "--after", "first:each", rest)
            #expect(try await numbers(fleet, "rest") == [3, 0, 0, 0, 2])
            try await expectWaiting("*echo g", for: "echo 3")
            // In the file the first waits for the second, which is told to the queue before it.
            let dag = try fleet.scratch.write(
                "dag.jsonl",
                #"{"name":"z","command":"echo z","after":["y"]}"# + "\n" + #"{"name":"y","command":"echo y"}"# + "\n")
            let pair = try fleet.scratch.write("pair.txt", "echo p\necho q\n")
            try await submit(pair)
            try await submit("--after", "pair:each", dag)
            try await expectWaiting("*echo y*", for: "echo q")
            // A file that is not what it was tells no places.
            var times = [timespec(tv_sec: time(nil) + 100, tv_nsec: 0), timespec(tv_sec: time(nil) + 100, tv_nsec: 0)]
            #expect(utimensat(AT_FDCWD, first, &times, 0) == 0)
            try await expect(
                ["--name", "late", "--after", "first:each", second],
                saying:
                    "--after first:each: 2 of the commands of \(first) are no tasks of it, and the file has changed since"
            )

            // By values.
            try await submit("--name", "values", "--", "echo {} v", ":::", "1", "2", "3")
            try await ending.forget("values", "echo 2 v")
            try await submit("--name", "likes", "--after", "values:each", "--", "echo {} w", ":::", "2", "3")
            #expect(try await numbers(fleet, "likes") == [2, 0, 0, 0, 1])
            try await expect(
                ["--name", "unlike", "--after", "values:each", "--", "echo {} w", ":::", "2", "4"],
                saying: "it has no task with the value 4; nothing was added")

            // By names.
            func names(_ names: String...) -> String {
                names.map { "{\"name\":\"\($0)\",\"command\":\"echo \($0)\"}\n" }.joined()
            }
            let named = try fleet.scratch.write("named.jsonl", names("m", "n", "o"))
            try await submit("--name", "named", named)
            try await ending.forget("named", "echo m")
            try await submit(
                "--name", "namesakes", "--after", "named:each", try fleet.scratch.write("again.jsonl", names("m", "n")))
            #expect(try await numbers(fleet, "namesakes") == [2, 0, 0, 0, 1])
            try await expect(
                [
                    "--name", "others", "--after", "named:each",
                    try fleet.scratch.write("others.jsonl", names("m", "k")),
                ], saying: "it has no task named `k`; nothing was added")
        }
    }

    /// A node by which some tasks end, and others never do.
    private final class Ending {
        private let fleet: Fleet
        private let node: PretendedNode
        private var held: [ClaimTasks.Claimed] = []

        init(on fleet: Fleet) throws {
            self.fleet = fleet
            node = try PretendedNode("ending", version: "1.1", on: fleet)
        }

        /// Some tasks of a job finish, and nothing is known of them any more.
        func forget(_ job: String, _ commands: String...) async throws {
            // What was taken away from it by hand it has to know before it is given more.
            _ = try node.takeCancellations()
            held += try node.claim(50)
            for command in commands {
                let place = try #require(held.firstIndex { $0.line.contains(command) }, "\(command): \(held)")
                try node.finish(held.remove(at: place))
            }
            let forgotten = try await fleet.distcomp("forget", job, "--finished", "--yes")
            #expect(forgotten.output == "\(commands.count) forgotten\n", "\(forgotten)")
        }
    }

    @Test("what failed and was forgotten, what no option made, and what was never added does not count as finished")
    func missingLikes() async throws {
        try await withFleet { fleet in
            func submit(_ words: String...) async throws {
                let result = try await fleet.distcomp(["submit", "--quiet"] + words)
                #expect(result.status == 0, "\(words): \(result)")
            }
            func expect(_ words: [String], saying text: String) async throws {
                let result = try await fleet.distcomp(["submit", "--name", "child"] + words)
                #expect(result.status == 2 && result.errors.contains(text), "\(words): \(result)")
                #expect(try await !fleet.distcomp("jobs").output.contains("child"))
            }
            let ending = try Ending(on: fleet)

            // Cancelled, and forgotten then; until it has been added again.
            func submitFailed() async throws {
                try await submit("--name", "failed", "--", "echo {} f", ":::", "1", "2", "3")
            }
            try await submitFailed()
            try await ending.forget("failed", "echo 1 f")
            #expect(try await fleet.distcomp("requeue", "--yes", "*echo 2 f").status == 0)
            #expect(try await fleet.distcomp("cancel", "--yes", "*echo 2 f").status == 0)
            #expect(try await fleet.distcomp("forget", "failed", "--failed", "--yes").output == "1 forgotten\n")
            let each = ["--after", "failed:each", "--", "echo {} g", ":::"]
            try await expect(
                each + ["3", "2"],
                saying: "it has no task with the value 2 (2 of its commands are no tasks of it, and 1 that had failed "
                    + "was forgotten: submit it again, and they run)")
            try await submitFailed()
            let again = try await fleet.distcomp(["submit", "--name", "again"] + each + ["1", "2", "3"])
            #expect(again.status == 0, "\(again)")
            #expect(try await numbers(fleet, "again") == [3, 0, 0, 0, 3])

            // Its words alone do not tell that --link made two of them.
            try await submit("--name", "linked", "--link", "--", "echo {1} {2} l", ":::", "a", "b", ":::", "x", "y")
            let both = ["--after", "linked:each", "--", "echo {1} {2} m", ":::", "a", "b", ":::", "x", "y"]
            try await expect(
                both,
                saying: "it has no task with the values a y (2 of its commands are no tasks of it, and none is known")
            try await ending.forget("linked", "echo a x l")
            try await expect(both, saying: "it has no task with the values a x (3 of its commands are no tasks of it")

            // As a submit leaves it that was refused before all had been added.
            let grown = try fleet.scratch.write("grown.txt", "echo w1\necho w2\necho w3\n")
            let second = try fleet.scratch.write("second.txt", "echo z1\necho z2\necho z3\n")
            try await submit(grown)
            let id = try #require(try fleet.call("HGET", "distcomp:job-names", "grown").string)
            #expect(try fleet.call("HDEL", "distcomp:job:\(id):todo_tasks", "@\(id) echo w3").int == 1)
            try await expect(
                ["--after", "grown:each", second],
                saying: "1 of the commands of \(grown) is no task of it, and none is known to have finished before "
                    + "being forgotten: submit it again, and they run, so that places tell nothing")
            try await ending.forget("grown", "echo w1")
            try await expect(
                ["--after", "grown:each", second],
                saying: "2 of the commands of \(grown) are no tasks of it, and one is known")
        }
    }

    @Test("where results have left Redis, all of a job had finished if as many had as its words make")
    func departedLikes() async throws {
        try await withFleet { fleet in
            let left = try await fleet.distcomp("submit", "--name", "left", "--", "echo {} q", ":::", "1", "2")
            #expect(left.status == 0, "\(left)")
            let id = try #require(try fleet.call("HGET", "distcomp:job-names", "left").string)
            #expect(try fleet.call("DEL", "distcomp:job:\(id):todo_tasks").int == 1)
            let child = ["submit", "--name", "child", "--after", "left:each", "--", "echo {} r", ":::", "1", "2"]
            _ = try fleet.call("HSET", "distcomp:jobs-left", id, "1 0 100")
            let refused = try await fleet.distcomp(child)
            #expect(refused.status == 2 && refused.errors.contains("and one is known to have finished"), "\(refused)")
            _ = try fleet.call("HSET", "distcomp:jobs-left", id, "2 0 100")
            let taken = try await fleet.distcomp(child)
            #expect(taken.status == 0, "\(taken)")
            #expect(try await numbers(fleet, "child") == [2, 0, 0, 0, 0])
        }
    }

    @Test(
        "a command that is there twice, in places with different likes, is refused: it would wait for one of them only")
    func twiceAfterEach() async throws {
        try await withFleet { fleet in
            let first = try fleet.scratch.write("first.txt", "echo 1\necho 2\necho 3\n")
            #expect(try await fleet.distcomp("submit", "--quiet", first).status == 0)
            let twice = try fleet.scratch.write("twice.txt", "echo a\necho b\necho a\n")
            let result = try await fleet.distcomp("submit", "--quiet", "--after", "first:each", twice)
            #expect(result.status == 2 && result.errors.contains("`echo a` is there more than once"), "\(result)")
            #expect(try await !fleet.distcomp("jobs").output.contains("twice"))
        }
    }

    @Test("what is let in by an order that gives it another size as well runs in that size, or not at all")
    func letInWithAnotherSize() async throws {
        try await withFleet { fleet in
            let marks = try makeMarks(fleet)
            func order(_ words: String...) async throws {
                let result = try await fleet.distcomp(words)
                #expect(result.status == 0, "\(words): \(result)")
            }
            let node = try await fleet.startedNode("n")
            try await order("submit", "--name", "ended", "--", "true")
            try await order("watch", "--quiet", "ended")
            try await order("submit", "--name", "other", "--not-before", "+1h", "--", "true")
            let names = (1...8).map { "fit-\($0)" }
            for name in names {
                try await order("submit", "--name", name, "--after", "other", "--", "echo \(name) >> \(marks)")
            }
            for name in names { try await order("set", name, "--after", "ended", "--memory", "900000G") }
            try await order("submit", "--name", "last", "--", "true")
            try await order("watch", "--quiet", "last")
            for name in names { #expect(try await numbers(fleet, name) == [1, 0, 0, 0, 0]) }
            #expect(fleet.scratch.lines("marks").isEmpty)
            try await node.stop()
        }
    }

    @Test("a run on one machine runs what its job waits for as well; lines of a task file are a job where they wait")
    func run() async throws {
        try await withScratch { scratch in
            func distcomp(_ words: String...) async throws -> ProgramResult {
                let state = ["--state", scratch.path + "/state"]
                return try await RunningProgram(
                    Products.distcomp, words.prefix(1) + state + words.dropFirst(), in: scratch
                ).result()
            }
            try scratch.write("marks", "")
            chmod(scratch.path + "/marks", 0o666)
            let marks = scratch.path + "/marks"
            try scratch.write("first", "shell:0:0:0:test -e \(scratch.path)/ok && echo first >> \(marks)\n")
            let first = try await distcomp("run", "--quiet", "--name", "first", scratch.path + "/first")
            #expect(first.status == 1, "\(first)")
            try scratch.write("ok", "")
            #expect(try await distcomp("retry", "--job", "first").output == "1 queued again\n")
            try scratch.write(
                "second", "shell:2:0:0:echo second >> \(marks)\nshell:1:64M:0:10:echo third >> \(marks)\n")
            let second = try await distcomp(
                "run", "--quiet", "--slots", "1", "--after", "first", scratch.path + "/second")
            #expect(second.status == 0, "\(second)")
            #expect(scratch.lines("marks") == ["first", "second", "third"])
            let jobs = try await distcomp("jobs", "--json")
            #expect(jobs.output.contains(#""job":"second""#), "\(jobs.output)")
        }
    }
}
