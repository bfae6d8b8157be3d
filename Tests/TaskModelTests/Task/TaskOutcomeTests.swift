import Testing

@testable import TaskModel

@Suite("How a task ended")
struct TaskOutcomeTests {
    private static let full = Usage(
        wallSeconds: 1.5, userSeconds: 0.25, systemSeconds: 0.125, memoryPeakBytes: 2 << 30, oomKills: 1)

    private static func outcome(
        _ cause: Cause, cap: UInt64? = 2 << 30, peak: UInt64? = 2 << 30, timeout: Double? = 300,
        node: String = "node-1",
        notes: [String] = []
    ) -> TaskOutcome {
        TaskOutcome(
            cause: cause, usage: Usage(wallSeconds: 1, memoryPeakBytes: peak), memoryCapBytes: cap,
            timeoutSeconds: timeout, node: node, attempt: 1, notes: notes)
    }

    @Test(
        "the reason says what happened and against which limit",
        arguments: [
            (outcome(.exit(code: 0)), "exit 0"),
            (outcome(.exit(code: 3)), "exit 3"),
            (outcome(.signal(11)), "signal 11 (SIGSEGV)"),
            (outcome(.signal(9)), "signal 9 (SIGKILL)"),
            (outcome(.signal(31)), "signal 31 (SIGSYS)"),
            (outcome(.signal(37)), "signal 37 (SIGRTMIN+3)"),
            (outcome(.signal(99)), "signal 99"),
            (outcome(.oom), "oom (cap 2 GB, peak 2 GB)"),
            (outcome(.oom, peak: nil), "oom (cap 2 GB)"),
            (outcome(.oom, cap: nil, peak: 3 << 29), "oom (no cap of its own, peak 1.5 GB)"),
            (outcome(.oom, cap: 512 << 20, peak: (512 << 20) - 4096), "oom (cap 512 MB, peak 512 MB)"),
            (outcome(.timeout), "timeout (300 s)"),
            (outcome(.timeout, timeout: 0.25), "timeout (0.25 s)"),
            (outcome(.timeout, timeout: nil), "timeout"),
            (outcome(.cancelled), "cancelled"),
            (outcome(.memoryPressure), "memory pressure: requires too much memory here (peak 2 GB)"),
            (outcome(.nodeLost), "node lost (node-1)"),
            (outcome(.nodeLost, node: ""), "node lost"),
            (
                outcome(.launch(step: "execve ./x", errno: 2, message: "No such file or directory")),
                "launch failed: execve ./x: No such file or directory"
            ),
            (
                outcome(
                    .timeout, notes: [TaskOutcome.childKilledForMemory(capBytes: 2 << 30, peakBytes: 2 << 30)]),
                "timeout (300 s); a child process was killed for memory (cap 2 GB, peak 2 GB)"
            ),
        ])
    func reasons(outcome: TaskOutcome, reason: String) {
        #expect(outcome.reason == reason)
    }

    @Test(
        "an oom says what the memory was, as far as that is known and worth a word, and whose limit it was",
        arguments: [
            (
                OutOfMemory(anonymousBytes: 20 << 20, tmpfsBytes: 44 << 20, kernelBytes: 100 << 10),
                "oom (cap 64 MB, peak 64 MB: 20 MB anonymous, 44 MB files in /dev/shm or another tmpfs)"
            ),
            (
                OutOfMemory(anonymousBytes: 40 << 20, tmpfsBytes: 0, kernelBytes: 24 << 20),
                "oom (cap 64 MB, peak 64 MB: 40 MB anonymous, 24 MB kernel)"
            ),
            (
                OutOfMemory(tmpfsBytes: 44 << 20),
                "oom (cap 64 MB, peak 64 MB: 44 MB files in /dev/shm or another tmpfs)"
            ),
            (OutOfMemory(tmpfsBytes: 4096), "oom (cap 64 MB, peak 64 MB)"),
            (
                OutOfMemory(otherLimit: "the limit of all tasks together"),
                "oom by the limit of all tasks together (cap 64 MB, peak 64 MB)"
            ),
        ] as [(OutOfMemory, String)])
    func outOfMemory(oom: OutOfMemory, reason: String) throws {
        var outcome = Self.outcome(.oom, cap: 64 << 20, peak: 64 << 20)
        outcome.usage.oom = oom
        #expect(outcome.reason == reason)
        #expect(try TaskOutcome(record: outcome.record) == outcome)
    }

