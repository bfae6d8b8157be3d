import TaskModel
import Testing

@Suite("Memory that tasks are given")
struct MemoryPeaksTests {
    @Test("nothing is known before five have finished, and then what 19 of 20 needed and a tenth, to three percent")
    func percentile() {
        var peaks = MemoryPeaks()
        for number in 1...4 { peaks.add(UInt64(number) << 30) }
        #expect(peaks.bytesToAskFor == nil)
        for number in 5...1000 { peaks.add(UInt64(number) << 20) }
        for number in 1...1000 { peaks.add(UInt64(number) << 20) }
        let expected = 950.0 * 1.1
        let asked = Double(peaks.bytesToAskFor ?? 0) / 1_048_576
        #expect(asked >= expected && asked <= expected * 1.04)
    }

    @Test("what all needed to the byte is asked for with a tenth, whatever the bucket it is in")
    func exact() {
        var peaks = MemoryPeaks()
        for _ in 0..<100 { peaks.add(1000 << 20) }
        #expect(peaks.bytesToAskFor == 1100 << 20 && peaks.bytesAfterOom(of: 500 << 20) == 1100 << 20)
        // Hardly more is no help.
        #expect(peaks.bytesAfterOom(of: 1080 << 20) == nil && MemoryPeaks().bytesAfterOom(of: 1) == nil)
    }

    private func job(_ change: (inout Job.Settings) -> Void) -> Job {
        var settings = Job.Settings()
        settings.memoryBytes = 2 << 30
        change(&settings)
        return Job(identifier: "j1", name: "j", settings: settings, definition: .init())
    }

    private func next(_ job: Job, after gigabytes: UInt64? = nil) throws -> UInt64? {
        let line = try TaskLine(command: "x", of: job)
        let own = gigabytes.map { OwnSettings(memoryBytes: $0 << 30, millicores: 0, timeout: .byDefault) }
        return (own.map { line.taking($0) } ?? line).nextMemoryBytes.map { $0 >> 30 }
    }

    @Test(
        "more is twice as much up to the maximum, or what was said, and nothing where nothing was said or all was had")
    func next() throws {
        #expect(try next(job { _ in }) == nil)
        let doubled = job { $0.memoryMaxBytes = 5 << 30 }
        #expect(try next(doubled) == 4 && next(doubled, after: 4) == 5 && next(doubled, after: 5) == nil)
        let fixed = job { $0.onOom = .amount(16 << 30) }
        #expect(try next(fixed) == 16 && next(fixed, after: 16) == nil)
        let times = job { ($0.onOom, $0.memoryMaxBytes) = (.times(3), 100 << 30) }
        #expect(try next(times) == 6)
        #expect(try next(job { ($0.memoryBytes, $0.memoryMaxBytes) = (0, 16 << 30) }) == nil)
    }

    @Test("only memory that the task's own cap denied it makes it have more")
    func cause() throws {
        let line = try TaskLine(command: "x", of: job { $0.memoryMaxBytes = 16 << 30 })
        func more(_ cause: Cause, _ oom: OutOfMemory? = nil) -> OwnSettings? {
            line.withMoreMemory(
                after: TaskOutcome(cause: cause, usage: Usage(wallSeconds: 1, oom: oom), node: "n", attempt: 1))
        }
        #expect(more(.oom)?.memoryBytes == 4 << 30 && more(.oom)?.grownFromBytes == 2 << 30)
        #expect(more(.oom, OutOfMemory(otherLimit: "the limit of all tasks")) == nil)
        #expect(more(.signal(9)) == nil && more(.memoryPressure) == nil && more(.timeout) == nil)
    }

    @Test("what a job says of it is in its record, and what a task has of its own in its text")
    func records() throws {
        let job = job {
            ($0.memoryMaxBytes, $0.onOom, $0.learnsMemory) = (16 << 30, .times(1.5), true)
        }
        #expect(try Job(identifier: "j1", record: Array(job.record.utf8)) == job)
        for text in ["x2", "x1.5", "16G", "512M"] {
            #expect(OomRule(text: OomRule(text: text)?.text ?? "") == OomRule(text: text))
        }
        for text in ["x1", "x", "2x", "", "0", "x-3"] { #expect(OomRule(text: text) == nil) }
        var own = OwnSettings(memoryBytes: 1, millicores: 2, timeout: .none)
        own.memoryMaxBytes = 7
        own.grownFromBytes = 3
        #expect(OwnSettings(text: own.text) == own)
        #expect(OwnSettings(text: "1:2 none min=3") == nil)
    }

    @Test("how much a task may come to have is said by a line of a file alone, and is more than it has")
    func lines() {
        func entries(_ text: String) -> TaskLine? { try? TaskLine(parsing: text) }
        #expect(entries(#"{"command":"x","memory":"1G","memory_max":"2G"}"#) == nil)
    }

    @Test("what no machine has, as a record may say it, is bounded and traps nothing")
    func bounds() {
        var peaks = MemoryPeaks()
        for _ in 0..<5 { peaks.add(.max) }
        #expect(peaks.bytesToAskFor == 1 << 53)
        #expect(peaks.bytesAfterOom(of: 1 << 30) == 1 << 53)
    }
}
