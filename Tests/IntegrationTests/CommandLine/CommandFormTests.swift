// What a task's text becomes when it is run: words, shells, quotes, bytes of every kind.

import LinuxSystem
import Testing

@Suite("the text of a task", .aFewAtATime)
struct CommandFormTests {
    /// Runs one line and returns what it wrote to standard output.
    private func output(of line: String) async throws -> String? {
        var output: String?
        try await withScratch { scratch in
            let run = try Run(scratch, [line])
            let (result, _) = try await run.finished()
            #expect(result.status == 0, "\(result.errors)")
            output = try await run.results().first?.string("stdout")
        }
        return output
    }

    @Test("a plain command is executed without a shell, one with a dollar sign by sh")
    func directAndShell() async throws {
        // The parent of a task's main process is distcompd either way; what the main process is, comm tells.
        try await withScratch { scratch in
            let run = try Run(
                scratch, ["shell:1:0:0:cat /proc/self/stat", "shell:1:0:0:echo $HOME $PPID; cat /proc/$$/comm"])
            let (result, _) = try await run.finished()
            #expect(result.status == 0)
            let direct = try #require(try await run.result(of: "/self/stat").string("stdout")).split(separator: " ")
            #expect(direct[1] == "(cat)")
            #expect(direct[5] == direct[0], "its own session: no shell stands between")
            let shell = try #require(try await run.result(of: "$HOME").string("stdout"))
            #expect(shell.hasPrefix("/"), "\(shell)")
            #expect(shell.hasSuffix("\nsh\n"), "\(shell)")
        }
    }

    @Test(
        "what the shell would say is what the task says",
        arguments: [
            ("shell:1:0:0:echo 10:30 a:b:c", "10:30 a:b:c\n"), ("shell:1:0:0:5:echo 10:30", "10:30\n"),
            ("python:1:0:0:-c \"print('it is', \\\"quoted\\\", 1+1)\"", "it is quoted 2\n"),
            ("python:1:0:0:-c 'import sys; print(sys.argv[1:])' 'a b' c:d", "['a b', 'c:d']\n"),
            ("demo:1:0:0:one \"two  three\"", "demo one two  three\n"),
            ("shell:1:0:0:echo 'größer 漢字 🐟'", "größer 漢字 🐟\n"), ("shell:1:0:0:echo größer 漢字 🐟", "größer 漢字 🐟\n"),
            ("{\"type\":\"shell\",\"command\":\"printf '%s\\\\n' a\\nprintf b\"}", "a\nb"),
        ])
    func says(_ line: String, _ expected: String) async throws {
        #expect(try await output(of: line) == expected)
    }

    @Test("a line of 100 KB is a task like any other")
    func longLine() async throws {
        let word = String(repeating: "x", count: 100_000)
        #expect(try await output(of: "shell:1:0:0:echo \(word)") == word + "\n")
    }

    @Test("bytes that are not UTF-8 come back repaired, in output that is still JSON")
    func invalidOutput() async throws {
        #expect(try await output(of: #"shell:1:0:0:printf '\377\001\033[31m"\\'"#) == "\u{FFFD}\u{1}\u{1b}[31m\"\\")
    }

    @Test(
        "no format of results sends a terminal what it would obey; a file gets it as it is",
        arguments: ["table", "jsonl", "csv", "joblog"])
    func controlCharactersOfResults(_ format: String) async throws {
        try await withScratch { scratch in
            let run = try Run(
                scratch,
                [
                    "shell:1:0:0:echo '\u{1b}[2J\u{9b}31m\u{7}' # \u{1b}]0;owned\u{7}",
                    #"{"command": "echo 'a\nb \u001b[31m'; echo \u001b >&2; exit 1"}"#,
                ])
            #expect(try await run.finished().result.status == 1)
            let command = "\(Products.distcomp) results --format \(format) --state \(run.state)"
            // A terminal of its own, and all that is sent to it.
            let shown = try await RunningProgram("/usr/bin/script", ["-qec", command, "/dev/null"], in: scratch)
                .result()
            #expect(shown.status == 0 && shown.output.contains("echo"), "\(shown.output)")
            // The terminal makes CR LF of LF, and failures are red.
            let text = shown.output.replacing("\u{1b}[31m", with: "").replacing("\u{1b}[0m", with: "")
            let raw = text.unicodeScalars.filter {
                $0.properties.generalCategory == .control && !["\r", "\n", "\t"].contains($0)
            }
            #expect(raw.isEmpty, "\(text.debugDescription)")
            if format == "csv" {
                let file = try await run.distcomp("results", "--format", format)
                #expect(file.output.contains("\u{1b}[2J"), "\(file.output.debugDescription)")
            }
        }
    }

    @Test("control characters in a task's text and output never reach the terminal")
    func controlCharacters() async throws {
        try await withScratch { scratch in
            let hostile = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{8}\u{202e}"
            let run = try Run(
                scratch,
                [
                    "shell:1:0:0:echo '\(hostile)' >&2; exit 1 #\(hostile)", "bad\(hostile):1:0:0:x",
                    "shell:1:0:0:exec ./\(hostile)",
                ])
            let program = try run.launch()
            let result = try await program.result()
            #expect(result.status == 2)
            var printed = [result.output, result.errors]
            for words in [["results"], ["results", "--failed"], ["status"], ["workers"]] {
                let shown = try await RunningProgram(
                    Products.distcomp, words + ["--state", run.state], in: scratch
                ).result()
                printed += [shown.output, shown.errors]
            }
            printed.append(text(of: run.state + "/node.log"))
            for text in printed {
                let raw = text.unicodeScalars.filter { $0.properties.generalCategory == .control && $0 != "\n" }
                #expect(raw.isEmpty, "\(text.debugDescription)")
                #expect(!text.unicodeScalars.contains("\u{202e}"), "\(text.debugDescription)")
            }
        }
    }
}
