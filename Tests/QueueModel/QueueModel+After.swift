// Who waits for whom, said plainly: every task knows those it waits for, and whoever wants to know looks through all of them. What has
// changed is told in the order in which the scripts tell it, all of it at once.

import RedisClient

extension QueueModel {
    /// A task that waits for another, or has one that waits for it: by its job and its number there.
    struct Numbered: Hashable, Sendable {
        let job: String
        let number: Int
        var text: String { "\(job) \(number)" }
    }

    static func job(of line: String) -> String {
        guard line.hasPrefix("@") else { return "" }
        return String(line.dropFirst().prefix { $0 != " " })
    }

    /// It waits for other tasks.
    public func isAside(_ line: String) -> Bool {
        todo.contains(line) && waiting[line] == nil && delayed[line] == nil && aside[line] != nil
    }

    func isGated(_ line: String) -> Bool { gates[Self.job(of: line)] != nil }

    private func numbered(_ line: String) -> Numbered? {
        let job = Self.job(of: line)
        return numbers[job]?.firstIndex(of: line).map { Numbered(job: job, number: $0 + 1) }
    }

    private func line(of task: Numbered) -> String? {
        guard let lines = numbers[task.job], lines.indices.contains(task.number - 1) else { return nil }
        return lines[task.number - 1]
    }

    private mutating func number(_ line: String) -> Numbered {
        if let known = numbered(line) { return known }
        let job = Self.job(of: line)
        numbers[job, default: []].append(line)
        return Numbered(job: job, number: numbers[job]?.count ?? 0)
    }

    private enum Standing { case waits, finished, failed, forgotten }

    private func standing(_ line: String) -> Standing {
        if todo.contains(line) || doing[line] != nil { return .waits }
        if done[line] != nil { return .finished }
        return failed[line] != nil ? .failed : .forgotten
    }

    private func count(_ hash: some Sequence<String>, of job: String) -> Int {
        hash.count { Self.job(of: $0) == job }
    }

    private func openCount(of job: String) -> Int { count(todo, of: job) + count(doing.keys, of: job) }

    // MARK: - Noting

    mutating func noteChange(of line: String) {
        let job = Self.job(of: line)
        guard !job.isEmpty else { return }
        if awaitedTasks.contains(job), let task = numbered(line), needs.values.contains(where: { $0.contains(task) }) {
            changes.insert("task \(task.text)")
        }
        if awaitedJobs.contains(job), openCount(of: job) <= 1 { changes.insert("job \(job)") }
    }

    mutating func noteGates() { for job in gates.keys { changes.insert("gate \(job)") } }

    // MARK: - Telling

    mutating func tellAll() {
        while let change = changes.min(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
            let words = change.split(separator: " ").map(String.init)
            switch words[0] {
            case "gate": settleGate(words[1])
            case "job":
                for job in after.keys
                where after[job]?.contains(where: { $0.job == words[1] }) == true && gates[job] != nil {
                    changes.insert("gate \(job)")
                }
            case "task": tellChildren(of: Numbered(job: words[1], number: Int(words[2]) ?? 0))
            default: tellTasks(of: words[1])
            }
            changes.remove(change)
        }
    }

    mutating func settleGate(_ job: String, isByHand: Bool = false) {
        guard let was = gates[job] else { return }
        var becomes: String?
        for condition in after[job] ?? [] where condition.way != "each" {
            let (parent, way) = (condition.job, condition.way)
            let failedBefore = jobsLeft[parent]?.split(separator: " ").dropFirst().first ?? "0"
            let hasFailed =
                failedBefore != "0" || failed.keys.contains { Self.job(of: $0) == parent && !retrying.contains($0) }
            if openCount(of: parent) > 0 {
                becomes = "waits"
            } else if hasFailed, way == "ok" {
                becomes = "broken \(parent)"
                break
            } else if !hasFailed, was == "broken \(parent)", jobsWithForgottenFailures.contains(parent), !isByHand {
                becomes = was
                break
            }
        }
        if becomes?.hasPrefix("broken") != true, timeLeft(job) > 0 {
            becomes = "waits"
            delayed[Self.delayedJob(job)] = Delayed(memory: 0, millicores: 0, band: 0, due: now + timeLeft(job))
        }
        if was == becomes { return }
        if was.hasPrefix("broken") || becomes?.hasPrefix("broken") == true { changes.insert("tasks \(job)") }
        gates[job] = becomes
        if becomes == nil {
            forgetTime(of: job)
            wake()
        }
    }

    /// By which a job that waits for its time is known among the lines that do.
    static func delayedJob(_ job: String) -> String { "@\(job) " }

