// The command line of DistComp. Each subcommand has a file; this one lists them and decides the exit status.

import ArgumentParser
import LinuxSystem
import Notation
import TaskModel

struct Distcomp: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "distcomp",
        abstract: "Run many independent commands on many machines, under hard memory caps and timeouts.",
        discussion: """
            Everything on one machine, nothing to set up:
              distcomp run FILE
            A fleet, with a Redis and a distcompd on every node:
              distcomp submit FILE && distcomp status

            Exit status: 0 all well, 1 some task failed, 2 bad usage or configuration, 3 Redis not reachable, or the queue is gone.
            """,
        version: "distcomp 1.1.0",
        subcommands: [
            RunCommand.self, AttachCommand.self, SubmitCommand.self, JobsCommand.self, SetCommand.self,
            RenameCommand.self,
            WatchCommand.self, StatusCommand.self, TopCommand.self,
            TasksCommand.self, ShowCommand.self, WhyCommand.self, LogsCommand.self, ResultsCommand.self,
            WorkersCommand.self, ScaleCommand.self, SharesCommand.self, MetricsCommand.self, CancelCommand.self,
            RetryCommand.self,
            RequeueCommand.self,
            ForgetCommand.self,
            PauseCommand.self, ResumeCommand.self, DrainCommand.self, CleanupCommand.self, StopWorkersCommand.self,
            ResetCommand.self,
            WebCommand.self,
            ManagerCommand.self, ConfigCommand.self, AccessCommand.self, KeyCommand.self, DoctorCommand.self,
        ])
}

extension Distcomp {
    /// What to say of a first word that is not a subcommand, or of an option that is another system's; nil when all is well.
    static func objection(to words: [String]) -> String? {
        guard let word = words.first, !word.hasPrefix("-") else { return nil }
        let names = configuration.subcommands.compactMap { $0.configuration.commandName } + ["help"]
        if names.contains(word) { return foreignOption(in: words) }
        let shown = TerminalText.shortened(TerminalText.escaped(word), to: 60)
        let nearest = NearestName.find(word, among: names).map { "did you mean `distcomp \($0)`?" }
        return "there is no `distcomp \(shown)`; \(nearest ?? "distcomp --help lists what there is")"
    }

    /// What GNU parallel, Slurm and HyperQueue call the options of `run` and `submit`; too far from our names to be found as misspelt.
    private static let foreignOptions = [
        "--jobs": "--slots", "--max-procs": "--slots", "--mem": "--memory", "--time": "--timeout",
        "--time-limit": "--timeout", "--cpus": "--cores", "--cpus-per-task": "--cores", "--chdir": "--cwd",
        "--workdir": "--cwd", "--wd": "--cwd", "--export": "--env", "--input": "--stdin",
        "--line-buffer": "--output stream", "--lb": "--output stream", "--keep-order": "--output ordered",
        "-k": "--output ordered", "--tagstring": "--tag",
    ]

    private static func foreignOption(in words: [String]) -> String? {
        guard ["run", "submit"].contains(words[0]) else { return nil }
        for word in words.prefix(while: { $0 != "--" }) {
            let name = word.prefix { $0 != "=" }
            guard let own = foreignOptions[String(name)], own != "--slots" || words[0] == "run" else { continue }
            return "there is no \(name); did you mean \(own)?"
        }
        return nil
    }

    /// `jobs --redis URL show JOB` means what `jobs show --redis URL JOB` does: the parser wants the second word of a command before its options.
    static func withSubcommandFirst(_ words: [String]) -> [String] {
        guard let first = words.first,
            let command = configuration.subcommands.first(where: { $0.configuration.commandName == first })
        else { return words }
        let names = command.configuration.subcommands.compactMap { $0.configuration.commandName }
        var position = 1
        while position < words.count, words[position].hasPrefix("-"), words[position] != "--" {
            position += words[position] == "--json" || words[position].contains("=") ? 1 : 2
        }
        guard position < words.count, names.contains(words[position]) else { return words }
        return [first, words[position]] + words[1..<position] + words[(position + 1)...]
    }

    /// What to say of an argument that is not UTF-8.
    static func objection(toBytes bytes: [UInt8]) -> String {
        let shown = bytes.prefix(200).map { byte in
            (0x20..<0x7F).contains(byte) ? String(UnicodeScalar(byte)) : "\\x" + Hexadecimal.text(byte)
        }
        let argument = TerminalText.shortened(shown.joined(), to: 60)
        return "the argument `\(argument)` is not UTF-8, as all text of a task is; nothing was done. "
            + "Rename the file (convmv), or have the task's own shell find it by a pattern"
    }
}

Host.ignoreBrokenPipes()
let words = Array(CommandLine.arguments.dropFirst())
Host.hidePasswordsInArguments(after: "--redis_pass")
do {
    if let bytes = Host.argumentThatIsNotText() { throw CommandError.usage(Distcomp.objection(toBytes: bytes)) }
    if let objection = Distcomp.objection(to: words) { throw CommandError.usage(objection) }
    var command = try Distcomp.parseAsRoot(TaskArguments.wordsAsOptions(Distcomp.withSubcommandFirst(words)))
    try command.run()
} catch let error as CommandError {
    if let message = error.message { standardError.write("distcomp: \(message)\n") }
    exitProcess(error.exitStatus)
} catch {
    // Help and version are errors to ArgumentParser, with a status of 0; its own 64 for bad usage is our 2.
    let status = Distcomp.exitCode(for: error).rawValue
    let text = Distcomp.fullMessage(for: error)
    if status == 0 {
        standardOutput.write(text + "\n")
        exitProcess(0)
    }
    // It quotes what was typed, so it is escaped. Like all our messages it begins with our name.
    let complaint = text.hasPrefix("Error: ") ? "distcomp: " + text.dropFirst("Error: ".count) : text
    let lines = complaint.split(separator: "\n", omittingEmptySubsequences: false)
    standardError.write(lines.map { TerminalText.escaped(String($0)) }.joined(separator: "\n") + "\n")
    exitProcess(2)
}
