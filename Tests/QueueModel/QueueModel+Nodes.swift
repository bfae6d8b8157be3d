// What nodes ask.

import RedisClient
import TaskModel

extension QueueModel {
    private var fenced: RESPValue { .error(RedisError(text: "FENCED \(identity ?? "-") the lease is over")) }

    /// A lease that is merely over can still be renewed; one whose tasks are being given to others cannot.
    private mutating func renew(_ me: String, _ now: Int, _ lease: Int) -> Bool {
        guard expiry(of: me) != nil else { return false }
        leases[me] = now + lease
        return true
    }

    private mutating func describe(_ me: String, _ arguments: Arguments, from position: Int) {
        nodes[me] = Node(
            memory: arguments.unsigned(position), millicores: arguments.int(position + 1),
            version: arguments.text(position + 2), address: arguments.text(position + 3))
        let trouble = arguments.text(position + 4)
        troubles[me] = trouble.isEmpty ? nil : trouble
        let labels = arguments.text(position + 5).split(separator: " ").map(String.init)
        let resources = ResourceTotals(text: arguments.text(position + 6))
        let isOther = labels != self.labels[me] ?? [] || resources != self.resources[me] ?? ResourceTotals()
        self.labels[me] = labels.isEmpty ? nil : labels
        self.resources[me] = resources.isEmpty ? nil : resources
        let devices = arguments.text(position + 7)
        deviceUse[me] = devices.isEmpty ? nil : devices
        if isOther { wake() }
    }

    private mutating func identify(_ candidate: String) {
        if identity == nil, !candidate.isEmpty { identity = candidate }
    }

    /// Another process of the server may have lost the last tokens.
    private mutating func passLostTokens(_ run: String, _ chance: String) {
        if run.isEmpty || run == serverRun { return }
        serverRun = run
        let last = max(token, Int(serverMicroseconds))
        if last < Int(serverMicroseconds) + 1_000_000_000_000_000 {
            token = last + (1 << 32) + (Int(chance.suffix(8), radix: 16) ?? 0)
        }
    }

    // MARK: - The lease

    mutating func register(_ arguments: Arguments) -> RESPValue {
        let (me, lease) = (arguments.text(2), arguments.int(3))
        let own = arguments.count > 15 ? Set((16...arguments.count).map(arguments.text)) : []
        let runsSomething = arguments.text(15) == "1"
        let now = observe(lease: lease)
        let (name, machine) = (Self.nodeName(me), Self.machine(me))
        var over: [String] = []
        for other in byExpiry() where other != me && Self.nodeName(other) == name {
            // In the time of quiet after a silence nobody is known to be dead.
            let left = expiry(of: other).map { max($0, clock?.quiet ?? 0) - now } ?? 0
            let address = nodes[other]?.address ?? "-"
            if Self.machine(other) != machine {
                if left > 0 { return .error(RedisError(text: "NAMETAKEN \(name) \(address) \(left)")) }
            } else if left > 0, !own.contains(other) {
                return .error(RedisError(text: "TWIN \(address) \(left)"))
            } else if !(runsSomething && own.contains(other)) {
                over.append(other)
            }
        }
        for other in over { reap(other, unmarked: false, why: .registered) }
        tellAll()
        identify(arguments.text(5))
        passLostTokens(arguments.text(14), arguments.text(5))
        describe(me, arguments, from: 6)
        leases[me] = now + lease
        status[name] = arguments.text(4)
        return .array([Self.text("OK"), .integer(Int64(clock?.silence ?? 0)), Self.text(identity ?? "")])
    }