    @Test("what a task needed, and how often it was at its cap, are in its record")
    func needed() throws {
        var outcome = Self.outcome(.timeout)
        outcome.usage.memoryNeededBytes = 5 << 20
        outcome.usage.memoryCapHits = 1234
        #expect(outcome.record.contains(#""memory_needed_bytes":5242880,"memory_cap_hits":1234"#))
        #expect(try TaskOutcome(record: outcome.record) == outcome)
    }

    @Test("what it used of GPUs is in its record, and what cannot be is not read")
    func devices() throws {
        var outcome = Self.outcome(.exit(code: 0))
        (outcome.usage.gpuMemoryPeakBytes, outcome.usage.gpuUtilization) = (70 << 30, 0.875)
        #expect(outcome.record.contains(#""gpu_memory_peak_bytes":75161927680,"gpu_utilization":0.875"#))
        #expect(try TaskOutcome(record: outcome.record) == outcome)
        let odd = #"{"cause":"exit","exit_code":0,"gpu_memory_peak_bytes":-1,"gpu_utilization":1.5}"#
        let read = try TaskOutcome(record: odd)
        #expect(read.usage.gpuMemoryPeakBytes == nil && read.usage.gpuUtilization == nil)
    }

    @Test("only exit 0 is success, whatever else is noted")
    func success() {
        #expect(Self.outcome(.exit(code: 0), notes: ["x"]).succeeded)
        #expect(!Self.outcome(.exit(code: 1)).succeeded)
        #expect(!Self.outcome(.cancelled).succeeded)
    }

    @Test("signals have the names that kill -l prints")
    func signalNames() {
        #expect((1...31).map { signalName(Int32($0)) }.allSatisfy { $0 != nil })
        #expect(signalName(15) == "SIGTERM")
        #expect(signalName(17) == "SIGCHLD")
        #expect(signalName(25) == "SIGXFSZ")
        #expect(signalName(34) == "SIGRTMIN")
        #expect(signalName(64) == "SIGRTMIN+30")
        #expect([-1, 0, 32, 33, 65, .max, .min].allSatisfy { signalName($0) == nil })
    }

