// Which tasks a command is to take in: those of files, one written after `--`, or a sweep. Shared by `submit` and `run`.

import ArgumentParser
import LinuxSystem
import TaskModel

struct TaskArguments: ParsableArguments {
    @Argument(help: .init("Files of task lines; - is standard input.", valueName: "file"))
    var files: [String] = []

    @Option(help: .init("Of a command: the memory it may use, such as 2G (default: no cap).", valueName: "amount"))
    var memory: String?

    @Option(help: .init("Of a command: the cores it asks for, such as 1 or 0.5.", valueName: "count"))
    var cores: String?

    @Option(help: .init("Of a command: how long it may run, such as 90s, 10m, 2h; 0: no limit.", valueName: "time"))
    var timeout: String?

    @Option(help: .init("Of a command: higher runs first.", valueName: "number"))
    var priority: Int?

    @Option(
        help: .init(
            "Of a command: the job's name (default: the program's). The same name again adds to that job.",
            valueName: "name"))
    var name: String?

    @OptionGroup var surroundings: SurroundingOptions

    @Flag(help: "Print the lines of the tasks and do nothing else.")
    var dryRun = false

    /// The words after `--`; see `wordsAsOptions`.
    @Option(name: .customLong(Self.wordOption), parsing: .unconditionalSingleValue, help: .hidden)
    var command: [String] = []

    private static let wordOption = "command-word"

    /// ArgumentParser cannot tell files from what follows `--`, so the words of a command are passed to it as hidden options; nor does
    /// it know `-j4`, as people are used to write `-j 4`.
    static func wordsAsOptions(_ arguments: [String]) -> [String] {
        guard let subcommand = arguments.first, ["submit", "run"].contains(subcommand) else { return arguments }
        let own = arguments.prefix { $0 != "--" }.flatMap { word in
            let digits = word.dropFirst(2)
            return word.hasPrefix("-j") && !digits.isEmpty && Int(digits) != nil ? ["-j", String(digits)] : [word]
        }
        return own + arguments.drop { $0 != "--" }.dropFirst().flatMap { ["--" + wordOption, $0] }
    }

    /// How the commands that take tasks are used.
    static func usage(_ subcommand: String) -> String {
        """
        distcomp \(subcommand) [<options>] <file> ...
        distcomp \(subcommand) [<options>] -- <command> ... [::: <value> ...] ...
        """
    }

    /// What the help says of commands.
    static let commandHelp = """
        Several words after -- are run as they are, a single one is text for sh -c. With lists of values there is a task for \
        each combination of them: {1} stands for a value of the first list, {2} of the second, {} for all; where none \
        stands, the values are appended. A list after :::+ goes along with the one before it instead.
        """

    /// For the examples of the commands that take these.
    static let sweepExample = """
        --memory 2G --cores 1 --timeout 10m \\
                -- ./cachesim {1} {2} ::: lru fifo s3fifo ::: 1G 4G
        """

    func validate() throws {
        if command.isEmpty {
            guard !files.isEmpty else {
                throw ValidationError("give a file of task lines, - for standard input, or a command after --")
            }
            if let option = optionsOfCommands.first(where: { $0.value != nil }) {
                throw ValidationError("--\(option.key) is for a command after --; the lines of files have their own")
            }
            return
        }
        guard files.isEmpty else {
            throw ValidationError(
                "give either files or a command after --, not both (\(TerminalText.escaped(files[0])))")
        }
        if let problem = name.flatMap({ Job.problem(withName: $0) }) { throw ValidationError("--name: \(problem)") }
        do {
            let sweep = try Sweep(command)
            _ = try TaskLine(of: parts(command: sweep.command(0)))
        } catch let error as TaskLineError {
            throw ValidationError(error.problems.map(described).joined(separator: "; "))
        } catch {
            throw ValidationError(TerminalText.escaped("\(error)"))
        }
    }

    private var optionsOfCommands: [(key: String, value: String?)] {
        [
            ("name", name), ("memory", memory), ("cores", cores), ("timeout", timeout),
            ("priority", priority.map { "\($0)" }),
        ] + surroundings.given
    }

