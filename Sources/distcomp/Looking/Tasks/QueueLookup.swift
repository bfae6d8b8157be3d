// Finding tasks: by their line, by the beginning of their short id, or by a glob; and listing all there are.

import Notation
import RedisClient
import TaskModel
import TaskQueue

/// A task in a listing.
struct ListedTask {
    let line: String
    let state: TaskState
    let node: String
    /// Of its last attempt.
    let outcome: TaskOutcome?
    /// Why it failed, or how it ended.
    let reason: String
    /// It waits until others have ended.
    var waitsForOthers = false
    /// When its job may begin; nil: at once.
    var beginsAtUnixSeconds: Double?

    var identifier: String { TaskLine.identifier(of: line) }

    /// What its last attempt said went wrong.
    var errorLine: String? { state == .finished ? nil : outcome?.errorLine }

    /// Why it failed, with what it said itself.
    var explanation: String { reason + (errorLine.map { ": \($0)" } ?? "") }
}

extension ListedTask {
    /// One that has ended.
    init(_ result: TaskResult) {
        self.init(
            line: result.line, state: result.state, node: result.node, outcome: result.outcome, reason: result.reason)
    }
}

extension QueueClient {
    /// Every task that `filter` wants: what runs, what waits, what has finished, what failed. Ends when `use` wants no more.
    func forEachTask(
        _ filter: TaskFilter, _ use: (ListedTask) throws(CommandError) -> Bool
    ) throws(CommandError) {
        if filter.wants(.inProgress), filter.causes.isEmpty, filter.sinceUnixSeconds == nil {
            let isComplete = try scanEach(\.inProgress, pattern: filter.pattern) { _, entries throws(CommandError) in
                for (field, value) in entries {
                    let task = ListedTask(
                        line: text(field), state: .inProgress, node: text(value), outcome: nil, reason: "")
                    if filter.includes(node: task.node, endedAt: nil), !(try use(task)) { return false }
                }
                return true
            }
            guard isComplete else { return }
        }
        if filter.wants(.todo), !(try forEachWaiting(filter, use)) { return }
        try forEachResult(filter) { result throws(CommandError) in
            try use(ListedTask(result))
        }
    }

    /// Whether `use` wanted more to the end. Where the filter names a cause, a node or a time, only tasks that wait for another try can
    /// match: no other waiting task has failed, or been on a node, or ended.
    private func forEachWaiting(
        _ filter: TaskFilter, _ use: (ListedTask) throws(CommandError) -> Bool
    ) throws(CommandError) -> Bool {
        try scanEach(\.todo, pattern: filter.pattern) { keys, entries throws(CommandError) in
            for task in try waiting(entries, keys, filter) { if !(try use(task)) { return false } }
            return true
        }
    }

    /// Those of these entries of the waiting tasks of one job that `filter` wants.
    func waiting(
        _ entries: [(field: [UInt8], value: [UInt8])], _ keys: QueueKeys, _ filter: TaskFilter
    ) throws(CommandError) -> [ListedTask] {
        let hasFailed = !filter.causes.isEmpty || filter.node != nil || filter.sinceUnixSeconds != nil
        let fields = entries.map(\.field).filter { text($0) != TaskLine.closeCommand }
        let awaited = try keys.job.isEmpty ? nil : perform(ReadAwaited(keys.job, keys: keys))
        let time = awaited.flatMap { $0.beginsAtMilliseconds > 0 ? Double($0.beginsAtMilliseconds) / 1000 : nil }
        let isGated = time == nil && awaited.map { $0.gate != .open } ?? false
        let dependent = Set(entries.filter { isGated || TaskStanding.isDependent(todo: $0.value) }.map(\.field))
        let retries = zip(fields, try retryStates(of: fields)).filter { $0.1 == .retrying }.map(\.0)
        let records = Dictionary(zip(retries, try values(keys.outcomes, of: retries)), uniquingKeysWith: { $1 })
        return fields.compactMap { field in
            let outcome = (records[field] ?? nil).flatMap { parseOutcome($0) }
            if hasFailed {
                guard let outcome, filter.causes.isEmpty || filter.causes.contains(outcome.cause.word),
                    filter.includes(node: outcome.node, endedAt: outcome.finishedAtUnixSeconds)
                else { return nil }
            }
            return ListedTask(
                line: text(field), state: .todo, node: outcome?.node ?? "", outcome: outcome,
                reason: outcome?.reason ?? "", waitsForOthers: dependent.contains(field), beginsAtUnixSeconds: time)
        }
    }
}

/// How a person named tasks.
enum TaskSelector: Equatable {
    case line(String)
    /// The first digits of a short id.
    case identifier(String)
    /// What a line of JSON calls its task.
    case name(String)
    case glob(String)

