// The options that say which tasks a command is to take in: those of files, one written after `--`, or a sweep. Shared by `submit`
// and `run`.

import ArgumentParser
import LinuxSystem
import TaskModel

struct TaskArguments: ParsableArguments {
    @Argument(help: .init("Files of tasks or plain commands; - is standard input.", valueName: "file"))
    var files: [String] = []

    @OptionGroup var memory: MemoryOptions

    @Option(help: .init("Of each command: the cores it asks for, such as 1 or 0.5.", valueName: "count"))
    var cores: String?

    @Option(help: .init("Of each command: how long it may run, such as 90s, 10m, 2h; 0: no limit.", valueName: "time"))
    var timeout: String?

    @Option(
        help: .init(
            "Of each command: this signal, such as USR1@60s, to all of it so long before its timeout.",
            valueName: "signal"))
    var signal: DeadlineWarning?

    @Option(
        help: .init(
            """
            Of each command: with these exit codes it goes back to the queue, to be begun again, without having failed, at most 100 \
            times; none: with none (default: 85).
            """, valueName: "codes"))
    var requeueExitCodes: RequeueCodes?

    @Option(
        name: .customLong("where"),
        help: .init("Of each command: for nodes with such labels only, as 'ssd & !spot'.", valueName: "labels"))
    var nodeLabels: LabelExpression?

    @OptionGroup var resources: ResourceOptions

    @Flag(
        help: .init(
            """
            Of each command: it may be run twice at once. When nothing waits, a node with room runs a second copy of one that takes twice as long as \
            most of the job did, and the first to finish counts.
            """))
    var idempotent = false

    @Option(help: .init("Of each command: higher runs first.", valueName: "number"))
    var priority: Int?

    @Option(
        help: .init(
            "The job's name (default: that of the program or file). The same name again adds to that job.",
            valueName: "name"))
    var name: String?

    @Option(
        help: .init(
            """
            Whose tasks they are (default: the Redis user, or else this user). Owners share the fleet: the next task is of whom the least \
            runs, by their shares (distcomp shares).
            """, valueName: "name"))
    var owner: String?

    @Option(
        help: .init(
            """
            The job waits for this one: until all of it has finished (JOB, JOB:ok), has ended (JOB:any), or each of its tasks \
            until that with the same values or name has finished (JOB:each). May be repeated.
            """, valueName: "job[:way]"))
    var after: [AfterOption] = []

    @Option(
        help: .init(
            """
            The job waits until then: so long from now (+10m), or until a time, local unless it says else (08:00, 2026-12-01T08:00, \
            2026-12-01T08:00Z, 2026-12-01T08:00+01:00).
            """, valueName: "time|+delay"))
    var notBefore: NotBeforeOption?

    @OptionGroup var surroundings: SurroundingOptions

    @Option(
        name: [.customShort("a"), .long],
        help: .init("Of a command: a file of values, one a line; - is standard input.", valueName: "file"))
    var argFile: [String] = []

    @Flag(help: "Of a command: values of all sources go together, line by line, the shorter ones anew.")
    var link = false

    @Option(
        help: .init(
            "Of a command: each value is columns, and this regular expression between them.", valueName: "regex"))
    var colsep: String?

    @Option(
        help: .init("Of a command: the first line of each source names its columns, as {name}.", valueName: ":"))
    var header: String?

    @Flag(name: [.customShort("0"), .long], help: "Of a command: NUL characters are between values, not newlines.")
    var null = false

    @Option(
        help: .init(
            "A Slurm batch script: a task for each index of its array; words after -- are its arguments.",
            valueName: "script"))
    var fromSlurm: String?

    @Option(
        name: .customLong("resume-joblog"),
        help: .init("Leave out the commands that ended with exit 0 in this job log of GNU parallel.", valueName: "file")
    )
    var resumeJobLog: String?

    @Flag(help: "Print the lines of the tasks and do nothing else.")
    var dryRun = false

    @Option(name: .customLong(Self.wordsOption), parsing: .unconditionalSingleValue, help: .hidden)
    private var packedCommand: [String] = []

    /// The words after `--`; see `wordsAsOptions`.
    var command: [String] {
        packedCommand.flatMap { $0.split(separator: Self.between, omittingEmptySubsequences: false).map { String($0) } }
    }

    private static let wordsOption = "command-words"
    /// No word of a command line holds one.
    private static let between: Character = "\0"

