// The tasks that a command takes in, one after the other: a sweep's are made and a file's are read as they are asked for.

import LinuxSystem
import TaskModel
import TaskQueue

struct TaskInput {
    enum Source {
        /// Files of task lines.
        case taskFiles([String])
        /// Files of task lines or of plain commands.
        case files([String])
        case sweep(Sweep)
        /// As many commands, each by its number.
        case commands(count: Int, (Int) -> String)
    }

    let source: Source
    /// What options say of every command.
    var parts = TaskLine.Parts(command: "")
    /// What else they say, with marks for the values of a sweep in it.
    var surroundings: SurroundingOptions?
    /// The options that say it.
    var optionsOfCommands: [String] = []
    /// The words or files as they were typed.
    var typed: [String] = []
    /// The name that was chosen for the job of the commands.
    var jobName: String?
    /// Whose it is, where somebody said so.
    var owner: String?
    /// After how many failures nothing more of the job is given out.
    var halt: HaltRule?
    /// What its tasks are told before their timeout.
    var warning: DeadlineWarning?
    /// The exit codes by which they go back to the queue; nil: those by default.
    var requeueCodes: RequeueCodes?
    var nodeLabels: LabelExpression?
    var isIdempotent = false
    /// What else they may use of memory.
    var memory = MemoryRequest()
    /// What each has of its node besides memory and cores; nil where nothing was said.
    var resources: ResourceRequest?
    /// For which jobs it waits.
    var after: [AfterOption] = []
    /// When it may begin; nil where nothing is said of that.
    var notBefore: NotBefore?
    /// Whether lines of a task file are tasks of a job: where it or its owner is named, it waits for others or a time, or its tasks wait for each
    /// other or may come
    /// to have more memory.
    private(set) var linesAreOfJob = false
    /// Whether some of these lines may wait for others, so that all are read before any is added.
    private(set) var gathersLines = false
    /// What need not be run again.
    var jobLog: JobLog?

    /// Hands over every task, in order, and a problem for every line that is not a task; with the place of a task among all there are, from 0,
    /// those that need not be run again among them.
    ///
    /// - Parameter isQuiet: whether to say nothing of files of plain commands.
    func forEach(
        progress: LoadingDisplay, isQuiet: Bool, _ use: (TaskFile.Entry, _ place: Int) throws(CommandError) -> Void
    ) throws(CommandError) {
        var (place, finishedCount) = (0, 0)
        try forEachOfAll(progress, isQuiet) { entry throws(CommandError) in
            guard case .task(let line, _) = entry else { return try use(entry, place) }
            if let jobLog, line.type == .shell, jobLog.hasFinished(line.command) {
                finishedCount += 1
            } else {
                try use(entry, place)
            }
            place += 1
        }
        guard let jobLog, !isQuiet else { return }
        let tasks = "\(grouped(finishedCount)) task\(finishedCount == 1 ? "" : "s")"
        standardError.write("\(TerminalText.escaped(jobLog.name)): \(tasks) ended with exit 0 there, left out\n")
    }

    private func forEachOfAll(
        _ progress: LoadingDisplay, _ isQuiet: Bool, _ use: (TaskFile.Entry) throws(CommandError) -> Void
    ) throws(CommandError) {
        let counting: (Int) -> Void = { progress.bytesRead += $0 }
        switch source {
        case .taskFiles(let files):
            progress.bytesTotal = Self.totalBytes(files)
            for path in files { try TaskFile.read(path, counting: counting, use) }
        case .files(let files):
            progress.bytesTotal = Self.totalBytes(files)
            for path in files {
                progress.fileName = InputFile.name(path)
                try TaskFile.read(path, orCommandsWith: parts, counting: counting) {
                    entry throws(CommandError) in
                    if case .form(let form) = entry { try check(form, of: InputFile.name(path), isQuiet) }
                    try use(entry)
                }
            }
        case .sweep(let sweep):
            try forEachCommand(sweep.count, progress, use) { index, parts in
                parts.command = sweep.command(index)
                if let surroundings { parts.surroundings = surroundings.surroundings(sweep.texts(index)) }
            }
        case .commands(let count, let command):
            try forEachCommand(count, progress, use) { $1.command = command($0) }
        }
    }

    private func check(_ form: TaskFile.Form, of name: String, _ isQuiet: Bool) throws(CommandError) {
        let name = TerminalText.escaped(name)
        switch form {
        case .commands:
            if !isQuiet { standardError.write("\(name): taken as plain commands, one a line\n") }
        case .taskLines:
            let given = optionsOfCommands.filter { !linesAreOfJob || !Self.optionsOfJobs.contains($0) }
            guard given.isEmpty else {
                throw .usage(
                    "\(name): \(given.joined(separator: ", ")): its lines are task lines, which say this themselves (type:priority:min_dram:min_cpu:timeout:command); options are for plain commands"
                )
            }
        }
    }

