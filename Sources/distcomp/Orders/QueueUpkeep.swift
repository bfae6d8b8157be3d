// What an operator does to a queue as a whole: clear away dead nodes, tell workers to stop, begin anew.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

extension QueueClient {
    /// What `cleanup` did.
    struct Cleanup {
        var removedWorkers: [String] = []
        var requeuedCount = 0
    }

    /// Takes nodes that are not alive out of worker_status, and puts back what they were running, or what somebody runs who is
    /// not known at all.
    ///
    /// - Parameter silenceSecondsMax: how long an old worker, which has no lease, may say nothing.
    func cleanUp(silenceSecondsMax: Double) throws(CommandError) -> Cleanup {
        let fleet = try fleet(countingTasks: false)
        let alive = Set(
            fleet.nodes.filter {
                $0.isAlive(nowUnixSeconds: fleet.nowUnixSeconds, silenceSecondsMax: silenceSecondsMax)
            }.map(\.name))
        var cleanup = Cleanup()
        // Tasks first: a worker that is gone from worker_status is looked for no more.
        var batch = LineBatch { lines throws(CommandError) in cleanup.requeuedCount += try self.requeue(lines) }
        try scan(keys.inProgress) { entries throws(CommandError) in
            for (line, worker) in entries where !alive.contains(text(worker)) { try batch.add(text(line)) }
        }
        try batch.flush()
        for node in fleet.nodes where !alive.contains(node.name) {
            let removed = try answers([.command(RedisCommand("HDEL", keys.workerStatus, node.name))])
            if removed.first?.int == 1 { cleanup.removedWorkers.append(node.name) }
        }
        return cleanup
    }

    /// Tells all workers, ours and old ones, to finish what they run and stop; or takes that back. Whether it was news.
    func setClosing(_ isClosing: Bool) throws(CommandError) -> Bool {
        let command =
            isClosing ? ["HSET", keys.todo, TaskLine.closeCommand, ""] : ["HDEL", keys.todo, TaskLine.closeCommand]
        let changed = try answers([
            .command(RedisCommand(command[0], Array(command.dropFirst()))),
            .command(RedisCommand("PUBLISH", keys.wakeChannel, "todo")),
        ])
        return changed.first?.int == 1
    }

    /// Deletes every key of this queue and no other; how many there were. Nodes that run tasks of it stop them, since their
    /// leases are gone, and register anew.
    func reset() throws(CommandError) -> Int {
        let own = [keys.todo, keys.inProgress, keys.finished, keys.failed, keys.failReason, keys.workerStatus]
        // Not DEL, which would hold up Redis for as long as it takes to free ten million lines.
        var count = try answers([.command(RedisCommand("UNLINK", own))]).first?.int ?? 0
        var cursor = "0"
        repeat {
            let page = try answers([.command(ScanKeys.request(keys: keys, cursor: cursor))])
            let (next, names) = ScanKeys.parse(page.first ?? .null)
            cursor = next
            if names.isEmpty { continue }
            count += try answers([.command(RedisCommand(bytes: [Array("UNLINK".utf8)] + names))]).first?.int ?? 0
        } while cursor != "0"
        return count
    }
}

/// The keys of a queue beside the six hashes, a page at a time.
private enum ScanKeys {
    static func request(keys: QueueKeys, cursor: String) -> RedisCommand {
        RedisCommand("SCAN", cursor, "MATCH", keys.ownPattern, "COUNT", "1000")
    }

    static func parse(_ value: RESPValue) -> (cursor: String, names: [[UInt8]]) {
        guard let parts = value.elements, parts.count == 2, let cursor = parts[0].string else { return ("0", []) }
        return (cursor, parts[1].elements?.compactMap(\.bytes) ?? [])
    }
}
