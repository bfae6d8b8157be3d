// Reports encoded in pieces: what comes out is what one piece would have made, and no step does more than a little.

import LinuxSystem
import NodeSupervisor
import TaskModel
import TaskQueue
import Testing

@testable import distcompd

@Suite("Reports are encoded in pieces")
struct ReportEncoderTests {
    private let folder: StoreFolder

    init() throws { folder = try StoreFolder() }

    private func number(_ rawValue: UInt64) -> NodeSupervisor.TaskNumber { .init(rawValue) }

    private func output(_ name: String, _ bytes: [UInt8]) throws -> TaskOutput {
        try FileSystem.createDirectories(folder.path + "/" + name, mode: 0o755)
        func file(_ stream: String, _ bytes: [UInt8]) throws -> SharedDescriptor {
            let path = folder.path + "/\(name)/\(stream)"
            let file = try OwnedDescriptor.open(path, [.readWrite, .create, .truncate], mode: 0o644)
            try file.writeAll(bytes, subject: path)
            return SharedDescriptor(file)
        }
        return TaskOutput(
            standardOutput: try file("stdout", bytes), standardError: try file("stderr", []),
            folderPath: folder.path + "/" + name)
    }

    private func report(
        _ number: NodeSupervisor.TaskNumber, _ result: (TaskOutcome) -> NodeSupervisor.Report.Result = { .ended($0) },
        cause: Cause = .exit(code: 0), ofJob: Bool = false
    ) throws -> NodeSupervisor.Report {
        let job = Job(identifier: "j", name: "j", settings: .init(), definition: .init())
        let line = ofJob ? try TaskLine(command: "true", of: job) : try TaskLine(parsing: "shell:1:0:0:true")
        let outcome = TaskOutcome(
            cause: cause, usage: Usage(wallSeconds: 1), memoryCapBytes: nil, timeoutSeconds: nil, node: "node",
            attempt: 1)
        return NodeSupervisor.Report(
            number: number, task: .init(line: line, token: "1", attempt: 1), result: result(outcome))
    }

    private func encoder(_ outputs: [NodeSupervisor.TaskNumber: TaskOutput]) -> ReportEncoder {
        ReportEncoder(settings: .init(worker: "node", attemptsMax: 3, retryMilliseconds: 1000)) { outputs[$0] }
    }

    /// All results in the order in which they come, with the number of steps each took since the one before.
    private func results(
        _ encoder: inout ReportEncoder
    ) -> [(number: UInt64, result: ReportTask.Result, steps: Int)] {
        var results: [(number: UInt64, result: ReportTask.Result, steps: Int)] = []
        var steps = 0
        while encoder.hasWork {
            steps += 1
            guard let (number, result) = encoder.step() else { continue }
            results.append((number.rawValue, result, steps))
            steps = 0
        }
        return results
    }

    private func value(_ result: ReportTask.Result?) -> [UInt8]? {
        if case .finished(let value, _, _, _) = result { value } else { nil }
    }

    private static let patterns: [(name: String, bytes: [UInt8])] = [
        ("plain", Array("a line of text\n".utf8)), ("controls", [1, 27, 0, 31]), ("quotes", Array("\"\\".utf8)),
        ("two bytes", Array("é\u{85}".utf8)), ("three bytes", Array("x€".utf8)), ("four bytes", Array("😀".utf8)),
        ("no UTF-8", [0x80, 0xE2, 0x82, 0x41, 0xF0, 0x9F, 0x98, 0xC3]), ("halves", [0xE2, 0x82]),
    ]

    @Test("whatever was written and wherever it is divided", arguments: patterns.map(\.name))
    func sameAsWhole(_ name: String) throws {
        let pattern = try #require(Self.patterns.first { $0.name == name }).bytes
        // Lengths around one piece and two, so that every byte of the pattern stands at a division once.
        for extra in -4...4 {
            for pieces in 1...2 {
                let count = pieces * ReportEncoder.pieceBytes + extra
                let bytes = (0..<count).map { pattern[$0 % pattern.count] }
                var encoder = encoder([number(1): try output("1", bytes)])
                encoder.add(number(1), try report(number(1)))
                let whole = Array("node: ".utf8) + JSONText.quoted(bytes: bytes)
                #expect(value(results(&encoder).first?.result) == whole, "\(name), \(count) bytes")
            }
        }
    }

    @Test("a small output in one step, a mebibyte in many, of which none makes more than its part")
    func steps() throws {
        let small = [UInt8](repeating: 1, count: 16 << 10)
        let large = [UInt8](repeating: 1, count: 1 << 20)
        var encoder = encoder([number(1): try output("1", large), number(2): try output("2", small)])
        encoder.add(number(1), try report(number(1)))
        encoder.add(number(2), try report(number(2)))
        let results = results(&encoder)
        #expect(results.map(\.number) == [2, 1])
        #expect(results.map(\.steps) == [1, 64])
        #expect(value(results[1].result)?.count == 6 << 20 + 8)
    }

