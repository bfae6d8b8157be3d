// What tasks of a file wait for, before anything is in the queue; and what is said of what waits.

import LinuxSystem
import TaskModel
import TaskQueue
import Testing

@testable import distcomp

@Suite("Tasks of a file that wait for each other")
struct TaskGraphTests {
    /// Each line is a name, or none, and the names of those it waits for.
    private func graph(_ tasks: (String?, [String])...) throws -> TaskGraph {
        try graph(
            tasks.enumerated().map { index, task in
                let name = task.0.map { "\"name\":\"\($0)\"," } ?? ""
                let after = task.1.map { "\"\($0)\"" }.joined(separator: ",")
                return "{\(name)\"after\":[\(after)],\"command\":\"c\(index)\"}"
            })
    }

    private func graph(_ lines: [String]) throws -> TaskGraph {
        var graph = TaskGraph()
        for (index, line) in lines.enumerated() {
            var file = TaskFile(named: "dag.jsonl")
            try Array("\(line)\n".utf8).withUnsafeBytes { bytes in
                try file.read(bytes) { entry throws(TaskGraph.Problem) in
                    if case .task(let line, _) = entry {
                        try graph.add(line, file: "dag.jsonl", lineNumber: index + 1, place: index)
                    }
                }
            }
        }
        return graph
    }

    private func order(_ graph: TaskGraph) throws -> [String] {
        let tasks = try graph.ordered()
        for (index, task) in tasks.enumerated() { #expect(task.after.allSatisfy { $0 < index }) }
        return tasks.map { $0.line.surroundings?.name ?? $0.line.command }
    }

    @Test("what others wait for goes before them, and else all keep their order")
    func ordered() throws {
        let graph = try graph(("c", ["b", "a"]), ("a", []), ("b", ["a"]), (nil, []), ("d", []))
        #expect(try order(graph) == ["a", "b", "c", "c3", "d"])
        #expect(graph.hasEdges && graph.count == 5)
        #expect(try graph.ordered()[2].after == [1, 0])
    }

    @Test("a circle is refused with all that are in it, and an unknown or a second name with its place")
    func refused() throws {
        func problem(_ graph: TaskGraph) -> String {
            (try? #require(throws: TaskGraph.Problem.self) { try graph.ordered() })?.description ?? ""
        }
        #expect(
            problem(try graph(("x", ["a"]), ("a", ["b"]), ("b", ["c"]), ("c", ["a"])))
                == "dag.jsonl:2: after: these wait for each other: a after b after c after a")
        #expect(problem(try graph(("a", ["a"]))).hasSuffix(": a after a"))
        #expect(
            problem(try graph(("prepare", []), ("b", ["prepar"])))
                == "dag.jsonl:2: after: there is no task named `prepar`; did you mean `prepare`?")
        let twice = #expect(throws: TaskGraph.Problem.self) { try graph(("a", []), ("a", [])) }
        #expect(twice?.description.hasPrefix("dag.jsonl:2: name: `a` a second time (first in dag.jsonl:1)") == true)
    }

