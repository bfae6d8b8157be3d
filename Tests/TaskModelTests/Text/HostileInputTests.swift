import Testing

@testable import TaskModel

@Suite("Hostile input")
struct HostileInputTests {
    private static let alphabet = Array("shell:python:demo:0123456789.GMKsmhd:{}[]\",: #\n\r\t\\-e\u{0}é".utf8)

    @Test("random bytes never trap the parsers, and what is taken is read again as the same", arguments: UInt64(1)...8)
    func randomBytes(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        for _ in 0..<400 {
            let bytes = random.bytes(countMax: 80, alphabet: Self.alphabet)
            try readEverywhere(bytes)
        }
    }

    @Test("good lines with one byte changed never trap the parsers", arguments: UInt64(1)...4)
    func changedLines(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let lines = [
            "shell:5:8:2:300:echo \"5-minute task\"", "python:-1:0.5G:0.25:90s:x.py 'a b' \"c\"",
            #"{"type":"shell","priority":5,"memory":"8G","cores":2,"timeout":"5m","command":"echo \ud83d\ude00"}"#,
            #"{"redis_port": 6379, "min_dram_gb_accept_new_task": "10%", "redis_tls": [], "task_umask": "022"}"#,
            #"{"cause":"launch","errno":2,"launch_step":"x","wall_seconds":1.5e3,"attempts":2,"notes":["a"]}"#,
            "1732368000:2:8:3.5:15.62",
        ].map { Array($0.utf8) }
        for _ in 0..<800 {
            var bytes = lines.randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = Self.alphabet.randomElement(using: &random) ?? UInt8.random(in: 0...255, using: &random)
            }
            try readEverywhere(bytes)
        }
    }

    @Test("names of a megabyte, of controls, of path parts, and bytes that are no text end as an error or as a task")
    func hostileNames() throws {
        let huge = [UInt8](repeating: UInt8(ascii: ":"), count: 1_000_000)
        let names: [[UInt8]] = [
            huge, Array("{".utf8) + huge, Array(".".utf8), Array("..".utf8), Array("/".utf8), Array("../../x".utf8),
            Array("shell:1:0:0:../../x".utf8), Array("a\nb".utf8), [0xFF, 0xFE], [0xC0, 0x80], [0xED, 0xA0, 0x80],
            [0x00],
            Array("shell:1:0:0:\u{1b}[2J".utf8), Array("\u{202e}:\u{2066}".utf8),
            [UInt8](repeating: 0x20, count: 10_000),
            Array(repeating: UInt8(ascii: "9"), count: 100_000) + Array(":1:1:1:x".utf8),
            Array("shell:1:".utf8) + Array(repeating: UInt8(ascii: "9"), count: 100_000) + Array(":1:x".utf8),
            Array("shell:1:0.".utf8) + Array(repeating: UInt8(ascii: "9"), count: 100_000) + Array(":1:x".utf8),
            Array("shell:1:0:0:".utf8) + Array(repeating: UInt8(ascii: "9"), count: 100_000) + Array(":x".utf8),
        ]
        for name in names { try readEverywhere(name) }
    }

    @Test("a JSON line of twenty thousand unknown fields is told in a few lines")
    func manyProblems() throws {
        let line = "{" + String(repeating: "\"a\":1,", count: 20_000) + "\"command\":\"x\"}"
        let error = try #require(throws: TaskLineError.self) { try TaskLine(parsing: line) }
        #expect(error.problems.count == 10)
    }

    /// Gives the bytes to every parser there is.
    private func readEverywhere(_ bytes: [UInt8]) throws {
        do throws(TaskLineError) {
            let task = try TaskLine(parsing: bytes)
            #expect(try TaskLine(parsing: task.text) == task)
            #expect(TaskLine.priorities.contains(task.priority))
            #expect(!task.command.isEmpty && !task.command.utf8.contains(0))
            #expect(task.memoryBytes <= Amount.memoryBytesMax && task.millicores >= 0)
            _ = try? CommandForm(task).arguments
        } catch {
            #expect(!error.problems.isEmpty)
            #expect(error.description.utf8.count < 2000)
            #expect(!error.description.unicodeScalars.contains { $0.properties.generalCategory == .control })
        }
        var file = TaskFile(named: "x")
        bytes.withUnsafeBytes { file.read($0) { (_: TaskFile.Entry) in } }
        file.finish { (_: TaskFile.Entry) in }
        if case .failure(let error) = Result(catching: { try Configuration.parse(bytes, file: "x") }) {
            #expect(!"\(error)".isEmpty)
        }
        let text = String(decoding: bytes, as: UTF8.self)
        _ = try? TaskOutcome(record: bytes)
        _ = NodeReport(parsing: text)
        _ = TerminalText.shortened(TerminalText.escaped(text), to: 20)
        #expect(throws: Never.self) { try JSONReader.read(JSONText.quoted(bytes: bytes)) }
    }
}

// MARK: - Random numbers

/// Random numbers that are the same in every run, so that a failure can be looked at again (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Bytes that are likely to mean something to a parser: drawn from `alphabet`, now and then from all bytes.
    mutating func bytes(countMax: Int, alphabet: [UInt8]) -> [UInt8] {
        let count = Int.random(in: 0...countMax, using: &self)
        return (0..<count).map { _ in
            Int.random(in: 0..<20, using: &self) == 0
                ? UInt8.random(in: 0...255, using: &self) : alphabet.randomElement(using: &self) ?? 0
        }
    }
}
