import Testing

@testable import TaskModel

@Suite("files of plain commands")
struct CommandFileTests {
    /// What a file holds that may be task lines or plain commands, an entry a line.
    private func read(
        _ text: String, _ parts: TaskLine.Parts = .init(command: ""), pieceSize: Int = .max
    ) -> [String] {
        var file = TaskFile(named: "cmds.txt", orCommandsWith: parts)
        var found: [String] = []
        func use(_ entry: TaskFile.Entry) {
            switch entry {
            case .form(let form): found.append("\(form)")
            case .task(let line, let number): found.append("\(number) \(line.text)")
            case .problem(let problem): found.append("\(problem)")
            }
        }
        Array(text.utf8).withUnsafeBytes { all in
            for start in stride(from: 0, to: all.count, by: min(pieceSize, max(1, all.count))) {
                let end = start + min(pieceSize, all.count - start)
                file.read(UnsafeRawBufferPointer(rebasing: all[start..<end]), use)
            }
        }
        file.finish(use)
        return found
    }

    @Test("every line is a shell's, with what is asked for all of them; blank lines and comments are skipped")
    func commands() {
        var parts = TaskLine.Parts(command: "")
        parts.memory = "2G"
        parts.cores = "1"
        parts.timeout = "10m"
        parts.priority = 3
        #expect(
            read("#!/bin/sh\n\n  # a comment\n  ./sim 1 > 1.out; echo \"a:b\"  \r\n\nsleep 1 # so long\n", parts) == [
                "commands", "4 shell:3:2G:1:10m:./sim 1 > 1.out; echo \"a:b\"", "6 shell:3:2G:1:10m:sleep 1 # so long",
            ])
        // What the form with colons would read as something else is JSON.
        #expect(read("true\n5m: is a file\n") == ["commands", "1 shell:0:0:0:true", #"2 {"command":"5m: is a file"}"#])
    }

    @Test(
        "the first line that is neither blank nor a comment decides: these are commands",
        arguments: [
            "echo shell:1:0:0:x", "./run.sh", "{ cd a; make; }", "A=1:2:3:4 ./x", "cp a:1 b", "http://x:80/y", "a: b",
            "time: ./x", "é:1:2", "x", "\"shell\":1", "rsync host:dir .", "python3 train.py --lr 1:2:3:4:5", "[ -e x ]",
        ])
    func areCommands(line: String) {
        #expect(read("# comment\n\n\(line)\n").first == "commands")
    }

    @Test(
        "and these are task lines, or mistyped ones, which are errors with their place",
        arguments: [
            ("shell:1:0:0:true", "3 shell:1:0:0:true"), (#"{"command":"true"}"#, #"3 {"command":"true"}"#),
            (#"{ "command" : "true" }"#, #"3 { "command" : "true" }"#), ("shell:high:0:0:x", "cmds.txt:3:7: priority"),
            ("shel:1:0:0:true", "cmds.txt:3:1: type"), ("ruby:5:0:0:x", "cmds.txt:3:1: type"),
            ("Shell : 5:0:0:x", "cmds.txt:3:1: type"), ("shel:-1:0:0:x", "cmds.txt:3:1: type"),
            ("shel:high:0:0:./x", "cmds.txt:3:1: type"), ("shell:", "cmds.txt:3:7: priority"),
            (#"{"comand":"x"}"#, "cmds.txt:3:2: comand"), (#"{"command":"x""#, "cmds.txt:3:15: line"),
        ])
    func areTaskLines(line: String, entry: String) {
        let found = read("# comment\n\n\(line)\nshell:1:0:0:last\n")
        #expect(found.first == "taskLines")
        #expect(found.dropFirst().first?.hasPrefix(entry) == true, "\(found)")
        #expect(found.last == "4 shell:1:0:0:last")
    }

    @Test("a task line among commands is an error, and a command among task lines")
    func mixed() {
        let found = read("true\nshell:1:0:0:x\n{\"command\":\"x\"}\nfalse\n")
        #expect(found.count == 5)
        #expect(found[1] == "1 shell:0:0:0:true" && found[4] == "4 shell:0:0:0:false")
        #expect(
            found[2]
                == "cmds.txt:2:1: line: found `shell:1:0:0:x`, a task line, expected a command, as the first line is one"
        )
        #expect(found[3].hasPrefix("cmds.txt:3:1: line"))
        #expect(
            read("shell:1:0:0:x\ntrue\n").last?.hasPrefix("cmds.txt:2:1: type: found `true`, the last field") == true)
    }

    @Test("commands that are no text, or too long, are errors, and so is the word that stops the nodes")
    func refused() {
        let huge = String(repeating: "x", count: TaskLine.byteCountMax + 1)
        let found = read("true\na\u{0}b\n\(huge)\nWORKER_COMMAND_CLOSE\nfalse\n")
        #expect(found.count == 6 && found.last == "5 shell:0:0:0:false")
        #expect(found[2] == "cmds.txt:2:2: line: found a NUL character, expected text on one line")
        #expect(found[3].hasPrefix("cmds.txt:3:1: line: found a longer one"))
        #expect(found[4].hasPrefix("cmds.txt:4:1: line"))
    }

    @Test("the same file in pieces of any size holds the same, and what it is is told once", arguments: 1...30)
    func pieces(size: Int) {
        let text = "\u{FEFF}# é\r\n\n./é 1\r\nshell:1:0:0:x\n./b"
        let whole = read(text)
        #expect(read(text, pieceSize: size) == whole)
        #expect(whole.count == 4 && whole.filter { $0 == "commands" }.count == 1)
    }

    @Test("a file without a line that tells is neither", arguments: ["", "\n\n", "# only\n"])
    func empty(text: String) {
        #expect(read(text).isEmpty)
    }
}
