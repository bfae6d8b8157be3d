// What people ask, and what is done about lines that an old manager added.

import RedisClient

extension QueueModel {
    /// Lines that are new to todo; `positions` says where in the arguments each is, memory, millicores and priority behind it.
    private mutating func addNew(_ positions: [Int], _ arguments: Arguments) {
        guard !positions.isEmpty else { return }
        if positions.contains(where: { failed[arguments.text($0)] == nil }) {
            jobsWithForgottenFailures.remove(Self.job(of: arguments.text(positions[0])))
        }
        for position in positions { noteChange(of: arguments.text(position)) }
        for position in positions {
            let line = arguments.text(position)
            let place = place(
                of: line, memory: arguments.unsigned(position + 1), millicores: arguments.int(position + 2),
                score: score(band: Self.band(ofPriority: arguments.int(position + 3))))
            todo.insert(line)
            waiting[line] = place
            if failed.removeValue(forKey: line) != nil {
                retrying.remove(line)
                reasons[line] = nil
                outcomes[line] = nil
                attempts[line] = nil
                lost[line] = nil
                requeues[line] = nil
            }
        }
        let job = Self.job(of: arguments.text(positions[0]))
        if gates[job]?.hasPrefix("broken") == true { changes.insert("tasks \(job)") }
        wake()
    }

    mutating func submit(_ arguments: Arguments) -> RESPValue {
        // ARGV: prefix, candidate, then line, memory, millicores, priority, signature.
        let first = Self.submitFirstLine
        var (rest, seen): ([Int], Set<String>) = ([], [])
        var (inTodo, inProgress, finished) = (0, 0, 0)
        if first == 3, identity == nil, !arguments.text(2).isEmpty { identity = arguments.text(2) }
        if first <= arguments.count, hasLeft(arguments.text(first)) {
            return .error(
                RedisError(text: "LEFT what had finished of this job has left Redis, so that it would run again"))
        }
        for position in stride(from: first, through: arguments.count, by: 5) {
            let line = arguments.text(position)
            var isDone = false
            if todo.contains(line) || seen.contains(line) {
                inTodo += 1
                if isAside(line) { waitForNone(line) }
            } else if doing[line] != nil {
                inProgress += 1
            } else if done[line] != nil {
                finished += 1
                isDone = true
            } else {
                seen.insert(line)
                rest.append(position)
                waitForNone(line)
            }
            let signature = arguments.bytes(position + 4)
            if !signature.isEmpty, !isDone { signatures[line] = signature }
        }
        addNew(rest, arguments)
        tellAll()
        return Self.numbers(rest.count, inTodo, inProgress, finished)
    }

    static let submitFirstLine = 3

    /// Which incarnation holds a line that is in progress.
    func holder(of line: String) -> (incarnation: String, entry: Held)? {
        guard let name = doing[line] else { return nil }
        for incarnation in leases.keys.sorted(by: { (leases[$0] ?? 0, $0) < (leases[$1] ?? 0, $1) })
        where Self.nodeName(incarnation) == name {
            if let entry = held[incarnation]?[line] { return (incarnation, entry) }
        }
        return nil
    }

    mutating func cancel(_ arguments: Arguments) -> RESPValue {
        let line = arguments.text(2)
        if line != "WORKER_COMMAND_CLOSE", todo.contains(line) {
            if arguments.count > 2 { delayed[line] = nil }
            failForGood(
                line, token: 0, reason: "cancelled",
                record: Self.cancelledRecord(worker: "", attempt: attempts[line] ?? 0))
            tellAll()
            return Self.text("cancelled")
        }
        guard let (incarnation, entry) = holder(of: line) else { return Self.text("not found") }
        cancelled[incarnation, default: [:]][line] = entry.token
        published.append("cancel")
        return Self.text("stopping")
    }

    mutating func requeue(_ arguments: Arguments) -> RESPValue {
        var (count, hasRevoked) = (0, false)
        for position in stride(from: 2, through: arguments.count, by: 4) {
            let line = arguments.text(position)
            let holder = holder(of: line)
            guard doing[line] != nil else { continue }
            dropCopy(of: line)
            if let (incarnation, entry) = holder {
                revoked[incarnation, default: [:]][line] = entry.token
                note(.putBack(line: line, token: entry.token, from: incarnation, .requeued))
                putBack(line, entry.memory, entry.millicores, score: entry.score)
                hasRevoked = true
                cancelled[incarnation]?[line] = nil
                if cancelled[incarnation]?.isEmpty == true { cancelled[incarnation] = nil }
                held[incarnation]?[line] = nil
            } else {
                let band = Self.band(ofPriority: arguments.int(position + 3))
                let behind = score(band: band)
                putBack(line, arguments.unsigned(position + 1), arguments.int(position + 2), score: behind)
            }
            doing[line] = nil
            count += 1
        }
        if hasRevoked { published.append("cancel") }
        if count > 0 { wake() }
        return .integer(Int64(count))
    }

