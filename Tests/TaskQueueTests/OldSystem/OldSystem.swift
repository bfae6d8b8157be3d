// Stand-ins for the manager and the worker of the old system, which know the six hashes and nothing else.

import RedisClient
import TaskModel
import TaskQueue

/// Loads lines and moves them about, each by a command of its own.
struct OldManager {
    let bench: QueueBench

    func load(_ lines: [String]) throws {
        _ = try bench.client.pipeline(
            lines.map { .command(RedisCommand("HSETNX", bench.keys.todo, $0, "")) })
    }

    func moveInProgressTaskToTodo() throws {
        for entry in try bench.command("HGETALL", bench.keys.inProgress).entries ?? [] {
            guard let line = entry.key.string else { continue }
            try bench.command("HSET", bench.keys.todo, line, "")
            try bench.command("HDEL", bench.keys.inProgress, line)
        }
    }

    func moveFailedTaskToTodo() throws {
        for entry in try bench.command("HGETALL", bench.keys.failed).entries ?? [] {
            guard let line = entry.key.string else { continue }
            try bench.command("HSET", bench.keys.todo, line, "")
            try bench.command("HDEL", bench.keys.failed, line)
        }
    }

    /// Workers that have been silent are taken out of the listing.
    func cleanup(silentSeconds: Int, now: Int) throws {
        for entry in try bench.command("HGETALL", bench.keys.workerStatus).entries ?? [] {
            guard let name = entry.key.string, let status = entry.value.string,
                let heard = status.split(separator: ":").first.flatMap({ Int($0) })
            else { continue }
            if now - heard > silentSeconds { try bench.command("HDEL", bench.keys.workerStatus, name) }
        }
    }
}

/// Claims by HDEL, whose count decides, then HSET; over 1,000 tasks it looks at 20 random ones.
struct OldWorker {
    let bench: QueueBench
    let name: String

    /// Takes one task; nil when there is none or it is told to stop. One that `dies` takes it and says so to nobody.
    func take(dies: Bool = false) throws -> String? {
        let count = try bench.command("HLEN", bench.keys.todo).int ?? 0
        let fields =
            count > 1000
            ? try bench.command("HRANDFIELD", bench.keys.todo, "20").elements
            : try bench.command("HKEYS", bench.keys.todo).elements
        for line in (fields ?? []).compactMap(\.string) {
            if line == TaskLine.closeCommand { return nil }
            guard try bench.command("HDEL", bench.keys.todo, line).int == 1 else { continue }
            if !dies { try bench.command("HSET", bench.keys.inProgress, line, name) }
            return line
        }
        return nil
    }

    func finish(_ line: String, output: String) throws {
        try bench.command("HSET", bench.keys.finished, line, "\(name): \(JSONText.quoted(output))")
        try bench.command("HDEL", bench.keys.inProgress, line)
    }

    func fail(_ line: String, attemptsMax: Int = 3) throws {
        let workers = (try bench.command("HGET", bench.keys.failed, line).string ?? "") + name + ","
        try bench.command("HSET", bench.keys.failed, line, workers)
        try bench.command("HSET", bench.keys.failReason, line, "returned 1")
        if workers.split(separator: ",").count < attemptsMax { try bench.command("HSET", bench.keys.todo, line, "") }
        try bench.command("HDEL", bench.keys.inProgress, line)
    }

    func beat(at unixSeconds: Int) throws {
        try bench.command("HSET", bench.keys.workerStatus, name, "\(unixSeconds):1.0:4:2.5:16")
    }
}

extension BenchNode {
    /// Claims; and when told to, looks through todo for what has no index, and claims again.
    func claimSweeping(_ count: Int) throws -> [ClaimTasks.Claimed] {
        let reply = try claimReply(count)
        guard reply.needsSweep else { return reply.tasks }
        try sweep()
        return try reply.tasks + claim(count - reply.tasks.count)
    }

    func sweep() throws {
        var cursor = "0"
        repeat {
            let page = try ScanHash.parse(try bench.call(ScanHash(bench.keys.todo, cursor: cursor).request))
            cursor = page.cursor
            for request in TodoSweep.requests(for: page, keys: bench.keys).requests {
                if let error = try bench.call(request).error { throw error }
            }
        } while cursor != "0"
        try bench.command("DEL", bench.keys.sweeper)  // As the passing of five seconds would.
    }
}
