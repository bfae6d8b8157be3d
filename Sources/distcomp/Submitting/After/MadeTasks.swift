// The tasks of which a job was made, by its file or its words, read once more. What is among them and is not known to the queue has finished and
// was forgotten, unless something speaks against it.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct MadeTasks {
    /// In their order.
    let lines: [TaskLine]
    /// What they, or their values, were read from.
    private let files: [String]

    /// Nil where nobody can tell: a file is gone, or was none, values came from standard input.
    ///
    /// - Parameter known: the lines of which the queue knows.
    init?(of job: Job, known: Set<String>) throws(CommandError) {
        guard let words = try? WordSplitter.split(job.settings.command) else { return nil }
        if job.settings.template != nil {
            guard let made = Self.sweep(of: job, words, knownCount: known.count) else { return nil }
            (lines, files) = made
        } else {
            guard words.count == 1, let path = Self.file(words[0], of: job) else { return nil }
            (lines, files) = (try Self.tasks(of: path, job), [path])
        }
        // A command that is the name of a file was not made of it.
        if lines.isEmpty || !known.isEmpty && !lines.contains(where: { known.contains($0.text) }) { return nil }
    }

    /// Why those that are not known may be such as never were tasks of the job, or failed; nil for nothing.
    func doubt(
        about count: Int, of job: Job, known: Set<String>, _ queue: QueueClient
    ) throws(CommandError) -> String? {
        let source = files.count == 1 ? "the commands of \(TerminalText.escaped(files[0]))" : "its commands"
        let are = "\(grouped(count)) of \(source) \(count == 1 ? "is no task" : "are no tasks") of it"
        let loading = RedisRequest.command(RedisCommand("HEXISTS", queue.keys.jobLoads, job.identifier))
        if try queue.answers([loading]).first?.int == 1 { return "\(are) yet, and tasks are still being added to it" }
        let departure = try queue.perform(ReadJobDeparture(keys: queue.keys.of(job: job.identifier)))
        if let departure, departure.failed > 0 {
            return "its results have left Redis, and \(grouped(departure.failed)) of its tasks had failed"
        }
        let isChanged = files.contains { path in
            guard let status = try? FileSystem.status(of: path) else { return true }
            // Jobs note whole seconds.
            return status.modifiedUnixSeconds >= job.settings.submittedAtUnixSeconds + 1
        }
        if isChanged { return "\(are), and the file has changed since" }
        return known.isSubset(of: lines.map(\.text)) ? nil : "\(are), and it has others"
    }

    private static func file(_ path: String, of job: Job) -> String? {
        let directory = job.definition.surroundings.directory.map { $0 + "/" } ?? ""
        let path = path.hasPrefix("/") ? path : directory + path
        guard let status = try? FileSystem.status(of: path), status.isRegular else { return nil }
        return path
    }

    private static func tasks(of path: String, _ job: Job) throws(CommandError) -> [TaskLine] {
        var lines: [TaskLine] = []
        try TaskFile.read(path, orCommandsWith: TaskLine.Parts(command: "")) { entry throws(CommandError) in
            guard case .task(let task, _) = entry else { return }
            let surroundings = task.surroundings ?? TaskSurroundings()
            if let line = try? TaskLine(command: task.command, surroundings: surroundings, of: job) {
                lines.append(line)
            }
        }
        return lines
    }

    /// Nil also where as many are known: then nothing was forgotten.
    private static func sweep(
        of job: Job, _ words: [String], knownCount: Int
    ) -> (lines: [TaskLine], files: [String])? {
        var (words, files, areFiles) = (words, [String](), false)
        for index in words.indices {
            if SweepInput.separators.contains(words[index]) {
                areFiles = words[index].hasPrefix("::::")
            } else if areFiles {
                guard let path = file(words[index], of: job) else { return nil }
                words[index] = path
                files.append(path)
            }
        }
        var options = SweepInput.Options()
        let columns = job.settings.template?.columns ?? []
        if columns.enumerated().contains(where: { $1.name != "\($0 + 1)" }) { options.header = ":" }
        guard let input = try? SweepInput(words, options), !input.readsStandardInputUnasked,
            let sweep = try? input.sweep(), sweep.count != knownCount, sweep.count <= TaskGraph.tasksMax
        else { return nil }
        return ((0..<sweep.count).compactMap { try? TaskLine(command: sweep.command($0), of: job) }, files)
    }
}