    @Test(
        "amounts of memory are written in the largest unit, to two decimals",
        arguments: [
            (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1 KB"), (1536, "1.5 KB"), (512 << 20, "512 MB"),
            (1 << 30, "1 GB"), (3 << 29, "1.5 GB"), (5 << 28, "1.25 GB"), ((1 << 30) - 1, "1 GB"),
            ((2 << 30) - 4096, "2 GB"),
            (1 << 40, "1 TB"), (1 << 53, "8192 TB"), (UInt64.max, "16777216 TB"),
        ] as [(UInt64, String)])
    func memoryText(bytes: UInt64, text: String) {
        #expect(AmountText.memory(bytes) == text)
    }

    @Test(
        "seconds are written to three decimals",
        arguments: [
            (300, "300 s"), (0.5, "0.5 s"), (1.0 / 3, "0.333 s"), (-1.5, "-1.5 s"), (0.0001, "0 s"),
            (1e9, "1000000000 s"),
        ] as [(Double, String)])
    func secondsText(seconds: Double, text: String) {
        #expect(AmountText.seconds(seconds) == text)
    }

    // MARK: Records

    @Test("a record is one line of JSON with the names scripts rely on")
    func record() {
        let outcome = TaskOutcome(
            cause: .exit(code: 3), usage: Self.full, memoryCapBytes: 2 << 30, timeoutSeconds: 300,
            stderrTail: "a\n\"b\"",
            stdoutPath: "/r/1/stdout", stderrPath: "/r/1/stderr", node: "node-1", attempt: 2,
            finishedAtUnixSeconds: 1_732_368_000.125)
        #expect(
            outcome.record == #"{"state":"failed","cause":"exit","exit_code":3,"signal":null,"worker":"node-1","#
                + #""attempts":2,"wall_seconds":1.5,"cpu_seconds":0.375,"memory_peak_bytes":2147483648,"#
                + #""stdout_path":"/r/1/stdout","stderr_path":"/r/1/stderr","reason":"exit 3","user_seconds":0.25,"#
                + #""system_seconds":0.125,"memory_cap_bytes":2147483648,"timeout_seconds":300,"oom_kills":1,"#
                + #""stderr_tail":"a\n\"b\"","finished_at":1732368000.125}"#)
    }

    @Test("what is not known is null where scripts look for it and missing where they do not")
    func sparseRecord() {
        let outcome = TaskOutcome(cause: .nodeLost, usage: Usage(wallSeconds: .nan), node: "", attempt: 1)
        #expect(
            outcome.record == #"{"state":"failed","cause":"node-lost","exit_code":null,"signal":null,"worker":"","#
                + #""attempts":1,"wall_seconds":null,"cpu_seconds":null,"memory_peak_bytes":null,"stdout_path":"","#
                + #""stderr_path":"","reason":"node lost"}"#)
    }

    @Test(
        "a record is read back as it was written",
        arguments: [
            .exit(code: 0), .exit(code: 255), .signal(9), .oom, .timeout, .cancelled, .memoryPressure, .nodeLost,
            .launch(step: "execve \"./x\"", errno: 2, message: "No such file or directory"),
        ] as [Cause])
    func roundTrip(cause: Cause) throws {
        let full = TaskOutcome(
            cause: cause, usage: Self.full, memoryCapBytes: 1 << 53, timeoutSeconds: 0.25,
            stderrTail: "\u{1b}[31m\u{0}\u{7f}\u{85}é😀\r\n", stdoutPath: "/r/1/stdout", stderrPath: "/r/1/stderr",
            node: "node-1", attempt: 3, notes: ["one", "two, \"three\""], finishedAtUnixSeconds: 1_732_368_000.125)
        #expect(try TaskOutcome(record: full.record) == full)
        let sparse = TaskOutcome(cause: cause, usage: Usage(wallSeconds: 0), node: "w", attempt: 1)
        #expect(try TaskOutcome(record: sparse.record) == sparse)
        #expect(!full.record.utf8.contains { $0 < 0x20 })
    }

    @Test("fields that are missing, unknown or of the wrong type do not make a record unreadable")
    func tolerance() throws {
        let outcome = try TaskOutcome(
            record:
                #"{"cause":"exit","exit_code":2,"later":{"x":[1]},"worker":5,"attempts":"x","memory_peak_bytes":-1}"#)
        #expect(outcome == TaskOutcome(cause: .exit(code: 2), usage: Usage(wallSeconds: 0), node: "", attempt: 1))
        #expect(try TaskOutcome(record: #"{"cause":"exit"}"#).succeeded == false)
        #expect(try TaskOutcome(record: #"{"cause":"exit","exit_code":1e30}"#).succeeded == false)
        #expect(try TaskOutcome(record: #"{"cause":"signal","signal":99999999999}"#).cause == .signal(-1))
    }

    @Test("a record says where a small output stands, and reads it back")
    func packed() throws {
        for (directory, segment, bytes) in [("/r", UInt32(1), 5), ("/a/b c", .max, 1 << 20), ("", 0, 0)] {
            let packed = PackedOutput(
                directory: directory, segment: segment, offset: segment == 0 ? 0 : 64, stdoutBytes: bytes,
                stderrBytes: 0)
            let outcome = TaskOutcome(
                cause: .oom, usage: Usage(wallSeconds: 0), packedOutput: packed, node: "n", attempt: 1)
            #expect(try TaskOutcome(record: outcome.record) == outcome)
            #expect(PackedOutput(text: packed.text)?.segment == segment)
        }
        let outcome = TaskOutcome(
            cause: .oom, usage: Usage(wallSeconds: 0),
            packedOutput: PackedOutput(directory: "/r", segment: 12, offset: 99, stdoutBytes: 3, stderrBytes: 4),
            node: "n", attempt: 1)
        #expect(
            outcome.record.hasSuffix(
                #""output_segment":"/r/segments/00000012","output_offset":99,"stdout_bytes":3,"stderr_bytes":4}"#))
    }

    @Test(
        "a record that names no place in a segment names none",
        arguments: [
            #""stdout_bytes":1"#, #""stdout_bytes":1,"stderr_bytes":0"#,
            #""stdout_bytes":-1,"stderr_bytes":0,"output_segment":"/r/segments/00000001","output_offset":64"#,
            #""stdout_bytes":1,"stderr_bytes":9223372036854775807,"output_segment":"/r/segments/00000001","output_offset":64"#,
            #""stdout_bytes":1,"stderr_bytes":0,"output_segment":"/r/segments/1","output_offset":64"#,
            #""stdout_bytes":1,"stderr_bytes":0,"output_segment":"/r/segments/00000000","output_offset":64"#,
            #""stdout_bytes":1,"stderr_bytes":0,"output_segment":"/r/segments/99999999999","output_offset":64"#,
            #""stdout_bytes":1,"stderr_bytes":0,"output_segment":"r/segments/00000001","output_offset":64"#,
            #""stdout_bytes":1,"stderr_bytes":0,"output_segment":"/etc/passwd","output_offset":64"#,
            #""stdout_bytes":1,"stderr_bytes":0,"output_segment":"/r/segments/00000001","output_offset":-1"#,
            #""stdout_bytes":1,"stderr_bytes":0,"output_segment":"/r/segments/00000001","output_offset":9223372036854775807"#,
            #""stdout_bytes":1,"stderr_bytes":0,"output_segment":"/r/segments/00000001""#,
            #""stdout_bytes":0,"stderr_bytes":0,"output_segment":"/r/segments/00000001","output_offset":64"#,
            #""stdout_bytes":1,"stderr_bytes":0,"output_segment":7,"output_offset":64"#,
        ])
    func noPlace(fields: String) throws {
        let outcome = try TaskOutcome(record: #"{"cause":"exit","exit_code":0,"# + fields + "}")
        #expect(outcome.packedOutput == nil)
    }

    @Test(
        "times that no clock says count as missing, and attempts are counted from one",
        arguments: ["1e308", "-1", "9e999", "NaN", "1000000000001"])
    func noTime(seconds: String) throws {
        let outcome = try TaskOutcome(
            record:
                #"{"cause":"exit","exit_code":0,"wall_seconds":\#(seconds),"finished_at":\#(seconds),"attempts":-9223372036854775808}"#
        )
        #expect(outcome.finishedAtUnixSeconds == nil)
        #expect(outcome.usage.wallSeconds == 0)
        #expect(outcome.attempt == 1)
    }

    @Test(
        "what is no record is an error that says why",
        arguments: [
            ("", "not a task record: at byte 1 found the end, expected a value"),
            ("[]", "not a task record: no JSON object"),
            ("{}", "not a task record: it names no cause"),
            (#"{"cause":1}"#, "not a task record: it names no cause"),
            (#"{"cause":"bored"}"#, #"not a task record: the cause "bored" is not known"#),
            ("worker: \"x\"", "not a task record: at byte 1 found `w`, expected a value"),
        ])
    func noRecord(text: String, message: String) throws {
        let error = try #require(throws: TaskRecordError.self) { try TaskOutcome(record: text) }
        #expect(error.description == message)
    }
}
