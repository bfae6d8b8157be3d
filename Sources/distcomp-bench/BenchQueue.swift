// A redis-server of a measurement's own, and what nodes and people say to it.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

final class BenchQueue {
    let keys = QueueKeys()
    let client: BlockingRedisClient
    let socketPath: String
    private let redis: Int32
    private let directory: String

    init(in place: String) throws {
        directory = try FileSystem.makeTemporaryDirectory(place + "/queue-")
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let words = [
            "redis-server", "--port", "0", "--dir", directory, "--unixsocket", "redis.sock", "--save", "",
            "--maxclients", "2000",
        ]
        redis = try ChildProcesses.start("/usr/bin/env", words, descriptors: [null.raw, null.raw, null.raw])
        let path = directory + "/redis.sock"
        socketPath = path
        client = try BenchNode.waited("redis-server") {
            try? BlockingRedisClient(RedisEndpoint(unixPath: path), options: Self.options)
        }
    }

    deinit {
        ChildProcesses.signal(.terminate, process: redis)
        _ = try? ChildProcesses.wait(for: redis)
    }

    static var options: RedisConnectionOptions {
        var options = RedisConnectionOptions()
        options.session.scripts = QueueScripts.all
        return options
    }

    // MARK: What nodes say

    private static let node = NodeDescription(memoryBytes: 1 << 42, millicores: 4_096_000)

    func register(_ name: String) throws -> Incarnation {
        let incarnation = Incarnation(name: name, machine: "m", life: 1)
        let request = RegisterNode(
            keys: keys, incarnation: incarnation, leaseMilliseconds: 3_600_000, status: "1:0:1:0:1",
            node: Self.node
        ).request
        try RegisterNode.parse(try client.call(request))
        return incarnation
    }

    func claim(_ node: Incarnation) -> RedisRequest {
        ClaimTasks(
            keys: keys, incarnation: node, leaseMilliseconds: 3_600_000, count: 16, freeMemoryBytes: 1 << 42,
            freeMillicores: 4_096_000
        ).request
    }

    func heartbeat(_ node: Incarnation) -> RedisRequest {
        Heartbeat(
            keys: keys, incarnation: node, leaseMilliseconds: 3_600_000, status: "1:0:1:0:1", mayReap: true,
            node: Self.node
        ).request
    }

    func finished(_ task: ClaimTasks.Claimed, _ node: Incarnation) -> RedisRequest {
        let value = FinishedValue.encode(worker: "n", standardOutput: Array("done\n".utf8))
        return ReportTask(
            keys: keys, incarnation: node, line: task.line, token: task.token,
            result: .finished(value: value, record: #"{"cause":"exit","exit_code":0}"#)
        ).request
    }

    func returned(_ task: ClaimTasks.Claimed, _ node: Incarnation) -> RedisRequest {
        ReportTask(keys: keys, incarnation: node, line: task.line, token: task.token, result: .returned).request
    }

    // MARK: What people say

    /// A file of as many lines of 102 bytes.
    func writeLines(_ numbers: Range<Int>) throws -> String {
        let start = "shell:1:2:1:300:./cachesim --trace /data/traces/w"
        var bytes: [UInt8] = []
        bytes.reserveCapacity(numbers.count * 103)
        for number in numbers {
            let digits = String(number)
            bytes += start.utf8
            bytes += repeatElement(UInt8(ascii: "x"), count: 102 - start.utf8.count - digits.utf8.count)
            bytes += digits.utf8
            bytes.append(UInt8(ascii: "\n"))
        }
        let path = directory + "/tasks"
        try FileSystem.replace(path, with: bytes, mode: 0o644)
        return path
    }

    /// Runs `distcomp` with these words, as a person would; the seconds it took.
    func distcomp(_ words: String...) throws -> Double {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let begin = SystemClock.bootNanoseconds()
        let process = try ChildProcesses.start(
            try BenchNode.program("distcomp"), words + ["--redis", "unix://" + socketPath],
            descriptors: [null.raw, null.raw, 2])
        guard try ChildProcesses.wait(for: process) == .exit(code: 0) else {
            throw BenchError(description: "distcomp \(words.joined(separator: " ")) failed")
        }
        return Double(SystemClock.bootNanoseconds() - begin) / 1e9
    }

    // MARK: What Redis says of itself

    func usedBytes() throws -> Double { try information("memory", "used_memory") }

    /// The CPU time of Redis's main thread.
    func processorSeconds() throws -> Double {
        try information("cpu", "used_cpu_user_main_thread") + information("cpu", "used_cpu_sys_main_thread")
    }

    /// The time that scripts have taken of the server.
    func scriptMicroseconds() throws -> Double { try statistics("evalsha").microseconds }

    func statistics(_ command: String) throws -> (calls: Double, microseconds: Double) {
        try Self.statistics(command, of: client)
    }

    static func statistics(
        _ command: String, of client: BlockingRedisClient
    ) throws -> (calls: Double, microseconds: Double) {
        let text = try client.call(.command(RedisCommand("INFO", "commandstats"))).string ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_\(command):") } ?? ""
        func number(_ name: String) -> Double {
            let field = line.split { ":,".contains($0) }.first { $0.hasPrefix(name + "=") }
            return field.flatMap { Double($0.dropFirst(name.count + 1)) } ?? 0
        }
        return (number("calls"), number("usec"))
    }

    private func information(_ section: String, _ name: String) throws -> Double {
        let text = try client.call(.command(RedisCommand("INFO", section))).string ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }
        return line.flatMap { Double($0.dropFirst(name.utf8.count + 1)) } ?? 0
    }
}
