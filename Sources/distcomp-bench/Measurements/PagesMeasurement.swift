// The pages of a large queue: how long each takes, and what those who look cost Redis, however many they are.

import ArgumentParser
import LinuxSystem

struct PagesMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "pages", abstract: "`distcomp web` at a million tasks and a thousand nodes.")

    @Option(help: "How many tasks there are.")
    var tasks = 1_000_000

    @Option(help: "How many of them have finished.")
    var finished = 100_000

    @Option(help: "How many nodes there are.")
    var nodes = 1000

    @Option(help: "How many look at once, each at a page every three seconds.")
    var lookers = 50

    @Option(help: "For how long they do.")
    var seconds = 30

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [tasks, finished, nodes, lookers, seconds] }

    private static let looks = 11

    func measure(in place: String, _ figures: FigureTable) throws {
        let queue = try BenchQueue(in: place)
        let fleet = try SimulatedFleet(queue, nodeCount: nodes)
        _ = try queue.redis.load(0..<tasks)
        _ = try fleet.work(taskCount: min(finished, tasks))
        let pages = try BenchPages(of: queue.redis, in: place)

        let address = "/tasks?state=finished"
        let list = try pages.get(address)
        guard let start = list.firstRange(of: "/task?line="), let end = list[start.lowerBound...].firstIndex(of: "\"")
        else {
            throw BenchError(description: "\(address) shows no task")
        }
        let task = String(list[start.lowerBound..<end])
        let shown = [
            ("the first page", "/"), ("the nodes", "/nodes"), ("the jobs", "/jobs"),
            ("a page of waiting tasks", "/tasks?state=todo"),
            ("a page of finished tasks", address), ("a task", task), ("a node", "/node?name=n1"),
        ]
        for (name, address) in shown {
            // One more than is counted: the first opens what the others find open.
            let times = try (0...Self.looks).map { index in
                // What was asked a moment ago is shown again: the next look is to be a new one.
                if index > 0 { pause(milliseconds: 2100) }
                return try pages.milliseconds(address)
            }
            figures.add("\(name), asked anew", Spread(Array(times.dropFirst())), "ms")
        }
        // Each is another question, and one that looks at as many tasks as a page may.
        let searches = try (0..<Self.looks).map { try pages.milliseconds("/tasks?state=todo&text=nowhere-\($0)") }
        figures.add("a page of a search that finds nothing", Spread(searches), "ms")

        figures.add(
            "Redis's CPU while nobody looks",
            try load(queue.redis) { pause(milliseconds: UInt32(clamping: seconds * 1000)) }, "ms/s")
        for count in [1, lookers] {
            let load = try load(queue.redis) {
                for second in 0..<seconds {
                    let begun = SystemClock.bootNanoseconds()
                    // A third of them each second.
                    for looker in 0..<count where looker % 3 == second % 3 {
                        _ = try pages.get(shown[looker % shown.count].1)
                    }
                    let left = 1000 - (SystemClock.bootNanoseconds() - begun) / 1_000_000
                    if left > 0 { pause(milliseconds: UInt32(left)) }
                }
            }
            figures.add("Redis's CPU while \(count) look\(count == 1 ? "s" : "")", load, "ms/s")
        }
        figures.add("memory of distcomp web", try pages.memoryMegabytes(), "MB")
    }

    /// What Redis's main thread takes meanwhile, of each second.
    private func load(_ redis: BenchRedis, _ body: () throws -> Void) throws -> Double {
        let (before, begun) = (try redis.processorSeconds(), SystemClock.bootNanoseconds())
        try body()
        return (try redis.processorSeconds() - before) * 1000 / distcomp_bench.seconds(since: begun)
    }
}

/// `distcomp web` on a port of this machine, ended with this.
private final class BenchPages {
    private let process: Int32
    private let address: SocketAddress

    init(of redis: BenchRedis, in place: String) throws {
        let log = place + "/pages.log"
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let output = try OwnedDescriptor.open(log, [.writeOnly, .create, .append], mode: 0o644)
        process = try startHelper(
            [try program("distcomp"), "web", "--redis", "unix://" + redis.socketPath, "--listen", "0"],
            descriptors: [null.raw, output.raw, output.raw])
        address = .internet(
            address: "127.0.0.1",
            port: try waited("distcomp web") {
                let text = try FileSystem.text(of: log)
                return text.firstRange(of: "localhost:").flatMap {
                    UInt16(text[$0.upperBound...].prefix { $0.isNumber })
                }
            })
    }

    deinit {
        ChildProcesses.signal(.terminate, process: process)
        _ = try? ChildProcesses.wait(for: process)
    }

    func memoryMegabytes() throws -> Double {
        let text = try FileSystem.text(of: "/proc/\(process)/status")
        let line = text.split(separator: "\n").first { $0.hasPrefix("VmRSS:") } ?? ""
        return (Double(line.split(separator: " ").dropFirst().first ?? "") ?? 0) / 1024
    }

    func milliseconds(_ path: String) throws -> Double {
        let begun = SystemClock.bootNanoseconds()
        _ = try get(path)
        return seconds(since: begun) * 1000
    }

    /// The page, which has to be there.
    func get(_ path: String) throws -> String {
        let socket = try StreamSocket(connectingTo: address)
        _ = try DescriptorWait.until(socket.descriptor, readable: false, writable: true, atMostMilliseconds: nil)
        try socket.finishConnecting()
        let request = Array("GET \(path) HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".utf8)
        guard case .transferred(request.count) = try request.withUnsafeBytes({ try socket.write($0) }) else {
            throw BenchError(description: "a request was not sent in one piece")
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            switch try buffer.withUnsafeMutableBytes({ try socket.read(into: $0) }) {
            case .transferred(let count): answer += buffer[..<count]
            case .wouldBlock:
                _ = try DescriptorWait.until(
                    socket.descriptor, readable: true, writable: false, atMostMilliseconds: nil)
            case .endOfStream:
                let text = String(decoding: answer, as: UTF8.self)
                guard text.hasPrefix("HTTP/1.1 200 ") else {
                    throw BenchError(description: "\(path): \(text.prefix { $0 != "\r\n" })")
                }
                return text
            }
        }
    }
}
