// `--after JOB:each`: which task of the other job each task waits for. The one of the same name, where tasks have names; else the one, or
// all those, with the same values in the columns that both jobs have.

import LinuxSystem
import TaskModel
import TaskQueue

/// The tasks of a job, to be found by what is like them.
struct LikeTasks {
    private let job: Job
    private var byName: [String: [String]] = [:]
    /// By the values of the columns that both have.
    private var byValues: [[String]: [String]] = [:]
    /// Where these columns are in the values of a task that is to find its like.
    private let ownPlaces: [Int]

    /// Reads the tasks of a job.
    ///
    /// - Parameter columns: the values of the tasks that are to find their like.
    init(_ job: Job, likeThoseWith own: [JobTemplate.Column], _ queue: QueueClient) throws(CommandError) {
        self.job = job
        let columns = job.settings.template?.columns ?? []
        let places: [Int] = columns.indices.filter { index in own.contains { $0.name == columns[index].name } }
        ownPlaces = places.compactMap { place in own.firstIndex { $0.name == columns[place].name } }
        let template = job.settings.template.flatMap { Template($0) }
        let keys = queue.keys.of(job: job.identifier)
        var seen: Set<String> = []
        for hash in [\QueueKeys.todo, \.inProgress, \.finished, \.failed] {
            _ = try queue.scanEach(hash, in: [keys]) { _, entries throws(CommandError) in
                for entry in entries {
                    let line = queue.text(entry.field)
                    guard seen.insert(line).inserted, let task = try queue.parse(line) else { continue }
                    if let name = task.surroundings?.name { byName[name, default: []].append(line) }
                    guard !places.isEmpty, let values = template?.values(in: task.command, columns) else { continue }
                    let key = places.compactMap { values[$0] }
                    if key.count == places.count { byValues[key, default: []].append(line) }
                }
                return true
            }
        }
    }

    /// The lines of those that are like a task; throws where there is none.
    ///
    /// - Parameter values: of all its columns.
    func lines(name: String?, values: [String]) throws(CommandError) -> [String] {
        if let name, let lines = byName[name] { return lines }
        let own = ownPlaces.compactMap { $0 < values.count ? values[$0] : nil }
        if !own.isEmpty, let lines = byValues[own] { return lines }
        let job = TerminalText.escaped(job.name)
        if let name, own.isEmpty {
            throw .usage("--after \(job):each: it has no task named `\(TerminalText.escaped(name))`; nothing was added")
        }
        guard !own.isEmpty else {
            throw .usage(
                "--after \(job):each: the two have neither names nor values in common by which a task finds its like; "
                    + "nothing was added")
        }
        let shown = own.map { TerminalText.escaped($0) }.joined(separator: " ")
        throw .usage(
            "--after \(job):each: it has no task with the value\(own.count == 1 ? "" : "s") \(shown); nothing was added"
        )
    }
}
