import Testing

@testable import TaskModel

@Suite("What a task has of its own")
struct TaskSurroundingsTests {
    private func own(_ fields: String) throws -> TaskSurroundings {
        let line = try TaskLine(parsing: #"{\#(fields),"command":"x"}"#)
        return try #require(line.surroundings)
    }

    @Test("a name, a directory, an environment and a file to read, by name; the line itself is the identity")
    func all() throws {
        let line =
            #"{"name":"seed 7, ü","cwd":"/srv/data","env":{"SEED":"7","_A1":""},"stdin":"/srv/in","command":"x"}"#
        let task = try TaskLine(parsing: line)
        let own = try #require(task.surroundings)
        #expect(task.text == line)
        #expect(own.name == "seed 7, ü")
        #expect(own.directory == "/srv/data")
        #expect(own.environment == ["SEED": "7", "_A1": ""])
        #expect(own.standardInput == .file("/srv/in"))
    }

    @Test("where it saves is a directory in which each task has one by its identifier")
    func checkpoints() throws {
        #expect(try own(#""checkpoint_dir":"/srv/states""#).checkpointPath(of: "4f2a") == "/srv/states/4f2a")
        #expect(try own(#""checkpoint_dir":"/""#).checkpointPath(of: "4f2a") == "/4f2a")
        #expect(try own(#""name":"x""#).checkpointPath(of: "4f2a") == nil)
    }

    @Test("what it reads may be a text, with any character in it")
    func text() throws {
        #expect(try own(#""stdin":{"text":"1 2\n\u0000é"}"#).standardInput == .text("1 2\n\0é"))
        #expect(try own(#""stdin":{"text":""}"#).standardInput == .text(""))
    }

    @Test("a number is the text of a variable as it is written")
    func numbers() throws {
        #expect(try own(#""env":{"A":7,"B":0.10,"C":-1e3}"#).environment == ["A": "7", "B": "0.10", "C": "-1e3"])
    }

    @Test(
        "a line that says nothing has nothing of its own",
        arguments: [
            "shell:1:0:0:x", #"{"command":"x"}"#, #"{"name":null,"cwd":null,"env":null,"stdin":null,"command":"x"}"#,
        ])
    func nothing(line: String) throws {
        #expect(try TaskLine(parsing: line).surroundings == nil)
    }

    private static let name = "text of 1 to 255 bytes without control characters"
    private static let directory = "the absolute path of a directory"
    private static let variables = #"names with their values, such as {"SEED": "7"}, at most 1024"#
    private static let variable =
        "a name of letters, digits and _ that begins with no digit, and not with DISTCOMP_"
    private static let input = #"the absolute path of a file, or {"text": "what it reads"}"#

    @Test(
        "a wrong value is one error, with its column, what was found and what is expected",
        arguments: [
            (#""name":"""#, #"name: found `""`, expected \#(name)"#, 9),
            (#""name":7"#, "name: found `7`, expected \(name)", 9),
            (#""name":"a\nb""#, #"name: found `"a\nb"`, expected \#(name)"#, 9),
            (#""name":"\u0085""#, #"name: found `"\u0085"`, expected \#(name)"#, 9),
            (#""cwd":"data""#, #"cwd: found `"data"`, expected \#(directory)"#, 8),
            (#""cwd":"""#, #"cwd: found `""`, expected \#(directory)"#, 8),
            (#""cwd":["/"]"#, #"cwd: found `["/"]`, expected \#(directory)"#, 8),
            (
                #""checkpoint_dir":"states""#, #"checkpoint_dir: found `"states"`, expected \#(directory)"#, 19
            ),
            (#""cwd":"/a\u0000""#, #"cwd: found `"/a\u0000"`, expected \#(directory)"#, 8),
            (#""env":"A=1""#, #"env: found `"A=1"`, expected \#(variables)"#, 8),
            (#""env":["A=1"]"#, #"env: found `["A=1"]`, expected \#(variables)"#, 8),
            (#""env":{"":"1"}"#, "env: found ``, expected \(variable)", 9),
            (#""env":{"A":"1","1B":"2"}"#, "env: found `1B`, expected \(variable)", 17),
            (#""env":{"A=B":"1"}"#, "env: found `A=B`, expected \(variable)", 9),
            (#""env":{"Ä":"1"}"#, "env: found `Ä`, expected \(variable)", 9),
            (#""env":{"DISTCOMP_TASK":"1"}"#, "env: found `DISTCOMP_TASK`, expected \(variable)", 9),
            (#""env":{"A":true}"#, "env: found `true`, expected the text of a variable", 13),
            (#""env":{"A":null}"#, "env: found `null`, expected the text of a variable", 13),
            (#""env":{"A":"\u0000"}"#, #"env: found `"\u0000"`, expected text without NUL"#, 13),
            (#""env":{"A":"1","A":"1"}"#, "env: found `A` a second time, expected each once", 17),
            (#""stdin":"in.txt""#, #"stdin: found `"in.txt"`, expected \#(input)"#, 10),
            (#""stdin":7"#, "stdin: found `7`, expected \(input)", 10),
            (#""stdin":{}"#, "stdin: found `{}`, expected \(input)", 10),
            (#""stdin":{"text":7}"#, #"stdin: found `{"text":7}`, expected \#(input)"#, 10),
            (#""stdin":{"file":"/a"}"#, #"stdin: found `{"file":"/a"}`, expected \#(input)"#, 10),
            (#""stdin":{"text":"a","text":"b"}"#, #"stdin: found `{"text":"a","text":"b"}`, expected \#(input)"#, 10),
            (
                #""dir":"/a""#,
                "dir: found an unknown field, expected one of \(TaskFields.jsonNames.joined(separator: ", "))", 2
            ),
            (#""cdw":"/a""#, "cdw: found an unknown field, expected `cwd`", 2),
        ])
    func mistakes(fields: String, message: String, column: Int) throws {
        let error = try #require(throws: TaskLineError.self) { try own(fields) }
        #expect(error.problems.count == 1)
        #expect(error.message == message)
        #expect(error.column == column)
    }

    @Test("each is bounded")
    func bounds() throws {
        #expect(try own(#""name":"\#(String(repeating: "é", count: 127))x""#).name?.utf8.count == 255)
        #expect(throws: TaskLineError.self) { try own(#""name":"\#(String(repeating: "é", count: 128))""#) }
        let path = "/" + String(repeating: "d", count: TaskSurroundings.pathBytesMax - 1)
        #expect(try own(#""cwd":"\#(path)""#).directory == path)
        #expect(throws: TaskLineError.self) { try own(#""cwd":"\#(path)d""#) }
        #expect(throws: TaskLineError.self) { try own(#""stdin":"\#(path)d""#) }
        func variables(_ count: Int) -> String {
            #""env":{\#((1...count).map { "\"V\($0)\":1" }.joined(separator: ","))}"#
        }
        #expect(try own(variables(1024)).environment.count == 1024)
        #expect(throws: TaskLineError.self) { try own(variables(1025)) }
    }

    @Test("a line of parts is JSON where one of them is there, always written alike, and reads back as the same")
    func writing() throws {
        var parts = TaskLine.Parts(command: "x {}")
        #expect(try TaskLine(of: parts).text == "shell:0:0:0:x {}")
        parts.timeout = "5m"
        parts.surroundings.name = "n"
        parts.surroundings.directory = "/a b"
        parts.surroundings.environment = ["Z": "1", "A": "\"\n", "M": ""]
        parts.surroundings.standardInput = .text("é\n")
        let line = try TaskLine(of: parts)
        #expect(
            line.text == #"{"timeout":"5m","name":"n","cwd":"/a b","env":{"A":"\"\n","M":"","Z":"1"},"#
                + #""stdin":{"text":"é\n"},"command":"x {}"}"#)
        #expect(line.surroundings == parts.surroundings)
        parts.surroundings.standardInput = .file("/in")
        parts.surroundings.checkpointDirectory = "/states"
        #expect(try TaskLine(of: parts).text.contains(#""stdin":"/in","checkpoint_dir":"/states","command""#))
        #expect(try TaskLine(of: parts).surroundings == parts.surroundings)
    }

    @Test("a part that is none is named", arguments: ["name", "cwd", "env", "stdin", "checkpoint_dir"])
    func wrongParts(field: String) {
        var parts = TaskLine.Parts(command: "true")
        if field == "name" { parts.surroundings.name = "" }
        if field == "cwd" { parts.surroundings.directory = "a" }
        if field == "env" { parts.surroundings.environment = ["DISTCOMP_X": "1"] }
        if field == "stdin" { parts.surroundings.standardInput = .file("a") }
        if field == "checkpoint_dir" { parts.surroundings.checkpointDirectory = "a" }
        let error = #expect(throws: TaskLineError.self) { try TaskLine(of: parts) }
        #expect(error?.problems.map(\.field) == [field])
    }
}
