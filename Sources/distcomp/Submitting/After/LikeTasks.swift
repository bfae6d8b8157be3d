// `--after JOB:each`: which task of the other job each task waits for. The one of the same name, where tasks have names; else the one, or
// all those, with the same values in the columns that both jobs have; else, of commands of a file, the one in the same place of its file.

import LinuxSystem
import TaskModel
import TaskQueue

/// The tasks of other jobs for which those of one wait, each for those that are like it.
struct Likes {
    private let jobs: [LikeTasks]
    private let common: TaskSurroundings
    /// What was found for each task, both by 64 bits of a hash: there may be as many as there are lines. Two that have the same are taken for one,
    /// and refused.
    private var found: [Int: Int] = [:]

    /// - Parameter common: what all tasks have that are to find their like.
    init(_ jobs: [LikeTasks], common: TaskSurroundings) { (self.jobs, self.common) = (jobs, common) }

    var isEmpty: Bool { jobs.isEmpty }

    /// The lines of those that are like a task; throws where there is none, or where it has had others before: it is one task to the queue,
    /// and would wait for the last alone.
    ///
    /// - Parameters:
    ///   - values: of all its columns.
    ///   - place: among all of the input, from 0.
    mutating func lines(like task: TaskLine, values: [String], place: Int) throws(CommandError) -> [String] {
        if isEmpty { return [] }
        var lines: [String] = []
        for job in jobs { lines += try job.lines(name: task.surroundings?.name, values: values, place: place) }
        let hash = lines.hashValue
        let before = found.updateValue(hash, forKey: TaskWork(task, among: common).hashValue)
        guard let before, before != hash else { return lines }
        throw .usage(
            "--after \(jobs.map { TerminalText.escaped($0.name) + ":each" }.joined(separator: ", ")): "
                + "`\(TerminalText.shortened(TerminalText.escaped(task.command), to: 60))` is there more than once, and would wait for "
                + "another task each time: give them names, or make them differ; nothing was added")
    }
}

/// The tasks of a job, to be found by what is like them.
final class LikeTasks {
    private let job: Job
    private let queue: QueueClient
    /// The lines of which the queue knows, and whether the job was made of them, as far as that is known.
    private var known: [String: Bool] = [:]
    private var byName: [String: [String]] = [:]
    /// By the values of the columns that both have.
    private var byValues: [[String]: [String]] = [:]
    /// Of commands of a file, in its order.
    private var byPlace: [String] = []
    /// Whether places may tell which are alike.
    private let hasPlaces: Bool
    /// Whether those of which the job was made have been looked at: most often it is not needed.
    private var isRemade = false
    /// Why those of which the job was made and that are not known are not taken for such as have finished and were forgotten; nil: they are.
    private var doubt: String?
    private let template: Template?
    private let columns: [JobTemplate.Column]
    /// Where columns that both have are in the values of a task of the job, and in those of one that is to find its like.
    private let places: [Int]
    private let ownPlaces: [Int]

    var name: String { job.name }

    /// Reads the tasks of a job.
    ///
    /// - Parameter columns: the values of the tasks that are to find their like.
    init(_ job: Job, likeThoseWith own: [JobTemplate.Column], _ queue: QueueClient) throws(CommandError) {
        (self.job, self.queue) = (job, queue)
        let columns = job.settings.template?.columns ?? []
        let places: [Int] = columns.indices.filter { index in own.contains { $0.name == columns[index].name } }
        ownPlaces = places.compactMap { place in own.firstIndex { $0.name == columns[place].name } }
        template = job.settings.template.flatMap { Template($0) }
        hasPlaces = columns.isEmpty && own.isEmpty
        (self.columns, self.places) = (columns, places)
        let keys = queue.keys.of(job: job.identifier)
        for hash in [\QueueKeys.todo, \.inProgress, \.finished, \.failed] {
            _ = try queue.scanEach(hash, in: [keys]) { _, entries throws(CommandError) in
                for entry in entries {
                    let line = queue.text(entry.field)
                    guard known.updateValue(false, forKey: line) == nil, let task = try queue.parse(line) else {
                        continue
                    }
                    note(task)
                }
                return true
            }
        }
    }

    private func note(_ task: TaskLine) {
        if let name = task.surroundings?.name { byName[name, default: []].append(task.text) }
        guard !places.isEmpty, let values = template?.values(in: task.command, columns) else { return }
        let key = places.compactMap { values[$0] }
        if key.count == places.count { byValues[key, default: []].append(task.text) }
    }

    /// Takes in those of which the job was made and that are not known any more; once.
    private func remake() throws(CommandError) {
        if isRemade { return }
        isRemade = true
        let made = try MadeTasks(of: job, known: &known, keepsOrder: hasPlaces)
        let knownCount = known.count
        known = [:]
        guard let made else { return }
        byPlace = made.lines
        guard !made.unknown.isEmpty else { return }
        doubt = try made.doubt(of: job, knownCount: knownCount, queue)
        if doubt == nil { for task in made.unknown { note(task) } }
    }

    private func found(name: String?, values: [String]) -> [String]? {
        if let name, let lines = byName[name] { return lines }
        return values.isEmpty ? nil : byValues[values]
    }

    /// The lines of those that are like a task; throws where there is none.
    ///
    /// - Parameters:
    ///   - values: of all its columns.
    ///   - place: among the tasks of its input, from 0.
    fileprivate func lines(name: String?, values: [String], place: Int) throws(CommandError) -> [String] {
        let own = ownPlaces.compactMap { $0 < values.count ? values[$0] : nil }
        if let lines = found(name: name, values: own) { return lines }
        if !isRemade {
            try remake()
            if let lines = found(name: name, values: own) { return lines }
        }
        let job = TerminalText.escaped(job.name)
        let hint = doubt.map { " (\($0))" } ?? ""
        if own.isEmpty, byName.isEmpty, !byPlace.isEmpty {
            if let doubt {
                throw .usage("--after \(job):each: \(doubt), so that places tell nothing; nothing was added")
            }
            if place < byPlace.count { return [byPlace[place]] }
            throw .usage(
                "--after \(job):each: it has no task in place \(grouped(place + 1)), only \(grouped(byPlace.count))"
            )
        }
        if let name, own.isEmpty {
            throw .usage(
                "--after \(job):each: it has no task named `\(TerminalText.escaped(name))`\(hint); nothing was added")
        }
        guard !own.isEmpty else {
            throw .usage(
                "--after \(job):each: the two have neither names nor values in common by which a task finds its like, nor are both files of "
                    + "commands; "
                    + "nothing was added")
        }
        let shown = own.map { TerminalText.escaped($0) }.joined(separator: " ")
        throw .usage(
            "--after \(job):each: it has no task with the value\(own.count == 1 ? "" : "s") \(shown)\(hint); nothing was added"
        )
    }
}