    /// Those that lines of a task file do not say themselves, where they are of a job.
    private static let optionsOfJobs: Set = [
        "--name", "--halt", "--signal", "--requeue-exit-codes", "--not-before", "--where", "--idempotent", "--gpus",
        "--resources",
    ]

    /// Finds out whether any file has tasks that wait for others. What comes from standard input is seen when it is read.
    mutating func lookForAfter() throws(CommandError) {
        guard case .files(let files) = source else { return }
        for path in files {
            if try InputFile.isJSON(path, mentioning: "\"after\"") { gathersLines = true }
            for field in ["\"memory_max\"", "\"resources\"", "\"where\""] {
                if try InputFile.isJSON(path, mentioning: field) { linesAreOfJob = true }
            }
        }
        linesAreOfJob =
            linesAreOfJob || gathersLines || jobName != nil || owner != nil || !after.isEmpty || notBefore != nil
            || resources != nil
        if linesAreOfJob, files.contains("-") || after.contains(where: { $0.way == .each }) { gathersLines = true }
    }

    /// Whether what it has can be read only once.
    var readsStandardInput: Bool {
        switch source {
        case .taskFiles(let files), .files(let files): files.contains("-")
        case .sweep, .commands: false
        }
    }

    /// What the values of the commands are called.
    var columns: [JobTemplate.Column] { if case .sweep(let sweep) = source { sweep.columns } else { [] } }

    /// The values of the command of this number.
    func values(_ lineNumber: Int) -> [String] {
        if case .sweep(let sweep) = source, !sweep.columns.isEmpty { sweep.values(lineNumber - 1) } else { [] }
    }

    /// Prints the lines instead of submitting them; lines that are not tasks are reported and make the command fail.
    func printLines() throws(CommandError) {
        var problems = ProblemList()
        let output = BufferedOutput()
        try forEach(progress: LoadingDisplay(isQuiet: true), isQuiet: false) { entry, _ throws(CommandError) in
            switch entry {
            case .form: break
            case .task(let line, _): try output.show(ResultFormat.shown(line.text) + "\n")
            case .problem(let problem): problems.add(problem)
            }
        }
        try output.flush()
        if problems.count > 0 { throw .reported }
    }

    private func forEachCommand(
        _ count: Int, _ progress: LoadingDisplay, _ use: (TaskFile.Entry) throws(CommandError) -> Void,
        _ fill: (Int, inout TaskLine.Parts) -> Void
    ) throws(CommandError) {
        progress.linesTotal = count
        var parts = parts
        for index in 0..<count {
            fill(index, &parts)
            let line: TaskLine
            do {
                line = try TaskLine(of: parts)
            } catch {
                throw .usage("a command of the sweep is not a task: \(error.message)")
            }
            try use(.task(line, lineNumber: index + 1))
        }
    }

    /// The size of all files together; nil where one, such as a pipe, does not tell.
    private static func totalBytes(_ files: [String]) -> Int? {
        var total = 0
        for path in files {
            guard path != "-", let status = try? FileSystem.status(of: path), status.isRegular else { return nil }
            total += Int(status.sizeBytes)
        }
        return total
    }
}

// MARK: - The job of the commands

extension TaskInput {
    /// Whether all tasks are commands, which are of a job; of files it is only known when they are read.
    var isOfCommands: Bool {
        switch source {
        case .sweep, .commands: true
        case .taskFiles, .files: false
        }
    }

