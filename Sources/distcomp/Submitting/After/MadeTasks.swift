// The tasks of which a job was made, by its file or its words, read once more. What is among them and is not known to the queue has finished and
// was forgotten, if the queue has noted as much.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct MadeTasks {
    /// Of which the queue does not know, each once.
    private(set) var unknown: [TaskLine] = []
    /// The lines of all, in their order, if that was asked for.
    private(set) var lines: [String] = []
    private var unknownLines: Set<String> = []
    /// How many of those that the queue knows are among them.
    private var knownCount = 0
    private let keepsOrder: Bool
    /// What they, or their values, were read from.
    private var files: [String] = []

    /// Nil where nobody can tell: a file is gone, or was none, values came from standard input.
    ///
    /// - Parameters:
    ///   - known: the lines of which the queue knows; those that are among the tasks are marked.
    ///   - keepsOrder: whether ``lines`` are wanted.
    init?(of job: Job, known: inout [String: Bool], keepsOrder: Bool) throws(CommandError) {
        self.keepsOrder = keepsOrder
        guard let words = try? WordSplitter.split(job.settings.command) else { return nil }
        if let template = job.settings.template {
            guard let sweep = readSweep(of: job, words, template.columns), sweep.count != known.count else {
                return nil  // Where as many are known, nothing was forgotten.
            }
            for index in 0..<sweep.count {
                if let task = try? TaskLine(command: sweep.command(index), of: job) { take(task, &known) }
            }
        } else {
            guard words.count == 1, let path = Self.file(words[0], of: job) else { return nil }
            files = [path]
            try TaskFile.read(path, orCommandsWith: TaskLine.Parts(command: "")) { entry throws(CommandError) in
                guard case .task(let task, _) = entry else { return }
                let surroundings = task.surroundings ?? TaskSurroundings()
                if let task = try? TaskLine(command: task.command, surroundings: surroundings, of: job) {
                    take(task, &known)
                }
            }
        }
        // A command that is the name of a file was not made of it.
        if knownCount == 0, unknown.isEmpty || !known.isEmpty { return nil }
    }

    private mutating func take(_ task: TaskLine, _ known: inout [String: Bool]) {
        if keepsOrder { lines.append(task.text) }
        if let place = known.index(forKey: task.text) {
            if !known.values[place] {
                known.values[place] = true
                knownCount += 1
            }
        } else if unknownLines.insert(task.text).inserted {
            unknown.append(task)
        }
    }

    /// Why those that are not known may be such as never were tasks of the job, or failed; nil for nothing: the queue has noted of as many, and
    /// of the same, that they had finished when they were forgotten.
    ///
    /// - Parameter count: of how many the queue knows.
    func doubt(of job: Job, knownCount count: Int, _ queue: QueueClient) throws(CommandError) -> String? {
        let source = files.count == 1 ? "the commands of \(TerminalText.escaped(files[0]))" : "its commands"
        let are = "\(grouped(unknown.count)) of \(source) \(unknown.count == 1 ? "is no task" : "are no tasks") of it"
        let loading = RedisRequest.command(RedisCommand("HEXISTS", queue.keys.jobLoads, job.identifier))
        if try queue.answers([loading]).first?.int == 1 { return "\(are) yet, and tasks are still being added to it" }
        let keys = queue.keys.of(job: job.identifier)
        let departure = try queue.perform(ReadJobDeparture(keys: keys))
        if let departure, departure.failed > 0 {
            return "its results have left Redis, and \(grouped(departure.failed)) of its tasks had failed"
        }
        let isChanged = files.contains { path in
            guard let status = try? FileSystem.status(of: path) else { return true }
            // Jobs note whole seconds.
            return status.modifiedUnixSeconds >= job.settings.submittedAtUnixSeconds + 1
        }
        if isChanged { return "\(are), and the file has changed since" }
        if knownCount < count { return "\(are), and it has others" }
        let forgotten = try queue.perform(ReadForgottenTasks(keys: keys))
        if forgotten.failed > 0 {
            return "\(are), and \(grouped(forgotten.failed)) that had failed \(forgotten.failed == 1 ? "was" : "were") "
                + "forgotten: submit it again, and they run"
        }
        let finished = forgotten.finished + (departure?.finished ?? 0)
        let hasFinished =
            departure == nil ? forgotten == ended(unknown.lazy.map(\.text)) : finished == unknown.count
        if hasFinished { return nil }
        let shown = finished == 0 ? "none is" : finished == 1 ? "one is" : "\(grouped(finished)) are"
        return "\(are), and \(shown) known to have finished before being forgotten: submit it again, and they run"
    }

    /// What the queue has noted if just these had finished; nil where there is no memory left to tell.
    private func ended(_ lines: some Sequence<String>) -> ForgottenTasks? {
        var ended = ForgottenTasks()
        for line in lines where !ended.add(finishedLine: line) { return nil }
        return ended
    }

    private static func file(_ path: String, of job: Job) -> String? {
        let directory = job.definition.surroundings.directory.map { $0 + "/" } ?? ""
        let path = path.hasPrefix("/") ? path : directory + path
        guard let status = try? FileSystem.status(of: path), status.isRegular else { return nil }
        return path
    }

    /// Nil also where the words alone do not make these columns: options are not among them, such as those that name files of values, or say
    /// how values are taken apart.
    private mutating func readSweep(of job: Job, _ words: [String], _ columns: [JobTemplate.Column]) -> Sweep? {
        var (words, areFiles) = (words, false)
        for index in words.indices {
            if SweepInput.separators.contains(words[index]) {
                areFiles = words[index].hasPrefix("::::")
            } else if areFiles {
                guard let path = Self.file(words[index], of: job) else { return nil }
                words[index] = path
                files.append(path)
            }
        }
        var options = SweepInput.Options()
        if columns.enumerated().contains(where: { $1.name != "\($0 + 1)" }) { options.header = ":" }
        guard let input = try? SweepInput(words, options), !input.readsStandardInputUnasked,
            let sweep = try? input.sweep(), sweep.count <= TaskGraph.tasksMax,
            sweep.columns.map(\.name) == columns.map(\.name)
        else { return nil }
        return sweep
    }
}
