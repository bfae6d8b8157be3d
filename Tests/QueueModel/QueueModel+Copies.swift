// Second copies of tasks that take long.

import RedisClient
import TaskModel

extension QueueModel {
    /// Who runs the second copy of a task.
    public struct Copy: Equatable, Sendable {
        public let incarnation: String
        public let token: Int
    }

    private mutating func revoke(_ line: String, from incarnation: String) {
        guard let entry = held[incarnation]?[line] else { return }
        revoked[incarnation, default: [:]][line] = entry.token
        cancelled[incarnation]?[line] = nil
        held[incarnation]?[line] = nil
        published.append("cancel")
    }

    mutating func dropCopy(of line: String) {
        guard let copy = copies.removeValue(forKey: line) else { return }
        revoke(line, from: copy.incarnation)
    }

    /// What a copy comes to that has ended; whether nothing more is to be done, for the other goes on.
    mutating func leavesToOther(_ line: String, _ me: String, _ kind: String) -> Bool {
        guard let copy = copies[line] else { return false }
        if copy.incarnation == me {
            guard kind == "finished", done[line] == nil else {
                copies[line] = nil
                held[me]?[line] = nil
                return true
            }
            if let first = holder(of: line) { revoke(line, from: first.incarnation) }
            doing[line] = Self.nodeName(me)
        } else if kind == "returned", cancelled[me]?[line] == nil {
            doing[line] = Self.nodeName(copy.incarnation)
            copies[line] = nil
            held[me]?[line] = nil
            return true
        } else {
            revoke(line, from: copy.incarnation)
        }
        copies[line] = nil
        return false
    }

    mutating func learnTime(_ line: String, _ record: String) {
        guard let seconds = record.firstMatch(of: /"wall_seconds":([0-9.]+)/).flatMap({ Double($0.1) }) else { return }
        durations[Self.job(of: line), default: MemoryPeaks()].add(UInt64(max(1, (seconds * 1000).rounded(.down))))
    }

    mutating func dateTokens() {
        guard token > (serverMilliseconds + 1000) * 1000 else { return }
        if let last = tokenTimes.max(by: { $0.value < $1.value }) {
            if token <= last.value || abs(serverMilliseconds - last.key) < 1000 { return }
        }
        tokenTimes[serverMilliseconds] = token
    }

    /// For how long what was given under a token has run at least, in milliseconds.
    private func age(of token: Int) -> Int {
        let by = tokenTimes.filter { $0.value >= token }.min { $0.value < $1.value }?.key
        return max(serverMilliseconds - token / 1000, by.map { serverMilliseconds - $0 } ?? 0)
    }

    struct Copied {
        var lines: [String] = []
        var rows: [RESPValue] = []
        /// There may be more to give some time.
        var mayCome = false

        static let none = Copied()
    }

    /// Whether something waits that a node may be given when more of it is free.
    private func isAnyAwaited(by me: String, _ now: Int) -> Bool {
        guard let node = nodes[me] else { return true }
        return waiting.contains { line, place in
            !isGated(line) && !isPaused(line) && place.memory <= node.memory && place.millicores <= node.millicores
                && isMeant(me, by: line)
                && couldHold(me, line) && mayTake(line, place, Self.nodeName(me), now)
        }
    }

    /// What a node with room is given where nothing waits that it may be given.
    mutating func copyLateTasks(
        to me: String, _ want: inout Int, _ memory: UInt64, _ millicores: Int, _ free: FreeResources, _ now: Int
    ) -> Copied {
        guard want > 0, !jobsIdempotent.isEmpty else { return .none }
        var copied = Copied(mayCome: true)
        guard now >= copiedUntil[me] ?? 0, !isAnyAwaited(by: me, now) else { return copied }
        let running = doing.keys.filter { jobsIdempotent.contains(Self.job(of: $0)) }
        guard !running.isEmpty else { return .none }
        copiedUntil[me] = now + 3000
        var (memory, millicores, free) = (memory, millicores, free)
        let late = running.compactMap { line in holder(of: line).map { (line: line, entry: $0.entry) } }.sorted {
            (Self.job(of: $0.line), $0.entry.token) < (Self.job(of: $1.line), $1.entry.token)
        }
        for (line, entry) in late where copies[line] == nil && doing[line] != Self.nodeName(me) {
            guard want > 0, !isPaused(line), let times = durations[Self.job(of: line)],
                times.count >= MemoryPeaks.countMin,
                let usual = times.edgeOfMost,
                Double(age(of: entry.token)) > max(usual * 2, 10_000),
                entry.memory <= memory, entry.millicores <= millicores, isMeant(me, by: line),
                mayTake(
                    line, Place(memory: entry.memory, millicores: entry.millicores, score: 0), Self.nodeName(me), now),
                free.take(needs(of: line))
            else { continue }
            (want, memory, millicores) = (want - 1, memory - entry.memory, millicores - entry.millicores)
            token = max(token, Int(serverMicroseconds)) + 1
            held[me, default: [:]][line] = Held(
                token: token, memory: entry.memory, millicores: entry.millicores, score: entry.score,
                attempt: entry.attempt)
            copies[line] = Copy(incarnation: me, token: token)
            if counted.contains(me) { noteTurn(of: line, token: token) }
            copied.lines.append(line)
            copied.rows += [
                Self.text(line), Self.text(String(token)), .integer(Int64(entry.attempt)), .null, ownText(line),
            ]
        }
        return copied
    }
}
