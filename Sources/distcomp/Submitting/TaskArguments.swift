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

    @OptionGroup var surroundings: SurroundingOptions

    @Flag(help: "Print the lines of the tasks and do nothing else.")
    var dryRun = false

    /// The words after `--`; see `wordsAsOptions`.
    @Option(name: .customLong(Self.wordOption), parsing: .unconditionalSingleValue, help: .hidden)
    var command: [String] = []

    private static let wordOption = "command-word"

    /// ArgumentParser cannot tell files from what follows `--`, so the words of a command are passed to it as hidden options.
    static func wordsAsOptions(_ arguments: [String]) -> [String] {
        guard let subcommand = arguments.first, ["submit", "run"].contains(subcommand),
            let terminator = arguments.firstIndex(of: "--")
        else { return arguments }
        return arguments[..<terminator] + arguments[(terminator + 1)...].flatMap { ["--" + wordOption, $0] }
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
        [("memory", memory), ("cores", cores), ("timeout", timeout), ("priority", priority.map { "\($0)" })]
            + surroundings.given
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
    /// Hands over every task, in order, and a problem for every line that is not a task.
    func forEach(
        progress: LoadingDisplay, _ use: (TaskFile.Entry) throws(CommandError) -> Void
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
            for index in 0..<sweep.count { try use(.task(line(index, of: sweep), lineNumber: index + 1)) }
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

    private func line(_ index: Int, of sweep: Sweep) throws(CommandError) -> TaskLine {
        do {
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
