// Tasks that wait for tasks, of their own job or of another.

import RedisClient
import TaskModel
import TaskQueue
import Testing

@Suite("Tasks after tasks")
struct TasksAfterTests {
    @Test("tasks run after all those they wait for, in the order in which they came")
    func order() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        let reply = try bench.submit(
            job, after: [("a", []), ("b", []), ("c", ["a", "b"]), ("d", ["a"]), ("e", ["c", "d"])])
        #expect(reply.added == 5)
        #expect(try bench.numbers(of: job) == [5, 0, 0, 0] && bench.dependent(of: job) == 3)
        let tasks = try node.take()
        #expect(tasks.keys.sorted() == ["a", "b"])
        try node.finish(try #require(tasks["a"]))
        #expect(try bench.dependent(of: job) == 2)
        let next = try node.take()
        #expect(next.keys.sorted() == ["d"])
        try node.finish(try #require(tasks["b"]))
        try node.finish(try #require(next["d"]))
        #expect(try node.runAll() == ["c", "e"])
        #expect(try bench.numbers(of: job) == [0, 0, 5, 0] && bench.dependent(of: job) == 0)
    }

    @Test("each waits for its like in another job; one whose like has finished waits for nothing")
    func each() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare"), try bench.job("sweep"))
        try bench.submit(first, "1", "2", "3")
        try node.finish(try node.claim(1)[0])
        try bench.submit(second, after: ["1", "2", "3"].map { ("x\($0)", ["@\(first.identifier) \($0)"]) })
        let tasks = try node.take()
        #expect(tasks.keys.sorted() == ["2", "3", "x1"])
        try node.finish(try #require(tasks["3"]))
        #expect(try node.take().keys.sorted() == ["x3"])
        try node.fail(try #require(tasks["2"]), attemptsMax: 1)
        #expect(try bench.reason(second, "x2") == "dependency: 2 failed")
        #expect(try bench.numbers(of: second) == [0, 2, 0, 1])
    }

    @Test("what waits for what has failed ends, over any number of steps, and names that; a retry revives all of it")
    func chain() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        try bench.submit(
            job, after: [("a", []), ("b", []), ("c", ["a"]), ("d", ["c"]), ("e", ["d", "b"]), ("f", ["b"])])
        let tasks = try node.take()
        try node.fail(try #require(tasks["a"]), attemptsMax: 1)
        #expect(try bench.numbers(of: job) == [1, 1, 0, 4])
        for command in ["c", "d", "e"] { #expect(try bench.reason(job, command) == "dependency: a failed") }
        try node.fail(try #require(tasks["b"]), attemptsMax: 1)
        #expect(try bench.reason(job, "f") == "dependency: b failed")
        #expect(try bench.numbers(of: job) == [0, 0, 0, 6])
        #expect(try bench.retry(job, "c", "d", "e", "f") == 0, "they go on with what they wait for")

        #expect(try bench.retry(job, "a") == 1)
        #expect(try bench.numbers(of: job) == [3, 0, 0, 3], "e waits for b as well, which has failed still")
        #expect(try bench.dependent(of: job) == 2)
        #expect(try node.runAll() == ["a", "c", "d"])
        #expect(try bench.retry(job, "b", "e", "f") == 1)
        #expect(try node.runAll().sorted() == ["b", "e", "f"])
        #expect(try bench.numbers(of: job) == [0, 0, 6, 0])
    }

    @Test("a task that fails and is to be tried again is waited for still")
    func retrying() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", ["a"])])
        try node.fail(try #require(try node.take()["a"]), attemptsMax: 3)
        #expect(try bench.numbers(of: job) == [2, 0, 0, 0])
        #expect(try node.runAll() == ["a", "b"])
    }

    @Test("cancelled: what waits for it ends; what was cancelled while it waited stays so, until it is asked for")
    func cancelled() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", ["a"]), ("c", ["b"])])
        try bench.cancel(job, "b")
        #expect(try bench.numbers(of: job) == [1, 0, 0, 2] && bench.dependent(of: job) == 0)
        #expect(try bench.reason(job, "b") == "cancelled" && bench.reason(job, "c") == "dependency: b failed")
        #expect(try bench.retry(job, "b") == 0, "it waits for a")
        #expect(try bench.numbers(of: job) == [3, 0, 0, 0] && bench.dependent(of: job) == 2)
        try bench.cancel(job, "b")
        #expect(try node.runAll() == ["a"])
        #expect(try bench.numbers(of: job) == [0, 0, 1, 2])
        #expect(try bench.retry(job, "b") == 1)
        #expect(try node.runAll() == ["b", "c"])
    }

    @Test("results that are forgotten count as finished, once all have been told; a failure does not")
    func forgotten() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", [])])
        let tasks = try node.take()
        try node.finish(try #require(tasks["a"]))
        let keys = bench.keys.of(job: job.identifier)
        func forget(_ state: ForgetTasks.State, _ command: String) throws -> Int {
            let line = Array("@\(job.identifier) \(command)".utf8)
            return try bench.perform(ForgetTasks(state, [line][...], keys: keys, jobs: [job.identifier: job]))
        }
        #expect(try forget(.finished, "a") == 1)
        try bench.submit(job, after: [("c", ["a"]), ("d", ["a", "b"])])
        #expect(try node.take().keys.sorted() == ["c"])
        try node.fail(try #require(tasks["b"]), attemptsMax: 1)
        #expect(try forget(.failed, "b") == 1)
        // As if somebody had noted it again.
        let number = try #require(
            try bench.command("HGET", "distcomp:job:\(job.identifier):numbers", "@\(job.identifier) b").string)
        try bench.command("ZADD", "distcomp:telling", "0", "task \(job.identifier) \(number)")
        try node.beat()
        #expect(try bench.reason(job, "d") == "dependency: b failed")
        #expect(try forget(.failed, "d") == 1)
        #expect(try bench.numbers(of: job) == [0, 1, 0, 0])
    }

    @Test("of what was forgotten is noted what had finished, until anything is added that may be the same")
    func noted() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("prepare")
        let keys = bench.keys.of(job: job.identifier)
        func forget(_ state: ForgetTasks.State, _ commands: String...) throws -> Int {
            let lines = commands.map { Array("@\(job.identifier) \($0)".utf8) }
            return try bench.perform(ForgetTasks(state, lines[...], keys: keys, jobs: [job.identifier: job]))
        }
        func noted() throws -> ForgottenTasks { try bench.perform(ReadForgottenTasks(keys: keys)) }
        func finished(_ commands: String...) throws -> ForgottenTasks {
            var tasks = ForgottenTasks()
            for command in commands {
                let isAdded = tasks.add(finishedLine: "@\(job.identifier) \(command)")
                try #require(isAdded)
            }
            return tasks
        }
        try bench.submit(job, "1", "2", "3", "é")
        let tasks = try node.take()
        for (command, task) in tasks where command != "3" { try node.finish(task) }
        #expect(try noted() == ForgottenTasks())
        #expect(try forget(.finished, "é", "é", "3") == 1 && noted() == finished("é"))
        #expect(try forget(.finished, "2", "1") == 2)
        #expect(try noted() == finished("1", "2", "é") && noted() != finished("1", "3", "é"))
        #expect(try forget(.finished, "1") == 0 && noted() == finished("1", "2", "é"), "it is forgotten already")
        try bench.submit(job, "3")
        #expect(try noted() == finished("1", "2", "é"), "nothing was added")

        // What is added may be one of them, and fail then.
        let ways: [() throws -> SubmitReply] = [
            { try bench.submit(job, "1") }, { try bench.submit(job, after: [("1", ["3"])]) },
        ]
        for addAgain in ways {
            #expect(try addAgain().added == 1)
            #expect(try noted() == ForgottenTasks())
            try bench.cancel(job, "1")
            #expect(try forget(.failed, "1") == 1)
            #expect(try noted().failed == 1 && noted().finished == 0)
        }
        try node.finish(try #require(tasks["3"]))
        #expect(try bench.perform(ForgetJob(job, keys: bench.keys)) == .changed)
        #expect(try noted() == ForgottenTasks())
    }

    @Test("what failed, and was forgotten then, keeps nothing from running that is retried by hand")
    func forgottenFailure() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare"), try bench.job("sweep"))
        try bench.submit(first, "1", "2")
        try bench.submit(
            second,
            after: [("a", ["@\(first.identifier) 1"]), ("b", ["@\(first.identifier) 1", "@\(first.identifier) 2"])])
        let tasks = try node.take()
        try node.fail(try #require(tasks["1"]), attemptsMax: 1)
        #expect(try bench.numbers(of: second) == [0, 0, 0, 2])
        #expect(try bench.retry(second, "a", "b") == 0, "what failed is there, and may be retried")
        let line = Array("@\(first.identifier) 1".utf8)
        let forget = ForgetTasks(
            .failed, [line][...], keys: bench.keys.of(job: first.identifier), jobs: [first.identifier: first])
        #expect(try bench.perform(forget) == 1)
        try node.beat()
        #expect(try bench.numbers(of: second) == [0, 0, 0, 2], "not by itself")
        #expect(try bench.retry(second, "a", "b") == 1)
        #expect(try bench.dependent(of: second) == 1, "b waits for the other still")
        #expect(try node.take().keys.sorted() == ["a"])
        try node.finish(try #require(tasks["2"]))
        #expect(try node.take().keys.sorted() == ["b"])
    }

    @Test("of hundreds that failed for a hundred that were forgotten each call looks at some, and the next at the rest")
    func forgottenFailuresOfMany() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare"), try bench.job("sweep"))
        try bench.submit(first, "1")
        let commands = (0..<300).map { "x\($0)" }
        try bench.submit(second, after: commands.map { ($0, ["@\(first.identifier) 1"]) })
        try node.fail(try #require(try node.take()["1"]), attemptsMax: 1)
        for _ in 0..<10 { try node.beat() }
        #expect(try bench.numbers(of: second) == [0, 0, 0, 300])
        #expect(try bench.perform(ForgetJob(first, keys: bench.keys)) == .changed)
        // As if each had waited for others as well, of a job that there is not any more.
        let todo = bench.keys.of(job: second.identifier).todo
        for number in 1...300 {
            for key in ["broken", "needs"] {
                var words = ["ZADD", todo.replacing("todo_tasks", with: key)]
                for other in 1...99 { words += ["\(number)", "\(number) zzz \(other)"] }
                _ = try bench.client.call(.command(RedisCommand(bytes: words.map { Array($0.utf8) })))
            }
        }
        let lines = try commands.map { try TaskLine(command: $0, of: second) }
        func retry() throws -> Int {
            let before = try bench.commandCount
            let queued = try bench.perform(RetryTasks(lines[...], keys: bench.keys)).queued
            #expect(try bench.commandCount - before < 6000, "not two for each of thirty thousand")
            return queued
        }
        #expect(try retry() == 200)
        #expect(try retry() == 100)
        #expect(try node.runAll().count == 300)
    }

    @Test("the same where all of the job was forgotten in which it failed")
    func forgottenJob() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare"), try bench.job("sweep"))
        try bench.submit(first, "1", "2")
        try bench.submit(second, after: ["1", "2"].map { ("x\($0)", ["@\(first.identifier) \($0)"]) })
        for (command, task) in try node.take() {
            if command == "1" { try node.finish(task) } else { try node.fail(task, attemptsMax: 1) }
        }
        #expect(try bench.perform(ForgetJob(first, keys: bench.keys)) == .changed)
        #expect(try node.runAll() == ["x1"])
        #expect(try bench.retry(second, "x2") == 1)
        #expect(try node.runAll() == ["x2"])
    }

    @Test("a task is asked for again without any to wait for: it waits for none, also when it is retried")
    func withoutAny() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", ["a"]), ("c", ["a"]), ("d", ["c"])])
        #expect(try bench.submit(job, "b").inTodo == 1)
        #expect(try bench.dependent(of: job) == 2)
        let tasks = try node.take()
        #expect(tasks.keys.sorted() == ["a", "b"])
        try node.fail(try #require(tasks["a"]), attemptsMax: 1)
        #expect(try bench.numbers(of: job) == [0, 1, 0, 3])
        #expect(try bench.submit(job, "c").added == 1)
        #expect(try bench.numbers(of: job) == [2, 1, 0, 1], "what waits for that waits again")
        let next = try node.take()
        #expect(next.keys.sorted() == ["c"])
        try node.fail(try #require(next["c"]), attemptsMax: 1)
        #expect(try bench.retry(job, "c") == 1)
        #expect(try node.runAll() == ["c", "d"])
    }

    @Test("a task is asked for again with other tasks to wait for: these count")
    func again() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", []), ("c", ["a"])])
        let reply = try bench.submit(job, after: [("c", ["b"])])
        #expect(reply.inTodo == 1 && reply.added == 0)
        let tasks = try node.take()
        try node.finish(try #require(tasks["b"]))
        #expect(try node.take().keys.sorted() == ["c"], "a runs still")
        try node.finish(try #require(tasks["a"]))
        #expect(try bench.submit(job, after: [("c", ["a"])]).inProgress == 1)
        #expect(try bench.submit(job, after: [("a", [])]).finished == 1)
    }

    @Test("one that waits for more than a call can say waits for all of them")
    func many() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        let parents = (0..<1300).map { "p\($0)" }
        let tasks = parents.map { ($0, [String]()) } + [("last", parents)]
        let operations = try SubmitDependent.operations(
            tasks.map { command, parents in
                DependentTask(
                    try TaskLine(command: command, of: job), after: parents.map { "@\(job.identifier) \($0)" })
            }, keys: bench.keys)
        #expect(operations.count > 4)
        for operation in operations.dropLast() { try bench.perform(operation) }
        #expect(try bench.dependent(of: job) == 1)
        #expect(try node.runAll().count == 1300, "not all has been said of the last")
        try bench.perform(try #require(operations.last))
        #expect(try node.take().keys.sorted() == ["last"])
    }

    @Test("a job of tasks that wait, and that waits itself, does both")
    func both() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let (first, second) = (try bench.job("prepare"), try bench.job("dag"))
        try bench.submit(first, "1")
        try bench.gate(second, (first, .ok))
        try bench.submit(second, after: [("a", []), ("b", ["a"])])
        #expect(try bench.dependent(of: second) == 2)
        try node.fail(try #require(try node.take()["1"]), attemptsMax: 1)
        #expect(try bench.numbers(of: second) == [0, 0, 0, 2])
        #expect(try bench.retry(first, "1") == 1)
        #expect(try bench.numbers(of: second) == [2, 0, 0, 0])
        #expect(try node.runAll() == ["1", "a", "b"])
    }

    @Test("a node that dies with a task, or with it for the third time, is heard of by what waits for that")
    func poison() throws {
        let bench = try QueueBench()
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", ["a"])])
        for life in 1...3 {
            let node = try bench.node("a", life: Int64(life))
            #expect(try node.take().keys.sorted() == ["a"])
        }
        let node = try bench.node("a", life: 4)
        #expect(try node.take().isEmpty)
        #expect(try bench.reason(job, "b") == "dependency: a failed")
    }

    @Test("a hundred thousand that wait for one are told a few hundred at a time, and no call takes long")
    func fanOut() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        let count = 3000
        try bench.submit(job, after: [("a", [])] + (0..<count).map { ("c\($0)", ["a"]) })
        try node.finish(try #require(try node.take()["a"]))
        let first = count - (try bench.dependent(of: job))
        #expect((1...600).contains(first), "\(first)")
        let reply = try node.claimReply(0)
        #expect(reply.tasks.isEmpty)
        #expect(try node.claimReply(10_000).dueMilliseconds == 0, "it is to come again at once")
        #expect(try node.runAll().count + 1000 >= count)
    }

    @Test("a queue that was put back to an earlier state lets in what it has to when that has ended again")
    func rolledBack() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", ["a"])])
        let first = try #require(try node.take()["a"])
        let names = try bench.command("KEYS", "*").elements?.compactMap(\.string) ?? []
        let dumps = try names.map { ($0, try bench.command("DUMP", $0).bytes ?? []) }
        try node.finish(first)
        let second = try #require(try node.take()["b"])
        for name in try bench.command("KEYS", "*").elements?.compactMap(\.string) ?? [] {
            try bench.command("DEL", name)
        }
        for (name, dump) in dumps {
            _ = try bench.client.call(
                .command(
                    RedisCommand(bytes: [Array("RESTORE".utf8), Array(name.utf8), Array("0".utf8), dump])))
        }
        let line = try TaskLine(command: "b", of: job)
        let running = RestoreTasks.Running(line: line, token: second.token, attempt: 1)
        let restored = try bench.perform(
            RestoreTasks([running], keys: bench.keys, incarnation: node.incarnation, isLast: true))
        #expect(restored == [.restored])
        #expect(try bench.numbers(of: job) == [0, 2, 0, 0] && bench.dependent(of: job) == 0)
        try node.fail(first, attemptsMax: 1)
        #expect(try bench.numbers(of: job) == [0, 1, 0, 1], "b runs: it is not ended for a's sake")
        try node.finish(second)
        #expect(try bench.numbers(of: job) == [0, 0, 1, 1])
    }

    @Test("a script that is stopped half-way is made up for by the next, and nothing is let in too early")
    func stopped() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", []), ("c", ["a", "b"])])
        let tasks = try node.take()
        // Refused in the middle of it: the number of what waits is of another type.
        let key = bench.keys.prefix + "distcomp:job:\(job.identifier):children"
        try bench.command("RENAME", key, "kept")
        try bench.command("SET", key, "x")
        #expect(throws: (any Error).self) { try node.finish(try #require(tasks["a"])) }
        #expect(throws: (any Error).self) { try node.finish(try #require(tasks["b"])) }
        try bench.command("DEL", key)
        try bench.command("RENAME", "kept", key)
        #expect(try node.take().isEmpty)
        for name in ["b", "a"] {
            #expect(try [.accepted, .duplicate].contains(node.finish(try #require(tasks[name]))))
        }
        _ = try node.claim(0)
        #expect(try node.take().keys.sorted() == ["c"])
    }

    @Test("what waits for others costs a queue nothing where nobody waits: the same commands as ever")
    func nothing() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("plain")
        try bench.submit(job, (0..<100).map { "\($0)" })
        let tasks = try node.claim(50)
        let before = try bench.commandCount
        for task in tasks { try node.finish(task) }
        #expect(try bench.commandCount - before <= 50 * 13 + 5)
        let names = try bench.command("KEYS", "*").elements?.compactMap(\.string) ?? []
        for word in ["needs", "numbers", "children", "telling", "awaited"] {
            #expect(!names.contains { $0.contains(word) })
        }
    }

    @Test(
        "a node that others have taken over lets nothing in by a late report; an old worker is given nothing that waits"
    )
    func fenced() throws {
        let bench = try QueueBench()
        let (lost, other) = (try bench.node("a"), try bench.node("b"))
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", ["a"])])
        let task = try #require(try lost.claim().first)
        try lost.loseLease()
        try other.beat()
        #expect(try lost.finish(task) == .stale)
        #expect(throws: QueueError.self) { try lost.claim(0) }
        #expect(try bench.dependent(of: job) == 1)
        #expect(try OldWorker(bench: bench, name: "old").take() == nil)
        #expect(try other.runAll() == ["a", "b"])
    }

    @Test("in a queue that was emptied, what is submitted again waits for what its node still runs")
    func emptied() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        let tasks: [(String, [String])] = [("a", []), ("b", ["a"])]
        try bench.submit(job, after: tasks)
        let task = try #require(try node.claim().first)
        try bench.command("FLUSHALL")
        let again = try bench.node("a", life: 2, runsSomething: true)
        let running = RestoreTasks.Running(line: try TaskLine(command: "a", of: job), token: task.token, attempt: 1)
        #expect(
            try bench.perform(RestoreTasks([running], keys: bench.keys, incarnation: again.incarnation, isLast: true))
                == [.restored])
        let reply = try bench.submit(try bench.job("dag"), after: tasks)
        #expect(reply.added == 1 && reply.inProgress == 1)
        #expect(try again.take().isEmpty && bench.dependent(of: job) == 1)
        try again.finish(task)
        #expect(try again.runAll() == ["b"])
    }

    @Test("a task that is given back, requeued, or whose node leaves is waited for still")
    func back() throws {
        let bench = try QueueBench()
        let node = try bench.node("a")
        let job = try bench.job("dag")
        try bench.submit(job, after: [("a", []), ("b", ["a"])])
        try node.report(try #require(try node.claim().first), .returned)
        _ = try node.claim()
        try bench.perform(RequeueTasks([try TaskLine(command: "a", of: job)], keys: bench.keys))
        try bench.perform(TakeCancellations(keys: bench.keys, incarnation: node.incarnation))
        #expect(try bench.numbers(of: job) == [2, 0, 0, 0] && bench.dependent(of: job) == 1)
        #expect(try node.runAll() == ["a", "b"])
    }
}
