// The command line of DistComp. A file per subcommand; here only which there are, and how they end.

import ArgumentParser
import LinuxSystem

struct Distcomp: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "distcomp",
        abstract: "Run many independent commands on many machines, under hard memory caps and timeouts.",
        discussion: """
            Everything on one machine, nothing to set up:
              distcomp run FILE
            A fleet, with a Redis and a distcompd on every node:
              distcomp submit FILE && distcomp status

            Exit status: 0 all well, 1 some task failed, 2 bad usage or configuration, 3 Redis not reachable.
            """,
        version: "distcomp 1.0.0",
        subcommands: [
            RunCommand.self, SubmitCommand.self, WatchCommand.self, StatusCommand.self, TopCommand.self,
            TasksCommand.self, ShowCommand.self, WhyCommand.self, LogsCommand.self, ResultsCommand.self,
            WorkersCommand.self, CancelCommand.self, RetryCommand.self, RequeueCommand.self, ForgetCommand.self,
            PauseCommand.self, ResumeCommand.self, CleanupCommand.self, StopWorkersCommand.self, ResetCommand.self,
            ManagerCommand.self, ConfigCommand.self, AccessCommand.self, KeyCommand.self, DoctorCommand.self,
        ])
}

Host.ignoreBrokenPipes()
let words = Array(CommandLine.arguments.dropFirst())
Host.hidePasswordsInArguments(after: "--redis_pass")
do {
    var command = try Distcomp.parseAsRoot(TaskArguments.wordsAsOptions(words))
    try command.run()
} catch let error as CommandError {
    if let message = error.message { standardError.write("distcomp: \(message)\n") }
    exitProcess(error.exitStatus)
} catch {
    // Help and version are errors to ArgumentParser, with a status of 0; its own 64 for bad usage is our 2.
    let status = Distcomp.exitCode(for: error).rawValue
    let text = Distcomp.fullMessage(for: error)
    (status == 0 ? standardOutput : standardError).write(text + "\n")
    exitProcess(status == 0 ? 0 : 2)
}
