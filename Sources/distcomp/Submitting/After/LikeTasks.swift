// `--after JOB:each`: which task of the other job each task waits for. The one of the same name, where tasks have names; else the one, or
// all those, with the same values in the columns that both jobs have; else, of commands of a file, the one in the same place of its file.

import LinuxSystem
import TaskModel
import TaskQueue

/// The tasks of a job, to be found by what is like them.
struct LikeTasks {
    private let job: Job
    private var byName: [String: [String]] = [:]
    /// By the values of the columns that both have.
    private var byValues: [[String]: [String]] = [:]
    /// Of commands of a file, in its order, as far as they are tasks of the job.
    private var byPlace: [String] = []
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
        if columns.isEmpty, own.isEmpty { byPlace = try Self.commands(of: job).filter { seen.contains($0) } }
    }

    /// The lines of a job that was made of one file of commands, which is still there; else none.
    private static func commands(of job: Job) throws(CommandError) -> [String] {
        guard let words = try? WordSplitter.split(job.settings.command), words.count == 1 else { return [] }
        let directory = job.definition.surroundings.directory.map { $0 + "/" } ?? ""
        let path = words[0].hasPrefix("/") ? words[0] : directory + words[0]
        guard let status = try? FileSystem.status(of: path), status.isRegular else { return [] }
        var lines: [String] = []
        try TaskFile.read(path, orCommandsWith: TaskLine.Parts(command: "")) { entry throws(CommandError) in
            guard case .task(let task, _) = entry, task.surroundings == nil else { return }
            if let line = try? TaskLine(command: task.command, of: job) { lines.append(line.text) }
        }
        return lines
    }

    /// The lines of those that are like a task; throws where there is none.
    ///
    /// - Parameters:
    ///   - values: of all its columns.
    ///   - place: among the tasks of its job, from 0.
    func lines(name: String?, values: [String], place: Int) throws(CommandError) -> [String] {
        if let name, let lines = byName[name] { return lines }
        let own = ownPlaces.compactMap { $0 < values.count ? values[$0] : nil }
        if !own.isEmpty, let lines = byValues[own] { return lines }
        if own.isEmpty, byName.isEmpty, place < byPlace.count { return [byPlace[place]] }
        let job = TerminalText.escaped(job.name)
        if own.isEmpty, !byPlace.isEmpty {
            throw .usage(
                "--after \(job):each: it has no task in place \(grouped(place + 1)), only \(grouped(byPlace.count))"
            )
        }
        if let name, own.isEmpty {
            throw .usage("--after \(job):each: it has no task named `\(TerminalText.escaped(name))`; nothing was added")
        }
        guard !own.isEmpty else {
            throw .usage(
                "--after \(job):each: the two have neither names nor values in common by which a task finds its like, nor are both files of "
                    + "commands; "
                    + "nothing was added")
        }
        let shown = own.map { TerminalText.escaped($0) }.joined(separator: " ")
        throw .usage(
            "--after \(job):each: it has no task with the value\(own.count == 1 ? "" : "s") \(shown); nothing was added"
        )
    }
}
