import Testing

@testable import TaskModel

@Suite("Task line of parts")
struct TaskLineWritingTests {
    @Test("the form with colons is used where it says the same, amounts as they were given")
    func colons() throws {
        var parts = TaskLine.Parts(command: "./cachesim lru 1G")
        #expect(try TaskLine(of: parts).text == "shell:0:0:0:./cachesim lru 1G")
        parts.priority = 5
        parts.memory = "2G"
        parts.cores = "0.5"
        parts.timeout = "10m"
        let line = try TaskLine(of: parts)
        #expect(line.text == "shell:5:2G:0.5:10m:./cachesim lru 1G")
        #expect(line.timeout == .seconds(600) && line.memoryBytes == 2 << 30 && line.millicores == 500)
    }

    @Test(
        "a command that would be read as something else is written as JSON",
        arguments: [("5m: is a file", nil), ("30:echo", nil), ("a\nb", nil), ("true", "1.5h"), (" true", "0.5d")])
    func json(command: String, timeout: String?) throws {
        var parts = TaskLine.Parts(command: command)
        parts.timeout = timeout
        let line = try TaskLine(of: parts)
        #expect(line.text.first == "{")
        #expect(line.command == command)
        #expect((line.timeout == .byDefault) == (timeout == nil))
    }

    @Test("with a timeout before it, a command may begin like one")
    func timeoutFirst() throws {
        var parts = TaskLine.Parts(command: "5m: x")
        parts.timeout = "0"
        let line = try TaskLine(of: parts)
        #expect(line.text == "shell:0:0:0:0:5m: x")
        #expect(line.command == "5m: x" && line.timeout == .none)
    }

    @Test("a part that is none is named", arguments: ["memory", "cores", "timeout", "priority", "command"])
    func mistakes(field: String) {
        var parts = TaskLine.Parts(command: field == "command" ? "a\0b" : "true")
        if field == "memory" { parts.memory = "8Q:1" }
        if field == "cores" { parts.cores = "many" }
        if field == "timeout" { parts.timeout = "soon" }
        if field == "priority" { parts.priority = .max }
        let error = #expect(throws: TaskLineError.self) { try TaskLine(of: parts) }
        #expect(error?.problems.map(\.field) == [field])
    }
}

@Suite("Words for a shell")
struct ShellWordTests {
    @Test("what means nothing to a shell stays; all else comes back from its quotes as it was")
    func quoting() throws {
        for plain in ["a", "./a-b_c.d", "x=1", "50%", "a:b,c@d+e"] { #expect(ShellWord.quoted(plain) == plain) }
        for special in ["~", "a b", "$x", "a;b", "*", "{a,b}", "!", "^", "#", "a\nb", "(", "&", "|", "<", "`", "\\"] {
            #expect(ShellWord.quoted(special) == "'\(special)'")
        }
        #expect(ShellWord.quoted("") == "''")
        #expect(ShellWord.quoted("it's") == #"'it'\''s'"#)
        for word in ["a b", "$HOME", "it's", "''", "a\nb", "*", "~", "{1}", "ü", "\\", "\""] {
            #expect(try WordSplitter.split(ShellWord.quoted(word)) == [word])
        }
    }
}
