// Tasks a page at a time, among millions: each page is found by a bounded look, and ends with the place where the next one begins. What is
// searched for may stand anywhere, so a page may be short, or empty, and still not be the last.

import LinuxSystem
import Notation
import TaskModel
import TaskQueue

/// Where a page of tasks ends and the next begins.
struct TaskCursor: Equatable, Sendable {
    /// Whose tasks come next: the identifier of a job, "" for what is of none.
    var job: String
    /// Of HSCAN.
    var scan: String

    static let start = TaskCursor(job: "", scan: "0")

    init(job: String, scan: String) { (self.job, self.scan) = (job, scan) }

    /// As ``text`` writes it; nil for anything else.
    init?(parsing text: String) {
        let halves = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard halves.count == 2, halves[0].isEmpty || Job.identifier(ofLine: "@\(halves[0]) ") == halves[0],
            let scan = UInt64(halves[1])
        else { return nil }
        self.init(job: String(halves[0]), scan: "\(scan)")
    }

    var text: String { "\(job).\(scan)" }
}

/// A page of tasks.
struct TaskPage: Sendable {
    var tasks: [ListedTask] = []
    /// Where the next one begins; nil after the last.
    var next: TaskCursor?
    /// How many tasks were looked at for it.
    var lookedAtCount = 0
}

/// What is looked for among tasks.
struct TaskSearch: Sendable {
    var state: TaskState
    /// Only of this job, by its identifier; "": of none; nil: of all.
    var job: String?
    /// Only with this cause, on this node.
    var cause: String?
    var node: String?
    /// Only where the line has this text, or the id begins so.
    var text: String?

    fileprivate var filter: TaskFilter {
        TaskFilter(states: [state], causes: cause.map { [$0] } ?? [], node: node, pattern: isIdentifier ? nil : pattern)
    }

    /// The text may be the beginning of an id, which stands in no line: then every line is looked at.
    private var isIdentifier: Bool {
        guard let text else { return false }
        return (4...16).contains(text.utf8.count)
            && text.lowercased().utf8.allSatisfy { Hexadecimal.value(of: $0) != nil }
    }

    /// For Redis: every character means itself.
    private var pattern: String? {
        text.map { text in
            let special: Set<Character> = ["*", "?", "[", "]", "^", "\\"]
            return "*" + text.map { special.contains($0) ? "\\\($0)" : "\($0)" }.joined() + "*"
        }
    }

    fileprivate func matches(_ line: String) -> Bool {
        guard isIdentifier, let text else { return true }
        return TaskLine.identifier(of: line).hasPrefix(text.lowercased()) || line.contains(text)
    }
}

extension QueueClient {
    /// A page has so many tasks, or a few more.
    static let tasksPerPage = 100
    /// So many are looked at for a page, at most, and so much of what they wrote is read with them.
    static let tasksLookedAtPerPageMax = 10_000
    private static let bytesPerPageMax = 4 << 20

    /// The tasks that are looked for, from `cursor` on.
    func page(of search: TaskSearch, from cursor: TaskCursor) throws(CommandError) -> TaskPage {
        var page = TaskPage()
        let all = try scopes()
        var scopes = (search.job.map { [keys.of(job: $0)] } ?? all)[...]
        // A job that has gone since is passed over.
        scopes = scopes.drop { search.job == nil && $0.job < cursor.job }
        var scan = scopes.first?.job == cursor.job ? cursor.scan : "0"
        let filter = search.filter
        // Where few are wanted, more are looked at each time. A finished task may come with a megabyte of output.
        var countHint = 16
        var bytes = 0
        while let keys = scopes.first {
            guard page.tasks.count < Self.tasksPerPage, page.lookedAtCount < Self.tasksLookedAtPerPageMax,
                bytes < Self.bytesPerPageMax
            else {
                page.next = TaskCursor(job: keys.job, scan: scan)
                break
            }
            let found = try perform(
                ScanHash(
                    keys[keyPath: hash(of: search.state)], cursor: scan, countHint: countHint,
                    pattern: Self.pattern(filter.pattern, in: keys)))
            page.lookedAtCount += max(countHint, found.entries.count)
            page.tasks += try tasks(found.entries, keys, search, filter)
            let bytesFound = found.entries.reduce(0) { $0 + $1.field.count + $1.value.count }
            bytes += bytesFound
            countHint = bytesFound > 1 << 18 ? 16 : page.tasks.count * 4 < page.lookedAtCount ? 1000 : Self.tasksPerPage
            scan = found.cursor
            if scan == "0" { scopes.removeFirst() }
        }
        return page
    }

    private func tasks(
        _ entries: [(field: [UInt8], value: [UInt8])], _ keys: QueueKeys, _ search: TaskSearch, _ filter: TaskFilter
    ) throws(CommandError) -> [ListedTask] {
        let entries = entries.filter { search.matches(text($0.field)) }
        if entries.isEmpty { return [] }
        switch search.state {
        case .todo: return try waiting(entries, keys, filter)
        case .inProgress:
            return entries.map {
                ListedTask(line: text($0.field), state: .inProgress, node: text($0.value), outcome: nil, reason: "")
            }.filter { filter.includes(node: $0.node, endedAt: nil) }
        case .finished: return try finished(entries, keys).filter { filter.includes($0) }.map { ListedTask($0) }
        case .failed: return try failures(entries, keys).filter { filter.includes($0) }.map { ListedTask($0) }
        }
    }
}
