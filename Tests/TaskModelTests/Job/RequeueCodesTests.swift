import Testing

@testable import TaskModel

@Suite("Exit codes by which a task goes back to the queue")
struct RequeueCodesTests {
    @Test(
        "are numbers, or none; each once, in their order",
        arguments: [("85", "85"), ("99,85", "85,99"), ("7,7", "7"), ("none", "none"), ("1,255", "1,255")])
    func read(text: String, noted: String) throws {
        let codes = try #require(RequeueCodes(text: text))
        #expect(codes.text == noted)
        #expect(RequeueCodes(text: codes.text) == codes)
    }

    @Test(
        "are none of success, and nothing else",
        arguments: ["", "0", "256", "-1", "+7", "85,", ",85", "85 99", "x", "none,85", "99999999999"])
    func refused(text: String) { #expect(RequeueCodes(text: text) == nil) }

    private func line(_ codes: RequeueCodes) throws -> TaskLine {
        var settings = Job.Settings()
        settings.requeueCodes = codes
        let job = Job(identifier: "j1", name: "j", settings: settings, definition: Job.Definition())
        let again = try Job(identifier: "j1", record: Array(job.record.utf8))
        #expect(again.settings == settings)
        return try TaskLine(command: "true", of: again)
    }

    private func outcome(_ cause: Cause) -> TaskOutcome {
        TaskOutcome(cause: cause, usage: Usage(wallSeconds: 1), node: "a", attempt: 1)
    }

    @Test("85 is one without being asked for, for the tasks of jobs alone, and only an exit is meant")
    func asked() throws {
        #expect(try line(.byDefault).asksToGoBack(by: outcome(.exit(code: 85))))
        #expect(try !line(.byDefault).asksToGoBack(by: outcome(.exit(code: 99))))
        #expect(try !line(.none).asksToGoBack(by: outcome(.exit(code: 85))))
        #expect(try line(#require(RequeueCodes(text: "15,99"))).asksToGoBack(by: outcome(.exit(code: 99))))
        for cause in [Cause.signal(15), .timeout, .oom, .cancelled, .exit(code: 0)] {
            #expect(try !line(#require(RequeueCodes(text: "15"))).asksToGoBack(by: outcome(cause)))
        }
        let ofNoJob = try TaskLine(parsing: "shell:1:0:0:exit 85")
        #expect(!ofNoJob.asksToGoBack(by: outcome(.exit(code: 85))))
    }

    @Test("how often a task went back is in its record, and in the sentence that tells why it ended")
    func told() throws {
        var ended = outcome(.exit(code: 85))
        #expect(!ended.record.contains("requeues") && ended.reason == "exit 85")
        ended.requeueCount = 1
        #expect(ended.reason == "exit 85; it went back to the queue 1 time")
        ended.requeueCount = 100
        #expect(ended.reason == "exit 85; it went back to the queue 100 times, the most that is allowed")
        #expect(try TaskOutcome(record: ended.record).requeueCount == 100)
        ended = outcome(.exit(code: 0))
        ended.requeueCount = 3
        #expect(ended.reason == "exit 0; it went back to the queue 3 times")
    }
}
