import Testing

@testable import TaskModel

@Suite("Task line in JSON")
struct TaskLineJSONTests {
    @Test("all fields by name; the line itself is the identity")
    func allFields() throws {
        let line = #"{"type":"python","priority":-5,"memory":"8G","cores":2,"timeout":"5m","command":"x.py 300:1"}"#
        let task = try TaskLine(parsing: "  " + line + "\r\n")
        #expect(task.text == line)
        #expect(task.type == .python)
        #expect(task.priority == -5)
        #expect(task.memoryBytes == 8 << 30)
        #expect(task.millicores == 2000)
        #expect(task.timeout == .seconds(300))
        #expect(task.command == "x.py 300:1")
    }

    @Test(
        "only the command is needed; what is missing or null has its default",
        arguments: [
            #"{"command":"true"}"#,
            #"{ "type": null, "priority": null, "memory": null, "cores": null, "timeout": null, "command": "true" }"#,
        ])
    func defaults(line: String) throws {
        let task = try TaskLine(parsing: line)
        #expect(task.type == .shell)
        #expect(task.priority == 0)
        #expect(task.memoryBytes == 0)
        #expect(task.millicores == 0)
        #expect(task.timeout == .byDefault)
        #expect(task.command == "true")
    }

    @Test(
        "amounts are numbers or strings",
        arguments: [
            (#""memory":8,"cores":0.5,"timeout":90"#, 8 << 30, 500, .seconds(90)),
            (#""memory":0.5,"cores":"1.5","timeout":"90s""#, 1 << 29, 1500, .seconds(90)),
            (#""memory":"512M","cores":"2","timeout":0.25"#, 512 << 20, 2000, .seconds(0.25)),
            (#""memory":"0","cores":0,"timeout":0"#, 0, 0, TimeoutRequest.none),
            (#""memory":0,"cores":0,"timeout":"1.5h""#, 0, 0, .seconds(5400)),
        ] as [(String, UInt64, Int, TimeoutRequest)])
    func amounts(fields: String, memoryBytes: UInt64, millicores: Int, timeout: TimeoutRequest) throws {
        let task = try TaskLine(parsing: "{\(fields),\"command\":\"true\"}")
        #expect(task.memoryBytes == memoryBytes)
        #expect(task.millicores == millicores)
        #expect(task.timeout == timeout)
    }

    @Test("a command may say what the form with colons cannot: newlines, a timeout at its start, quotes")
    func commands() throws {
        #expect(try TaskLine(parsing: #"{"command":"echo a\necho b"}"#).command == "echo a\necho b")
        #expect(try TaskLine(parsing: #"{"command":"10:30"}"#).command == "10:30")
        #expect(
            try TaskLine(parsing: #"{"command":"echo \"é\" \u00e9 \ud83d\ude00 \/\\"}"#).command == #"echo "é" é 😀 /\"#)
    }

    @Test(
        "a wrong field is named, with its column, what was found and what is expected",
        arguments: [
            (#"{"comand":"true","command":"x"}"#, "comand: found an unknown field, expected `command`", 2),
            (
                #"{"wibble":1,"command":"x"}"#,
                "wibble: found an unknown field, expected one of type, priority, memory, memory_max, cores, timeout, name, cwd, env, "
                    + "stdin, checkpoint_dir, after, resources, where, command", 2
            ),
            (#"{"type":"shel","command":"x"}"#, #"type: found `"shel"`, expected one of shell, python, demo"#, 9),
            (#"{"type":1,"command":"x"}"#, "type: found `1`, expected one of shell, python, demo", 9),
            (
                #"{"priority":1.5,"command":"x"}"#,
                "priority: found `1.5`, expected a whole number from -1000000 to 1000000", 13
            ),
            (
                #"{"priority":9223372036854775807,"command":"x"}"#,
                "priority: found `9223372036854775807`, expected a whole number from -1000000 to 1000000", 13
            ),
            (
                #"{"priority":"1","command":"x"}"#,
                #"priority: found `"1"`, expected a whole number from -1000000 to 1000000"#, 13
            ),
            (#"{"memory":-1,"command":"x"}"#, "memory: found `-1`, expected \(Amount.memoryExpected)", 11),
            (#"{"memory":1e30,"command":"x"}"#, "memory: found `1e30`, expected \(Amount.memoryExpected)", 11),
            (#"{"memory":NaN,"command":"x"}"#, "memory: found `NaN`, expected \(Amount.memoryExpected)", 11),
            (#"{"memory":true,"command":"x"}"#, "memory: found `true`, expected \(Amount.memoryExpected)", 11),
            (#"{"memory":"","command":"x"}"#, #"memory: found `""`, expected \#(Amount.memoryExpected)"#, 11),
            (#"{"cores":[2],"command":"x"}"#, "cores: found `[2]`, expected \(Amount.coresExpected)", 10),
            (#"{"timeout":-1,"command":"x"}"#, "timeout: found `-1`, expected \(Amount.timeoutExpected)", 12),
            (
                #"{"command":""}"#,
                #"command: found `""`, expected the command to run, a string that is not empty and has no NUL in it"#,
                12
            ),
            (
                #"{"command":"a\u0000"}"#,
                #"command: found `"a\u0000"`, expected the command to run, a string that is not empty and has no "#
                    + "NUL in it",
                12
            ),
            (
                #"{"command":null}"#,
                "command: found `null`, expected the command to run, a string that is not empty and has no NUL in it",
                12
            ),
            (#"{"type":"shell"}"#, "command: found no such field, expected the command to run", 16),
            (#"{}"#, "command: found no such field, expected the command to run", 2),
            (#"{"command":"x","command":"y"}"#, "command: found it a second time, expected each field once", 16),
            (#"{"command":"x"} y"#, "line: found `y`, expected the end of the text", 17),
            (#"{"command":"x",}"#, "line: found `}`, expected a name in double quotes", 16),
            (#"{"é":1 "command":"x"}"#, #"line: found `"`, expected a comma or a closing brace"#, 8),
            (#"{"command":"x"#, "line: found the end, expected the quote that ends the string", 14),
        ])
    func wrongFields(line: String, message: String, column: Int) throws {
        let error = try #require(throws: TaskLineError.self) { try TaskLine(parsing: line) }
        #expect(error.message == message)
        #expect(error.column == column)
    }

    @Test("every wrong field is named")
    func allProblems() throws {
        let error = try #require(throws: TaskLineError.self) {
            try TaskLine(parsing: #"{"tpye":"shell","memory":"8X","cores":-2,"comand":"x"}"#)
        }
        #expect(error.problems.map(\.field) == ["tpye", "memory", "cores", "comand", "command"])
    }
}