    /// ArgumentParser cannot tell files from what follows `--`, and takes the square of their number to look at many words. So the words of a
    /// command are passed to it as one hidden option. Nor does it know `-j4`, as people are used to write `-j 4`.
    static func wordsAsOptions(_ arguments: [String]) -> [String] {
        guard let subcommand = arguments.first, ["submit", "run"].contains(subcommand) else { return arguments }
        let own = arguments.prefix { $0 != "--" }.flatMap { word in
            let digits = word.dropFirst(2)
            return word.hasPrefix("-j") && !digits.isEmpty && Int(digits) != nil ? ["-j", String(digits)] : [word]
        }
        let words = arguments.drop { $0 != "--" }.dropFirst()
        return own + (words.isEmpty ? [] : ["--" + wordsOption, words.joined(separator: String(between))])
    }

    /// How the commands that take tasks are used.
    static func usage(_ subcommand: String) -> String {
        """
        distcomp \(subcommand) [<options>] <file> ...
        distcomp \(subcommand) [<options>] -- <command> ... [::: <value> ... | :::: <file> ...] ...
        ... | distcomp \(subcommand) [<options>] -- <command with {}> ...
        distcomp \(subcommand) [<options>] --from-slurm <script> [-- <argument> ...]
        """
    }

    /// What the help says of commands.
    static let commandHelp = """
        The first line of a file that is neither blank nor a comment (#) says what all of them are: task lines, if it begins \
        with a type and a colon, or is JSON; otherwise plain commands, each run by sh -c with the same --memory, --cores, \
        --timeout and --priority, as GNU parallel and xargs have them.

        Several words after -- are run as they are, a single one is text for sh -c. With values there is a task for each \
        combination of them. They stand after :::, or are the lines of the files after :::: or -a (- is standard input); a \
        source after :::+ or ::::+ goes along with the one before it instead. Where the command has a mark and none of these \
        is given, they are the lines of standard input.

        Marks: {1} is a value of the first source, {2} of the second, {} all of them, {name} one of that name (--header), {#} \
        the number of the task. {.} is without extension, {/} the last part of a path, {//} the directory, {/.} the last \
        part without extension; so {1.} {name/}. Marks in --cwd, --env and --stdin are values too. Without any mark the values are \
        appended. After \\ and $ a brace is text, and \
        so are {a,b}, {1..3} and {print $1}; what looks like a mark and is none is an error.
        """

    /// For the examples of the commands that take these.
    static let sweepExample = """
        --memory 2G --cores 1 --timeout 10m \\
                -- ./cachesim {1} {2} ::: lru fifo s3fifo ::: 1G 4G
        """

    func validate() throws {
        if let problem = name.flatMap({ Job.problem(withName: $0) }) { throw ValidationError("--name: \(problem)") }
        if notBefore?.time == .atOnce {
            throw ValidationError("--not-before none: expected \(NotBeforeOption.expected)")
        }
        if let problem = owner.flatMap({ Job.problem(withOwner: $0) }) { throw ValidationError("--owner: \(problem)") }
        if idempotent, surroundings.checkpointDir != nil {
            throw ValidationError(
                "give either --idempotent or --checkpoint-dir: two copies of a task would save in one place")
        }
        if let problem = memory.problem(isAmountElsewhere: fromSlurm != nil) { throw ValidationError(problem) }
        if let fromSlurm {
            guard fromSlurm != "-" else {
                throw ValidationError("--from-slurm -: the tasks run the script, so it must be a file")
            }
            guard files.isEmpty && !valueOptions.areGiven else {
                throw ValidationError("give either --from-slurm, with the script's arguments after --, or other tasks")
            }
            return try check(parts(command: "true"))
        }
        if command.isEmpty {
            try check(parts(command: "true"))
            if valueOptions.areGiven {
                throw ValidationError("values (-a, --link, --colsep, --header, -0) are for a command after --")
            }
            return
        }
        guard files.isEmpty else {
            throw ValidationError(
                "give either files or a command after --, not both (\(TerminalText.escaped(files[0])))")
        }
        // What can be seen before any value is read is told with how the command is used.
        do {
            let input = try SweepInput(command, valueOptions)
            try check(parts(command: input.template.joined(separator: " ")))
        } catch let error as SweepError {
            throw ValidationError(TerminalText.escaped("\(error)"))
        }
    }

    /// Whether no tasks are named at all.
    var isEmpty: Bool { files.isEmpty && command.isEmpty && fromSlurm == nil }