    /// What `text` may mean, in the order to be tried: a line, the digits of an id, a name, a glob.
    static func candidates(_ text: String) -> [TaskSelector] {
        let trimmed = text.trimmingBlanks()
        var candidates = [TaskSelector.line(trimmed)]
        let digits = trimmed.lowercased()
        if (4...16).contains(digits.utf8.count), digits.utf8.allSatisfy({ Hexadecimal.value(of: $0) != nil }) {
            candidates.append(.identifier(digits))
        }
        candidates.append(.name(trimmed))
        if trimmed.utf8.contains(where: {
            $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "[")
        }) {
            candidates.append(.glob(trimmed))
        }
        return candidates
    }

    /// Matches every line in which a task has this name, and others.
    static func pattern(ofName name: String) -> String {
        let isPlain = name.unicodeScalars.allSatisfy {
            $0.properties.isAlphabetic || "0123456789 ._-+/:,=".unicodeScalars.contains($0)
        }
        return isPlain && name.utf8.count == name.unicodeScalars.count ? "*\"name\"*\"\(name)\"*" : "*\"name\"*"
    }
}

extension QueueClient {
    /// The line of the only task that `text` names.
    func line(named text: String) throws(CommandError) -> String {
        var found: [String] = []
        _ = try forEachLine(named: text) { line in
            found.append(line)
            return found.count < 2
        }
        guard found.count == 1 else {
            throw .usage("\(TerminalText.escaped(text)) names several tasks; give one of them (distcomp tasks --match)")
        }
        return found[0]
    }

    /// Every line that `text` names: those of the job of that name, or itself, or that of the short id it begins, or those of the tasks of that name, or those it
    /// matches as a glob; each once. Ends when `use` wants no more. None at all is an error.
    ///
    /// - Parameter states: only tasks there.
    func forEachLine(
        named text: String, in states: Set<TaskState> = Set(TaskState.allCases),
        _ use: (String) throws(CommandError) -> Bool
    ) throws(CommandError) {
        let job = try job(named: text)
        if let job {
            var count = 0
            try forEachName(pattern: nil, in: states, of: [keys.of(job: job.identifier)]) { line throws(CommandError) in
                count += 1
                return try use(line)
            }
            if count > 0 { return }
            if let departure = try departure(ofJob: job.identifier) {
                throw .noSuchTask("the results of \(job.name) left Redis on \(departure)")
            }
        }
        for candidate in TaskSelector.candidates(text) {
            switch candidate {
            case .line(let text):
                let lines = try lines(text, in: states)
                if lines.isEmpty { continue }
                for line in lines { guard try use(line) else { return } }
                return
            case .identifier(let digits):
                guard let line = try line(identifier: digits, in: states) else { continue }
                _ = try use(line)
                return
            case .name(let name):
                var count = 0
                try forEachName(pattern: TaskSelector.pattern(ofName: name), in: states) { line throws(CommandError) in
                    guard try parse(line)?.surroundings?.name == name else { return true }
                    count += 1
                    return try use(line)
                }
                if count > 0 { return }
            case .glob(let pattern):
                var count = 0
                try forEachName(pattern: pattern, in: states) { line throws(CommandError) in
                    count += 1
                    return try use(line)
                }
                if count > 0 { return }
            }
        }
        if let job {
            let words = TaskState.allCases.filter(states.contains).map(\.ofWhatIsThere)
            throw .noSuchTask(
                "the job \(job.name) has no task that \(words.joined(separator: " or ")) (see distcomp status \(job.name))"
            )
        }
        throw .noSuchTask(
            "no such task: \(TerminalText.shortened(TerminalText.escaped(text), to: 200)): "
                + "give its line, the first digits of its id, its name, a glob, or a job's name (see distcomp tasks, distcomp jobs)"
        )
    }

    func hash(of state: TaskState) -> KeyPath<QueueKeys, String> {
        switch state {
        case .todo: \.todo
        case .inProgress: \.inProgress
        case .finished: \.finished
        case .failed: \.failed
        }
    }

    /// The lines that are this text, or do it: of a job a line is known by its command too.
    private func lines(_ text: String, in states: Set<TaskState>) throws(CommandError) -> [String] {
        let lines = try scopes().compactMap { keys -> (QueueKeys, String)? in
            let line = Job.identifier(ofLine: text)
            if line == keys.job { return (keys, text) }
            return line.isEmpty ? (keys, "@\(keys.job) \(text)") : nil
        }
        let requests = lines.flatMap { keys, line in
            states.map { RedisRequest.command(RedisCommand("HEXISTS", keys[keyPath: hash(of: $0)], line)) }
        }
        let answers = try answers(requests)
        return lines.enumerated().filter { index, _ in
            answers[(index * states.count)..<((index + 1) * states.count)].contains { $0.int == 1 }
        }.map(\.element.1)
    }