    @Test(
        "a task that is there a second time, and would wait for others than the first time, is refused with both places"
    )
    func sameTask() throws {
        let (a, b) = (#"{"name":"a","command":"x"}"#, #"{"name":"b","command":"y"}"#)
        func sync(_ after: String) -> String { #"{"command":"sync"\#(after)}"# }
        for (first, second) in [
            (#","after":["a"]"#, #","after":["b"]"#), ("", #","after":"b""#), (#","after":"a""#, ""),
        ] {
            let error = #expect(throws: TaskGraph.Problem.self) { try graph([a, b, sync(first), sync(second)]) }
            #expect(
                error?.description
                    == "dag.jsonl:4: the same task a second time (first in dag.jsonl:3), which would wait for others: give them names"
            )
        }
        // It is one task where it waits for the same; another where anything of it is another.
        #expect(try graph([a, b, sync(#","after":["a","b"]"#), sync(#","after":["b","a"]"#)]).count == 4)
        #expect(try graph([a, b, sync(#","after":"a""#), sync(#","after":"b","env":{"N":"2"}"#)]).count == 4)
    }

    @Test("a hundred thousand that wait one for the other are put in order without a stack as deep")
    func deep() throws {
        var graph = TaskGraph()
        let count = 100_000
        for number in 0..<count {
            let after = number + 1 < count ? "\"after\":[\"t\(number + 1)\"]," : ""
            var file = TaskFile(named: "deep.jsonl")
            try Array("{\"name\":\"t\(number)\",\(after)\"command\":\"x\"}\n".utf8).withUnsafeBytes { bytes in
                try file.read(bytes) { entry throws(TaskGraph.Problem) in
                    guard case .task(let line, _) = entry else { return }
                    try graph.add(line, file: "deep.jsonl", lineNumber: number, place: number)
                }
            }
        }
        let order = try graph.ordered()
        #expect(order.count == count && order.first?.line.surroundings?.name == "t\(count - 1)")
    }

    @Test("only a line of a file says what it waits for; in the queue it is a mistake")
    func elsewhere() throws {
        let error = #expect(throws: TaskLineError.self) { try TaskLine(parsing: #"{"command":"x","after":["a"]}"#) }
        #expect(error?.message.hasPrefix("after: found `[\"a\"]`, expected none here") == true)
        var problems: [String] = []
        var file = TaskFile(named: "f")
        Array("{\"command\":\"x\",\"after\":[1]}\n".utf8).withUnsafeBytes { bytes in
            file.read(bytes) { entry in if case .problem(let problem) = entry { problems.append("\(problem)") } }
        }
        #expect(problems == [#"f:1:24: after: found `[1]`, expected names of tasks, such as ["prepare"]"#])
        // It is no part of what the task is.
        let job = Job(identifier: "j1", name: "j", settings: .init(), definition: .init())
        var surroundings = TaskSurroundings()
        surroundings.after = ["a"]
        #expect(try TaskLine(command: "x", surroundings: surroundings, of: job).text == "@j1 x")
    }
}

@Suite("--after")
struct AfterOptionTests {
    @Test("a job is waited for until all of it has finished, unless another way is said")
    func read() {
        #expect(AfterOption(argument: "prepare").map { [$0.job, $0.way.rawValue] } == ["prepare", "ok"])
        #expect(AfterOption(argument: "a-1:any")?.way == .any && AfterOption(argument: "a:each")?.way == .each)
        for text in ["", ":ok", "a:", "a:soon", "a:ok:any"] { #expect(AfterOption(argument: text) == nil, "\(text)") }
    }

    private func parent(
        _ name: String?, way: AfterWay = .ok, todo: Int = 0, running: Int = 0, finished: Int = 0, failed: Int = 0,
        isLoading: Bool = false, isPaused: Bool = false
    ) -> ReadAwaited.Parent {
        .init(
            identifier: "j1", way: way, name: name, todo: todo, inProgress: running, finished: finished, failed: failed,
            isLoading: isLoading, isPaused: isPaused)
    }

    @Test("--not-before is a delay, or a time that may be over, of ten years at most")
    func notBefore() throws {
        #expect(NotBeforeOption(argument: "+10m")?.time == .after(milliseconds: 600_000))
        #expect(NotBeforeOption(argument: "+1.5")?.time == .after(milliseconds: 1500))
        #expect(NotBeforeOption(argument: "none")?.time == .atOnce)
        #expect(NotBeforeOption(argument: "@1234567890.5")?.time == .at(unixMilliseconds: 1_234_567_890_500))
        #expect(
            NotBeforeOption(argument: "2009-02-14T00:31:30+01:00")?.time == .at(unixMilliseconds: 1_234_567_890_000))
        for text in ["", "+", "+0", "+x", "10m", "+1d2h", "tomorrow", "9999-01-01", "+4000d", "@-5", "+-5m"] {
            #expect(NotBeforeOption(argument: text) == nil, "\(text)")
        }
    }

    private func text(
        _ gate: JobGate, _ parents: [ReadAwaited.Parent], taskCount: Int = 0, tasks: [ReadAwaited.Task] = []
    ) -> String? {
        AwaitedText(.init(gate: gate, parents: parents, taskCount: taskCount, tasks: tasks))?.text
    }

    @Test("what waits for its time says until when, beside what else it waits for, which alone is waiting for others")
    func time() throws {
        func awaited(_ parents: [ReadAwaited.Parent], left: Int = 7_200_000) -> AwaitedText? {
            AwaitedText(
                .init(
                    gate: .waits, parents: parents, taskCount: 0, tasks: [], leftMilliseconds: left,
                    beginsAtMilliseconds: 1_234_567_890_123))
        }
        let time = LocalTime(unixSeconds: 1_234_567_890).text
        let only = try #require(awaited([]))
        #expect(only.text == "waits until \(time) (in 2:00 h)" && only.isOnlyEarly && !only.isJobWaiting)
        let both = try #require(awaited([parent("a", todo: 1)]))
        #expect(both.text == "waits for a (0 of 1 have ended), and until \(time) (in 2:00 h)")
        #expect(!both.isOnlyEarly && both.isJobWaiting)
        #expect(awaited([parent("a", finished: 1)])?.isOnlyEarly == true)
    }

    @Test("what something waits for is said with how far that is")
    func said() {
        #expect(
            text(.waits, [parent("prepare", todo: 20, running: 8, finished: 11, failed: 1)])
                == "waits for prepare (12 of 40 have ended)")
        #expect(
            text(.waits, [parent("a", finished: 3), parent("b", way: .any, todo: 1)])
                == "waits for b (0 of 1 have ended)")
        #expect(
            text(.waits, [parent("a", finished: 3, isLoading: true)])
                == "waits for a (3 of 3 have ended, and tasks are still being added to it)")
        #expect(
            text(.waits, [parent("a", todo: 1, finished: 3, isPaused: true)])
                == "waits for a (3 of 4 have ended; it is paused: distcomp resume a lets it go on)")
        #expect(text(.broken("j1"), [parent("a", finished: 3, failed: 2)]) == "cannot run after a, of which 2 failed")
        #expect(text(.open, [parent("a", finished: 3)]) == nil)
        let tasks = [
            ReadAwaited.Task(line: #"@j1 {"name":"prep","command":"x"}"#, state: "runs"),
            ReadAwaited.Task(line: "@j1 ./fit 3", state: "waits"),
        ]
        #expect(
            text(.open, [], taskCount: 2, tasks: tasks)
                == "waits for prep, which runs and `./fit 3`, which waits itself")
        #expect(text(.open, [], taskCount: 9, tasks: tasks)?.hasSuffix(", 7 more") == true)
    }
}
