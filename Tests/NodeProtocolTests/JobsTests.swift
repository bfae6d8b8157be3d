import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue
import Testing

@testable import NodeProtocol

@Suite("Tasks of jobs")
struct JobsTests {
    private func job(_ identifier: String = "j1", memory: UInt64 = 1 << 20) -> Job {
        var settings = Job.Settings()
        settings.memoryBytes = memory
        return Job(identifier: identifier, name: "sim", settings: settings, definition: Job.Definition())
    }

    private func task(_ command: String, of job: Job) throws -> NodeSupervisor.ClaimedTask {
        .init(line: try TaskLine(command: command, of: job), token: tokenText(command), attempt: 1)
    }

    /// The tasks the supervisor was given last.
    private func given(_ node: Conversation) -> [NodeSupervisor.ClaimedTask] {
        if case .claimed(_, let tasks, _, _) = node.told.last { tasks } else { [] }
    }

    @Test("a job is told once, and held to be known until jobs have changed or the connection is another")
    func known() throws {
        var node = Conversation.member()
        node.hear(.claim(Conversation.claim(1)))
        node.answer("claim", Answer.claimed([try task("x", of: job())]))
        #expect(given(node).map(\.line.memoryBytes) == [1 << 20])

        node.hear(.claim(Conversation.claim(2)))
        #expect(node.question("claim")?.arguments.dropLast().suffix(2) == ["1", " j1 "])
        node.answer("claim", Answer.claimed([try task("y", of: job())], areJobsKnown: true))
        #expect(given(node).map(\.line.memoryBytes) == [1 << 20])

        node.hear(.claim(Conversation.claim(3)))
        node.answer("claim", Answer.claimed([try task("z", of: job(memory: 2 << 20))], revision: 2))
        #expect(given(node).map(\.line.memoryBytes) == [2 << 20])

        node.hear(.disconnected)
        node.connect(run: "run-1")
        node.hear(.claim(Conversation.claim(4)))
        #expect(node.question("claim")?.arguments.dropLast().suffix(2) == ["", ""])
    }

    @Test("many jobs are not all kept, and none that is needed is forgotten")
    func many() throws {
        var node = Conversation.member()
        for number in 1...200 {
            node.hear(.claim(Conversation.claim(UInt64(number))))
            let tasks = [
                try task("a\(number)", of: job("j\(number)")),
                try task("b\(number)", of: job("j\(max(1, number - 1))")),
            ]
            node.answer("claim", Answer.claimed(tasks))
            #expect(given(node).count == 2)
        }
        node.hear(.claim(Conversation.claim(300)))
        let known = node.question("claim")?.arguments.dropLast().last?.split(separator: " ") ?? []
        #expect(known.contains("j200") && known.count <= 70)
    }

    @Test("a task of a job that cannot be read is not begun, and is told to have failed")
    func unreadable() throws {
        var node = Conversation.member()
        node.hear(.claim(Conversation.claim(1)))
        node.answer("claim", Answer.claimed([try task("x", of: job())], areJobsKnown: true))
        #expect(given(node).isEmpty)
        #expect(node.question("report")?.arguments.contains("failed") == true)
        #expect(node.logged.count == 1)
    }

    @Test("a job of a later version is no mistake of its tasks: other nodes are to try them")
    func laterVersion() throws {
        var node = Conversation.member()
        node.hear(.claim(Conversation.claim(1)))
        let task = try task("x", of: job())
        let row = [Answer.text(task.line.text), Answer.text(task.token), .integer(1), .null, .null]
        let told: RESPValue = .array(["1", "j1", "sim\n{}\n{\"container\":\"y\"}"].map { Answer.text($0) })
        node.answer("claim", .array([.array(row)] + Answer.integers(0, 0, -1, 0, 0, 0, 1, 0) + [told]))
        #expect(given(node).isEmpty)
        let report = try #require(node.question("report")).arguments
        #expect(report[2] == "failed" && report[4].contains("later version"), "\(report)")
        #expect(report[5] == "\(node.node.facts.attemptsMax)" && report[5] != "0")
    }

    @Test("what a single task may use is told with it, also when it is held; what cannot be read is for others to try")
    func ownSettings() throws {
        let more = OwnSettings(memoryBytes: 4 << 30, millicores: 500, timeout: .seconds(9))
        var node = Conversation.member()
        node.hear(.claim(Conversation.claim(1)))
        let plain = try task("x", of: job())
        let own = NodeSupervisor.ClaimedTask(
            line: try task("y", of: job()).line.taking(more), token: tokenText("y"), attempt: 1)
        node.answer("claim", Answer.claimed([plain, own]))
        #expect(given(node).map(\.line.own) == [nil, more])

        node.hear(.reconcile(request(1)))
        node.answer("held", Answer.held([plain, own]))
        guard case .held(_, let held) = node.told.last else { throw Missing() }
        #expect(held.map(\.line.own) == [nil, more])

        node.hear(.claim(Conversation.claim(2)))
        let line = try task("z", of: job()).line.text
        let row = [Answer.text(line), Answer.text(tokenText("z")), .integer(1), .null, Answer.text("much")]
        let told: RESPValue = .array([Answer.text("1")])
        node.answer("claim", .array([.array(row)] + Answer.integers(0, 0, -1, 0, 0, 0, 1, 0) + [told]))
        #expect(given(node).isEmpty)
        let report = try #require(node.question("report")).arguments
        #expect(report[2] == "failed" && report[4].contains("found much, expected"), "\(report)")
        #expect(report[5] == "\(node.node.facts.attemptsMax)")
    }

    private struct Missing: Error {}

    @Test("what is held is told with its job; a report that goes to the disk takes its job with it")
    func heldAndStored() throws {
        var node = Conversation.member()
        let task = try task("x", of: job())
        node.hear(.reconcile(request(1)))
        node.answer("held", Answer.held([task]))
        #expect(node.told.last == .held(request(1), [task]))
        node.hear(.disconnected)
        node.hear(.report(ended(1, task)))
        #expect(node.storedJobs == [job()])
    }
}
