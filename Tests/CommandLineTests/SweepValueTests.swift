import Foundation
import TaskModel
import Testing

@testable import distcomp

@Suite("values of a sweep, read back from its commands")
struct SweepValueTests {
    /// What is read back from each command of a sweep; "-" for a value that is not known.
    private func read(
        _ words: [String], _ options: SweepInput.Options = .init(), files: [String: String] = [:]
    ) throws -> [String?] {
        let sweep = try madeSweep(words, options, files: files)
        let made = try #require(sweep.made)
        let template = try #require(Template(made))
        return (0..<sweep.count).map { index in
            template.values(in: sweep.command(index), made.columns)?.map { $0 ?? "-" }.joined(separator: "|")
        }
    }

    private func read(_ text: String) throws -> [String?] { try read(text.split(separator: " ").map(String.init)) }

    @Test("each value is found again, quoted, in parts of words, in text for a shell and where none was asked for")
    func roundTrip() throws {
        #expect(try read("s {1} {2} ::: lru fifo ::: 1G 4G") == ["lru|1G", "lru|4G", "fifo|1G", "fifo|4G"])
        #expect(try read("s ::: a b ::: c") == ["a|c", "b|c"])
        #expect(try read("s --x={2} {1}.log ::: a ::: 1 2") == ["a|1", "a|2"])
        #expect(try read("s -{}- {} ::: a ::: b") == ["a|b"])
        #expect(try read(["s", "{}", ":::", "it's", "", "a b", "é$x\"", "'"]) == ["it's", "", "a b", "é$x\"", "'"])
        #expect(
            try read(["./s --x={1} '{2}'>{#}.out; true", ":::", "a b", "it's", ":::", "", "c"])
                == ["a b|", "a b|c", "it's|", "it's|c"])
        #expect(try read(["wc -l", ":::", "a b", "c"]) == ["a b", "c"])
        #expect(try read("c {} {.}.png {//} ::: d/x.gz y") == ["d/x.gz", "y"])
        let options = SweepInput.Options(columnSeparator: ",", header: ":")
        let table = try read(["s", "{n}", "{x}", "::::", "f"], options, files: ["f": "n,x\n1,0.5\n2,a b\n"])
        #expect(table == ["1|0.5", "2|a b"])
    }

    @Test("a value of which the command has a part only is not known, and neither are others in its place")
    func unknown() throws {
        #expect(try read("c {1.} {2} ::: x.gz ::: 1") == ["-|1"])
        #expect(try read("c {1/} ::: d/x") == [nil])
        #expect(try read("c {1}-{2} ::: a b-c ::: d e-f") == ["a|d", nil, nil, nil])
        #expect(try read("c {1}{2} ::: 1 ::: 2") == ["1|2"], "neither can be empty")
        #expect(try read("c {1}{2} ::: 1 ::: 23") == [nil])
        #expect(try read("c {1}-{2} ::: 1 -2 ::: -3") == ["1|-3", "-2|-3"], "whole numbers have a sign in front only")
        let made = try #require(try madeSweep(["s", "{}", ":::", "1", "2"]).made)
        let template = try #require(Template(made))
        for other in ["s", "s 1 2", "t 1", "s x", "s '1", ""] {
            #expect(template.values(in: other, made.columns) == nil, "\(other)")
        }
    }

    @Test("what is read back is never wrong, whatever is in the values")
    func random() throws {
        var random = SystemRandomNumberGenerator()
        let parts = ["a", "'", "-", " ", "", "1", "\\", "é", "{1}", "\n"]
        func text() -> String {
            (0..<Int.random(in: 0...4)).map { _ in parts.randomElement(using: &random) ?? "" }.joined()
        }
        let commands = [["s", "{1}-{2}"], ["s {1}-{2} a{1}"], ["s", "{2}", "{.}"], ["s '{1}'{2}"], ["s{}", "{#}"]]
        var knownCount = 0
        for command in commands {
            for _ in 0..<200 {
                let values = [text(), text()]
                let sweep = try madeSweep(command + [":::", values[0], ":::", values[1]])
                let made = try #require(sweep.made)
                guard let read = Template(made)?.values(in: sweep.command(0), made.columns) else { continue }
                knownCount += 1
                for (value, read) in zip(values, read) { #expect(read == nil || read == value, "\(command) \(values)") }
            }
        }
        #expect(knownCount > 300)
    }

    @Test("a template that fits in too many ways ends with no answer")
    func bounded() throws {
        let values = Array(repeating: String(repeating: "aaaa-", count: 100), count: 6)
        #expect(try read(["s", "{1}-{2}-{3}-{4}-{5}-{6}x"] + values.flatMap { [":::", $0] }) == [nil])
    }

    @Test("a column is whole numbers, numbers or text, by all of its values")
    func kinds() throws {
        func kinds(_ values: String...) throws -> [ValueKind] {
            try #require(try madeSweep(["s", "{}", ":::"] + values).made).columns.map(\.kind)
        }
        #expect(try kinds("1", "-20", "0") == [.integer])
        #expect(try kinds("1", "0.5", "1e-3", "-2.5E+7") == [.number])
        #expect(try kinds("0.5", "1") == [.number])
        for text in ["1G", "007", "+1", ".5", "5.", "1e", "", " 1", "0x1", "nan", "1e999", "1234567890123456789", "-"] {
            #expect(try kinds("1", text) == [.text], "\(text)")
        }
    }

    @Test("the record of a job keeps the template; one that is too long is left out")
    func record() throws {
        var settings = Job.Settings()
        settings.template = try madeSweep(["s", "{}", ":::", "1", "a\nb"]).made
        let job = Job(identifier: "k2x", name: "s", settings: settings, definition: Job.Definition())
        #expect(settings.template?.words == ["s", "{}"])
        #expect(try Job(identifier: "k2x", record: Array(job.record.utf8)) == job)
        #expect(try madeSweep([String(repeating: "x", count: 5000), ":::", "1"]).made == nil)
        #expect(try madeSweep(["s"]).made == nil)
    }

    @Test("values are fields: of one object, or in a table of one job columns of their own")
    func fields() throws {
        let options = SweepInput.Options(columnSeparator: ",", header: ":")
        let sweep = try madeSweep(
            ["s", "::::", "f"], options, files: ["f": "policy,size,state\nlru,1,0.5\nfifo,2,1\n"])
        var settings = Job.Settings()
        settings.template = sweep.made
        let job = Job(identifier: "k2x", name: "s", settings: settings, definition: Job.Definition())
        func told(_ command: String) throws -> TaskResult {
            let line = try TaskLine(command: command, of: job)
            var told = result(line.text)
            told.taskOfJob = line
            return SweepValues().completed(told)
        }
        let second = try told(sweep.command(1))
        #expect(second.json.contains(#""values":{"policy":"fifo","size":2,"value_state":1.0},"#), "\(second.json)")
        #expect(ResultCSV().row(second).contains(#","{""policy"":""fifo"",""size"":2,""value_state"":1.0}","#))
        let columns = try #require(settings.template.flatMap(SweepColumns.init))
        let csv = ResultCSV(columns: columns.names)
        #expect(csv.heading.contains(",command,policy,size,value_state,job,"), "\(csv.heading)")
        #expect(csv.row(second).contains(",s fifo 2 1,fifo,2,1.0,s,shell,"), "\(csv.row(second))")
        let other = try told("t 1")
        #expect(other.json.contains(#""values":null,"#) && csv.row(other).contains(",t 1,,,,s,shell,"))
    }
}