    mutating func heartbeat(_ arguments: Arguments) -> RESPValue {
        let (me, lease) = (arguments.text(2), arguments.int(3))
        let (asked, elapsed) = (arguments.int(5), arguments.int(6))
        let now = observe(lease: lease)
        guard let expiry = expiry(of: me) else { return fenced }
        // More time has passed here than there, since this node last renewed.
        if (now - (expiry - lease) - elapsed) * 6 > lease {
            clock?.queue = now
            let time = serverMilliseconds
            clock?.server = time
            beSilent(lease: lease)
        }
        _ = renew(me, now, lease)
        status[Self.nodeName(me)] = arguments.text(4)
        identify(arguments.text(8))
        passLostTokens(arguments.text(17), arguments.text(8))
        describe(me, arguments, from: 9)
        dateTokens()
        lookAfterOwners(me, now)
        promoteDelayed(now)
        var reaped = 0
        if let clock, asked == clock.silence, now >= clock.quiet {
            for dead in byExpiry().filter({ leases[$0, default: 0] < now }).prefix(10) {
                reaped += reap(dead, unmarked: false, why: .reaped)
            }
        }
        noteGates()
        tellAll()
        noteTimeouts(of: me, arguments)
        let hasOrders = cancelled[me]?.isEmpty == false || revoked[me]?.isEmpty == false
        let beatsSoon = leases.values.contains { $0 * 5 <= now * 5 + lease * 3 }
        return .array([
            .integer(isClosing ? 1 : 0), .integer(Int64(reaped)), .integer(0), .integer(isPaused ? 1 : 0),
            .integer(hasOrders ? 1 : 0), .integer(drained.contains(Self.nodeName(me)) ? 1 : 0),
            .integer(Int64(clock?.silence ?? 0)), Self.text(identity ?? ""), .integer(beatsSoon ? 1 : 0),
        ])
    }

    /// The order of a sorted set.
    func byExpiry() -> [String] {
        leases.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
    }

    func expiry(of incarnation: String) -> Int? { leases[incarnation].flatMap { $0 > 0 ? $0 : nil } }

    var isClosing: Bool { todo.contains("WORKER_COMMAND_CLOSE") }

    mutating func leave(_ arguments: Arguments) -> RESPValue {
        reap(arguments.text(2), unmarked: true, why: .left)
        tellAll()
        return .integer(Int64(held[arguments.text(2)]?.count ?? 0))
    }

    // MARK: - Putting back

    @discardableResult
    mutating func reap(_ incarnation: String, unmarked: Bool, why: Happening.Why) -> Int {
        if leases[incarnation] != nil { leases[incarnation] = 0 }
        let rows = held[incarnation] ?? [:]
        for (line, entry) in rows.sorted(by: { $0.key < $1.key }) {
            putBackHeld(incarnation, line, entry, unmarked: unmarked, why: why)
        }
        held[incarnation] = nil
        counted.remove(incarnation)
        nodes[incarnation] = nil
        troubles[incarnation] = nil
        labels[incarnation] = nil
        timeouts[incarnation] = nil
        reservations[incarnation] = nil
        resources[incarnation] = nil
        deviceUse[incarnation] = nil
        copiedUntil[incarnation] = nil
        cancelled[incarnation] = nil
        revoked[incarnation] = nil
        leases[incarnation] = nil
        let name = Self.nodeName(incarnation)
        if !leases.keys.contains(where: { Self.nodeName($0) == name }) { status[name] = nil }
        if !rows.isEmpty { wake() }
        return rows.count
    }

    private mutating func putBackHeld(
        _ incarnation: String, _ line: String, _ entry: Held, unmarked: Bool, why: Happening.Why
    ) {
        let name = Self.nodeName(incarnation)
        let owner = doing[line]
        if copies[line]?.incarnation == incarnation {
            copies[line] = nil
            return
        }
        if let owner, owner != name { return }
        if done[line] != nil { return }
        if owner == nil, hasFailedForGood(line) || hasLeft(line) { return }
        if let copy = copies[line], cancelled[incarnation]?[line] == nil {
            doing[line] = Self.nodeName(copy.incarnation)
            copies[line] = nil
            return
        }
        dropCopy(of: line)
        note(.putBack(line: line, token: entry.token, from: incarnation, why))
        var lostCount = 0
        if !unmarked {
            attempts[line] = entry.attempt
            lost[line, default: 0] += 1
            lostCount = lost[line] ?? 0
        }
        if cancelled[incarnation]?[line] != nil {
            failForGood(
                line, token: 0, reason: "cancelled", record: Self.cancelledRecord(worker: name, attempt: entry.attempt))
        } else if lostCount >= 3 {
            failed[line] = (failed[line] ?? "") + name + ","
            failForGood(
                line, token: 0, reason: "poison: node lost 3 times",
                record: "{\"state\":\"failed\",\"cause\":\"node-lost\",\"worker\":\"\(name)\","
                    + "\"attempts\":\(entry.attempt),\"reason\":\"poison: node lost 3 times\"}")
        } else {
            putBack(line, entry.memory, entry.millicores, score: entry.score)
        }
        doing[line] = nil
    }

    // MARK: - Claims

