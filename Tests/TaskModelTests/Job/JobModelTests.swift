import TaskModel
import Testing

@Suite("A job and its lines")
struct JobModelTests {
    private func job(
        _ change: (inout Job.Settings, inout Job.Definition) -> Void = { _, _ in }
    ) -> Job {
        var (settings, definition) = (Job.Settings(), Job.Definition())
        change(&settings, &definition)
        return Job(identifier: "k2x", name: "sim", settings: settings, definition: definition)
    }

    @Test("a record says all there is of a job, and is read back as it was")
    func record() throws {
        let job = job { settings, definition in
            settings.memoryBytes = 2 << 30
            settings.millicores = 500
            settings.timeout = .seconds(90)
            settings.priority = -3
            (settings.owner, settings.host, settings.command) = ("ann", "node7", "./sim '{}' ::: \"a\nb\"")
            (settings.submittedAtUnixSeconds, settings.fingerprint) = (1_795_945_361, "f00")
            definition.surroundings.directory = "/data/ann"
            definition.surroundings.environment = ["SEED": "7", "A": "x=y"]
            definition.surroundings.standardInput = .text("in\n")
        }
        #expect(job.record.split(separator: "\n", omittingEmptySubsequences: false).count == 3)
        #expect(try Job(identifier: "k2x", record: Array(job.record.utf8)) == job)
        let unlimited = self.job { settings, _ in settings.timeout = .none }
        #expect(try Job(identifier: "k2x", record: Array(unlimited.record.utf8)).settings.timeout == .none)
    }

    @Test("the columns of a sweep are read back whatever they are called, and none looks like a setting")
    func columns() throws {
        let names = ["where", "resources", "halt", "1", "", "_x", "Été", "é", "\"q\"", "a\nb"]
        let job = job { settings, _ in
            settings.template = JobTemplate(
                words: names.map { "{\($0)}" }, columns: names.map { JobTemplate.Column(name: $0, kind: .text) })
        }
        #expect(try Job(identifier: "k2x", record: Array(job.record.utf8)) == job)
        for name in names.prefix(3) { #expect(!job.record.contains("\"\(name)\":"), "\(job.record)") }
    }

    @Test(
        "a record that is none, or whose definition has what this version does not know, is an error",
        arguments: [
            "", "sim", "sim\n{}", "sim\n{}\n[]", "sim\n{\n{}", "sim\n{}\n{\"type\":\"ruby\"}",
            "sim\n{}\n{\"container\":\"x\"}",
            "sim\n{\"timeout\":-1}\n{}", "a\nb\n{}\n{}",
        ])
    func wrongRecord(record: String) {
        #expect(throws: JobRecordError.self) { try Job(identifier: "k2x", record: Array(record.utf8)) }
    }

    @Test(
        "a command is a line of its job whatever is in it, and is read back as it was",
        arguments: [
            "./sim 1", "{ a; b; }", "a\nb", " a", "a ", "10:30", "@other x", "#", "{\"command\":\"x\"}", "é\u{301}",
        ])
    func commands(command: String) throws {
        let job = job { settings, _ in (settings.memoryBytes, settings.timeout) = (7, .seconds(5)) }
        let line = try TaskLine(command: command, of: job)
        #expect(Job.identifier(ofLine: line.text) == "k2x" && !line.text.contains("\n"))
        let again = try TaskLine(parsing: Array(line.text.utf8), of: ["k2x": job])
        #expect(again == line && again.command == command && again.job == job)
        #expect(again.memoryBytes == 7 && again.timeout == .seconds(5) && again.type == .shell)
        #expect(TaskLine.command(ofLine: line.text) == command)
    }

    @Test("what a task may use is no part of its line: with another size of its job it is the same task")
    func identity() throws {
        let larger = job { settings, _ in settings.memoryBytes = 1 << 40 }
        #expect(try TaskLine(command: "./sim", of: job()) == TaskLine(command: "./sim", of: larger))
    }

    @Test("a task has its job's directory, variables and input, but for those of its own, which alone are in its line")
    func surroundings() throws {
        let job = job { _, definition in
            definition.surroundings.directory = "/a"
            definition.surroundings.environment = ["A": "1", "B": "2"]
        }
        #expect(try TaskLine(command: "x", of: job).text == "@k2x x")
        #expect(try TaskLine(command: "x", of: job).surroundings == job.definition.surroundings)
        var own = job.definition.surroundings
        own.directory = "/b"
        own.environment["B"] = "3"
        let line = try TaskLine(command: "x", surroundings: own, of: job)
        #expect(line.text == #"@k2x {"cwd":"/b","env":{"B":"3"},"command":"x"}"#)
        #expect(line.surroundings == own)
    }

    @Test(
        "a line of a job that is not known, or that is none, is an error that says so",
        arguments: [
            "@k3x ./sim", "@k2x", "@k2x ", "@K2X ./sim", "@ x", "@k2x {\"command\":1}", "@k2x {\"memory\":\"1G\"}",
        ])
    func wrongLine(line: String) {
        #expect(throws: TaskLineError.self) { try TaskLine(parsing: line, of: ["k2x": job()]) }
    }

    @Test("names are for command lines and URLs; any path or program gives one")
    func names() {
        for name in ["a", "cache-sim_2.x+y", String(repeating: "a", count: 128)] {
            #expect(Job.problem(withName: name) == nil)
        }
        for name in ["", "a b", "-x", "a/b", "é", "default", "\u{1b}[2J", String(repeating: "a", count: 129)] {
            #expect(Job.problem(withName: name) != nil)
        }
        #expect(Job.name(from: "/usr/bin/./cachesim") == "cachesim" && Job.name(from: "naïve sim") == "na-ve-sim")
        for text in ["", "---", "/", "default", "\u{1b}[2J", String(repeating: "x", count: 1000)] {
            #expect(Job.problem(withName: Job.name(from: text)) == nil)
        }
    }
}
