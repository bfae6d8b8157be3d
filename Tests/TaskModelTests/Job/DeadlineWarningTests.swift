import Testing

@testable import TaskModel

@Suite("A signal before the timeout")
struct DeadlineWarningTests {
    @Test(
        "is a signal by name or number, and how long before; a minute where it does not say",
        arguments: [
            ("USR1@60s", "USR1@60"), ("SIGTERM@5m", "TERM@300"), ("usr2", "USR2@60"), ("12@90", "USR2@90"),
            ("RTMIN+3@0.5", "RTMIN+3@0.5"),
        ])
    func read(text: String, noted: String) throws {
        let warning = try #require(DeadlineWarning(text: text))
        #expect(warning.text == noted)
        #expect(DeadlineWarning(text: warning.text) == warning)
    }

    @Test(
        "is none without a signal that can be handled, or with a time that is none",
        arguments: [
            "", "@", "KILL@5", "STOP", "9@1", "0@5", "65", "32", "NOSUCH@5", "USR1@", "USR1@0", "USR1@x", "USR1@5@6",
            "-1@5",
        ])
    func refused(text: String) { #expect(DeadlineWarning(text: text) == nil) }

    @Test("stands in a job's record, and is left out of one that has none")
    func record() throws {
        var settings = Job.Settings()
        #expect(!settings.json.contains("signal"))
        settings.warning = DeadlineWarning(text: "USR1@90s")
        let job = Job(identifier: "j1", name: "sweep", settings: settings, definition: Job.Definition())
        #expect(try Job(identifier: "j1", record: Array(job.record.utf8)).settings == settings)
    }
}
