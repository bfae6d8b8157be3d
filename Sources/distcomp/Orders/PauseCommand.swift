import ArgumentParser
import TaskModel
import TaskQueue

/// `distcomp pause`: nothing is given out until `distcomp resume`.
struct PauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Give out no more tasks until `distcomp resume`; what runs goes on.",
        discussion: "Workers of the old system do not know of it and go on taking tasks.")

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        try connection.withQueue { try $0.perform(PauseQueue(true, keys: $0.keys)) }
        try showPaused(true, asJSON: json, "paused: nodes take nothing new until `distcomp resume`")
    }
}

/// `distcomp resume`: undoes `distcomp pause`, or with names `distcomp drain`.
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume",
        abstract: "Give out tasks again after `distcomp pause`, or to nodes after `distcomp drain`.",
        discussion: """
            Examples:
              distcomp resume            the queue, after distcomp pause
              distcomp resume node7      a node, after distcomp drain node7
            """)

    @Argument(help: "Nodes to be given tasks again; none: the queue goes on.")
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