    @Test("small ones go first, and do not hold up a large one for ever")
    func order() throws {
        var outputs = [number(100): try output("large", [UInt8](repeating: 97, count: 40 << 10))]
        for index in UInt64(1)...40 { outputs[number(index)] = try output("\(index)", Array("x".utf8)) }
        var encoder = encoder(outputs)
        encoder.add(number(100), try report(number(100)))
        for index in UInt64(1)...40 { encoder.add(number(index), try report(number(index))) }
        let order = results(&encoder).map(\.number)
        #expect(order.filter { $0 != 100 } == Array(1...40))
        #expect(order.firstIndex(of: 100) == 24, "three pieces, each after eight others")
    }

    @Test("more than the queue takes is told as such, and so is what ends while it is read")
    func bounds() throws {
        let tooLarge = try output("1", [UInt8](repeating: 97, count: 1 << 20 + 1))
        let shrinking = try output("2", [UInt8](repeating: 97, count: 100_000))
        var encoder = encoder([number(1): tooLarge, number(2): shrinking])
        encoder.add(number(1), try report(number(1)))
        encoder.add(number(2), try report(number(2)))
        encoder.add(number(3), try report(number(3)))
        #expect(value(encoder.step()?.1) == Array("node: stdout is too large".utf8))
        #expect(value(encoder.step()?.1) == Array("node: \"\"".utf8), "it had no output")
        #expect(encoder.step() == nil)
        _ = try OwnedDescriptor.open(shrinking.standardOutputPath, [.writeOnly, .truncate])
        let short = Array("node: \"".utf8) + [UInt8](repeating: 97, count: 16 << 10) + [UInt8(ascii: "\"")]
        #expect(value(encoder.step()?.1) == short)
        #expect(!encoder.hasWork)
    }

    @Test("of more than the queue takes a task of a job tells both ends, in as small steps, and a mebibyte whole")
    func ends() throws {
        let end = FinishedValue.endBytes
        let bytes = (0..<(3 << 20)).map { UInt8(97 + $0 % 7) }
        var encoder = encoder([
            number(1): try output("1", bytes), number(2): try output("2", Array(bytes[..<(1 << 20)])),
        ])
        encoder.add(number(1), try report(number(1), ofJob: true))
        encoder.add(number(2), try report(number(2), ofJob: true))
        let results = results(&encoder)
        let told = try #require(self.value(results[0].result))
        let parsed = FinishedValue(parsing: told)
        #expect(
            parsed.content
                == .ends(
                    head: JSONText.quoted(bytes: Array(bytes[..<end])), omittedBytes: bytes.count - 2 * end,
                    tail: JSONText.quoted(bytes: Array(bytes[(bytes.count - end)...]))))
        #expect(results.map(\.steps) == [8, 64])
        #expect(self.value(results[1].result)?.count == (1 << 20) + 8)
    }

    @Test("failures and returns need no output, and what is dropped never comes")
    func others() throws {
        let large = try output("3", [UInt8](repeating: 97, count: 100_000))
        var encoder = encoder([number(3): large, number(4): large])
        encoder.add(number(1), try report(number(1), cause: .exit(code: 3)))
        encoder.add(number(2), try report(number(2), { _ in .returned(.noRoom) }))
        encoder.add(number(3), try report(number(3)))
        encoder.add(number(4), try report(number(4)))
        guard
            case .failed(_, _, attemptsMax: 3, retryMilliseconds: 1000, more: nil, requeueAfterMilliseconds: nil, _) =
                encoder.step()?.1
        else {
            Issue.record("no failure")
            return
        }
        #expect(encoder.step()?.1 == .returned)
        #expect(encoder.step() == nil)
        encoder.drop(number(3))
        #expect(results(&encoder).map(\.number) == [4])
    }
}

extension ReportEncoderTests {
    /// Not a limit, since machines differ: run by hand in a release build, as `DISTCOMP_MEASURE=1 swift test -c release ...`.
    @Test("how long the steps take", .enabled(if: Host.environment("DISTCOMP_MEASURE") != nil))
    func measured() throws {
        for (name, pattern) in Self.patterns {
            let bytes = (0..<1 << 20).map { pattern[$0 % pattern.count] }
            var encoder = encoder([number(1): try output("1", bytes)])
            encoder.add(number(1), try report(number(1)))
            var nanoseconds: [Int64] = []
            while encoder.hasWork {
                let before = SystemClock.bootNanoseconds()
                _ = encoder.step()
                nanoseconds.append(SystemClock.bootNanoseconds() - before)
            }
            nanoseconds.sort()
            let (middle, most) = (nanoseconds[nanoseconds.count / 2], nanoseconds[nanoseconds.count - 1])
            print("\(name): \(nanoseconds.count) steps, median \(middle / 1000) us, longest \(most / 1000) us")
        }
    }
}
