import Testing

@testable import TaskModel

@Suite("Task line with colons")
struct TaskLineTests {
    @Test("the old form has no timeout field and gets the default")
    func oldForm() throws {
        let task = try TaskLine(parsing: "shell:5:8:2:echo hello")
        #expect(task.type == .shell)
        #expect(task.priority == 5)
        #expect(task.memoryBytes == 8 << 30)
        #expect(task.millicores == 2000)
        #expect(task.timeout == .byDefault)
        #expect(task.command == "echo hello")
        #expect(task.timeoutSeconds(default: 3600) == 3600)
        #expect(task.timeoutSeconds(default: 0) == nil)
    }

    @Test("the timeout form has seconds in the fifth field")
    func timeoutForm() throws {
        let task = try TaskLine(parsing: "shell:5:8:2:300:echo \"5-minute task\"")
        #expect(task.timeout == .seconds(300))
        #expect(task.command == "echo \"5-minute task\"")
        #expect(task.timeoutSeconds(default: 3600) == 300)
    }

    @Test("a timeout of 0 is no limit, whatever the default")
    func noTimeout() throws {
        let task = try TaskLine(parsing: "shell:1:0:0:0:sleep 1")
        #expect(task.timeout == TimeoutRequest.none)
        #expect(task.timeoutSeconds(default: 3600) == nil)
    }

    @Test(
        "the fifth field is a timeout only when it is digits, or digits and a unit, and a colon follows",
        arguments: [
            ("echo 10:30", .byDefault, "echo 10:30"),
            ("curl http://x:80/", .byDefault, "curl http://x:80/"),
            ("300:curl http://x:80/", .seconds(300), "curl http://x:80/"),
            ("10:30", .seconds(10), "30"),
            ("10:30:40", .seconds(10), "30:40"),
            ("30", .byDefault, "30"),
            ("90s", .byDefault, "90s"),
            (":", .byDefault, ":"),
            ("::", .byDefault, "::"),
            (" 10:30", .byDefault, " 10:30"),
            ("-10:30", .byDefault, "-10:30"),
            ("1.5:30", .byDefault, "1.5:30"),
            ("1.5h:30", .byDefault, "1.5h:30"),
            ("s:30", .byDefault, "s:30"),
            ("5x:30", .byDefault, "5x:30"),
            ("5ms:30", .byDefault, "5ms:30"),
            ("٣:30", .byDefault, "٣:30"),
            ("90s:true", .seconds(90), "true"),
            ("5m:true", .seconds(300), "true"),
            ("2h:true", .seconds(7200), "true"),
            ("1d:true", .seconds(86400), "true"),
            ("0m:true", TimeoutRequest.none, "true"),
            ("007:true", .seconds(7), "true"),
        ] as [(String, TimeoutRequest, String)])
    func fifthField(rest: String, timeout: TimeoutRequest, command: String) throws {
        let task = try TaskLine(parsing: "shell:1:0:0:" + rest)
        #expect(task.timeout == timeout)
        #expect(task.command == command)
    }

    @Test(
        "memory is GB, or an amount with a unit",
        arguments: [
            ("0", 0), ("8", 8 << 30), ("0.5", 1 << 29), (".5", 1 << 29), ("1.5", 3 << 29), ("512M", 512 << 20),
            ("8G", 8 << 30), ("8GB", 8 << 30), ("8gib", 8 << 30), ("1T", 1 << 40), ("64K", 64 << 10),
            ("64kb", 64 << 10),
            ("0.25G", 1 << 28), (" 8 ", 8 << 30), ("8192T", 1 << 53), ("007", 7 << 30), ("1.", 1 << 30),
        ] as [(String, UInt64)])
    func memory(text: String, bytes: UInt64) throws {
        #expect(try TaskLine(parsing: "shell:1:\(text):0:true").memoryBytes == bytes)
    }

    @Test("a memory cap above zero never becomes zero, which is no cap", arguments: ["0.0000000000001", "0.000001K"])
    func tinyMemory(text: String) throws {
        #expect(try TaskLine(parsing: "shell:1:\(text):0:true").memoryBytes > 0)
    }

