// What the queue promises, said plainly: no Redis, no index, no scripts. Lines are looked through one by one, as nobody would who had
// a million of them.

import TaskModel
import TaskQueue

struct QueueModel {
    struct Running {
        let node: String
        let token: String
        let attempt: Int
        let order: Int
        var isCancelled = false
    }

    struct Node {
        let gigabytes: Int
        let cores: Int
        /// Requeued lines it has not been told of yet.
        var revoked: Set<String> = []
    }

    var nodes: [String: Node] = [:]
    /// Who has not been told of the last silence.
    private var unheard: Set<String> = []
    private var cancelledAndLost: Set<String> = []
    var isPaused = false
    /// What may be taken, by the order of arrival.
    private(set) var waiting: [String: Int] = [:]
    /// What waits for its retry.
    private(set) var delayed: Set<String> = []
    private(set) var running: [String: Running] = [:]
    private(set) var finished: [String: String] = [:]
    /// The workers a line failed on; empty for one that failed by an order.
    private(set) var failedOn: [String: [String]] = [:]
    private(set) var retrying: Set<String> = []
    /// Under which token a line ended last.
    private(set) var outcomes: [String: String] = [:]
    private var attempts: [String: Int] = [:]
    private var lost: [String: Int] = [:]
    private var arrivals = 0

    var todo: Set<String> { Set(waiting.keys).union(delayed) }
    var failedForGood: Set<String> { Set(failedOn.keys).subtracting(retrying) }

    private mutating func nextOrder() -> Int {
        arrivals += 1
        return arrivals
    }

    private mutating func add(_ line: String) {
        waiting[line] = nextOrder()
        if failedOn.removeValue(forKey: line) != nil {
            outcomes[line] = nil
            attempts[line] = nil
            lost[line] = nil
        }
    }

    private mutating func failForGood(_ line: String, token: String) {
        failedOn[line, default: []] += []
        outcomes[line] = token
        retrying.remove(line)
        waiting[line] = nil
        delayed.remove(line)
        attempts[line] = nil
        lost[line] = nil
    }

    // MARK: Orders

    mutating func submit(_ lines: [String]) -> [Int] {
        var counts = [0, 0, 0, 0]
        for line in lines {
            if todo.contains(line) {
                counts[1] += 1
            } else if running[line] != nil {
                counts[2] += 1
            } else if finished[line] != nil {
                counts[3] += 1
            } else {
                counts[0] += 1
                add(line)
            }
        }
        return counts
    }

    mutating func retry(_ lines: [String]) -> [Int] {
        var hastened: Set<String> = []
        var queued = 0
        for line in lines where !hastened.contains(line) {
            if delayed.contains(line) {
                hastened.insert(line)
            } else if failedForGood.contains(line) {
                add(line)
                queued += 1
            }
        }
        // Due at the same time, they come in the order of their bytes: size and priority first.
        for line in hastened.sorted(by: { delayedName($0).utf8.lexicographicallyPrecedes(delayedName($1).utf8) }) {
            delayed.remove(line)
            waiting[line] = nextOrder()
        }
        return [queued, hastened.count]
    }

    private func delayedName(_ line: String) -> String {
        guard let task = try? TaskLine(parsing: line) else { return line }
        return "\(task.memoryBytes) \(task.millicores) \(4096 - task.priority)\n\(line)"
    }

    mutating func cancel(_ line: String) -> CancelTask.Reply {
        if todo.contains(line) {
            failForGood(line, token: "0")
            return .cancelled
        }
        guard running[line] != nil else { return .notFound }
        running[line]?.isCancelled = true
        return .stopping
    }

    mutating func requeue(_ lines: [String]) -> Int {
        var count = 0
        for line in lines {
            guard let task = running.removeValue(forKey: line) else { continue }
            waiting[line] = task.order
            nodes[task.node]?.revoked.insert(line)
            count += 1
        }
        return count
    }

    mutating func forget(_ state: ForgetTasks.State, _ lines: Set<String>) -> Int {
        let known = lines.intersection(state == .finished ? Set(finished.keys) : failedForGood)
        for line in known {
            finished[line] = state == .finished ? nil : finished[line]
            failedOn[line] = state == .failed ? nil : failedOn[line]
            outcomes[line] = nil
        }
        return known.count
    }

    // MARK: Nodes

    func cancellations(of name: String) -> Set<String> {
        let cancelled = running.filter { $0.value.node == name && $0.value.isCancelled }.keys
        return Set(cancelled).union(nodes[name]?.revoked ?? [])
    }