    mutating func claim(_ arguments: Arguments) -> RESPValue {
        let (me, lease, asked) = (arguments.text(2), arguments.int(3), arguments.int(8))
        var want = arguments.int(4)
        var (memory, millicores) = (arguments.unsigned(5), arguments.int(6))
        var free = FreeResources(text: arguments.text(9))
        let now = observe(lease: lease)
        let name = Self.nodeName(me)
        guard renew(me, now, lease) else { return fenced }
        promoteDelayed(now)
        tellAll()
        let isHeldBack = revoked[me]?.isEmpty == false
        let hasOrders = isHeldBack || cancelled[me]?.isEmpty == false
        let takesOn =
            want > 0 && !isClosing && !isPaused && !isHeldBack && !drained.contains(name) && asked == clock?.silence
        var given: [(line: String, place: Place)] = []
        var rows: [RESPValue] = []
        var lines: [String] = []
        var passing: Passing?
        if takesOn, let reservation = reservations[me] {
            if let (line, place) = nextReserved(reservation, me, want, memory, millicores, &free) {
                if hasSeveralOwners { count(me) }
                rows = give([(line, place)], to: me, withSignatures: arguments.text(7) == "1")
                if hasSeveralOwners { noteTurn(of: line, token: token) }
                lines = [line]
                (want, memory, millicores) = (want - 1, memory - place.memory, millicores - place.millicores)
            }
            passing = reservations[me].map { Passing($0, timeouts[me], at: now) }
        }
        if takesOn, hasSeveralOwners {
            let model = self
            given = shareOut(to: me, count: want, memory: memory, millicores: millicores, &free) { line, place in
                !model.isGated(line) && !model.isPaused(line) && model.isMeant(me, by: line)
                    && model.mayTake(line, place, name, now)
                    && passing?.letsPass(line, place, model) ?? true
            }
            want -= given.count
            memory -= given.reduce(0) { $0 + $1.place.memory }
            millicores -= given.reduce(0) { $0 + $1.place.millicores }
        } else if takesOn, !waiting.isEmpty {
            for (line, place) in waiting.sorted(by: { $0.value.score < $1.value.score }) {
                if want == 0 { break }
                var left = free
                guard place.memory <= memory, place.millicores <= millicores, !isGated(line), !isPaused(line),
                    isMeant(me, by: line), mayTake(line, place, name, now), left.take(needs(of: line)),
                    passing?.letsPass(line, place, self) ?? true
                else {
                    continue
                }
                free = left
                memory -= place.memory
                millicores -= place.millicores
                want -= 1
                given.append((line, place))
            }
        }
        rows += give(given, to: me, withSignatures: arguments.text(7) == "1")
        lines += given.map(\.line)
        if let passing { reservations[me] = passing.reservation }
        let copied = takesOn ? copyLateTasks(to: me, &want, memory, millicores, free, now) : .none
        rows += copied.rows
        lines += copied.lines
        let isShort = takesOn && want > 0
        if isShort { fedUntil = 0 }
        var due = delayed.values.map(\.due).min().map { max(0, $0 - now) } ?? -1
        if copied.mayCome, want > 0 { due = due < 0 ? 5000 : min(due, 5000) }
        let needsSweep = needsSweep(isShort: isShort)
        let hasLeft =
            arguments.text(12) == "1" && asked == clock?.silence && rows.isEmpty && !needsSweep && due != 0
            && !isHeldBack
            && (held[me] ?? [:]).isEmpty
        if hasLeft { reap(me, unmarked: true, why: .left) }
        return .array([
            .array(rows), .integer(isClosing ? 1 : 0), .integer(needsSweep ? 1 : 0),
            .integer(Int64(due)), .integer(isPaused ? 1 : 0), .integer(hasOrders ? 1 : 0),
            .integer(isHeldBack ? 1 : 0), .integer(Int64(clock?.silence ?? 0)),
            .integer(hasLeft ? 1 : 0), .array(records(ofJobsOf: lines)),
        ])
    }

    private func records(ofJobsOf lines: [String]) -> [RESPValue] {
        let jobs = Set(lines.map { Self.job(of: $0) }).filter { jobRecords[$0] != nil }.sorted()
        return jobs.isEmpty ? [] : [Self.text("1")] + jobs.flatMap { [Self.text($0), Self.text(jobRecords[$0] ?? "")] }
    }

