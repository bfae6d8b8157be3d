// `--after JOB:each`: which task of the other job each task waits for. The one of the same name, where tasks have names; else the one, or
// all those, with the same values in the columns that both jobs have; else, of commands of a file, the one in the same place of its file.

import LinuxSystem
import TaskModel
import TaskQueue

/// The tasks of other jobs for which those of one wait, each for those that are like it.
struct Likes {
    private let jobs: [LikeTasks]
    private let common: TaskSurroundings
    /// What was found for each task.
    private var found: [TaskWork: [String]] = [:]

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
        guard let others = found.updateValue(lines, forKey: TaskWork(task, among: common)), others != lines else {
            return lines
        }
        throw .usage(
            "--after \(jobs.map { TerminalText.escaped($0.name) + ":each" }.joined(separator: ", ")): "
                + "`\(TerminalText.shortened(TerminalText.escaped(task.command), to: 60))` is there more than once, and would wait for "
                + "another task each time: give them names, or make them differ; nothing was added")
    }
}

/// The tasks of a job, to be found by what is like them.
struct LikeTasks {
    private let job: Job
    private var byName: [String: [String]] = [:]
    /// By the values of the columns that both have.
    private var byValues: [[String]: [String]] = [:]
    /// Of commands of a file, in its order.
    private var byPlace: [String] = []
    /// Why those of which the job was made and that are not known are not taken for such as have finished and were forgotten; nil: they are.
    private var doubt: String?
    /// Where these columns are in the values of a task that is to find its like.
    private let ownPlaces: [Int]

    var name: String { job.name }

    /// Reads the tasks of a job.
    ///
    /// - Parameter columns: the values of the tasks that are to find their like.
    init(_ job: Job, likeThoseWith own: [JobTemplate.Column], _ queue: QueueClient) throws(CommandError) {
        self.job = job
        let columns = job.settings.template?.columns ?? []
        let places: [Int] = columns.indices.filter { index in own.contains { $0.name == columns[index].name } }
        ownPlaces = places.compactMap { place in own.firstIndex { $0.name == columns[place].name } }
        let template = job.settings.template.flatMap { Template($0) }
        func note(_ task: TaskLine, in likes: inout LikeTasks) {
            if let name = task.surroundings?.name { likes.byName[name, default: []].append(task.text) }
            guard !places.isEmpty, let values = template?.values(in: task.command, columns) else { return }
            let key = places.compactMap { values[$0] }
            if key.count == places.count { likes.byValues[key, default: []].append(task.text) }
        }
        let keys = queue.keys.of(job: job.identifier)
        var known: Set<String> = []
        for hash in [\QueueKeys.todo, \.inProgress, \.finished, \.failed] {
            _ = try queue.scanEach(hash, in: [keys]) { _, entries throws(CommandError) in
                for entry in entries {
                    let line = queue.text(entry.field)
                    guard known.insert(line).inserted, let task = try queue.parse(line) else { continue }
                    note(task, in: &self)
                }
                return true
            }
        }
        guard let made = try MadeTasks(of: job, known: known) else { return }
        if columns.isEmpty, own.isEmpty { byPlace = made.lines.map(\.text) }
        var all = known
        let unknown = made.lines.filter { all.insert($0.text).inserted }
        guard !unknown.isEmpty else { return }
        doubt = try made.doubt(about: unknown.count, of: job, known: known, queue)
        if doubt == nil { for task in unknown { note(task, in: &self) } }
    }

    /// The lines of those that are like a task; throws where there is none.
    ///
    /// - Parameters:
    ///   - values: of all its columns.
    ///   - place: among the tasks of its input, from 0.
    fileprivate func lines(name: String?, values: [String], place: Int) throws(CommandError) -> [String] {
        if let name, let lines = byName[name] { return lines }
        let own = ownPlaces.compactMap { $0 < values.count ? values[$0] : nil }
        if !own.isEmpty, let lines = byValues[own] { return lines }
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
