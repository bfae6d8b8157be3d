// Which jobs a command is about, and how it goes through the tasks of all of them: each has hashes of its own in Redis, and what is of no
// job has those of the old system.

import LinuxSystem
import TaskModel
import TaskQueue

/// Which jobs a command is about.
enum JobSelection: Equatable {
    /// All, and what is of none.
    case all
    /// The one with this identifier; "" stands for what is of none.
    case one(String)
}

/// The jobs a connection has heard of. A class: looking may find more.
final class JobDirectory {
    fileprivate var jobs: [String: Job] = [:]
    /// Whether these are all there were when somebody asked.
    fileprivate var isComplete = false
    fileprivate var unknown: Set<String> = []
    /// Those of which somebody was told that they cannot be read.
    fileprivate var told: Set<String> = []

    /// What was heard is not true any more.
    func forget() { (jobs, isComplete, unknown) = ([:], false, []) }
}

extension QueueClient {
    /// Every job and how it stands, the oldest first.
    func jobRows() throws(CommandError) -> [ReadJobs.Row] {
        var rows: [String: ReadJobs.Row] = [:]  // A page may tell one again.
        var cursor = "0"
        repeat {
            let page = try perform(ReadJobs(keys: keys, cursor: cursor))
            cursor = page.cursor
            for row in page.rows { rows[row.job.identifier] = row }
            directory.unknown.formUnion(page.unreadable.map(\.0))
            for (identifier, error) in page.unreadable where directory.told.insert(identifier).inserted {
                standardError.write(
                    TerminalText.escaped("distcomp: warning: job \(identifier) is left out: \(error)") + "\n")
            }
        } while cursor != "0"
        (directory.jobs, directory.isComplete) = (rows.mapValues(\.job), true)
        return rows.values.sorted {
            ($0.job.identifier.count, $0.job.identifier) < ($1.job.identifier.count, $1.job.identifier)
        }
    }

    /// All jobs, by their identifiers, as they were when they were first asked for.
    func jobs() throws(CommandError) -> [String: Job] {
        if !directory.isComplete { _ = try jobRows() }
        return directory.jobs
    }

    /// The job with this name or identifier: one look, however many there are.
    func job(named text: String) throws(CommandError) -> Job? {
        let identifier = try perform(ReadJobIdentifier(name: text, keys: keys)) ?? text
        return Job.identifier(ofLine: "@\(identifier) ") == identifier ? try job(identifier) : nil
    }

    /// The job with this identifier; nil where there is none, or it is of a later version.
    func job(_ identifier: String) throws(CommandError) -> Job? {
        if let job = directory.jobs[identifier] { return job }
        guard !identifier.isEmpty, !directory.unknown.contains(identifier) else { return nil }
        let record = try perform(ReadJob(identifier, keys: keys))
        let job = record.flatMap { try? Job(identifier: identifier, record: $0) }
        directory.jobs[identifier] = job
        if job == nil { directory.unknown.insert(identifier) }
        return job
    }

    /// The job of a line, by its identifier, for what reads it.
    func jobs(ofLine line: String) throws(CommandError) -> [String: Job] {
        try job(Job.identifier(ofLine: line)).map { [$0.identifier: $0] } ?? [:]
    }

    /// The keys of what this command is about.
    func scopes() throws(CommandError) -> [QueueKeys] {
        switch selection {
        case .one(let identifier): [keys.of(job: identifier)]
        case .all: [keys] + (try jobs()).keys.sorted().map { keys.of(job: $0) }
        }
    }

    /// Confines this command, and what is given out, to one job, or to nothing: for a queue that serves one `distcomp run` at a time.
    func confine(to identifier: String?) throws(CommandError) {
        selection = identifier.map { .one($0) } ?? .all
        _ = try answers(OnlyJob.requests(identifier, others: Array(try jobs().keys), keys: keys))
    }

    /// Has nothing more given out, until the next ``confine(to:)``.
    func giveOutNothing() throws(CommandError) {
        _ = try answers(OnlyJob.requests(OnlyJob.none, others: Array(try jobs().keys), keys: keys))
    }

    /// The counts of what this command is about.
    func counts() throws(CommandError) -> QueueCounts {
        switch selection {
        case .one(let identifier): try perform(ReadCounts(keys: keys.of(job: identifier)))
        case .all: try perform(ReadCounts(keys: keys, ofAll: true))
        }
    }

    /// What a line says; nil where it is no task.
    func parse(_ line: String) throws(CommandError) -> TaskLine? {
        let jobs = try jobs(ofLine: line)
        return try? TaskLine(parsing: line, of: jobs)
    }

    /// Every entry of a hash of all that this command is about, a page at a time, as `scanWhile` does; with the keys of the job.
    func scanEach(
        _ hash: KeyPath<QueueKeys, String>, in scopes: [QueueKeys]? = nil, pattern: String? = nil,
        _ use: (QueueKeys, [(field: [UInt8], value: [UInt8])]) throws(CommandError) -> Bool
    ) throws(CommandError) -> Bool {
        var scopes = scopes ?? []
        if scopes.isEmpty { scopes = try self.scopes() }
        for keys in scopes {
            let isComplete = try scanWhile(keys[keyPath: hash], pattern: Self.pattern(pattern, in: keys)) {
                entries throws(CommandError) in try use(keys, entries)
            }
            guard isComplete else { return false }
        }
        return true
    }

    /// What people match is the command; before it stands of which job it is.
    static func pattern(_ pattern: String?, in keys: QueueKeys) -> String? {
        guard let pattern, !keys.job.isEmpty, !pattern.hasPrefix("*"), !pattern.hasPrefix("@") else { return pattern }
        return "@\(keys.job) " + pattern
    }

    /// The values of these lines in a hash, each in that of its job; nil where there is none.
    func valuesEach(_ hash: KeyPath<QueueKeys, String>, of lines: [[UInt8]]) throws(CommandError) -> [[UInt8]?] {
        var places: [String: [Int]] = [:]
        for (index, line) in lines.enumerated() {
            places[Job.identifier(ofLine: String(decoding: line.prefix(40), as: UTF8.self)), default: []].append(index)
        }
        var found: [[UInt8]?] = Array(repeating: nil, count: lines.count)
        for (identifier, indices) in places {
            let values = try values(keys.of(job: identifier)[keyPath: hash], of: indices.map { lines[$0] })
            for (index, value) in zip(indices, values) { found[index] = value }
        }
        return found
    }
}
