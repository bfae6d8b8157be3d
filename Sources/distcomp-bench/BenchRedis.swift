// A redis-server of a measurement's own, ended with it: what people's commands do to it, and what it says of itself.

import LinuxSystem
import RedisClient
import TaskQueue

final class BenchRedis {
    let client: BlockingRedisClient
    let socketPath: String
    /// On the loopback address; 0 when it does not listen there.
    let port: UInt16
    private let directory: String
    private let process: Int32

    /// - Parameters:
    ///   - directory: where its files go. They stay: ext4 looks for new inodes past those deleted in the last minute, so a
    ///     clean-up between two measurements would slow the second.
    ///   - isDurable: whether it keeps an append-only file.
    ///   - listensOnPort: whether it can be reached by TCP as well.
    init(in directory: String, isDurable: Bool, listensOnPort: Bool = false) throws {
        self.directory = directory
        // Below the ports that the system gives to clients. If it is in use, the measurement ends with Redis's error.
        port = listensOnPort ? UInt16.random(in: 20_000..<32_000) : 0
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let words = [
            "redis-server", "--port", "\(port)", "--bind", "127.0.0.1", "--dir", directory, "--unixsocket",
            "redis.sock", "--save", "",
            "--maxclients", "2000", "--appendonly", isDurable ? "yes" : "no",
        ]
        let log = try OwnedDescriptor.open(directory + "/redis.log", [.writeOnly, .create, .append], mode: 0o644)
        let process = try startHelper(words, descriptors: [null.raw, log.raw, log.raw])
        self.process = process
        let path = directory + "/redis.sock"
        socketPath = path
        client = try waited("redis-server") {
            guard try ChildProcesses.endingIfEnded(process) == nil else {
                throw BenchError(
                    description: "redis-server does not start: \(try FileSystem.text(of: directory + "/redis.log"))")
            }
            return try? BlockingRedisClient(RedisEndpoint(unixPath: path), options: Self.options)
        }
    }

    deinit {
        ChildProcesses.signal(.terminate, process: process)
        _ = try? ChildProcesses.wait(for: process)
    }

    static var options: RedisConnectionOptions {
        var options = RedisConnectionOptions()
        options.session.scripts = QueueScripts.all
        return options
    }

    func command(_ name: String, _ arguments: String...) throws -> RESPValue {
        let value = try client.call(.command(RedisCommand(name, arguments)))
        if let error = value.error { throw BenchError(description: "\(name): \(error)") }
        return value
    }

    // MARK: What people say

    /// Has `distcomp submit` load as many lines of 102 bytes; the seconds it took.
    func load(_ numbers: Range<Int>) throws -> Double {
        let path = directory + "/tasks"
        try FileSystem.replace(path, with: Self.lines(numbers), mode: 0o644)
        return try distcomp("submit", "--quiet", path)
    }

    static func lines(_ numbers: Range<Int>) -> [UInt8] {
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
        return bytes
    }

    /// Runs `distcomp` with these words, as a person would; the seconds it took.
    func distcomp(_ words: String...) throws -> Double {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let begin = SystemClock.bootNanoseconds()
        let process = try ChildProcesses.start(
            try program("distcomp"), words + ["--redis", "unix://" + socketPath],
            descriptors: [null.raw, null.raw, 2])
        guard try ChildProcesses.wait(for: process) == .exit(code: 0) else {
            throw BenchError(description: "distcomp \(words.joined(separator: " ")) failed")
        }
        return seconds(since: begin)
    }

    // MARK: What Redis says of itself

    func usedBytes() throws -> Double { try information("memory", "used_memory") }

    /// The CPU time of Redis's main thread.
    func processorSeconds() throws -> Double {
        try information("cpu", "used_cpu_user_main_thread") + information("cpu", "used_cpu_sys_main_thread")
    }

    /// How often scripts were called, and the time they have taken of the server.
    func scriptStatistics() throws -> (calls: Double, microseconds: Double) {
        let text = try command("INFO", "commandstats").string ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix("cmdstat_evalsha:") } ?? ""
        func number(_ name: String) -> Double {
            let field = line.split { ":,".contains($0) }.first { $0.hasPrefix(name + "=") }
            return field.flatMap { Double($0.dropFirst(name.count + 1)) } ?? 0
        }
        return (number("calls"), number("usec"))
    }

    private func information(_ section: String, _ name: String) throws -> Double {
        let text = try command("INFO", section).string ?? ""
        let line = text.split(whereSeparator: \.isNewline).first { $0.hasPrefix(name + ":") }
        return line.flatMap { Double($0.dropFirst(name.utf8.count + 1)) } ?? 0
    }
}