    /// The line whose short id begins so. All lines are looked at: only then is it known that there is no second one.
    private func line(identifier digits: String, in states: Set<TaskState>) throws(CommandError) -> String? {
        var found: [String] = []
        try forEachName(pattern: nil, in: states) { line in
            if TaskLine.identifier(of: line).hasPrefix(digits), !found.contains(line) { found.append(line) }
            return found.count < 4
        }
        guard found.count > 1 else { return found.first }
        let identifiers = found.map { TaskLine.identifier(of: $0) }.joined(separator: ", ")
        throw .usage(
            "\(digits) begins the ids of several tasks (\(identifiers)\(found.count > 3 ? ", ..." : "")): give more")
    }

    /// The lines in these states, each once.
    ///
    /// - Parameter scopes: nil: all that this command is about.
    private func forEachName(
        pattern: String?, in states: Set<TaskState>, of scopes: [QueueKeys]? = nil,
        _ use: (String) throws(CommandError) -> Bool
    ) throws(CommandError) {
        for state in TaskState.allCases where states.contains(state) {
            let isComplete = try scanEach(hash(of: state), in: scopes, pattern: pattern) {
                _, entries throws(CommandError) in
                let fields = entries.map(\.field).filter { text($0) != TaskLine.closeCommand }
                // What failed and has another try to come is in todo or in progress as well.
                let states = state == .failed ? try retryStates(of: fields) : []
                for (index, field) in fields.enumerated() where states.isEmpty || states[index] == .failedForGood {
                    if !(try use(text(field))) { return false }
                }
                return true
            }
            guard isComplete else { return }
        }
    }

    /// What the queue knows of a line.
    func standing(of line: String) throws(CommandError) -> TaskStanding {
        let values = try pipeline(ReadStanding(line, keys: keys, jobs: try jobs(ofLine: line)).requests)
        return try parsed { () throws(QueueError) in try ReadStanding.parse(values) }
    }

    /// How many waiting tasks of its owner go before this one; nil where the index does not know it.
    func countAhead(of line: TaskLine, _ standing: TaskStanding) throws(CommandError) -> Int? {
        let reading = ReadClasses(keys: keys, ofOwner: standing.owners?.ownerOfJob ?? "")
        let failedOn = standing.failedValue.map { text($0) } ?? ""
        let values = try answers([reading.place(of: line, failedOn: failedOn), reading.request])
        guard values.count == 2, let score = standing.place ?? values[0].number else { return nil }
        let classes = try parsed { () throws(QueueError) in try ReadClasses.parse(values[1]) }
        return try answers(CountWaiting.requests(classes, before: score, keys: keys)).reduce(0) { $0 + ($1.int ?? 0) }
    }
}

/// One task and all the queue knows of it.
struct TaskDetails {
    let line: String
    let task: TaskLine?
    let standing: TaskStanding
    /// How it ended, or how its last attempt did; nil before the first.
    var result: TaskResult?
    /// What it waits for besides its turn.
    var awaited: AwaitedText?

    /// nil when no state holds it: it is gone.
    var state: TaskState? {
        if standing.worker != nil { return .inProgress }
        if standing.isWaiting { return .todo }
        if standing.finishedValue != nil { return .finished }
        return standing.failedValue != nil ? .failed : nil
    }

}

extension QueueClient {
    func details(of line: String) throws(CommandError) -> TaskDetails {
        var standing = try standing(of: line)
        var task = try parse(line)
        if let own = standing.own { task = task?.taking(own) }
        var awaited: AwaitedText?
        if standing.isWaiting, standing.isDependent || standing.gate != .open, let job = task?.job {
            awaited = try self.awaited(job, line: line)
        } else if let task, standing.isWaiting {
            let owners = try perform(ReadOwners(ofJob: task.job?.identifier ?? "", keys: keys))
            if owners.areSeveral { standing.owners = owners }
            standing.aheadCount = try countAhead(of: task, standing)
        }
        var result: TaskResult?
        if let value = standing.finishedValue {
            result = TaskResult(finished: Array(line.utf8), value: value, record: standing.outcome)
        } else if standing.failedValue != nil || standing.outcome != nil {
            result = TaskResult(
                failed: Array(line.utf8), failedOn: standing.failedValue ?? [], record: standing.outcome,
                reason: standing.reason)
        }
        if let task, task.job != nil { result?.taskOfJob = task }
        return TaskDetails(line: line, task: task, standing: standing, result: result, awaited: awaited)
    }
}

extension TaskState {
    /// What is said of a task there.
    fileprivate var ofWhatIsThere: String {
        switch self {
        case .todo: "waits"
        case .inProgress: "runs"
        case .finished: "has finished"
        case .failed: "has failed"
        }
    }
}

extension RESPValue {
    /// A score, as RESP2 or RESP3 spells it.
    var number: Double? {
        if case .double(let number) = self { return number }
        return int.map(Double.init) ?? string.flatMap { Double($0) }
    }
}

extension String {
    fileprivate func trimmingBlanks() -> String {
        var rest = self[...]
        while rest.first?.isWhitespace == true { rest.removeFirst() }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
