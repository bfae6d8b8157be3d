// A Redis and a daemon for one measurement, ended with it.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

final class BenchNode {
    let keys = QueueKeys()
    let redis: BenchRedis
    private let resultDirectory: String
    private let daemon: Int32

    /// - Parameters:
    ///   - place: where the node's files go.
    ///   - settings: JSON members for the daemon's conf.json.
    init(in place: String, settings: String, isDurable: Bool = true) throws {
        let directory = try FileSystem.makeTemporaryDirectory(place + "/node-")
        redis = try BenchRedis(in: directory, isDurable: isDurable)
        resultDirectory = directory + "/result"
        let configuration = """
            { "redis_url": "unix://\(redis.socketPath)", "state_dir": "\(directory)/state", "node_name": "bench",
              "result_dir": "\(resultDirectory)", "max_retry_per_task": 1, "log_level": "warning",
              "stop_grace_seconds": 0, \(settings) }
            """
        try FileSystem.replace(directory + "/conf.json", with: Array(configuration.utf8), mode: 0o644)
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let log = try OwnedDescriptor.open(directory + "/log", [.writeOnly, .create, .append], mode: 0o644)
        daemon = try startHelper(
            [try program("distcompd"), "--config", directory + "/conf.json"],
            descriptors: [null.raw, null.raw, log.raw])
        _ = try waited("distcompd") {
            if try counts().workers > 0 { return true }
            guard try ChildProcesses.endingIfEnded(daemon) == nil else {
                throw BenchError(
                    description: "distcompd does not start: \(try FileSystem.text(of: directory + "/log"))")
            }
            return nil
        }
    }

    deinit {
        ChildProcesses.signal(.terminate, process: daemon)
        _ = try? ChildProcesses.wait(for: daemon)
    }

    func submit(_ lines: [String]) throws {
        let tasks = try lines.map { try TaskLine(parsing: $0) }
        var rest = tasks[...]
        while !rest.isEmpty {
            _ = try redis.client.perform(SubmitTasks(rest, keys: keys))
            rest = rest.dropFirst(SubmitTasks.linesMax)
        }
    }

    func counts() throws -> QueueCounts { try redis.client.perform(ReadCounts(keys: keys)) }

    func waitUntil(_ condition: (QueueCounts) -> Bool) throws {
        _ = try waited("the tasks") { condition(try counts()) ? true : nil }
    }

    /// How many tasks have been started and not ended: each has a folder.
    func launchedCount() throws -> Int {
        try FileSystem.entries(of: resultDirectory).count { !$0.hasPrefix(".") && $0 != "segments" }
    }

    /// What the task has written to standard output by now, as far as it has begun.
    func standardOutput(of line: String) throws -> String {
        let path = resultDirectory + "/" + (try TaskLine(parsing: line)).identifier + "/stdout"
        return FileSystem.exists(path) ? try FileSystem.text(of: path) : ""
    }

    /// The outcomes of all tasks that have ended.
    func outcomes() throws -> [TaskOutcome] {
        var outcomes: [TaskOutcome] = []
        var cursor = "0"
        repeat {
            let page = try redis.client.perform(ScanHash(keys.outcomes, cursor: cursor))
            cursor = page.cursor
            for (_, value) in page.entries {
                guard let entry = OutcomeEntry(parsing: value) else { continue }
                outcomes.append(try TaskOutcome(record: entry.record))
            }
        } while cursor != "0"
        return outcomes
    }

    /// The daemon's CPU time so far, in seconds, its children's not counted (proc_pid_stat(5), ticks of 10 ms).
    func daemonCPUSeconds() throws -> Double {
        let fields =
            try FileSystem.text(of: "/proc/\(daemon)/stat").split(separator: ")").last?.split(separator: " ") ?? []
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else { return 0 }
        return (user + system) / 100
    }

    /// The daemon's resident memory in MB.
    func daemonMemoryMegabytes() throws -> Double {
        let text = try FileSystem.text(of: "/proc/\(daemon)/status")
        for line in text.split(separator: "\n") where line.hasPrefix("VmRSS:") {
            return (line.split(separator: " ").dropFirst().first.flatMap { Double($0) } ?? 0) / 1024
        }
        return 0
    }
}
