// The queue by itself, at a million tasks and a thousand nodes, on one real Redis, with the commands people use.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

func measureQueue(taskCount: Int, nodeCount: Int, in place: String, _ report: FigurePrinter) throws {
    let queue = try BenchQueue(in: place)
    let fleet = try SimulatedFleet(queue, nodeCount: nodeCount)
    report.print("queue", "Redis's CPU per heartbeat", try fleet.processorSeconds(queue.heartbeat) * 1e6, "us")
    report.print("queue", "Redis's CPU per claim in vain", try fleet.processorSeconds(queue.claim) * 1e6, "us")
    let node = try queue.register("a")
    let empty = try queue.usedBytes()

    let small = 1000
    _ = try queue.distcomp("submit", "--quiet", try queue.writeLines(0..<small))
    let few = try claimMicroseconds(queue, node)
    let file = try queue.writeLines(small..<taskCount)
    let processorBefore = try queue.processorSeconds()
    let seconds = try queue.distcomp("submit", "--quiet", file)
    let added = Double(taskCount - small)
    let loadCost = (try queue.processorSeconds() - processorBefore) / added
    let bytes = (try queue.usedBytes() - empty) / Double(taskCount)
    let many = try claimMicroseconds(queue, node)
    report.print("queue", "distcomp submit of a file of \(taskCount) lines", added / seconds, "lines/s")
    report.print("queue", "Redis's CPU per line", loadCost * 1e6, "us")
    report.print("queue", "Redis memory per queued task of 102 bytes", bytes, "bytes")
    report.print("queue", "claim of 16 at \(small) queued (server)", few, "us")
    report.print("queue", "claim of 16 at \(taskCount) queued (server)", many, "us")
    report.print("queue", "the second in terms of the first", many / few, "")
    let statuses = try (0..<11).map { _ in try queue.distcomp("status", "--json") * 1000 }
    report.print("queue", "distcomp status at \(taskCount) queued", statuses.sorted()[5], "ms")

    try measureFleet(fleet, queue, taskCount: min(taskCount, 320 * nodeCount), report)
    try measureIdle(in: place, report)
}

/// What a claim of 16 takes of the server's time, the median of many; the tasks go back to their places.
private func claimMicroseconds(_ queue: BenchQueue, _ node: Incarnation) throws -> Double {
    var costs: [Double] = []
    for _ in 0..<301 {
        let before = try queue.scriptMicroseconds()
        let reply = try ClaimTasks.parse(try queue.client.call(queue.claim(node)))
        costs.append(try queue.scriptMicroseconds() - before)
        guard reply.tasks.count == 16 else { throw BenchError(description: "a claim gave \(reply.tasks.count) of 16") }
        _ = try queue.client.pipeline(reply.tasks.map { queue.returned($0, node) })
    }
    return costs.sorted()[150]
}

/// Everybody takes tasks and reports them; then somebody reads all results.
private func measureFleet(
    _ fleet: SimulatedFleet, _ queue: BenchQueue, taskCount: Int, _ report: FigurePrinter
) throws {
    let before = try queue.processorSeconds()
    let seconds = try fleet.work(taskCount: taskCount)
    let busy = try queue.processorSeconds() - before
    report.print("queue", "\(fleet.nodeCount) nodes, claims and reports", Double(taskCount) / seconds, "tasks/s")
    report.print("queue", "Redis's CPU per task", busy / Double(taskCount) * 1e6, "us")
    let rows = try queue.distcomp("results", "--format", "jsonl")
    report.print("queue", "distcomp results of \(taskCount) finished", Double(taskCount) / rows, "rows/s")
}

/// How often a distcompd with the settings as they come asks something while there is nothing to do.
private func measureIdle(in place: String, _ report: FigurePrinter) throws {
    let node = try BenchNode(in: place, settings: #""max_task_per_worker": 8"#)
    pause(milliseconds: 2000)
    let before = try BenchQueue.statistics("evalsha", of: node.client).calls
    pause(milliseconds: 30_000)
    let calls = try BenchQueue.statistics("evalsha", of: node.client).calls - before
    report.print("queue", "requests of an idle node", calls / 30, "/s")
}