    private func timeLeft(_ job: String) -> Int {
        guard let words = times[job]?.split(separator: " "), let time = Int(words[1]) else { return 0 }
        return max(0, time - (words[0] == "server" ? serverMilliseconds : now))
    }

    private mutating func forgetTime(of job: String) {
        if times.removeValue(forKey: job) != nil { delayed[Self.delayedJob(job)] = nil }
    }

    private mutating func tellTasks(of job: String) {
        let gate = gates[job]
        if let gate, gate.hasPrefix("broken ") {
            let parent = String(gate.dropFirst("broken ".count))
            for line in todo where Self.job(of: line) == job { endInVain(line, for: parent) }
        } else {
            for line in failed.keys.sorted() where Self.job(of: line) == job { revive(line) }
        }
    }

    private mutating func tellChildren(of parent: Numbered) {
        let children = needs.filter { $0.value.contains(parent) }.keys
            .sorted { "\(parent.number) \($0.text)".utf8.lexicographicallyPrecedes("\(parent.number) \($1.text)".utf8) }
        let parentLine = line(of: parent)
        let state = parentLine.map { standing($0) } ?? .forgotten
        let name = parentLine.map { vain($0)?.parent ?? String($0.drop { $0 != " " }.dropFirst()) } ?? ""
        for child in children {
            guard let line = line(of: child) else { continue }
            switch state {
            case .failed:
                broken[child, default: []].insert(parent)
                if isAside(line) { endInVain(line, for: name) }
                continue
            case .forgotten where broken[child]?.contains(parent) == true: continue
            case .waits, .finished, .forgotten: break
            }
            broken[child]?.remove(parent)
            if !todo.contains(line) { revive(line) }
            if state == .waits { continue }
            if isAside(line), needs[child]?.count == 1 {
                enter(line, score: aside[line] ?? 0)
                wake()
            }
            needs[child]?.remove(parent)
        }
    }

    private mutating func enter(_ line: String, score: Int) {
        let size = jobSizes[Self.job(of: line)] ?? (0, 0)
        aside[line] = nil
        putBack(line, size.memory, size.millicores, score: score)
    }

    /// A line that is asked for without others waits for none from now on.
    mutating func waitForNone(_ line: String) {
        guard let task = numbered(line) else { return }
        if isAside(line) {
            enter(line, score: aside[line] ?? 0)
            wake()
        }
        needs[task] = nil
        broken[task] = nil
    }

    private mutating func letWait(_ line: String, score: Int) {
        if let task = numbered(line), needs[task]?.isEmpty == false {
            todo.insert(line)
            aside[line] = score
        } else {
            enter(line, score: score)
        }
    }

    // MARK: - In vain

    private mutating func endInVain(_ line: String, for parent: String) {
        let place = isAside(line) ? aside[line] ?? 0 : waiting[line]?.score ?? bandOfJob(line) * Self.arrivalsOfBand
        let reason = "dependency: \(parent) failed"
        delayed[line] = nil
        failForGood(
            line, token: 0, reason: reason,
            record:
                "{\"state\":\"failed\",\"cause\":\"dependency\",\"worker\":\"\",\"attempts\":\(attempts[line] ?? 0),"
                + "\"place\":\"\(String(place, radix: 16))\",\"parent\":\"\(parent)\",\"reason\":\"\(reason)\"}")
    }

    private func bandOfJob(_ line: String) -> Int {
        Self.band(ofPriority: jobPriorities[Self.job(of: line)] ?? 0)
    }

    /// For whom a line waited in vain, and where it stood; nil where it did not.
    private func vain(_ line: String) -> (parent: String, place: Int)? {
        guard failed[line] != nil, let record = outcomes[line], record.hasPrefix("0 "),
            record.contains("\"cause\":\"dependency\"")
        else { return nil }
        func field(_ name: String) -> String {
            guard let start = record.firstRange(of: "\"\(name)\":\"") else { return "" }
            return String(record[start.upperBound...].prefix { $0 != "\"" })
        }
        return (field("parent"), Int(field("place"), radix: 16) ?? 0)
    }

    private mutating func revive(_ line: String) {
        guard !todo.contains(line), let (_, place) = vain(line), gates[Self.job(of: line)]?.hasPrefix("broken") != true
        else { return }
        if let task = numbered(line), broken[task]?.isEmpty == false { return }
        noteChange(of: line)
        forgetFailure(of: line)
        letWait(line, score: place)
    }

    private mutating func forgetFailure(of line: String) {
        failed[line] = nil
        reasons[line] = nil
        outcomes[line] = nil
    }