    /// Not what failed here, while another could.
    func mayTake(_ line: String, _ place: Place, _ name: String, _ now: Int) -> Bool {
        guard let exclusion = failed[line], Self.lists(exclusion, name) else { return true }
        return !nodes.contains { incarnation, node in
            let other = Self.nodeName(incarnation)
            return node.memory >= place.memory && node.millicores >= place.millicores && isLive(incarnation, at: now)
                && !drained.contains(other) && troubles[incarnation] == nil && !Self.lists(exclusion, other)
                && isMeant(incarnation, by: line) && couldHold(incarnation, line)
        }
    }

    func isMeant(_ incarnation: String, by line: String) -> Bool {
        jobNodeLabels[Self.job(of: line)]?.matches(Set(labels[incarnation] ?? [])) ?? true
    }

    private mutating func give(
        _ given: [(line: String, place: Place)], to me: String, withSignatures: Bool
    ) -> [RESPValue] {
        var rows: [RESPValue] = []
        // The scripts make a series of tokens a class, and a class is a size with the workers that failed.
        for (line, place) in given {
            let own = max(token, Int(serverMicroseconds)) + 1
            token = own
            let attempt = attempts[line, default: 0] + 1
            held[me, default: [:]][line] = Held(
                token: own, memory: place.memory, millicores: place.millicores, score: place.score, attempt: attempt)
            doing[line] = Self.nodeName(me)
            todo.remove(line)
            waiting[line] = nil
            note(.gave(line: line, token: own, to: me))
            let signature = withSignatures ? signatures[line] : nil
            rows += [
                Self.text(line), Self.text(String(own)), .integer(Int64(attempt)),
                signature.map { .bulkString($0) } ?? .null, ownText(line),
            ]
        }
        return rows
    }

    private mutating func needsSweep(isShort: Bool) -> Bool {
        // Old managers add nothing to jobs.
        func own(_ lines: some Sequence<String>) -> Int { lines.count { !$0.hasPrefix("@") } }
        let (count, delayedCount) = (own(todo) - (isClosing ? 1 : 0), own(delayed.keys))
        guard count > delayedCount, now >= sweeperUntil else { return false }
        if count <= own(waiting.keys) + delayedCount {
            guard isShort, now >= sweptUntil else { return false }
            sweptUntil = now + max(600_000, count)
        }
        sweeperUntil = now + 5000
        return true
    }

    func heldTasks(_ arguments: Arguments) -> RESPValue {
        guard expiry(of: arguments.text(2)) != nil else { return fenced }
        let rows = (held[arguments.text(2)] ?? [:]).sorted { $0.key < $1.key }
        return .array(
            rows.flatMap { line, entry in
                let fields = "\(entry.token) \(entry.memory) \(entry.millicores) \(entry.score) \(entry.attempt)"
                let signature = arguments.text(3) == "1" ? signatures[line] : nil
                return [
                    Self.text(line), Self.text(fields), signature.map { .bulkString($0) } ?? .null,
                    jobRecords[Self.job(of: line)].map { Self.text($0) } ?? .null, ownText(line),
                ]
            })
    }

    func ownText(_ line: String) -> RESPValue { owns[line].map { Self.text($0) } ?? .null }

    mutating func cancellations(_ arguments: Arguments) -> RESPValue {
        let me = arguments.text(2)
        var lines: [String] = []
        for (line, token) in (cancelled[me] ?? [:]).sorted(by: { $0.key < $1.key }) {
            if held[me]?[line]?.token == token { lines.append(line) } else { cancelled[me]?[line] = nil }
        }
        lines += (revoked[me] ?? [:]).keys.sorted()
        revoked[me] = nil
        if cancelled[me]?.isEmpty == true { cancelled[me] = nil }
        return .array(lines.map { Self.text($0) })
    }

    // MARK: - Taking up again

    mutating func restore(_ arguments: Arguments) -> RESPValue {
        let me = arguments.text(2)
        guard expiry(of: me) != nil else { return fenced }
        let (isLast, earlierCount) = (arguments.text(3) == "1", arguments.int(4))
        let earlier = earlierCount > 0 ? Set((5...4 + earlierCount).map(arguments.text)) : []
        var answers: [RESPValue] = []
        for position in stride(from: 5 + earlierCount, through: arguments.count, by: 8) {
            let line = arguments.text(position)
            let entry = Held(
                token: arguments.int(position + 1), memory: arguments.unsigned(position + 2),
                millicores: arguments.int(position + 3),
                score: Self.band(ofPriority: arguments.int(position + 4)) * Self.arrivalsOfBand,
                attempt: arguments.int(position + 5))
            answers.append(Self.text(restore(line, entry, for: me, earlier, own: arguments.text(position + 7))))
        }
        if isLast {
            for other in byExpiry() where other != me && earlier.contains(other) {
                reap(other, unmarked: false, why: .registered)
            }
        }
        tellAll()
        return .array(answers)
    }