    /// What to say of that.
    static let nothingGiven = "give a file of tasks or commands, - for standard input, or a command after --"

    /// Whether the options are amounts that can be read.
    private func check(_ parts: TaskLine.Parts) throws {
        do {
            let line = try TaskLine(of: parts)
            if let problem = signal?.problem(withTimeout: line.timeout) { throw ValidationError("--signal \(problem)") }
        } catch let error as TaskLineError {
            throw ValidationError(error.problems.map(described).joined(separator: "; "))
        }
    }

    private var valueOptions: SweepInput.Options {
        .init(
            files: argFile, linksAll: link, columnSeparator: colsep, header: header, separatesByNull: null,
            texts: surroundings.typed)
    }

    private var optionsOfCommands: [(key: String, value: String?)] {
        [
            ("name", name), ("memory", memory.asked), ("cores", cores), ("timeout", timeout), ("signal", signal?.text),
            ("requeue-exit-codes", requeueExitCodes?.text), ("not-before", notBefore?.text),
            ("where", nodeLabels?.text), ("idempotent", idempotent ? "" : nil), ("priority", priority.map { "\($0)" }),
        ] + memory.typed + resources.given + surroundings.given
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
        if let amount = memory.amount { parts.memory = amount }
        if let cores { parts.cores = cores }
        parts.timeout = timeout
        parts.surroundings = surroundings.surroundings(surroundings.typed)
        return parts
    }

    /// Reads what there is to read of values, and says which tasks are meant.
    func input() throws(CommandError) -> TaskInput {
        var input = try inputOfAll()
        if let resumeJobLog { input.jobLog = try JobLog.read(resumeJobLog) }
        (input.jobName, input.owner) = (name, owner)
        input.warning = signal
        input.requeueCodes = requeueExitCodes
        input.nodeLabels = nodeLabels
        input.isIdempotent = idempotent
        input.memory = memory.request
        input.resources = resources.request ?? input.resources
        input.after = after
        input.notBefore = notBefore?.time
        try input.lookForAfter()
        return input
    }

    private func inputOfAll() throws(CommandError) -> TaskInput {
        if let fromSlurm { return try inputOfSlurm(fromSlurm) }
        let parts = parts(command: "")
        guard !command.isEmpty else {
            try InputFile.expectAll(files)
            let given = optionsOfCommands.compactMap { $0.value == nil ? nil : "--" + $0.key }
            return TaskInput(source: .files(files), parts: parts, optionsOfCommands: given, typed: files)
        }
        let input: SweepInput
        do {
            input = try SweepInput(command, valueOptions)
        } catch {
            throw CommandError(error)
        }
        return TaskInput(
            source: .sweep(try input.sweep()), parts: parts,
            surroundings: surroundings.typed.isEmpty ? nil : surroundings, typed: command)
    }

    /// The tasks of a batch script; what it asks for and is not done is said.
    private func inputOfSlurm(_ path: String) throws(CommandError) -> TaskInput {
        let script = try SlurmScript.read(path)
        let notDone = script.ignored + script.variablesMissing.map { "\($0) is not set" }
        if !notDone.isEmpty {
            standardError.write(
                TerminalText.escaped("\(path): not done here: \(notDone.joined(separator: ", "))") + "\n")
        }
        let directory = FileSystem.workingDirectory
        let commands = script.commands(
            path: path.hasPrefix("/") ? path : directory + "/" + path, arguments: command, directory: directory)
        var parts = parts(command: "")
        // What was typed counts, as for sbatch.
        if memory.asked == nil, let memory = script.memory { parts.memory = memory }
        if cores == nil { parts.cores = script.cores ?? "1" }
        if timeout == nil { parts.timeout = script.timeout }
        var input = TaskInput(
            source: .commands(count: script.taskCount, commands), parts: parts, typed: [path] + command)
        input.resources = script.gpus.flatMap { ResourceRequest(typed: "\(ResourceRequest.gpu)=\($0)") }
        return input
    }
}

extension LabelExpression: ExpressibleByArgument {
    public init?(argument: String) { self.init(text: argument) }
}

extension DeadlineWarning: ExpressibleByArgument {
    static let expected = "a signal and how long before the timeout, such as USR1@60s or TERM@5m"

    public init?(argument: String) { self.init(text: argument) }
}

extension RequeueCodes: ExpressibleByArgument {
    public init?(argument: String) { self.init(text: argument) }
}