    mutating func silence() { unheard = Set(nodes.keys) }

    mutating func heard(_ name: String) { unheard.remove(name) }

    /// The queue loses an attempt that runs.
    mutating func lose(_ line: String) {
        // Whether it was cancelled is noted elsewhere.
        if running.removeValue(forKey: line)?.isCancelled == true { cancelledAndLost.insert(line) }
    }

    mutating func restore(_ task: ClaimTasks.Claimed, by name: String) -> RestoreTasks.Answer {
        if let attempt = running[task.line] {
            return attempt.node == name && attempt.token == task.token ? .held : .taken
        }
        guard finished[task.line] == nil, !failedForGood.contains(task.line),
            nodes[name]?.revoked.contains(task.line) == false
        else { return .taken }
        let order = waiting.removeValue(forKey: task.line) ?? nextOrder()
        delayed.remove(task.line)
        running[task.line] = Running(
            node: name, token: task.token, attempt: task.attempt, order: order,
            isCancelled: cancelledAndLost.remove(task.line) != nil)
        return .restored
    }

    /// What a claim gives, in its order: line and attempt.
    func claim(_ name: String, count: Int, gigabytes: Int, cores: Int) -> [(line: String, attempt: Int)] {
        guard !isPaused, !unheard.contains(name), nodes[name]?.revoked.isEmpty == true else { return [] }
        var (memory, millicores) = (UInt64(gigabytes) << 30, cores * 1000)
        var given: [(line: String, attempt: Int)] = []
        let tasks = waiting.compactMap { entry in (try? TaskLine(parsing: entry.key)).map { ($0, entry.value) } }
            .sorted { ($1.0.priority, $0.1) < ($0.0.priority, $1.1) }
        for (task, _) in tasks where given.count < count {
            guard task.memoryBytes <= memory, task.millicores <= millicores, mayTake(task, name) else { continue }
            memory -= task.memoryBytes
            millicores -= task.millicores
            given.append((task.text, attempts[task.text, default: 0] + 1))
        }
        return given
    }

    /// Not what failed here, while another could.
    private func mayTake(_ task: TaskLine, _ name: String) -> Bool {
        guard let failed = failedOn[task.text], failed.contains(name) else { return true }
        return !nodes.contains { other, size in
            !failed.contains(other) && UInt64(size.gigabytes) << 30 >= task.memoryBytes
                && size.cores * 1000 >= task.millicores
        }
    }

    mutating func taken(_ task: ClaimTasks.Claimed, by name: String) {
        guard let order = waiting.removeValue(forKey: task.line) else { return }
        running[task.line] = Running(node: name, token: task.token, attempt: task.attempt, order: order)
    }

    mutating func report(
        _ task: ClaimTasks.Claimed, by name: String, _ result: ReportTask.Result
    ) -> ReportTask.Reply {
        guard let attempt = running[task.line], attempt.node == name, attempt.token == task.token else {
            return outcomes[task.line] == task.token ? .duplicate : .stale
        }
        running[task.line] = nil
        switch result {
        case .finished:
            finished[task.line] = name
            failedOn[task.line] = nil
            retrying.remove(task.line)
            outcomes[task.line] = task.token
            attempts[task.line] = nil
            lost[task.line] = nil
        case .failed(_, _, let attemptsMax, let retryMilliseconds):
            failedOn[task.line, default: []].append(name)
            guard failedOn[task.line, default: []].count < attemptsMax, !attempt.isCancelled else {
                failForGood(task.line, token: task.token)
                break
            }
            retrying.insert(task.line)
            outcomes[task.line] = task.token
            attempts[task.line] = attempt.attempt
            if retryMilliseconds > 0 { delayed.insert(task.line) } else { waiting[task.line] = nextOrder() }
        case .returned:
            if attempt.isCancelled {
                failForGood(task.line, token: task.token)
            } else {
                waiting[task.line] = attempt.order
            }
        }
        return .accepted
    }

    /// A node is gone. Unless it left in order, what it held has a mark more.
    mutating func remove(_ name: String, inOrder: Bool) {
        nodes[name] = nil
        unheard.remove(name)
        for (line, task) in running where task.node == name {
            running[line] = nil
            if !inOrder { lost[line, default: 0] += 1 }
            if task.isCancelled {
                failForGood(line, token: "0")
            } else if lost[line, default: 0] >= 3 {
                failedOn[line, default: []].append(name)
                failForGood(line, token: "0")
            } else {
                if !inOrder { attempts[line] = task.attempt }
                waiting[line] = task.order
            }
        }
    }
}