    private mutating func restore(
        _ line: String, _ entry: Held, for me: String, _ earlier: Set<String>, own: String
    ) -> String {
        func keepOwn() { if !own.isEmpty, line.hasPrefix("@"), owns[line] == nil { owns[line] = own } }
        if let mine = held[me]?[line] {
            if mine.token == entry.token { keepOwn() }
            return mine.token == entry.token ? "held" : "taken"
        }
        let ended = outcomes[line]?.split(separator: " ").first.flatMap { Int($0) } ?? 0
        if ended == entry.token { return "held" }
        let name = Self.nodeName(me)
        var over: [String] = []
        if isTaken(line, me, name, earlier, &over) || ended > entry.token { return "taken" }
        if token < entry.token { token = entry.token + (1 << 32) + token % (1 << 32) }
        // Its place among those that wait is that of its arrival, should it go back.
        let known = waiting[line]?.score
        let score = known ?? self.score(band: entry.score / Self.arrivalsOfBand)
        held[me, default: [:]][line] = Held(
            token: entry.token, memory: entry.memory, millicores: entry.millicores, score: score, attempt: entry.attempt
        )
        if counted.contains(me) { noteTurn(of: line, token: entry.token) }
        doing[line] = name
        let wasPutBack = todo.remove(line) != nil
        if wasPutBack {
            delayed[line] = nil
            waiting[line] = nil
        }
        keepOwn()
        if wasPutBack || entry.attempt == 1 { undoMark(line, attempt: entry.attempt) }
        for other in over {
            held[other]?[line] = nil
            if held[other]?.isEmpty == true { held[other] = nil }
        }
        restoredCount += 1
        note(.restored(line: line, token: entry.token, to: me))
        return "restored"
    }

    /// Whoever put the line back has marked it as lost with its node, which lives.
    private mutating func undoMark(_ line: String, attempt: Int) {
        if attempt == 1 { (lost[line], attempts[line]) = (nil, nil) }
        guard attempts[line] == attempt else { return }
        if let count = lost[line] { lost[line] = count > 1 ? count - 1 : nil }
        attempts[line] = attempt - 1
    }

    /// Whether somebody else has the line, or it has ended; lives that are over and hold it go to `over`.
    private func isTaken(
        _ line: String, _ me: String, _ name: String, _ earlier: Set<String>, _ over: inout [String]
    ) -> Bool {
        if done[line] != nil || hasFailedForGood(line) || hasLeft(line) { return true }
        if revoked[me]?[line] != nil { return true }
        if let owner = doing[line], owner != name { return true }
        let now = now
        for other in byExpiry() where other != me && Self.nodeName(other) == name && held[other]?[line] != nil {
            if !earlier.contains(other), let expiry = expiry(of: other), expiry >= now || now < clock?.quiet ?? 0 {
                return true
            }
            over.append(other)
        }
        return false
    }

    public func hasFailedForGood(_ line: String) -> Bool {
        failed[line] != nil && !retrying.contains(line) && !todo.contains(line) && doing[line] == nil
            && done[line] == nil
    }

    // MARK: - Reports

