// Orders that stop the giving of tasks: for a while, or for good.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

/// `distcomp pause`: nothing is given out until `distcomp resume`.
struct PauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Give out no more tasks, or none of a job, until `distcomp resume`; what runs goes on.",
        discussion: "Workers of the old system do not know of it and go on taking tasks.")

    @Argument(help: .init("Only this job.", valueName: "job"))
    var job: String?

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        if let job {
            try connection.withQueue { queue in try queue.setPaused(true, try queue.orderedJob(job)) }
            return try showPaused(
                true, asJSON: json, "paused: nothing more of \(job) is given out until `distcomp resume \(job)`")
        }
        try connection.withQueue { try $0.perform(PauseQueue(true, keys: $0.keys)) }
        try showPaused(true, asJSON: json, "paused: nodes take nothing new until `distcomp resume`")
    }
}

/// `distcomp resume`: undoes `distcomp pause`, or with names `distcomp drain`.
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Give out tasks again after `distcomp pause`, also of a job, or to nodes after `distcomp drain`.",
        discussion: """
            Examples:
              distcomp resume            the queue, after distcomp pause
              distcomp resume cachesim   a job, after distcomp pause cachesim
              distcomp resume node7      a node, after distcomp drain node7
            """)

    @Argument(help: "Jobs to be given out again, or nodes to be given tasks; none: the queue goes on.")
    var nodes: [String] = []

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON object, or with nodes one a node.")
    var json = false

    func run() throws {
        if nodes.isEmpty {
            try connection.withQueue { try $0.perform(PauseQueue(false, keys: $0.keys)) }
            return try showPaused(false, asJSON: json, "tasks are given out again")
        }
        try connection.withQueue { queue in
            // A node of that name is meant where there is one.
            let drained = Set(try queue.leases().map(\.incarnation.nodeName))
            let jobs = try nodes.filter { !drained.contains($0) }.compactMap { name in try queue.job(named: name) }
            for job in jobs {
                try queue.setPaused(false, job)
                try showPaused(false, asJSON: json, "tasks of \(job.name) are given out again")
            }
            let nodes = nodes.filter { name in !jobs.contains { $0.name == name || $0.identifier == name } }
            if nodes.isEmpty { return }
            try DrainReport(nodes, try queue.drain(nodes, isDraining: false), isDraining: false).show(asJSON: json)
        }
    }
}

private func showPaused(_ isPaused: Bool, asJSON: Bool, _ text: String) throws(CommandError) {
    guard asJSON else { return try show(text + "\n") }
    var writer = JSONObjectWriter()
    writer.field("paused", isPaused)
    try show(writer.text + "\n")
}

/// `distcomp stop-workers`: the end of a fleet's work.
struct StopWorkersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop-workers",
        abstract: "Tell all nodes to finish what they run and stop.",
        discussion: """
            Sets WORKER_COMMAND_CLOSE in todo_tasks, as the old system knows it. It stays until it is taken back: a node that is \
            started meanwhile stops at once.

            Examples:
              distcomp stop-workers
              distcomp stop-workers --undo
            """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Take it back.")
    var undo = false

    @Flag(name: .shortAndLong, help: "Say nothing when all goes well.")
    var quiet = false

    func run() throws {
        let hasChanged = try connection.withFleetQueue { try $0.setClosing(!undo) }
        if quiet { return }
        switch (undo, hasChanged) {
        case (false, _): try show("WORKER_COMMAND_CLOSE is set: nodes finish what they run and stop\n")
        case (true, true): try show("WORKER_COMMAND_CLOSE is taken back\n")
        case (true, false): try show("WORKER_COMMAND_CLOSE was not set\n")
        }
    }
}

extension QueueClient {
    /// Has nothing more of a job given out, or takes that back.
    func setPaused(_ isPaused: Bool, _ job: Job) throws(CommandError) {
        guard try perform(PauseJob(job.identifier, isPaused: isPaused, keys: keys)) == .changed else {
            throw .noSuchTask("the job \(job.name) has been forgotten meanwhile")
        }
    }

    /// Tells all nodes, ours and old workers, to finish what they run and stop; or takes that back. Whether that changed anything.
    func setClosing(_ isClosing: Bool) throws(CommandError) -> Bool {
        let command =
            isClosing ? ["HSET", keys.todo, TaskLine.closeCommand, ""] : ["HDEL", keys.todo, TaskLine.closeCommand]
        let changed = try answers([
            .command(RedisCommand(command[0], Array(command.dropFirst()))),
            .command(RedisCommand("PUBLISH", keys.wakeChannel, "todo")),
        ])
        return changed.first?.int == 1
    }
}
