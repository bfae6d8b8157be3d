// Tasks that want a word before their time is up.

import TaskModel
import Testing

@testable import NodeSupervisor

@Suite("A task that wants a signal before its timeout")
struct DeadlineWarningTests {
    /// A task of a job with `--signal` and this timeout.
    private func warned(_ signal: String, timeoutSeconds: Double) throws -> NodeSupervisor.ClaimedTask {
        var settings = Job.Settings()
        settings.timeout = .seconds(timeoutSeconds)
        settings.warning = DeadlineWarning(text: signal)
        let job = Job(identifier: "j1", name: "sweep", settings: settings, definition: Job.Definition())
        return .init(line: try TaskLine(command: "./simulate", of: job), token: "t", attempt: 1)
    }

    @Test("has it exactly so long before, once, and its timeout as any other")
    func warns() throws {
        var node = Node.running(try warned("USR1@60s", timeoutSeconds: 100))
        #expect(!node.passAnswered(seconds: 39.999).contains(.signal(number(1), 10)))
        #expect(node.passAnswered(seconds: 0.001).filter { $0 == .signal(number(1), 10) }.count == 1)
        let rest = node.passAnswered(seconds: 59.999)
        #expect(!rest.contains(.signal(number(1), 10)) && !rest.contains(.terminate(number(1))))
        #expect(node.passAnswered(seconds: 0.001).contains(.terminate(number(1))))
    }

    @Test(
        "has none where its timeout is no longer than that: as it begins it would be ended by it",
        arguments: [100, 300])
    func tooShort(timeoutSeconds: Double) throws {
        var node = Node.running(try warned("TERM@5m", timeoutSeconds: timeoutSeconds))
        let all = node.passAnswered(seconds: timeoutSeconds)
        #expect(!all.contains(.signal(number(1), 15)) && all.contains(.terminate(number(1))))
    }

    @Test("has it when its node is to leave, and not again at its time")
    func leaving() throws {
        var node = Node.running(try warned("USR1@60s", timeoutSeconds: 70))
        #expect(node.hear(.stopRequested).contains(.signal(number(1), 10)))
        #expect(!node.passAnswered(seconds: 15).contains(.signal(number(1), 10)))
    }

    @Test("has it when its node is drained, and goes on, and has it again at its time")
    func drained() throws {
        var node = Node.running(try warned("USR1@60s", timeoutSeconds: 100))
        let told = node.hear(.drained)
        #expect(told.filter { $0 == .signal(number(1), 10) }.count == 1 && !told.contains(.terminate(number(1))))
        #expect(!node.passAnswered(seconds: 39.999).contains(.signal(number(1), 10)))
        #expect(node.passAnswered(seconds: 0.001).contains(.signal(number(1), 10)))
        #expect(!node.hear(.stopRequested).contains(.signal(number(1), 10)))
    }

    @Test("has it before TERM where its node leaves without a grace, and without a timeout as well")
    func withoutGrace() throws {
        for timeout in [TimeoutRequest.none, .seconds(100)] {
            var settings = Job.Settings()
            settings.timeout = timeout
            settings.warning = DeadlineWarning(text: "USR1")
            let job = Job(identifier: "j1", name: "sweep", settings: settings, definition: Job.Definition())
            let line = try TaskLine(command: "./simulate", of: job)
            var node = Node.running(.init(line: line, token: "t", attempt: 1)) { $0.stopGraceSeconds = 0 }
            let actions = node.hear(.stopRequested)
            let signal = try #require(actions.firstIndex(of: .signal(number(1), 10)))
            let terminate = try #require(actions.firstIndex(of: .terminate(number(1))))
            #expect(signal < terminate)
            #expect(!node.hear(.stopRequested).contains(.signal(number(1), 10)))
        }
    }

    @Test("has it from the next image of the daemon, unless it had it from this one")
    func reExec() throws {
        var node = Node.running(try warned("USR1@60s", timeoutSeconds: 100))
        var settings = node.settings
        settings.taskCountMax = 0
        for passed in [0.0, 50] {
            node.passAnswered(seconds: passed)
            let tasks = node.supervisor.tasks.values.compactMap(\.runningTask)
            #expect(tasks.map(\.warnAt) == [passed == 0 ? at(1040) : nil])
            let state = NodeSupervisor.ReExecState(tasks: tasks, nextTaskNumber: 2, leaseUntil: nil)
            var next = NodeSupervisor(settings: settings, resuming: state)
            #expect(next.handle(.tick, at: at(1060)).contains(.signal(number(1), 10)) == (passed == 0))
        }
    }

    @Test("has none where it has no timeout")
    func noTimeout() throws {
        var settings = Job.Settings()
        settings.timeout = .none
        settings.warning = DeadlineWarning(text: "USR1")
        let job = Job(identifier: "j1", name: "sweep", settings: settings, definition: Job.Definition())
        var node = Node.running(
            .init(line: try TaskLine(command: "./simulate", of: job), token: "t", attempt: 1))
        #expect(!node.passAnswered(seconds: 100_000).contains(.signal(number(1), 10)))
    }
}
