// How one Redis bears more and more nodes: what they get through together, how long each waits, whether the work is shared evenly,
// and what they cost while there is nothing to do.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct NodesMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "nodes", abstract: "1 to 1,000 nodes, which are nothing but their requests, on one Redis.")

    @Option(help: "The most nodes: larger fleets are left out.")
    var nodes = 1000

    @Option(help: "How many tasks each fleet claims and reports.")
    var tasks = 50_000

    @Option(help: "How long an idle distcompd is watched.")
    var idleSeconds = 20

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [nodes, tasks, idleSeconds] }

    func measure(in place: String, _ figures: FigureTable) throws {
        let requestsPerSecond = try idleRequestsPerSecond(in: place)
        figures.add("requests of an idle distcompd", requestsPerSecond, "/s")
        for count in [1, 10, 100, 1000] where count <= nodes {
            try measureFleet(of: count, in: place, requestsPerSecond, figures)
        }
    }

    private func measureFleet(
        of count: Int, in place: String, _ requestsPerSecond: Double, _ figures: FigureTable
    ) throws {
        let queue = try BenchQueue(in: place)
        let fleet = try SimulatedFleet(queue, nodeCount: count)
        // Redis measures its own CPU time too coarsely to tell anything of a few requests.
        if count >= 100 {
            let heartbeat = try fleet.processorSeconds { queue.heartbeat($0, reserving: BenchQueue.reserving) }
            figures.add("\(count) nodes: Redis's CPU per heartbeat", heartbeat * 1e6, "us")
            figures.add(
                "\(count) nodes: Redis's CPU per claim in vain", try fleet.processorSeconds { queue.claim($0) } * 1e6,
                "us")
            figures.add(
                "\(count) nodes: Redis's CPU while all are idle", heartbeat * requestsPerSecond * Double(count) * 1e3,
                "ms/s")
        }
        _ = try queue.redis.load(0..<tasks)
        let before = try queue.redis.processorSeconds()
        let record = try fleet.work(taskCount: tasks)
        let busy = try queue.redis.processorSeconds() - before
        figures.add("\(count) nodes: claimed and reported", Double(tasks) / record.seconds, "tasks/s")
        figures.add("\(count) nodes: Redis's CPU per task", busy / Double(tasks) * 1e6, "us")
        figures.add("\(count) nodes: 16 reports and a claim of 16", Spread(record.claimMilliseconds), "ms")
        figures.add("\(count) nodes: fewest tasks of a node", Double(record.tasksOfNodes.min() ?? 0), "")
        figures.add("\(count) nodes: most tasks of a node", Double(record.tasksOfNodes.max() ?? 0), "")
    }

    /// How often a distcompd with the settings as they come asks something while there is nothing to do.
    private func idleRequestsPerSecond(in place: String) throws -> Double {
        let node = try BenchNode(in: place, settings: #""max_task_per_worker": 8"#)
        pause(milliseconds: 2000)
        let before = try node.redis.scriptStatistics().calls
        pause(milliseconds: UInt32(clamping: idleSeconds * 1000))
        return (try node.redis.scriptStatistics().calls - before) / Double(idleSeconds)
    }
}