    mutating func retry(_ arguments: Arguments) -> RESPValue {
        var (rest, seen, hastened): ([Int], Set<String>, Int) = ([], [], 0)
        let own = arguments.text(2)
        func give(_ line: String) { if !own.isEmpty, line.hasPrefix("@") { owns[line] = own } }
        for position in stride(from: 3, through: arguments.count, by: 4) {
            let line = arguments.text(position)
            guard seen.insert(line).inserted else { continue }
            if todo.contains(line) {
                guard let entry = delayed[line] else { continue }
                give(line)
                guard entry.due > 0 else { continue }
                delayed[line] = Delayed(memory: entry.memory, millicores: entry.millicores, band: entry.band, due: 0)
                hastened += 1
            } else if failed[line] != nil, doing[line] == nil, done[line] == nil {
                give(line)
                rest.append(position)
            }
        }
        rest = withoutVain(rest, arguments)
        addNew(rest, arguments)
        if hastened > 0 { promoteDelayed(now) }
        tellAll()
        return Self.numbers(rest.count, hastened)
    }

    mutating func forget(_ arguments: Arguments) -> RESPValue {
        let (isFailed, job) = (arguments.text(2) == "failed", arguments.text(3))
        if isFailed, awaitedJobs.contains(job), !changes.isEmpty { return .integer(0) }
        var count = 0
        for position in stride(from: 4, through: arguments.count, by: 4) {
            let line = arguments.text(position)
            guard isMeant(line, arguments.text(position + 3)) else { continue }
            if isFailed {
                guard failed[line] != nil, !retrying.contains(line) else { continue }
                failed[line] = nil
                reasons[line] = nil
            } else {
                guard done[line] != nil else { continue }
                done[line] = nil
            }
            outcomes[line] = nil
            signatures[line] = nil
            owns[line] = nil
            count += 1
        }
        if isFailed, count > 0, awaitedJobs.contains(job) { jobsWithForgottenFailures.insert(job) }
        return .integer(Int64(count))
    }

    /// Whether the line has ended by this attempt: it may have been tried again, and ended, since.
    private func isMeant(_ line: String, _ token: String) -> Bool {
        switch token {
        case "": true
        case "-": outcomes[line] == nil
        default: outcomes[line]?.hasPrefix(token + " ") == true
        }
    }

    mutating func pause(_ arguments: Arguments) -> RESPValue {
        let wasPaused = isPaused
        isPaused = arguments.text(2) == "1"
        if wasPaused, !isPaused { published.append("todo") }
        return .simpleString("OK")
    }

    mutating func drain(_ arguments: Arguments) -> RESPValue {
        var counts: [String: Int] = [:]
        for incarnation in leases.keys {
            counts[Self.nodeName(incarnation), default: 0] += held[incarnation]?.count ?? 0
        }
        var (answers, hasResumed): ([RESPValue], Bool) = ([], false)
        for position in stride(from: 3, through: arguments.count, by: 1) {
            let name = arguments.text(position)
            if arguments.text(2) != "1" {
                if drained.remove(name) != nil { hasResumed = true } else if counts[name] == nil { counts[name] = -1 }
            } else if counts[name] != nil {
                drained.insert(name)
                published.append("drain \(name)")
            } else {
                counts[name] = status[name] == nil ? -1 : -2
            }
            answers.append(.integer(Int64(counts[name] ?? 0)))
        }
        if hasResumed { published.append("todo") }
        return .array(answers)
    }

    // MARK: - Lines without an index

    mutating func adopt(_ arguments: Arguments) -> RESPValue {
        var added = 0
        for position in stride(from: 2, through: arguments.count, by: 5) {
            let (field, line) = (arguments.text(position), arguments.text(position + 1))
            guard field != "WORKER_COMMAND_CLOSE", todo.contains(field) else { continue }
            let isKnown = field == line || doing[line] == nil && done[line] == nil
            if field != line {
                if isKnown { todo.insert(line) }
                todo.remove(field)
            }
            guard isKnown, delayed[line] == nil else { continue }
            if failed[line] != nil { retrying.insert(line) }
            let fresh = score(band: Self.band(ofPriority: arguments.int(position + 4)))
            waiting[line] = place(
                of: line,
                memory: arguments.unsigned(position + 2), millicores: arguments.int(position + 3),
                score: waiting[line]?.score ?? fresh)
            added += 1
        }
        if now < sweeperUntil { sweeperUntil = now + max(5000, todo.count / 100) }
        if added > 0 { wake() }
        return .integer(Int64(added))
    }

    mutating func reject(_ arguments: Arguments) -> RESPValue {
        let (line, reason) = (arguments.text(2), arguments.text(3))
        guard line != "WORKER_COMMAND_CLOSE", todo.contains(line) else { return .integer(0) }
        failForGood(
            line, token: 0, reason: reason,
            record: "{\"state\":\"failed\",\"cause\":\"launch\",\"attempts\":0,\"launch_step\":\"read the line\","
                + "\"launch_error\":\"\(reason)\",\"reason\":\"\(reason)\"}")
        return .integer(1)
    }
}
