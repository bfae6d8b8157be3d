import Testing

@testable import TaskModel

@Suite("Task file")
struct TaskFileTests {
    /// What a file holds when it is read in pieces of `pieceSize` bytes.
    private func read(_ bytes: [UInt8], pieceSize: Int = .max) -> (
        tasks: [String], lineNumbers: [Int], problems: [String], file: TaskFile
    ) {
        var file = TaskFile(named: "tasks.txt")
        var tasks: [String] = []
        var lineNumbers: [Int] = []
        var problems: [String] = []
        func use(_ entry: TaskFile.Entry) {
            switch entry {
            case .form: Issue.record("only where the file may have plain commands")
            case .task(let task, let lineNumber):
                tasks.append(task.text)
                lineNumbers.append(lineNumber)
            case .problem(let problem): problems.append(problem.description)
            }
        }
        bytes.withUnsafeBytes { all in
            var start = 0
            while start < all.count {
                let end = start + min(pieceSize, all.count - start)
                file.read(UnsafeRawBufferPointer(rebasing: all[start..<end]), use)
                start = end
            }
        }
        file.finish(use)
        return (tasks, lineNumbers, problems, file)
    }

    private func read(_ text: String, pieceSize: Int = .max) -> (
        tasks: [String], lineNumbers: [Int], problems: [String], file: TaskFile
    ) { read(Array(text.utf8), pieceSize: pieceSize) }

