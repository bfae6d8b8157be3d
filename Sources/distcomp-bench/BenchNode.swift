// A Redis and a daemon for one measurement, ended with it.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct BenchError: Error, CustomStringConvertible {
    let description: String
}

final class BenchNode {
    let keys = QueueKeys()
    let client: BlockingRedisClient
    let daemon: Int32
    private let redis: Int32
    private let directory: String

    /// - Parameters:
    ///   - place: where the node's files go. They stay: ext4 looks for new inodes past those deleted in the last minute, so a
    ///     clean-up between two measurements would slow the second.
    ///   - settings: JSON members for the daemon's conf.json.
    init(in place: String, settings: String) throws {
        directory = try FileSystem.makeTemporaryDirectory(place + "/node-")
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let log = try OwnedDescriptor.open(directory + "/log", [.writeOnly, .create, .append], mode: 0o644)
        let descriptors = [null.raw, null.raw, log.raw]
        let words = [
            "redis-server", "--port", "0", "--dir", directory, "--unixsocket", "redis.sock", "--save", "",
            "--appendonly", "yes",
        ]
        redis = try ChildProcesses.start("/usr/bin/env", words, descriptors: descriptors)
        let endpoint = RedisEndpoint(unixPath: directory + "/redis.sock")
        client = try Self.waited("redis-server") { try? BlockingRedisClient(endpoint) }

        let configuration = """
            { "redis_url": "unix://\(directory)/redis.sock", "state_dir": "\(directory)/state", "node_name": "bench",
              "result_dir": "\(directory)/result", "max_retry_per_task": 1, "log_level": "warning", \(settings) }
            """
        try FileSystem.replace(directory + "/conf.json", with: Array(configuration.utf8), mode: 0o644)
        daemon = try ChildProcesses.start(
            try Self.program("distcompd"), ["--config", directory + "/conf.json"], descriptors: descriptors)
        _ = try Self.waited("distcompd (see \(directory)/log)") { try counts().workers > 0 ? true : nil }
    }

    deinit {
        for process in [daemon, redis] {
            ChildProcesses.signal(.terminate, process: process)
            _ = try? ChildProcesses.wait(for: process)
        }
    }

    func submit(_ lines: [String]) throws {
        let tasks = try lines.map { try TaskLine(parsing: $0) }
        var rest = tasks[...]
        while !rest.isEmpty {
            _ = try SubmitTasks.parse(try client.call(SubmitTasks(rest, keys: keys).request))
            rest = rest.dropFirst(SubmitTasks.linesMax)
        }
    }

    func counts() throws -> QueueCounts { try ReadCounts.parse(try client.call(ReadCounts(keys: keys).request)) }

    func waitUntil(_ condition: (QueueCounts) -> Bool) throws {
        _ = try Self.waited("the tasks") { condition(try counts()) ? true : nil }
    }

    /// The outcomes of all tasks that have ended.
    func outcomes() throws -> [TaskOutcome] {
        var outcomes: [TaskOutcome] = []
        var cursor = "0"
        repeat {
            let page = try ScanHash.parse(try client.call(ScanHash(keys.outcomes, cursor: cursor).request))
            cursor = page.cursor
            for (_, value) in page.entries {
                guard let space = value.firstIndex(of: 32) else { continue }
                outcomes.append(try TaskOutcome(record: Array(value[(space + 1)...])))
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

    /// The path of another of our programs: it stands beside this one.
    static func program(_ name: String) throws -> String {
        let program = try FileSystem.destination(ofLink: "/proc/self/exe")
        return (program.lastIndex(of: "/").map { String(program[..<$0]) } ?? ".") + "/" + name
    }

    static func waited<Result>(_ what: String, _ attempt: () throws -> Result?) throws -> Result {
        let deadline = SystemClock.bootNanoseconds() + 300_000_000_000
        while SystemClock.bootNanoseconds() < deadline {
            if let result = try attempt() { return result }
            pause(milliseconds: 2)
        }
        throw BenchError(description: "waited 300 s in vain for \(what)")
    }
}
