import ArgumentParser
import TaskModel

/// `distcomp pause`: nothing is given out until `distcomp resume`.
struct PauseCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pause",
        abstract: "Give out no more tasks until `distcomp resume`; what runs goes on.",
        discussion: "Workers of the old system do not know of it and go on taking tasks.")

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        try connection.withQueue { try $0.setPaused(true) }
        try show("paused: nodes take nothing new until `distcomp resume`\n")
    }
}

/// `distcomp resume`: undoes `distcomp pause`.
struct ResumeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "resume", abstract: "Give out tasks again after `distcomp pause`.")

    @OptionGroup var connection: ConnectionOptions

    func run() throws {
        try connection.withQueue { try $0.setPaused(false) }
        try show("tasks are given out again\n")
    }
}
