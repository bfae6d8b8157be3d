import Testing

@testable import TaskModel

@Suite("How a command is executed")
struct CommandFormTests {
    private func form(_ line: String) throws -> CommandForm { try CommandForm(TaskLine(parsing: line)) }

    @Test(
        "a shell command that a shell would only split into words is executed directly",
        arguments: [
            ("sleep 1", ["sleep", "1"]),
            (
                "  convert  -resize 50%\timage.png a,b:c+d@e=f ",
                ["convert", "-resize", "50%", "image.png", "a,b:c+d@e=f"]
            ),
            ("./x", ["./x"]),
            ("/usr/bin/env A=1 b", ["/usr/bin/env", "A=1", "b"]),
            ("true", ["true"]),
            ("grep é /etc/passwd", ["grep", "é", "/etc/passwd"]),
            ("echo 10:30", ["echo", "10:30"]),
        ] as [(String, [String])])
    func direct(command: String, words: [String]) throws {
        #expect(try form("shell:1:0:0:" + command) == .direct(words))
    }

    @Test(
        "a command with anything that means something to a shell goes to the shell, whole",
        arguments: [
            "a | b", "a & b", "a; b", "a < b", "a > b", "(a)", "{ a; }", "a [b]", "echo $HOME", "echo `a`", "a \\ b",
            "echo \"a\"", "echo 'a'", "ls *", "ls ?", "a # b", "ls ~", "! a", "a ^ b", "a\rb", "a\u{b}b",
        ])
    func special(command: String) throws {
        #expect(try form("shell:1:0:0:" + command) == .shell(command))
        #expect(try form("shell:1:0:0:" + command).arguments == ["/bin/sh", "-c", command])
    }

    @Test(
        "a command that begins with a shell's own word or an assignment goes to the shell",
        arguments: [
            "cd /tmp", "exit 3", "ulimit -v 1000", "exec sleep 1", ". ./env", ":", "A=1 b", "A=1", "while", "if",
            "time a",
            "kill 1", "printf a", "test -e a", "pwd", "wait", "umask 077", "source x", "type a", "echo -e a",
            "true --help",
            "false --version",
        ])
    func shellWords(command: String) throws {
        #expect(try form("shell:1:0:0:" + command) == .shell(command))
    }

    @Test("a command of several lines goes to the shell")
    func lines() throws {
        #expect(try form(#"{"command":"sleep 1\nsleep 2"}"#) == .shell("sleep 1\nsleep 2"))
    }

    @Test("python tasks are python3 with these words, demo tasks echo demo with them, neither through a shell")
    func pythonAndDemo() throws {
        #expect(
            try form("python:1:0:0:-c 'import sys; print(sys.argv)' \"a b\" $HOME").arguments
                == ["python3", "-c", "import sys; print(sys.argv)", "a b", "$HOME"])
        #expect(try form("demo:1:0:0:hello   world").arguments == ["echo", "demo", "hello", "world"])
    }

    @Test(
        "words are split as Python's shlex.split does",
        arguments: [
            ("a b", ["a", "b"]), (" a\t b ", ["a", "b"]), ("'a b'c", ["a bc"]), (#""a \"b\" \\ \n""#, [#"a "b" \ \n"#]),
            (#"'a\'"#, [#"a\"#]), (#"a\ b"#, ["a b"]), (#"\'"#, ["'"]), ("''", [""]), (#"a "" b"#, ["a", "", "b"]),
            ("'#' # c", ["#", "#", "c"]), ("a;b|c", ["a;b|c"]), ("é'ü'", ["éü"]), (#""$x `y`""#, ["$x `y`"]),
            (#""a'b""#, ["a'b"]), ("e\u{301}'\u{301}'", ["e\u{301}\u{301}"]), ("a\u{b}b", ["a\u{b}b"]), ("", []),
        ] as [(String, [String])])
    func splitting(command: String, words: [String]) throws {
        #expect(try WordSplitter.split(command) == words)
    }

    @Test(
        "a quote that is never closed is an error that says where it opens",
        arguments: [
            ("python:1:0:0:x.py 'a", "a single quote that is never closed at column 6 of the command"),
            ("demo:1:0:0:it's", "a single quote that is never closed at column 3 of the command"),
            (#"python:1:0:0:é "a\""#, "a double quote that is never closed at column 3 of the command"),
            (#"python:1:0:0:a \"#, "a backslash with nothing after it at column 3 of the command"),
        ])
    func unbalanced(line: String, message: String) throws {
        let error = try #require(throws: WordSplitError.self) { try form(line) }
        #expect(error.description == message)
    }
}

// MARK: - Shapes

@Suite("Shapes of commands")
struct CommandShapeTests {
    private func shape(_ commands: String...) throws -> String {
        let shapes = try commands.map { CommandShape(try TaskLine(parsing: "shell:1:0:0:" + $0)) }
        var all = try #require(shapes.first)
        for shape in shapes.dropFirst() {
            #expect(shape.key == all.key)
            all.add(shape)
        }
        return all.text
    }

    @Test("words that differ become stars, words that are shared stay")
    func stars() throws {
        #expect(try shape("./cachesim lru 1G") == "./cachesim lru 1G")
        #expect(try shape("./cachesim lru 1G", "./cachesim lru 4G", "./cachesim fifo 1G") == "./cachesim * *")
        #expect(try shape("a --seed 1 | wc -l", "a --seed 2 | wc -l") == "a --seed * | wc -l")
    }

    @Test("what is quoted is one word, and stays as it is written")
    func quotes() throws {
        #expect(try shape(#"sh -c "a b" 'c d' e\ f"#) == #"sh -c "a b" 'c d' e\ f"#)
        #expect(try shape("sh -c 'a b'", "sh -c 'c d e'") == "sh -c *")
        #expect(try shape("echo 'it is not closed") == "echo 'it is not closed")
        #expect(try shape(#"echo "a \" b" c"#, #"echo "a \" b" d"#) == #"echo "a \" b" *"#)
    }

    @Test("other programs, other types and other numbers of words are other shapes")
    func keys() throws {
        let lines = ["shell:1:0:0:a b", "shell:1:0:0:a", "shell:1:0:0:c b", "python:1:0:0:a b"]
        #expect(Set(try lines.map { CommandShape(try TaskLine(parsing: $0)).key }).count == 4)
        #expect(CommandShape(try TaskLine(parsing: "python:1:0:0:t.py 1")).text == "python: t.py 1")
    }

    @Test("a program given as text is known by its first words")
    func long() throws {
        let text = CommandShape(try TaskLine(parsing: "shell:1:0:0:" + String(repeating: "word ", count: 5000))).text
        #expect(text.utf8.count < 1000 && text.hasSuffix(" …"))
    }
}