    mutating func report(_ arguments: Arguments) -> RESPValue {
        let (me, line, word) = (arguments.text(2), arguments.text(3), arguments.text(5))
        // What is behind a colon is only counted.
        let (kind, mayHaveCopy) = (String(word.prefix { $0.isLetter }), word.prefix { $0 != ":" }.hasSuffix("+"))
        let (name, token) = (Self.nodeName(me), arguments.int(4))
        let wasTold = outcomes[line]?.hasPrefix("\(token) ") == true
        guard let entry = held[me]?[line], entry.token == token else {
            return Self.text(wasTold ? "duplicate" : "stale")
        }
        if mayHaveCopy, leavesToOther(line, me, kind) { return Self.text("accepted") }
        let owner = doing[line]
        if owner.map({ $0 != name }) ?? (done[line] != nil && !wasTold || hasLeft(line)) {
            held[me]?[line] = nil
            return Self.text("stale")
        }
        let isCancelled = cancelled[me]?[line] != nil
        let requeueCount = entry.attempt != 1 ? requeues[line]?.count ?? 0 : 0
        let record = Self.record(arguments.text(6), requeueCount)
        switch kind {
        case "finished":
            noteChange(of: line)
            note(.finished(line: line, token: token, by: me, wasFinished: done[line] != nil))
            outcomes[line] = "\(token) \(record)"
            done[line] = arguments.bytes(7)
            retrying.remove(line)
            if failed.removeValue(forKey: line) != nil { reasons[line] = nil }
            // The script spares itself that where there can hardly be any marks.
            if entry.attempt != 1 {
                attempts[line] = nil
                lost[line] = nil
                requeues[line] = nil
            }
            signatures[line] = nil
            todo.remove(line)
            waiting[line] = nil
            learn(line, arguments.unsigned(8))
            if mayHaveCopy { learnTime(line, arguments.text(6)) }
        case "failed" where !isCancelled && goesOnWithMore(line, entry, arguments):
            outcomes[line] = "\(token) \(record)"
            attempts[line] = entry.attempt
            note(.putBack(line: line, token: token, from: me, .failed))
            putBack(line, entry.memory, entry.millicores, score: entry.score)
            wake()
        case "failed" where !isCancelled && goesBack(line, entry, requeueCount, arguments):
            note(.putBack(line: line, token: token, from: me, .failed))
        case "failed":
            failedHere(line, entry, name, record, arguments, isCancelled: isCancelled)
        default:
            if isCancelled {
                failForGood(
                    line, token: token, reason: "cancelled",
                    record: Self.cancelledRecord(worker: name, attempt: entry.attempt))
            } else {
                note(.putBack(line: line, token: token, from: me, .returned))
                putBack(line, entry.memory, entry.millicores, score: entry.score)
                wake()
            }
        }
        cancelled[me]?[line] = nil
        if cancelled[me]?.isEmpty == true { cancelled[me] = nil }
        doing[line] = nil
        held[me]?[line] = nil
        tellAll()
        return Self.text("accepted")
    }

    private mutating func failedHere(
        _ line: String, _ entry: Held, _ name: String, _ record: String, _ arguments: Arguments, isCancelled: Bool
    ) {
        let workers = (failed[line] ?? "") + name + ","
        let count = workers.split(separator: ",").count
        var reason = arguments.text(7)
        if entry.attempt != 1, let count = requeues[line]?.count {
            reason +=
                "; it went back to the queue \(count) time\(count == 1 ? "" : "s")"
                + (count == 100 ? ", the most that is allowed" : "")
        }
        guard count < arguments.int(8), !isCancelled, arguments.count < 12 else {
            failed[line] = workers
            return failForGood(line, token: entry.token, reason: reason, record: record)
        }
        retrying.insert(line)
        failed[line] = workers
        reasons[line] = reason
        outcomes[line] = "\(entry.token) \(record)"
        attempts[line] = entry.attempt
        let pause = min(3_600_000, arguments.int(9) << min(20, count - 1))
        let band = entry.score / Self.arrivalsOfBand
        if pause > 0 {
            todo.insert(line)
            let due = now + pause
            delayed[line] = Delayed(memory: entry.memory, millicores: entry.millicores, band: band, due: due)
            note(.delayed(line: line, milliseconds: pause))
        } else {
            let behind = score(band: band)
            putBack(line, entry.memory, entry.millicores, score: behind)
            wake()
        }
    }

    private static func record(_ record: String, _ requeueCount: Int) -> String {
        requeueCount == 0 ? record : record.dropLast() + ",\"requeues\":\(requeueCount)}"
    }

    /// Whether it goes back to the queue as it asked: to its place, if it ran for long.
    private mutating func goesBack(_ line: String, _ entry: Held, _ countBefore: Int, _ arguments: Arguments) -> Bool {
        guard arguments.count >= 12, !Self.job(of: line).isEmpty, countBefore < 100 else { return false }
        let count = countBefore + 1
        outcomes[line] = "\(entry.token) \(Self.record(arguments.text(6), count))"
        attempts[line] = entry.attempt
        let pause = min(60_000, 1000 << min(20, count - 1)) - arguments.int(12)
        requeues[line] = (count, pause > 0 ? entry.score : nil)
        if pause > 0 {
            todo.insert(line)
            delayed[line] = Delayed(
                memory: entry.memory, millicores: entry.millicores, band: entry.score / Self.arrivalsOfBand,
                due: now + pause)
            note(.delayed(line: line, milliseconds: pause))
        } else {
            putBack(line, entry.memory, entry.millicores, score: entry.score)
            wake()
        }
        return true
    }
}
