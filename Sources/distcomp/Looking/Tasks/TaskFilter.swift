// Which tasks a listing is about: the options that say so, and what they come to.

import ArgumentParser
import LinuxSystem
import TaskModel

/// Where a task is on its way.
enum TaskState: String, CaseIterable {
    case todo
    case inProgress = "in_progress"
    case finished
    case failed

    /// Also as people say it.
    init?(parsing word: String) {
        switch word {
        case "todo", "waiting": self = .todo
        case "in_progress", "in-progress", "running": self = .inProgress
        case "finished": self = .finished
        case "failed": self = .failed
        default: return nil
        }
    }

    /// For a column of a table.
    var label: String { self == .inProgress ? "running" : rawValue }
}

/// Which tasks are wanted; without any condition, all of them.
struct TaskFilter {
    var states: Set<TaskState> = []
    /// The words of causes, or `unknown` for tasks of old workers.
    var causes: Set<String> = []
    var node: String?
    /// Only what ended after this moment.
    var sinceUnixSeconds: Double?
    /// For Redis to match lines with.
    var pattern: String?
    var limit: Int?

    func wants(_ state: TaskState) -> Bool { states.isEmpty || states.contains(state) }

    /// Whether one that has ended is wanted, apart from its line.
    func includes(_ result: TaskResult) -> Bool {
        guard wants(result.succeeded ? .finished : .failed) else { return false }
        // Those that finished ended by `exit` too, but whoever asks for a cause asks what went wrong.
        if !causes.isEmpty, result.succeeded || !causes.contains(result.causeWord) { return false }
        return includes(node: result.node, endedAt: result.outcome?.finishedAtUnixSeconds)
    }

    func includes(node name: String, endedAt: Double?) -> Bool {
        if let node, node != name { return false }
        if let since = sinceUnixSeconds { return endedAt.map { $0 >= since } ?? false }
        return true
    }
}

/// The options of listings.
struct TaskFilterOptions: ParsableArguments {
    @OptionGroup var selection: JobArgument

    @Option(
        help: .init(
            "Only tasks that are todo, running, finished or failed. Anything else is the directory of a `distcomp run` to look at.",
            valueName: "state"))
    var state: [String] = []

    @Option(help: .init("Only tasks that failed so: \(Cause.words.joined(separator: ", ")).", valueName: "cause"))
    var cause: [String] = []

    @Option(help: .init("Only tasks of that node.", valueName: "name"))
    var node: String?

    @Option(help: .init("Only tasks whose line matches, such as '*cachesim*lru*'.", valueName: "glob"))
    var match: String?

    @Option(
        help: .init(
            "Only tasks that ended after a time (10:30, 2026-05-01, '2026-05-01 10:30') or within one (90s, 10m, 2h, 1d).",
            valueName: "time"))
    var since: String?

    @Option(help: .init("At most so many.", valueName: "number"))
    var limit: Int?

    func validate() throws {
        for word in cause where word != "unknown" && !Cause.words.contains(word) {
            throw ValidationError(
                "--cause \(TerminalText.escaped(word)): expected one of \(Cause.words.joined(separator: ", "))")
        }
        let stateWords = TaskState.allCases.map(\.label)
        for word in state where TaskState(parsing: word) == nil && !FileSystem.exists(word) {
            let nearest = NearestName.find(word, among: stateWords).map { "; did you mean \($0)?" } ?? ""
            throw ValidationError(
                "--state \(TerminalText.escaped(word)): neither \(stateWords.joined(separator: ", ")) nor the directory of a run\(nearest)"
            )
        }
        if let limit, limit < 1 { throw ValidationError("--limit must be at least 1") }
        if let since, PointInTime.parse(since, nowUnixSeconds: SystemClock.wallSeconds()) == nil {
            throw ValidationError(
                "--since \(TerminalText.escaped(since)): expected a time (10:30, 2026-05-01, '2026-05-01 10:30') or 90s, 10m, 2h, 1d"
            )
        }
    }

    /// The directory among the words given as --state.
    var stateDirectory: String? { state.last { TaskState(parsing: $0) == nil } }

    var filter: TaskFilter {
        TaskFilter(
            states: Set(state.compactMap { TaskState(parsing: $0) }), causes: Set(cause), node: node,
            sinceUnixSeconds: since.flatMap { PointInTime.parse($0, nowUnixSeconds: SystemClock.wallSeconds()) },
            pattern: match, limit: limit)
    }
}

/// The tasks a command is about.
struct TaskSelection: ParsableArguments {
    @Argument(
        help: .init(
            "The task's line, the first digits of its id (four or more), its name, or a glob such as '*lru*'.",
            valueName: "task")
    )
    var tasks: [String]
}
