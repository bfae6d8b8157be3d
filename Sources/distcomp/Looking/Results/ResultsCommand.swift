import ArgumentParser
import LinuxSystem
import TaskModel

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

            Examples:
              distcomp results --format jsonl > results.jsonl
              distcomp results --format csv --state finished --since 2h
              distcomp results --cause oom --cause timeout
              distcomp results --summary --match '*cachesim*'
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
        if options.state.contains(where: { TaskState(parsing: $0) == .todo || TaskState(parsing: $0) == .inProgress }) {
            throw ValidationError(
                "results are of tasks that have ended: --state finished or failed; see distcomp tasks")
        }
    }

    func run() throws {
        var filter = options.filter
        if failed { filter.states = [.failed] }
        let format = json ? .jsonl : format
        try server.withQueue(stateDirectory: options.stateDirectory ?? server.runBeside()) { queue in
            try queue.select(options.selection.job)
            let places = try order.map { path throws(CommandError) in try PlacesInFile(reading: path) }
            let files = OutputFiles(queue, stateDirectory: options.stateDirectory)
            if summary {
                try printSummary(queue, filter, asJSON: format == .jsonl)
            } else if let into {
                try writeFolders(queue, filter, ResultFolders(into, files, places: places))
            } else {
                let printer = try ResultPrinter(
                    format, files, places: places, keepsOrder: keepOrder, limit: filter.limit,
                    columns: format == .csv ? try queue.sweepColumns() : nil)
                if format == .joblog, places == nil { standardError.write(Self.numberingNotice) }
                try printRows(queue, filter, printer)
            }
        }
    }

    private func printRows(_ queue: QueueClient, _ filter: TaskFilter, _ printer: ResultPrinter) throws(CommandError) {
        queue.beforeWaiting = printer.flush
        try printer.begin()
        try queue.forEachResult(filter) { result throws(CommandError) in try printer.print(result) }
        try printer.end()
    }

    private func writeFolders(
        _ queue: QueueClient, _ filter: TaskFilter, _ folders: ResultFolders
    ) throws(CommandError) {
        try queue.forEachResult(filter) { result throws(CommandError) in
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

    private func printSummary(_ queue: QueueClient, _ filter: TaskFilter, asJSON: Bool) throws(CommandError) {
        var summary = ResultSummary()
        var count = 0
        try queue.forEachResult(filter) { result in
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