    private func described(_ problem: TaskLineError.Problem) -> String {
        guard let value = optionsOfCommands.first(where: { $0.key == problem.field })?.value else {
            return problem.description
        }
        return "--\(problem.field) \(TerminalText.escaped(value)): expected \(problem.expected)"
    }

    private func parts(command: String) -> TaskLine.Parts {
        var parts = TaskLine.Parts(command: command)
        if let priority { parts.priority = priority }
        if let memory { parts.memory = memory }
        if let cores { parts.cores = cores }
        parts.timeout = timeout
        parts.surroundings = surroundings.surroundings
        return parts
    }
}

extension TaskArguments {
    /// Whether these are the tasks of a job, and not task lines, which have their own settings.
    var isJob: Bool { !command.isEmpty }

    /// What is needed to open the job of these tasks; nil for task lines.
    ///
    /// - Parameter isForFleet: whether the nodes may be other machines.
    func jobRequest(isForFleet: Bool) throws(CommandError) -> JobRequest? {
        guard isJob else { return nil }
        var settings = Job.Settings()
        let line: TaskLine
        do {
            line = try TaskLine(of: parts(command: "true"))
        } catch {
            throw .usage(error.message)
        }
        (settings.memoryBytes, settings.millicores) = (line.memoryBytes, line.millicores)
        (settings.timeout, settings.priority) = (line.timeout, line.priority)
        settings.command = TerminalText.shortened(command.map(ShellWord.quoted).joined(separator: " "), to: 500)
        var definition = Job.Definition()
        definition.surroundings = surroundings.surroundings
        // A node is somewhere else; the one of a run is here.
        if isForFleet, definition.surroundings.directory == nil {
            definition.surroundings.directory = FileSystem.workingDirectory
        }
        // The same words in the same place are the same work, whatever it may use.
        let words = [FileSystem.workingDirectory, definition.json] + command
        settings.fingerprint =
            TaskLine.identifier(of: words.joined(separator: "\0"))
            + TaskLine.identifier(of: words.reversed().joined(separator: "\0"))
        let program = command.first.flatMap { $0.split(separator: " ").first.map(String.init) } ?? ""
        return JobRequest(
            name: name ?? Job.name(from: program), isNameChosen: name != nil, settings: settings, definition: definition
        )
    }

    /// Hands over every task, in order, and a problem for every line that is not a task.
    ///
    /// - Parameter job: of which the tasks of a command are; nil: lines that say all themselves.
    func forEach(
        of job: Job? = nil, progress: LoadingDisplay, _ use: (TaskFile.Entry) throws(CommandError) -> Void
    ) throws(CommandError) {
        if command.isEmpty {
            progress.bytesTotal = totalBytes()
            for path in files { try TaskFile.read(path, counting: { progress.bytesRead += $0 }, use) }
        } else {
            let sweep: Sweep
            do {
                sweep = try Sweep(command)
            } catch {
                throw .usage("\(error)")
            }
            progress.linesTotal = sweep.count
            for index in 0..<sweep.count { try use(.task(line(index, of: sweep, job), lineNumber: index + 1)) }
        }
    }

    /// Prints the lines instead of submitting them; lines that are not tasks are reported and make the command fail.
    func printLines() throws(CommandError) {
        var problems = ProblemList()
        let output = BufferedOutput()
        try forEach(progress: LoadingDisplay(isQuiet: true)) { entry throws(CommandError) in
            switch entry {
            case .task(let line, _): try output.show(ResultFormat.shown(line.text) + "\n")
            case .problem(let problem): problems.add(problem)
            }
        }
        try output.flush()
        if problems.count > 0 { throw .reported }
    }

    private func line(_ index: Int, of sweep: Sweep, _ job: Job?) throws(CommandError) -> TaskLine {
        do {
            if let job { return try TaskLine(command: sweep.command(index), of: job) }
            return try TaskLine(of: parts(command: sweep.command(index)))
        } catch {
            throw .usage("a command of the sweep is not a task: \(error.message)")
        }
    }

    /// The size of all files together; nil where one, such as a pipe, does not tell.
    private func totalBytes() -> Int? {
        var total = 0
        for path in files {
            guard path != "-", let status = try? FileSystem.status(of: path), status.isRegular else { return nil }
            total += Int(status.sizeBytes)
        }
        return total
    }
}
