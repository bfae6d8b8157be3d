import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

/// `distcomp cancel LINE...`: takes tasks back.
struct CancelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel",
        abstract: "Take tasks back: one that waits fails as cancelled, one that runs is stopped.",
        discussion: """
            Examples:
              distcomp cancel 4f2a
              distcomp cancel 'shell:5:8:2:300:./cachesim trace.bin lru'
              distcomp cancel '*cachesim * lru*'
              distcomp cancel cachesim                    a job, by its name
            """)

    @OptionGroup var connection: ConnectionOptions

    @Argument(
        help: .init(
            "A job's name, or a task's line, the first digits of its id (four or more), its name, or a glob such as '*lru*'.",
            valueName: "task")
    )
    var tasks: [String]

    @OptionGroup var caution: OrderCaution

    @Flag(name: .shortAndLong, help: "Say nothing of what was cancelled.")
    var quiet = false

    func run() throws {
        var missed = false
        try connection.withQueue { queue in
            let agrees = try caution.agrees(to: "cancel") { use throws(CommandError) in
                for task in tasks { try queue.forEachLineIfAny(named: task, in: [.todo, .inProgress], use) }
            }
            guard agrees else { return }
            for task in tasks {
                var count = 0
                do {
                    var batch = LineBatch { lines throws(CommandError) in count += try cancel(lines, queue) }
                    try queue.forEachLine(named: task, in: [.todo, .inProgress]) { line throws(CommandError) in
                        try batch.add(line)
                        return true
                    }
                    try batch.flush()
                } catch CommandError.noSuchTask {
                }
                if count == 0 {
                    missed = true
                    standardError.write("distcomp: neither waiting nor running: \(TerminalText.escaped(task))\n")
                }
            }
        }
        if missed { throw CommandError.reported }
    }

    /// How many were still waiting or running.
    private func cancel(_ lines: [String], _ queue: QueueClient) throws(CommandError) -> Int {
        var requests: [RedisRequest] = []
        for line in lines {
            requests.append(CancelTask(line, keys: queue.keys, jobs: try queue.jobs(ofLine: line)).request)
        }
        let replies = try queue.pipeline(requests)
        var count = 0
        for (line, reply) in zip(lines, replies) {
            let reply = try queue.parsed { () throws(QueueError) in try CancelTask.parse(reply) }
            let identifier = TaskLine.identifier(of: line).prefix(8)
            if reply == .notFound {
                if let worker = try queue.standing(of: line).worker {
                    standardError.write(
                        "distcomp: \(identifier) is run by \(TerminalText.escaped(worker)), a worker of the old system, which cannot be told "
                            + "to stop\n")
                }
                continue
            }
            count += 1
            if quiet { continue }
            let shown = TerminalText.escaped(TaskLine.command(ofLine: line))
            try show("\(reply == .cancelled ? "cancelled" : "stopping"): \(identifier)  \(shown)\n")
        }
        return count
    }
}