    // MARK: - Requests

    /// Those of failed lines that may begin anew.
    mutating func withoutVain(_ positions: [Int], _ arguments: Arguments) -> [Int] {
        var rest: [Int] = []
        guard let first = positions.first else { return [] }
        let job = Self.job(of: arguments.text(first))
        if gates[job] != nil { settleGate(job, isByHand: true) }
        let isBroken = gates[job]?.hasPrefix("broken") == true
        for position in positions {
            let line = arguments.text(position)
            let task = numbered(line)
            if let task {
                // By hand it goes on where what failed has been forgotten.
                for parent in broken[task] ?? []
                where self.line(of: parent).map({ standing($0) }) ?? .forgotten == .forgotten {
                    broken[task]?.remove(parent)
                    needs[task]?.remove(parent)
                }
            }
            if isBroken || task.map({ broken[$0]?.isEmpty == false }) == true { continue }
            if let task, needs[task]?.isEmpty == false {
                noteChange(of: line)
                let place = score(band: Self.band(ofPriority: arguments.int(position + 3)))
                forgetFailure(of: line)
                letWait(line, score: place)
            } else {
                rest.append(position)
            }
        }
        return rest
    }

    mutating func gateJob(_ arguments: Arguments) -> RESPValue {
        let (job, stays) = (arguments.text(2), arguments.text(3) == "-")
        let conditions = (stays ? "" : arguments.text(3)).split(separator: " ").map { condition in
            let parts = condition.split(separator: ":").map(String.init)
            return After(job: parts[0], way: parts[1])
        }
        let time = arguments.text(4).split(separator: " ")
        if time == ["none"] {
            forgetTime(of: job)
        } else if time.count == 2 {
            times[job] = time[0] == "at" ? "server \(time[1])" : "queue \(now + (Int(time[1]) ?? 0))"
            gates[job] = gates[job] ?? "waits"
        }
        for condition in conditions where condition.way != "each" { awaitedJobs.insert(condition.job) }
        if gates[job] == nil, conditions.contains(where: { $0.way != "each" }) { gates[job] = "waits" }
        if !stays { after[job] = conditions }
        settleGate(job, isByHand: true)
        tellAll()
        return .array([Self.text("changed"), Self.text(gates[job] ?? "")])
    }

    mutating func submitAfter(_ arguments: Arguments) -> RESPValue {
        if identity == nil, !arguments.text(2).isEmpty { identity = arguments.text(2) }
        var counts = [0, 0, 0, 0]
        var position = 3
        let job = Self.job(of: arguments.text(3))
        if jobsLeft[job] != nil {
            return .error(
                RedisError(text: "LEFT what had finished of this job has left Redis, so that it would run again"))
        }
        while position <= arguments.count {
            let line = arguments.text(position)
            let (own, count) = (arguments.text(position + 5), arguments.int(position + 7))
            let isNew = !todo.contains(line) && doing[line] == nil && done[line] == nil
            if isNew || isAside(line) {
                if !own.isEmpty { owns[line] = own }
                let known = numbered(line)
                if count > 0 || known != nil {
                    let task = number(line)
                    needs[task] = []
                    broken[task] = nil
                    for index in 0..<count { waitFor(task, arguments.text(position + 8 + index)) }
                }
                if isNew {
                    noteChange(of: line)
                    let place = score(band: Self.band(ofPriority: arguments.int(position + 3)))
                    if failed[line] != nil {
                        forgetFailure(of: line)
                        (attempts[line], lost[line], requeues[line]) = (nil, nil, nil)
                    }
                    letWait(line, score: place)
                } else if let task = numbered(line), needs[task]?.isEmpty != false {
                    enter(line, score: aside[line] ?? 0)
                }
                counts[isNew ? 0 : 1] += 1
            } else {
                if todo.contains(line), !own.isEmpty { giveOwn(line, own) }
                counts[todo.contains(line) ? 1 : done[line] != nil ? 3 : 2] += 1
            }
            position += 8 + count
        }
        if gates[job]?.hasPrefix("broken") == true { changes.insert("tasks \(job)") }
        wake()
        tellAll()
        return Self.numbers(counts[0], counts[1], counts[2], counts[3])
    }

    private mutating func waitFor(_ task: Numbered, _ parent: String) {
        let standing = standing(parent)
        guard standing == .waits || standing == .failed else { return }
        let other = number(parent)
        awaitedTasks.insert(other.job)
        needs[task, default: []].insert(other)
        if standing == .failed { changes.insert("task \(other.text)") }
    }
}