    @Test("malformed lines are reported with file, line and column, and the rest of the file is loaded")
    func malformedLines() {
        let result = read(
            """
            # a sweep
            shell:1:0:0:echo 1

            shell:1:8X:0:echo 2
              shell:high:0:two:echo 3
            {"command":"echo 4"}
            {"comand":"echo 5"}
               # indented
            demo:1:0:0:last
            """)
        #expect(result.tasks == ["shell:1:0:0:echo 1", #"{"command":"echo 4"}"#, "demo:1:0:0:last"])
        #expect(result.lineNumbers == [2, 6, 9])
        #expect(
            result.problems == [
                "tasks.txt:4:9: memory: found `8X`, expected \(Amount.memoryExpected)",
                "tasks.txt:5:9: priority: found `high`, expected a whole number from -1000000 to 1000000\n"
                    + "tasks.txt:5:16: cores: found `two`, expected \(Amount.coresExpected)",
                "tasks.txt:7:2: comand: found an unknown field, expected `command`\n"
                    + "tasks.txt:7:19: command: found no such field, expected the command to run",
            ])
        #expect(result.file.taskCount == 3)
        #expect(result.file.problemCount == 3)
        #expect(result.file.lineCount == 9)
    }

    @Test("CR LF, a byte order mark, blank lines and a last line without a newline are taken")
    func endings() {
        let result = read("\u{FEFF}shell:1:0:0:a\r\n\r\n \t\r\n#\r\nshell:1:0:0:b\r\n\nshell:1:0:0:c")
        #expect(result.tasks == ["shell:1:0:0:a", "shell:1:0:0:b", "shell:1:0:0:c"])
        #expect(result.file.lineCount == 7)
        #expect(read("shell:1:0:0:a\n").file.lineCount == 1)
        #expect(result.lineNumbers == [1, 5, 7])
        #expect(result.problems.isEmpty)
    }

    @Test("a byte order mark is one only at the start of the file")
    func laterByteOrderMark() {
        let result = read("shell:1:0:0:a\n\u{FEFF}shell:1:0:0:b\n")
        #expect(result.tasks == ["shell:1:0:0:a"])
        #expect(result.problems.count == 1)
    }

    @Test(
        "a file may be empty, or hold nothing but comments", arguments: ["", "\n", "# x", "\u{FEFF}", "\r\n#\n", "   "])
    func emptyFiles(text: String) {
        let result = read(text)
        #expect(result.tasks.isEmpty)
        #expect(result.problems.isEmpty)
    }

    @Test("the same file read in pieces of any size holds the same", arguments: 1...40)
    func pieces(pieceSize: Int) {
        let text = "\u{FEFF}# é\r\nshell:1:0:0:é 1\n\n bad \nshell:1:8X:0:x\r\n\u{0}\n" + #"{"command":"é"}"#
        let whole = read(text)
        let inPieces = read(text, pieceSize: pieceSize)
        #expect(inPieces.tasks == whole.tasks)
        #expect(inPieces.lineNumbers == whole.lineNumbers)
        #expect(inPieces.problems == whole.problems)
        #expect(whole.tasks.count == 2)
        #expect(whole.problems.count == 3)
    }

    @Test("a line of 1 MB is one error, at once, and the lines around it are loaded", arguments: [100, 65536, Int.max])
    func hugeLine(pieceSize: Int) {
        let huge = "shell:1:0:0:" + String(repeating: "x", count: 1_000_000)
        let result = read("shell:1:0:0:a\n\(huge)\nshell:1:0:0:b\n", pieceSize: pieceSize)
        #expect(result.tasks == ["shell:1:0:0:a", "shell:1:0:0:b"])
        #expect(result.lineNumbers == [1, 3])
        #expect(result.problems == ["tasks.txt:2:1: line: found a longer one, expected at most 131072 bytes"])
    }

    @Test("a comment of 1 MB is still a comment, and a last line of 1 MB is still told", arguments: [100, Int.max])
    func hugeEnds(pieceSize: Int) {
        let comment = "  # " + String(repeating: "x", count: 1_000_000)
        #expect(read(comment + "\nshell:1:0:0:a", pieceSize: pieceSize).tasks == ["shell:1:0:0:a"])
        #expect(read(comment, pieceSize: pieceSize).problems.isEmpty)
        let last = read("shell:1:0:0:" + String(repeating: "x", count: 1_000_000), pieceSize: pieceSize)
        #expect(last.tasks.isEmpty)
        #expect(last.problems.count == 1)
    }

    @Test("the longest line is taken with a byte order mark before it and CR LF after it", arguments: [1000, Int.max])
    func longestLine(pieceSize: Int) {
        let prefix = "shell:1:0:0:"
        let longest = prefix + String(repeating: "x", count: TaskLine.byteCountMax - prefix.utf8.count)
        let result = read("\u{FEFF}\(longest)\r\nshell:1:0:0:b\r\n", pieceSize: pieceSize)
        #expect(result.tasks == [longest, "shell:1:0:0:b"])
    }

    @Test("lines of bytes that are no text are errors, the others are tasks")
    func binaryLines() {
        let result = read([0xFF, 0xFE, 0x0A] + Array("shell:1:0:0:a\n".utf8) + [0x00, 0x0A, 0x7F, 0x45, 0x4C, 0x46])
        #expect(result.tasks == ["shell:1:0:0:a"])
        #expect(
            result.problems.prefix(2) == [
                "tasks.txt:1:1: line: found the byte 0xff, expected UTF-8 text",
                "tasks.txt:3:1: line: found a NUL character, expected text on one line",
            ])
        #expect(result.problems.count == 3)
    }

    @Test("the word that stops the nodes cannot be loaded from a file")
    func closeCommand() {
        #expect(read("WORKER_COMMAND_CLOSE\n").problems.count == 1)
    }

    @Test("what is kept between two pieces is bounded, however long the line")
    func boundedMemory() {
        var file = TaskFile(named: "tasks.txt")
        var problemCount = 0
        let piece = [UInt8](repeating: 0x41, count: 65536)
        for _ in 0..<200 {
            piece.withUnsafeBytes { file.read($0) { (_: TaskFile.Entry) in problemCount += 1 } }
        }
        #expect(file.keptByteCount <= TaskLine.byteCountMax + 5)
        file.finish { (_: TaskFile.Entry) in problemCount += 1 }
        #expect(problemCount == 1)
        #expect(file.lineCount == 1)
    }

    @Test("a piece of nothing changes nothing")
    func emptyPiece() {
        var file = TaskFile(named: "tasks.txt")
        file.read(UnsafeRawBufferPointer(start: nil, count: 0)) { (_: TaskFile.Entry) in Issue.record("an entry") }
        file.finish { (_: TaskFile.Entry) in Issue.record("an entry") }
        #expect(file.taskCount == 0)
    }

    @Test("an error of the one who uses the tasks comes through")
    func userError() {
        struct Full: Error {}
        var file = TaskFile(named: "tasks.txt")
        #expect(throws: Full.self) {
            try Array("shell:1:0:0:a\n".utf8).withUnsafeBytes { piece in
                try file.read(piece) { (_: TaskFile.Entry) throws(Full) in throw Full() }
            }
        }
    }
}
