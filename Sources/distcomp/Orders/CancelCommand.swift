import ArgumentParser
import LinuxSystem
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
            "A job's name, or a task's line, the first digits of its id (four or more), or a glob such as '*lru*'.",
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
                    try queue.forEachLine(named: task, in: [.todo, .inProgress]) { line throws(CommandError) in
                        let isCancelled = try cancel(line, queue)
                        count += isCancelled ? 1 : 0
                        return true
                    }
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

    /// Whether it was still waiting or running.
    private func cancel(_ line: String, _ queue: QueueClient) throws(CommandError) -> Bool {
        let shown = TerminalText.escaped(line)
        switch try queue.perform(CancelTask(line, keys: queue.keys, jobs: try queue.jobs())) {
        case .cancelled: if !quiet { try show("cancelled: \(shown)\n") }
        case .stopping: if !quiet { try show("stopping: \(shown)\n") }
        case .notFound: return false
        }
        return true
    }
}