    @Test(
        "cores are a whole number or a decimal",
        arguments: [("0", 0), ("2", 2000), ("0.5", 500), ("1.25", 1250), ("0.0001", 1), ("1000000", 1_000_000_000)])
    func cores(text: String, millicores: Int) throws {
        #expect(try TaskLine(parsing: "shell:1:0:\(text):true").millicores == millicores)
    }

    @Test(
        "priority is a whole number with a sign, up to a million",
        arguments: [("-5", -5), ("+5", 5), ("0", 0), ("1000000", 1_000_000), ("-1000000", -1_000_000), (" 7 ", 7)])
    func priority(text: String, value: Int) throws {
        #expect(try TaskLine(parsing: "shell:\(text):0:0:true").priority == value)
    }

    @Test(
        "a malformed field is named, with its column, what was found and what is expected",
        arguments: [
            ("shel:1:0:0:true", "type", 1, "`shel`", "one of shell, python, demo"),
            ("SHELL:1:0:0:true", "type", 1, "`SHELL`", "one of shell, python, demo"),
            (":1:0:0:true", "type", 1, "nothing", "one of shell, python, demo"),
            ("shell:high:0:0:true", "priority", 7, "`high`", "a whole number from -1000000 to 1000000"),
            ("shell::0:0:true", "priority", 7, "nothing", "a whole number from -1000000 to 1000000"),
            ("shell:1.5:0:0:true", "priority", 7, "`1.5`", "a whole number from -1000000 to 1000000"),
            ("shell:1000001:0:0:true", "priority", 7, "`1000001`", "a whole number from -1000000 to 1000000"),
            ("shell:-:0:0:true", "priority", 7, "`-`", "a whole number from -1000000 to 1000000"),
            ("shell:1:8X:0:true", "memory", 9, "`8X`", Amount.memoryExpected),
            ("shell:1:-8:0:true", "memory", 9, "`-8`", Amount.memoryExpected),
            ("shell:1::0:true", "memory", 9, "nothing", Amount.memoryExpected),
            ("shell:1:.:0:true", "memory", 9, "`.`", Amount.memoryExpected),
            ("shell:1:nan:0:true", "memory", 9, "`nan`", Amount.memoryExpected),
            ("shell:1:1e30:0:true", "memory", 9, "`1e30`", Amount.memoryExpected),
            ("shell:1:8193T:0:true", "memory", 9, "`8193T`", Amount.memoryExpected),
            ("shell:1:8GiBs:0:true", "memory", 9, "`8GiBs`", Amount.memoryExpected),
            ("shell:1:0:two:true", "cores", 11, "`two`", Amount.coresExpected),
            ("shell:1:0:-1:true", "cores", 11, "`-1`", Amount.coresExpected),
            ("shell:1:0:1000001:true", "cores", 11, "`1000001`", Amount.coresExpected),
            ("shell:1:0:0:99999999999999999999:true", "timeout", 13, "`99999999999999999999`", Amount.timeoutExpected),
            ("shell:1:0:0:", "command", 13, "nothing", "the command to run"),
            ("shell:1:0:0: ", "command", 13, "nothing", "the command to run"),
            ("shell:1:0:0:300:", "command", 17, "nothing", "the command to run"),
            ("hello", "type", 1, "`hello`, the last field", "type:priority:min_dram:min_cpu:command"),
            ("shell:1:0:true", "cores", 11, "`true`, the last field", "type:priority:min_dram:min_cpu:command"),
            ("  shell:x:0:0:true", "priority", 9, "`x`", "a whole number from -1000000 to 1000000"),
            ("", "line", 1, "nothing", "type:priority:min_dram:min_cpu:command"),
            ("é\u{0}", "line", 2, "a NUL character", "text on one line"),
            ("shell:1:0:0:a\nb", "line", 14, "a newline", "text on one line"),
            (
                "WORKER_COMMAND_CLOSE", "line", 1, "`WORKER_COMMAND_CLOSE`",
                "a task; this is the word that stops the nodes"
            ),
        ] as [(String, String, Int, String, String)])
    func malformed(line: String, field: String, column: Int, found: String, expected: String) throws {
        let error = try #require(throws: TaskLineError.self) { try TaskLine(parsing: line) }
        let problem = TaskLineError.Problem(field: field, column: column, found: found, expected: expected)
        #expect(error.problems == [problem])
        #expect(error.message == "\(field): found \(found), expected \(expected)")
    }