    /// What is needed to open the job of the commands.
    ///
    /// - Parameters:
    ///   - isForFleet: whether the nodes may be other machines.
    ///   - firstCommand: of what is read, which is all that is known of it yet.
    ///   - first: the first of its tasks, if they are lines of a task file: what it may use the others may, unless they say else.
    func jobRequest(
        isForFleet: Bool, firstCommand: String? = nil, like first: TaskLine? = nil
    ) throws(CommandError) -> JobRequest {
        var settings = Job.Settings()
        let line: TaskLine
        var parts = parts
        parts.command = "true"
        do {
            line = try first ?? TaskLine(of: parts)
        } catch {
            throw .usage("\((error as? TaskLineError)?.message ?? "\(error)")")
        }
        (settings.memoryBytes, settings.millicores) = (line.memoryBytes, line.millicores)
        (settings.timeout, settings.priority) = (line.timeout, line.priority)
        settings.command = TerminalText.shortened(typed.map(ShellWord.quoted).joined(separator: " "), to: 500)
        settings.owner = owner ?? ""
        settings.halt = halt?.text ?? ""
        settings.warning = warning
        settings.requeueCodes = requeueCodes ?? .byDefault
        settings.nodeLabels = nodeLabels ?? first?.surroundings?.nodeLabels
        settings.isIdempotent = isIdempotent
        settings.resources = resources ?? first?.surroundings?.resources ?? ResourceRequest()
        settings.memoryMaxBytes = first?.memoryMaxBytes ?? memory.maxBytes
        (settings.onOom, settings.learnsMemory) = (memory.onOom, memory.isLearning)
        if case .sweep(let sweep) = source { settings.template = sweep.made }
        var definition = Job.Definition()
        definition.type = line.type
        definition.surroundings = commonSurroundings(isForFleet: isForFleet)
        // The same in the same place is the same work, whatever it may use.
        if let content = content(firstCommand) {
            let words = [FileSystem.workingDirectory, definition.json] + typed + content
            settings.fingerprint =
                TaskLine.identifier(of: words.joined(separator: "\0"))
                + TaskLine.identifier(of: words.reversed().joined(separator: "\0"))
        }
        return JobRequest(
            name: jobName ?? Job.name(from: plainName), isNameChosen: jobName != nil, settings: settings,
            definition: definition)
    }

    /// What all tasks have.
    func commonSurroundings(isForFleet: Bool) -> TaskSurroundings {
        var common = givenSurroundings
        // A node is somewhere else; the one of a run is here.
        if isForFleet, common.directory == nil { common.directory = FileSystem.workingDirectory }
        return common
    }

    /// Of what options say, that in which no value of a sweep is: the same for all its commands.
    private var givenSurroundings: TaskSurroundings {
        guard let surroundings, case .sweep(let sweep) = source, sweep.count > 0 else { return parts.surroundings }
        let typed = surroundings.surroundings(surroundings.typed)
        let first = surroundings.surroundings(sweep.texts(0))
        var common = TaskSurroundings()
        if typed.directory == first.directory { common.directory = first.directory }
        if typed.standardInput == first.standardInput { common.standardInput = first.standardInput }
        if typed.checkpointDirectory == first.checkpointDirectory {
            common.checkpointDirectory = first.checkpointDirectory
        }
        common.environment = first.environment.filter { typed.environment[$0.key] == $0.value }
        return common
    }

    /// What tells these commands from others that were typed the same; nil where nothing does.
    private func content(_ firstCommand: String?) -> [String]? {
        switch source {
        case .sweep(let sweep): Self.sample(sweep.count, sweep.command)
        case .commands(let count, let command): Self.sample(count, command)
        case .taskFiles(let files), .files(let files): files.contains("-") ? firstCommand.map { [$0] } : []
        }
    }

    /// Their number, and some of them. Should others be taken for them, they are more tasks of the same job, and none is lost.
    private static func sample(_ count: Int, _ command: (Int) -> String) -> [String] {
        let step = max(1, count / 256)
        return ["\(count)"] + stride(from: 0, to: count, by: step).map(command)
            + (count > 0 ? [command(count - 1)] : [])
    }

    /// The program, or the file without its extension.
    private var plainName: String {
        guard isOfCommands else {
            let file = typed.first == "-" ? "commands" : typed.first ?? ""
            let base = file.split(separator: "/").last ?? ""
            return base.lastIndex(of: ".").map { String(base[..<$0]) } ?? String(base)
        }
        return typed.first.flatMap { $0.split(separator: " ").first.map(String.init) } ?? ""
    }
}

extension SweepInput {
    /// The sweep, all its values read.
    func sweep() throws(CommandError) -> Sweep {
        if readsStandardInputUnasked && standardInputIsTerminal {
            throw .usage(
                "no values for the command: pipe them in (seq 3 | distcomp ...), give them after :::, or a file of them with -a FILE"
            )
        }
        var tables: [ValueTable] = []
        for source in sources { tables.append(try table(of: source.source)) }
        for table in tables where table.rowCount == 0 {
            standardError.write("\(TerminalText.escaped(table.name)): no values, so there is nothing to do\n")
        }
        do {
            return try Sweep(self, tables)
        } catch {
            throw CommandError(error)
        }
    }

    private func table(of source: Source) throws(CommandError) -> ValueTable {
        switch source {
        case .values(let values):
            do {
                return try table(of: values)
            } catch {
                throw CommandError(error)
            }
        case .file(let path): return try ValueTable.read(path, form)
        case .standardInput: return try ValueTable.read("-", form)
        }
    }
}
