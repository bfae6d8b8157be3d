// `--after JOB[:ok|:any|:each]`: for which jobs one waits.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// A job to wait for, as it was typed.
struct AfterOption: Equatable, ExpressibleByArgument {
    let job: String
    let way: AfterWay

    init?(argument text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let name = parts.first, !name.isEmpty, parts.count <= 2 else { return nil }
        guard let way = parts.count == 2 ? AfterWay(rawValue: String(parts[1])) : .ok else { return nil }
        (job, self.way) = (String(name), way)
    }
}

extension QueueClient {
    /// The jobs that are meant; throws where there is no such.
    func jobs(after options: [AfterOption]) throws(CommandError) -> [(job: Job, way: AfterWay)] {
        guard options.count <= GateJob.parentsMax else {
            throw .usage("--after: a job waits for \(GateJob.parentsMax) others at most")
        }
        var parents: [(job: Job, way: AfterWay)] = []
        for option in options {
            guard option.job != Job.defaultName else {
                throw .usage(
                    "--after: `\(Job.defaultName)` stands for the tasks that are of no job: only jobs are waited for")
            }
            guard let job = try job(named: option.job) else { throw try noSuchJob(option.job) }
            parents.append((job, option.way))
        }
        return parents
    }

    /// Has a job wait for these; throws, and nothing is changed, where it would wait for itself.
    ///
    /// - Parameters:
    ///   - parents: nil: as before.
    ///   - notBefore: when it may begin; nil: as before.
    func gate(
        _ job: Job, after parents: [(job: Job, way: AfterWay)]?, notBefore: NotBefore? = nil
    ) throws(CommandError) {
        let order = GateJob(
            job.identifier, after: parents?.map { ($0.job.identifier, $0.way) }, notBefore: notBefore, keys: keys)
        switch try perform(order) {
        case .gated: break
        case .unknown(let identifier):
            throw Self.forgotten(parents?.first { $0.job.identifier == identifier }?.job.name ?? job.name)
        case .circle(let identifiers): throw try circle(identifiers)
        }
    }

    static func forgotten(_ name: String) -> CommandError {
        .noSuchTask("the job \(name) has been forgotten meanwhile; nothing was added")
    }

    /// What to say of jobs that would wait for each other.
    func circle(_ identifiers: [String]) throws(CommandError) -> CommandError {
        directory.forget()
        let names = try identifiers.map { identifier throws(CommandError) in
            try self.job(identifier)?.name ?? identifier
        }
        return .usage("--after: these jobs would wait for each other: \(names.joined(separator: " after "))")
    }

    /// `waits for prepare (12 of 40 have ended)`, of a job, or a task of it; nil where it waits for nothing.
    func awaited(_ job: Job, line: String? = nil) throws(CommandError) -> AwaitedText? {
        AwaitedText(try perform(ReadAwaited(job.identifier, line: line, keys: keys)))
    }
}

/// What something waits for, in words.
struct AwaitedText: Equatable {
    /// `waits for prepare (12 of 40 have ended)`, or that it cannot run.
    let text: String
    let isBroken: Bool
    /// The job as a whole waits for others.
    let isJobWaiting: Bool
    /// It waits for nothing but its time.
    let isOnlyEarly: Bool

    init?(_ reply: ReadAwaited.Reply) {
        if case .broken(let identifier) = reply.gate {
            let parent = reply.parents.first { $0.identifier == identifier }
            let failed = parent.map { ", of which \(grouped($0.failed)) failed" } ?? ""
            text = "cannot run after \(parent?.name ?? "a job that was forgotten")\(failed)"
            (isBroken, isJobWaiting, isOnlyEarly) = (true, false, false)
            return
        }
        isBroken = false
        var parts: [String] = []
        if reply.gate == .waits {
            parts = reply.parents.filter { $0.way != .each && !Self.isMet($0) }.map(Self.text)
            if parts.isEmpty, reply.beginsAtMilliseconds == 0 { parts = ["other jobs"] }  // They have ended since.
        }
        isJobWaiting = !parts.isEmpty
        if reply.taskCount > 0 {
            let names = reply.tasks.prefix(3).map { "\(Self.name($0.line)), which \(Self.words($0.state))" }
            let rest = reply.taskCount - names.count
            parts += names + (rest > 0 ? ["\(grouped(rest)) more"] : [])
        }
        let time = Self.time(reply)
        isOnlyEarly = parts.isEmpty
        if parts.isEmpty {
            guard let time else { return nil }
            text = "waits \(time)"
        } else {
            text =
                "waits for " + parts.joined(separator: parts.count == 2 ? " and " : ", ")
                + (time.map { ", and \($0)" } ?? "")
        }
    }

    /// `until 2026-12-01 08:00:00 (in 2 h)`.
    private static func time(_ reply: ReadAwaited.Reply) -> String? {
        guard reply.beginsAtMilliseconds > 0 else { return nil }
        let time = LocalTime(unixSeconds: Int64(reply.beginsAtMilliseconds / 1000))
        return "until \(time.text) (in \(duration(Double(reply.leftMilliseconds) / 1000)))"
    }

    private static func isMet(_ parent: ReadAwaited.Parent) -> Bool {
        !parent.isLoading && parent.todo + parent.inProgress == 0 && (parent.way == .any || parent.failed == 0)
    }

    private static func text(_ parent: ReadAwaited.Parent) -> String {
        guard let name = parent.name else { return "a job that was forgotten" }
        let ended = "\(grouped(parent.ended)) of \(grouped(parent.total)) have ended"
        let loading = parent.isLoading ? ", and tasks are still being added to it" : ""
        let paused = parent.isPaused ? "; it is paused: distcomp resume \(name) lets it go on" : ""
        return "\(name) (\(ended)\(loading)\(paused))"
    }

    private static func name(_ line: String) -> String {
        let text = line.drop { $0 != " " }.dropFirst()
        if let members = try? JSONReader.read(Array(text.utf8)), case .object(let members) = members.content {
            for member in members {
                if member.name == "name", case .string(let name) = member.value.content { return name }
            }
        }
        return "`\(TerminalText.shortened(TaskLine.command(ofLine: line), to: 60))`"
    }

    private static func words(_ state: String) -> String {
        switch state {
        case "waits": "waits itself"
        case "runs": "runs"
        case "failed": "failed"
        case "forgotten": "was forgotten"
        default: "has \(state)"
        }
    }
}