    @Test("every malformed field of a line is named, not only the first")
    func allProblems() throws {
        let error = try #require(throws: TaskLineError.self) { try TaskLine(parsing: "sh:high:8X:two:9999999999:") }
        #expect(error.problems.map(\.field) == ["type", "priority", "memory", "cores", "timeout", "command"])
        #expect(error.problems.map(\.column) == [1, 4, 9, 12, 16, 27])
        #expect(error.column == 1)
    }

    @Test("the identity is the line without surrounding white space, and nothing else decides equality")
    func identity() throws {
        let task = try TaskLine(parsing: " \tshell:1:0:0:echo a  b \r\n")
        #expect(task.text == "shell:1:0:0:echo a  b")
        #expect(task.command == "echo a  b")
        #expect(task == (try TaskLine(parsing: "shell:1:0:0:echo a  b")))
        #expect(task != (try TaskLine(parsing: "shell:1:0:0:echo a b")))
        #expect(task != (try TaskLine(parsing: "shell:01:0:0:echo a  b")))
    }

    @Test("the short name of a task is the FNV-1a hash of its line in 16 hex digits")
    func identifier() throws {
        // Made with an independent implementation of FNV-1a 64.
        #expect(try TaskLine(parsing: "shell:1:0:0:true").identifier == "31c7db6c78bda9e2")
        #expect(try TaskLine(parsing: "shell:1:0:0:echo é").identifier == "0e4015beca582e29")
        for number in 0..<2000 {
            #expect(try TaskLine(parsing: "shell:1:0:0:echo \(number)").identifier.utf8.count == 16)
        }
    }

    @Test("a line may have 128 KiB and not one byte more")
    func lengthLimit() throws {
        let prefix = "shell:1:0:0:"
        let longest = prefix + String(repeating: "x", count: TaskLine.byteCountMax - prefix.utf8.count)
        #expect(try TaskLine(parsing: "  " + longest + "  ").text == longest)
        let error = try #require(throws: TaskLineError.self) { try TaskLine(parsing: longest + "x") }
        #expect(error.message == "line: found a longer one, expected at most 131072 bytes")
    }

    @Test("what is not UTF-8 is refused at the byte that is not")
    func invalidText() throws {
        let error = try #require(throws: TaskLineError.self) {
            try TaskLine(parsing: Array("shell:1:0:0:é".utf8) + [0xFF, 0x41])
        }
        #expect(error.problems.map(\.description) == ["line: found the byte 0xff, expected UTF-8 text"])
        #expect(error.column == 14)
    }

    @Test("what was found is shown short and without control characters")
    func hostileFinding() throws {
        let error = try #require(throws: TaskLineError.self) { try TaskLine(parsing: "\u{1b}[2J\u{202e}:1:0:0:true") }
        #expect(error.problems.first?.found == "`\\x1b[2J\\u{202e}`")
        let long = try #require(throws: TaskLineError.self) {
            try TaskLine(parsing: String(repeating: "x", count: 1000) + ":1:0:0:true")
        }
        #expect(long.problems.first?.found == "`" + String(repeating: "x", count: 39) + "…`")
    }

    @Test(
        "hostile commands are taken as they are",
        arguments: ["../../etc", "/", "a\rb", "\u{1b}]0;x\u{7}", "\u{202e}", "🇩🇪 👨‍👩‍👧", "e\u{301}", "\u{FEFF}x"])
    func hostileCommands(command: String) throws {
        let task = try TaskLine(parsing: "shell:1:0:0:" + command)
        #expect(Array(task.command.utf8) == Array(command.utf8))
        #expect(task.identifier.utf8.allSatisfy { $0.isDigit || (0x61...0x66).contains($0) })
    }

    @Test("lines that differ only in how a letter is composed are different tasks, as they are in Redis")
    func composition() throws {
        let composed = try TaskLine(parsing: "shell:1:0:0:echo \u{e9}")
        let decomposed = try TaskLine(parsing: "shell:1:0:0:echo e\u{301}")
        #expect(composed != decomposed)
        #expect(Set([composed, decomposed]).count == 2)
    }
}
