import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

extension ResultFormat: ExpressibleByArgument {}

/// `distcomp results`: what became of the tasks that have ended.
struct ResultsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "results",
        abstract: "Print what became of each task that has ended, or a summary.",
        discussion: """
            jsonl and csv have a record a task with cause, exit code, times, peak memory, and output, in fields of one type \
            each; times are seconds since 1970. `values` has those of a sweep by name (value_1, value_2, ... or as in --header), \
            numbers as numbers; csv of one job has a column for each instead. joblog has the columns of GNU parallel's --joblog; with --order, parallel \
            --resume goes on from it. --summary tells by command how long the tasks took and what memory they used, and \
            the memory to ask for the next time; words that differ between commands are shown as *.

            --archive keeps results in a file: as a database with the tables tasks and jobs, which sqlite3, pandas and DuckDB read, or \
            as the lines of jsonl, compressed. What is added to a file that is there is not written twice. With --from, --state, \
            --cause, --node, --since, --match, --limit, a job and all formats are of what is in such a file.

            Examples:
              distcomp results --format jsonl > results.jsonl
              distcomp results --format csv --state finished --since 2h
              distcomp results --cause oom --cause timeout
              distcomp results --summary --match '*cachesim*'
              distcomp results cachesim --archive cachesim.sqlite --forget
              distcomp results --from cachesim.sqlite --cause oom
            """)

    @OptionGroup var server: ServerOptions
    @OptionGroup var options: TaskFilterOptions

    @Option(help: "")
    var format = ResultFormat.table

    @Flag(help: "Percentiles of time and memory by command instead of a row a task.")
    var summary = false

    @Flag(help: "In the order in which the tasks began; with --order, in that.")
    var keepOrder = false

    @Option(
        help: .init(
            "In the order of the lines of a file that holds the tasks' lines or commands; their numbers are Seq of the job log.",
            valueName: "file"))
    var order: String?

    @Option(
        help: .init(
            "Write what the tasks wrote into a directory as GNU parallel's --results does: 1/COMMAND/stdout, stderr and seq.",
            valueName: "directory"))
    var into: String?

    @Option(
        help: .init(
            "Write the results to FILE.sqlite or FILE.jsonl.zst, or add to it what it has not.", valueName: "file"))
    var archive: String?

    @Flag(
        help: "With --archive: once the file is safe on the disk, forget in Redis what was written, as `forget` does.")
    var forget = false

    @Option(help: .init("Of the results in a file of --archive. No Redis is needed.", valueName: "file"))
    var from: String?

    @Flag(help: "The same as --state failed.")
    var failed = false

    @Flag(help: "The same as --format jsonl.")
    var json = false

    private static let numberingNotice =
        "distcomp: Seq goes by when the tasks began. parallel --resume goes by the place in its input: give that as --order FILE\n"

    func validate() throws {
        if summary, format == .csv || format == .joblog {
            throw ValidationError("--summary is printed as a table or, with --json, as an object a command")
        }
        if into != nil, summary || format != .table {
            throw ValidationError("--into writes files: --summary and --format are of what is printed")
        }
        if forget, archive == nil { throw ValidationError("--forget goes with --archive") }
        if forget, from != nil {
            throw ValidationError("what is in the file of --from is not in Redis, and cannot be forgotten")
        }
        if archive != nil, summary || format != .table || into != nil || order != nil || keepOrder {
            throw ValidationError("--archive writes a file: other options are of what is printed")
        }
        if let archive, let from, archive == from { throw ValidationError("--archive and --from name the same file") }
        if from != nil, options.stateDirectory != nil || server.redis != nil || server.config != nil {
            throw ValidationError("--from needs no Redis: --redis, --config and --state DIR name another place")
        }
        for (option, path) in [("--archive", archive), ("--from", from)] {
            guard let path, ArchiveKind(path: path) == nil else { continue }
            throw ValidationError("\(option) \(TerminalText.escaped(path)): \(ArchiveKind.allowed)")
        }
        if options.state.contains(where: { TaskState(parsing: $0) == .todo || TaskState(parsing: $0) == .inProgress }) {
            throw ValidationError(
                "results are of tasks that have ended: --state finished or failed; see distcomp tasks")
        }
    }

    func run() throws {
        if let from {
            return try tell(.archive(try ResultArchive.read(from), job: options.selection.job))
        }
        try server.withQueue(stateDirectory: options.stateDirectory ?? server.runBeside()) { queue in
            try queue.select(options.selection.job)
            try tellDeparture(queue)
            try tell(.queue(queue, OutputFiles(queue, stateDirectory: options.stateDirectory)))
        }
    }

    /// An empty listing would say that nothing ever ran.
    private func tellDeparture(_ queue: QueueClient) throws(CommandError) {
        guard case .one(let identifier) = queue.selection, let departure = try queue.departure(ofJob: identifier) else {
            return
        }
        standardError.write("distcomp: the results of this job left Redis on \(departure)\n")
    }

    private func tell(_ source: ResultSource) throws {
        var filter = options.filter
        if failed { filter.states = [.failed] }
        let format = json ? .jsonl : format
        let places = try order.map { path throws(CommandError) in try PlacesInFile(reading: path) }
        if let archive {
            try write(try ResultArchiving(path: archive, forgets: forget).archive(source, filter), archive)
        } else if summary {
            try printSummary(source, filter, asJSON: format == .jsonl)
        } else if let into {
            try writeFolders(source, filter, ResultFolders(into, source.files, places: places))
        } else {
            let printer = try ResultPrinter(
                format, source.files, places: places, keepsOrder: keepOrder, limit: filter.limit,
                columns: format == .csv ? try source.sweepColumns() : nil)
            if format == .joblog, places == nil { standardError.write(Self.numberingNotice) }
            try printRows(source, filter, printer)
        }
    }

    /// Says what an archive has got.
    private func write(_ outcome: ResultArchiving.Outcome, _ path: String) throws(CommandError) {
        if json {
            var writer = JSONObjectWriter()
            writer.field("archive", path)
            writer.field("results", outcome.resultCount)
            writer.field("new", outcome.newCount)
            writer.field("without_all_stdout", outcome.lackingCount)
            writer.field("forgotten", outcome.forgottenCount)
            return try show(writer.text + "\n")
        }
        let known = outcome.resultCount - outcome.newCount
        let twice = known == 0 ? "" : ", \(grouped(known)) of them there before"
        let lacking =
            outcome.lackingCount == 0
            ? "" : "; \(grouped(outcome.lackingCount)) without all of their standard output, which is on their nodes"
        let forgotten = forget ? "; \(grouped(outcome.forgottenCount)) forgotten in Redis" : ""
        try show(
            "\(grouped(outcome.resultCount)) result\(outcome.resultCount == 1 ? "" : "s") in \(TerminalText.escaped(path))"
                + "\(twice)\(lacking)\(forgotten)\n")
    }

    private func printRows(
        _ source: ResultSource, _ filter: TaskFilter, _ printer: ResultPrinter
    ) throws(CommandError) {
        source.beforeWaiting(printer.flush)
        try printer.begin()
        try source.forEach(filter) { result throws(CommandError) in try printer.print(result) }
        try printer.end()
    }

    private func writeFolders(
        _ source: ResultSource, _ filter: TaskFilter, _ folders: ResultFolders
    ) throws(CommandError) {
        try source.forEach(filter) { result throws(CommandError) in
            try folders.add(result)
            return folders.folderCount < filter.limit ?? .max
        }
        try folders.end()
        if json {
            var writer = JSONObjectWriter()
            writer.field("folders", folders.folderCount)
            writer.field("without_stdout", folders.lackingCount)
            return try show(writer.text + "\n")
        }
        let lacking =
            folders.lackingCount == 0
            ? "" : ", \(grouped(folders.lackingCount)) of them without standard output, which is on other machines"
        try show("\(grouped(folders.folderCount)) folder\(folders.folderCount == 1 ? "" : "s") written\(lacking)\n")
    }

    private func printSummary(
        _ source: ResultSource, _ filter: TaskFilter, asJSON: Bool
    ) throws(CommandError) {
        var summary = ResultSummary()
        var count = 0
        try source.forEach(filter) { result in
            summary.add(result)
            count += 1
            return count < filter.limit ?? .max
        }
        let groups = summary.groups
        if asJSON {
            for group in groups { try show(ResultFormat.shown(group.json) + "\n") }
        } else {
            try show(
                groups.isEmpty ? "no task has ended\n" : groups.map { $0.paragraph(.forLocale) }.joined(separator: "\n")
            )
        }
    }
}
