import TaskModel
import Testing

@Suite("Settings of single tasks of a job")
struct OwnSettingsTests {
    @Test(
        "as text they are read back",
        arguments: [TimeoutRequest.byDefault, .none, .seconds(0.25), .seconds(7200), .seconds(1e9)])
    func roundTrip(timeout: TimeoutRequest) {
        let own = OwnSettings(memoryBytes: 5 << 30, millicores: 1500, timeout: timeout)
        #expect(OwnSettings(text: own.text) == own)
    }

    @Test(
        "what is no such text is refused",
        arguments: [
            "", " ", "1", "1:2", "1:2 ", "1:2 x", "1:2 -5", "1:2 0", "1:2 nan", "1:2 inf", "-1:2 none", "1:-2 none",
            "1:2:3 none", "1:2 none none", "99999999999999999999999:1 none",
        ])
    func damaged(text: String) { #expect(OwnSettings(text: text) == nil) }

    @Test("a task of a job has settings of its own only where they are not the job's")
    func difference() throws {
        var settings = Job.Settings()
        (settings.memoryBytes, settings.millicores, settings.timeout) = (1, 2, .seconds(3))
        let line = try TaskLine(
            command: "c", of: Job(identifier: "j", name: "j", settings: settings, definition: Job.Definition()))
        #expect(line.own == nil)
        #expect(line.taking(OwnSettings(memoryBytes: 1, millicores: 2, timeout: .seconds(3))).own == nil)
        let more = OwnSettings(memoryBytes: 1, millicores: 2, timeout: .none)
        #expect(line.taking(more).own == more && line.taking(more) == line)
        #expect(try TaskLine(parsing: "shell:0:1:1:c").own == nil)
    }
}
