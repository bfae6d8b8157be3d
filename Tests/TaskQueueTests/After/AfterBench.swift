// Jobs and tasks that wait for others, as tests make them.

import RedisClient
import TaskModel
import TaskQueue
import Testing

extension QueueBench {
    /// A job of this name.
    func job(_ name: String, load: String = "") throws -> Job {
        var settings = Job.Settings()
        settings.fingerprint = name
        let reply = try perform(
            OpenJob(name: name, isNameChosen: true, settings: settings, definition: .init(), load: load, keys: keys))
        guard case .opened(let identifier, _, _) = reply else { throw QueueError.unexpectedReply("\(reply)") }
        return Job(identifier: identifier, name: name, settings: settings, definition: .init())
    }

    @discardableResult
    func submit(_ job: Job, _ commands: String...) throws -> SubmitReply { try submit(job, commands) }

    @discardableResult
    func submit(_ job: Job, _ commands: [String]) throws -> SubmitReply {
        var reply = SubmitReply()
        var rest = try commands.map { try TaskLine(command: $0, of: job) }[...]
        while !rest.isEmpty {
            reply.add(try perform(SubmitTasks(rest, keys: keys)))
            rest = rest.dropFirst(SubmitTasks.linesMax)
        }
        return reply
    }

    /// Tasks of a job that wait for others: of it, by their commands, or of another, as lines.
    @discardableResult
    func submit(_ job: Job, after: [(String, [String])]) throws -> SubmitReply {
        let tasks = try after.map { command, parents in
            DependentTask(
                try TaskLine(command: command, of: job),
                after: parents.map { $0.hasPrefix("@") ? $0 : "@\(job.identifier) \($0)" })
        }
        var reply = SubmitReply()
        for operation in SubmitDependent.operations(tasks, keys: keys) { reply.add(try perform(operation)) }
        return reply
    }

    @discardableResult
    func gate(_ job: Job, _ parents: (Job, AfterWay)...) throws -> GateJob.Reply {
        try perform(GateJob(job.identifier, after: parents.map { ($0.0.identifier, $0.1) }, keys: keys))
    }

    /// todo, in progress, finished, failed.
    func numbers(of job: Job) throws -> [Int] {
        let counts = try perform(ReadCounts(keys: keys.of(job: job.identifier)))
        return [counts.todo, counts.inProgress, counts.finished, counts.failed]
    }

    func dependent(of job: Job) throws -> Int { try perform(ReadCounts(keys: keys.of(job: job.identifier))).dependent }

    func gate(of job: Job) throws -> JobGate {
        try perform(ReadAwaited(job.identifier, keys: keys)).gate
    }

    /// Why a task of a job failed.
    func reason(_ job: Job, _ command: String) throws -> String? {
        try self.command("HGET", keys.of(job: job.identifier).failReason, "@\(job.identifier) \(command)").string
    }

    func retry(_ job: Job, _ commands: String...) throws -> Int {
        let lines = try commands.map { try TaskLine(command: $0, of: job) }
        return try perform(RetryTasks(lines[...], keys: keys)).queued
    }

    @discardableResult
    func cancel(_ job: Job, _ command: String) throws -> CancelTask.Reply {
        try perform(CancelTask("@\(job.identifier) \(command)", keys: keys, jobs: [job.identifier: job]))
    }
}

extension BenchNode {
    /// What can be taken now, by its commands.
    func take(_ count: Int = 1000) throws -> [String: ClaimTasks.Claimed] {
        Dictionary(
            try claim(count).map { (String($0.line.drop { $0 != " " }.dropFirst()), $0) }, uniquingKeysWith: { $1 })
    }

    /// Takes all there is until nothing is left, and finishes what is taken; in which order.
    func runAll() throws -> [String] {
        var order: [String] = []
        while true {
            let tasks = try claim(1000)
            if tasks.isEmpty { return order }
            for task in tasks {
                try finish(task)
                order.append(String(task.line.drop { $0 != " " }.dropFirst()))
            }
        }
    }
}
