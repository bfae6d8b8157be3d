// A node's side of the conversation, with the test in place of the queue, the disk and the supervisor.

import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

@testable import NodeProtocol

typealias Event = NodeProtocol.Event
typealias Action = NodeProtocol.Action

func at(_ seconds: Double) -> Instant { Instant(nanoseconds: 0).advanced(bySeconds: seconds) }

/// One of several queues.
func queue(_ number: Int) -> QueueIdentity {
    guard let identity = QueueIdentity(text: String(repeating: "\(number)", count: 32)) else { preconditionFailure() }
    return identity
}

func number(_ rawValue: UInt64) -> NodeSupervisor.TaskNumber { .init(rawValue) }

func request(_ rawValue: UInt64) -> NodeSupervisor.RequestNumber { .init(rawValue) }

func task(_ command: String, token: String? = nil, attempt: Int = 1) -> NodeSupervisor.ClaimedTask {
    do {
        return .init(
            line: try TaskLine(parsing: "shell:1:0:0:\(command)"), token: token ?? tokenText(command), attempt: attempt)
    } catch {
        preconditionFailure("\(command): \(error)")
    }
}

/// A token that looks like one, another for each command.
func tokenText(_ command: String) -> String {
    String(command.utf8.reduce(1_000_000) { $0 * 31 % 900_000_007 + Int($1) })
}

func ended(_ rawValue: UInt64, _ task: NodeSupervisor.ClaimedTask) -> NodeSupervisor.Report {
    .init(
        number: number(rawValue), task: task,
        result: .ended(TaskOutcome(cause: .exit(code: 0), usage: Usage(wallSeconds: 1), node: "a", attempt: 1)))
}

/// What the queue may answer.
enum Answer {
    static func text(_ text: String) -> RESPValue { .bulkString(Array(text.utf8)) }
    static func integers(_ numbers: Int...) -> [RESPValue] { numbers.map { .integer(Int64($0)) } }

    static func info(run: String = "run-1", policy: String = "noeviction") -> RESPValue {
        text("# Server\r\nredis_version:7.0.15\r\nrun_id:\(run)\r\n# Memory\r\nmaxmemory_policy:\(policy)\r\n")
    }

    static func registered(silence: Int = 1, queue number: Int = 1) -> RESPValue {
        .array([.simpleString("OK"), .integer(Int64(silence)), text(queue(number).text)])
    }

    static func beaten(
        silence: Int = 1, queue number: Int = 1, drained: Bool = false, soon: Bool = false
    ) -> RESPValue {
        .array(
            integers(0, 0, 0, 0, 0, drained ? 1 : 0, silence) + [text(queue(number).text), .integer(soon ? 1 : 0)])
    }

    /// With the records of the tasks' jobs unless they are known.
    static func claimed(
        _ tasks: [NodeSupervisor.ClaimedTask], silence: Int = 1, sweep: Bool = false, revision: Int = 1,
        areJobsKnown: Bool = false, hasLeft: Bool = false
    ) -> RESPValue {
        let jobs = areJobsKnown ? [] : Set(tasks.compactMap(\.line.job))
        let told = jobs.flatMap { [text($0.identifier), text($0.record)] }
        let isOfJobs = tasks.contains { $0.line.job != nil }
        let rows = tasks.flatMap { task -> [RESPValue] in
            [text(task.line.text), text(task.token), .integer(Int64(task.attempt)), .null, own(of: task)]
        }
        return .array(
            [.array(rows)] + integers(0, sweep ? 1 : 0, -1, 0, 0, 0, silence, hasLeft ? 1 : 0) + [
                .array(isOfJobs ? [text("\(revision)")] + told : [])
            ])
    }

    static func held(_ tasks: [NodeSupervisor.ClaimedTask]) -> RESPValue {
        .array(
            tasks.flatMap { task in
                let record = task.line.job.map { text($0.record) } ?? .null
                return [
                    text(task.line.text), text("\(task.token) 0 0 1 \(task.attempt)"), .null, record, own(of: task),
                ]
            })
    }

    private static func own(of task: NodeSupervisor.ClaimedTask) -> RESPValue {
        task.line.own.map { text($0.text) } ?? .null
    }

    static func error(_ code: String, _ message: String = "") -> RESPValue {
        .error(RedisError(code: code, message: message))
    }
}

/// What the node asked that is not answered.
struct Asked {
    let number: NodeProtocol.RequestNumber
    let request: RedisRequest

    /// The name of the script, or of the command.
    var name: String {
        switch request {
        case .script(let call): call.script.name
        case .command(let command): command.name
        }
    }

