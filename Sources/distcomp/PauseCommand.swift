import ArgumentParser
import TaskModel

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
        try connection.withQueue { try $0.setPaused(true) }
        try showPaused(true, asJSON: json, "paused: nodes take nothing new until `distcomp resume`")
    }
}

/// `distcomp resume`: undoes `distcomp pause`.
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Give out tasks again after `distcomp pause`.")

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        try connection.withQueue { try $0.setPaused(false) }
        try showPaused(false, asJSON: json, "tasks are given out again")
    }
}

private func showPaused(_ isPaused: Bool, asJSON: Bool, _ text: String) throws(CommandError) {
    guard asJSON else { return try show(text + "\n") }
    var writer = JSONObjectWriter()
    writer.field("paused", isPaused)
    try show(writer.text + "\n")
}