    /// The arguments after the prefix and the incarnation.
    var arguments: [String] {
        switch request {
        case .script(let call): call.arguments.dropFirst(2).map { String(decoding: $0, as: UTF8.self) }
        case .command(let command): command.arguments.dropFirst().map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// The lines among them.
    var lines: [String] { arguments.filter { $0.hasPrefix("shell:") } }

    var incarnation: String? {
        guard case .script(let call) = request, call.arguments.count > 1 else { return nil }
        return String(decoding: call.arguments[1], as: UTF8.self)
    }
}

struct Conversation {
    var node: NodeProtocol
    var now = at(1000)
    private(set) var asked: [Asked] = []
    /// Reports are put into their form at once unless a test wants to do it itself.
    var encodesAtOnce = true
    var storesAtOnce = true
    private(set) var told: [NodeSupervisor.Event] = []
    private(set) var logged: [NodeProtocol.LogEvent] = []
    private(set) var stored: [String] = []
    private(set) var storedJobs: [Job] = []
    private(set) var released: [String] = []
    private(set) var releasedFiles: [String] = []
    /// What is to be read of outputs, to be answered by the test.
    private(set) var outputsAsked: [OutputRequest] = []
    private(set) var lives: [String]?
    private(set) var livesWrites = 0
    var diskRefusesLives = false
    private(set) var failure: String?
    private(set) var hasLeft = false
    /// What lies on the disk of earlier lives.
    var earlier: [NodeProtocol.EarlierReport] = []

    init(
        earlierLives: [String] = [], running: [NodeSupervisor.ClaimedTask] = [],
        _ change: (inout NodeProtocol.Facts) -> Void = { _ in }
    ) {
        var facts = NodeProtocol.Facts(
            name: "a", machine: "m", leaseSeconds: 30, memoryBytes: 8 << 30, millicores: 4000, version: "1",
            queueCandidate: queue(9))
        facts.wallNanoseconds = 1_000_000
        change(&facts)
        node = NodeProtocol(
            facts: facts, incarnation: running.isEmpty ? nil : Incarnation(name: "a", machine: "m", life: 1),
            earlierLives: earlierLives, running: running)
    }

    /// Registered, with nothing under way.
    static func member(_ change: (inout NodeProtocol.Facts) -> Void = { _ in }) -> Conversation {
        var conversation = Conversation(change)
        conversation.connect()
        conversation.hear(.register)
        conversation.answer("register", Answer.registered())
        conversation.forget()
        return conversation
    }

    /// A member to which these tasks were given.
    static func running(
        _ tasks: NodeSupervisor.ClaimedTask..., change: (inout NodeProtocol.Facts) -> Void = { _ in }
    ) -> Conversation {
        var conversation = member(change)
        conversation.hear(.claim(claim(1)))
        conversation.answer("claim", Answer.claimed(tasks))
        conversation.forget()
        return conversation
    }

    static func claim(_ rawValue: UInt64, count: Int = 4) -> NodeSupervisor.Claim {
        .init(number: request(rawValue), count: count, freeMemoryBytes: 1 << 30, freeMillicores: 4000)
    }

    /// Connects to a server that is asked what it is, and tells.
    mutating func connect(run: String = "run-1") {
        hear(.connected(localAddress: "10.0.0.1"))
        answer("INFO", Answer.info(run: run))
    }

    /// Forgets what was told and logged so far.
    mutating func forget() { (told, logged) = ([], []) }

    mutating func hear(_ events: Event...) { for event in events { hear(event) } }

    private mutating func hear(_ event: Event) {
        if case .disconnected = event { asked = [] }
        for action in node.handle(event, at: now) {
            switch action {
            case .send(let number, let request, _): asked.append(Asked(number: number, request: request))
            case .closeConnection: hear(.disconnected)
            case .tell(let event): told.append(event)
            case .encode(let token, let report): if encodesAtOnce { encode(token, report) }
            case .store(let token, let report):
                stored.append(token)
                if let job = report.job { storedJobs.append(job) }
                if storesAtOnce { hear(.stored(token: token, isStored: true)) }
            case .release(let token, _): released.append(token)
            case .readEarlierReports: hear(.earlierReports(earlier))
            case .releaseEarlierReport(let name):
                earlier.removeAll { $0.name == name }
                releasedFiles.append(name)
            case .leaveEarlierReport(let name): earlier.removeAll { $0.name == name }
            case .readOutput(let request): outputsAsked.append(request)
            case .rememberLives(let lives):
                livesWrites += 1
                if !diskRefusesLives { self.lives = lives }
                hear(.livesRemembered(!diskRefusesLives))
            case .giveUp(let reason): failure = reason
            case .left: hasLeft = true
            case .log(let event): logged.append(event)
            }
        }
    }

    mutating func encode(_ token: String, _ report: NodeSupervisor.Report, bytes: Int = 10) {
        let value = [UInt8](repeating: UInt8(ascii: "x"), count: bytes)
        hear(.encoded(token: token, .finished(value: value, record: "{}")))
    }

    /// Lets the queue answer the oldest question of that name.
    mutating func answer(_ name: String, _ value: RESPValue) {
        guard let index = asked.firstIndex(where: { $0.name == name }) else {
            preconditionFailure("nothing asked for \(name), only \(asked.map(\.name))")
        }
        let question = asked.remove(at: index)
        hear(.reply(question.number, value))
    }

    mutating func pass(seconds: Double) {
        now = now.advanced(bySeconds: seconds)
        hear(.tick)
    }

    var names: [String] { asked.map(\.name) }

    func question(_ name: String) -> Asked? { asked.first { $0.name == name } }
}
