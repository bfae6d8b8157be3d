// What `run` and `submit` take in, as people have it: values from a pipe, a file, columns of a table.

import LinuxSystem
import Testing

@Suite("input of run and submit", .aFewAtATime)
struct InputTests {
    /// What a shell makes of `script`, in which `distcomp` is the program under test.
    private func shell(_ script: String, in scratch: Scratch) async throws -> ProgramResult {
        let function = "distcomp() { '\(Products.distcomp)' \"$@\"; }; "
        return try await RunningProgram("/bin/sh", ["-c", function + script], in: scratch).result()
    }

    /// The lines that `distcomp submit --dry-run` would submit.
    private func lines(_ script: String, in scratch: Scratch) async throws -> [Substring] {
        let result = try await shell(script, in: scratch)
        #expect(result.status == 0 && result.errors.isEmpty, "\(script): \(result.errors)")
        return result.outputLines
    }

    @Test("seq 3 | distcomp run -- echo {} runs three")
    func standardInput() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, [])
            let result = try await shell("seq 3 | distcomp run --state \(run.state) -- echo {}", in: scratch)
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.errors.contains("3 tasks added"))
            #expect(Set(try await run.results().map { $0.string("stdout") }) == ["1\n", "2\n", "3\n"])
        }
    }

    @Test("values come from pipes and files, in columns, with names, linked, and between NUL characters")
    func sources() async throws {
        try await withScratch { scratch in
            try scratch.write("values", "a.txt\nb c\n")
            try scratch.write("table.csv", "policy,size\nlru,1G\nfifo,4G\n")
            let submit = "distcomp submit --dry-run"
            #expect(
                try await lines("\(submit) -a values -- ./s {} {.} {#}", in: scratch) == [
                    "shell:0:0:0:./s a.txt a 1", "shell:0:0:0:./s 'b c' 'b c' 2",
                ])
            #expect(
                try await lines("seq 2 | \(submit) -a - -- ./s :::: values", in: scratch) == [
                    "shell:0:0:0:./s 1 a.txt", "shell:0:0:0:./s 1 'b c'", "shell:0:0:0:./s 2 a.txt",
                    "shell:0:0:0:./s 2 'b c'",
                ])
            #expect(
                try await lines(
                    "\(submit) --colsep , --header : -- './s {size} > {policy}' :::: table.csv", in: scratch)
                    == ["shell:0:0:0:./s 1G > lru", "shell:0:0:0:./s 4G > fifo"])
            #expect(
                try await lines("\(submit) --link --colsep ' +' -- ./s ::: 'x  y' 'z w' ::: 1", in: scratch)
                    == ["shell:0:0:0:./s x y 1", "shell:0:0:0:./s z w 1"])
            #expect(
                try await lines(#"printf 'a\nb\0c' | \#(submit) -0 -- ./s {}"#, in: scratch)
                    == [#"{"command":"./s 'a\nb'"}"#, "shell:0:0:0:./s c"])
            #expect(
                try await lines("seq 3 | \(submit) -- ./s ::: a b ::::+ -", in: scratch)
                    == ["shell:0:0:0:./s a 1", "shell:0:0:0:./s b 2"])
        }
    }

    @Test("values from a pipe may be more than any list of arguments")
    func many() async throws {
        try await withScratch { scratch in
            // Arguments and environment together are at most 2 MB for most systems, see execve(2).
            let found = try await lines(
                "seq 1000000 1299999 | distcomp submit --dry-run -- ./s {} | sed -n '1p;$p;$='", in: scratch)
            #expect(found == ["shell:0:0:0:./s 1000000", "shell:0:0:0:./s 1299999", "300000"])
        }
    }

    @Test("a place for values and none given, at a terminal: an error that says where they may come from")
    func terminal() async throws {
        try await withScratch { scratch in
            let command = "\(Products.distcomp) submit --dry-run -- echo {}"
            let result = try await RunningProgram("/usr/bin/script", ["-qec", command, "/dev/null"], in: scratch)
                .result()
            #expect(result.status == 2)
            #expect(result.output.contains("no values for the command: pipe them in"), "\(result.output)")
        }
    }

    @Test("an empty source of values is said, and is no failure")
    func empty() async throws {
        try await withScratch { scratch in
            let result = try await shell("distcomp submit --dry-run -- echo {} < /dev/null", in: scratch)
            #expect(result.status == 0 && result.output.isEmpty)
            #expect(result.errors == "standard input: no values, so there is nothing to do\n")
        }
    }

    @Test("mistakes about values are told before anything is submitted or a state directory made")
    func mistakes() async throws {
        try await withScratch { scratch in
            try scratch.write("latin", bytes: Array("good\ncaf".utf8) + [0xE9, 0x0A])
            for (words, message) in [
                ("-- echo {%} ::: a", "there is no mark `{%}`"), ("-- echo {2} ::: a", "only 1 source of values"),
                ("-a latin -- echo {}", "latin:2: the byte 0xe9 is not UTF-8"),
                ("-a nowhere -- echo {}", "open nowhere: No such file or directory"),
                ("--colsep '|' -- echo ::: a", #"is written `\|`"#), ("-a latin", "a command after --"),
                ("./echo {}", "a command stands after --"), ("./echo ::: 1 2", "a command stands after --"),
                ("echo 1", "a command stands after --"),
                ("--header : -- echo {nme} ::: name a", "did you mean {name}?"),
            ] {
                let result = try await shell("distcomp run --state state \(words)", in: scratch)
                #expect(result.status == 2, "\(words)")
                #expect(result.errors.contains(message), "\(words): \(result.errors)")
                #expect(!FileSystem.exists(scratch.path + "/state"))
            }
        }
    }

    @Test("a file that GNU parallel runs is run, with memory and time for all of its lines")
    func commands() async throws {
        try await withScratch { scratch in
            let run = Run(
                scratch,
                file: try scratch.write("cmds.txt", "#!/usr/bin/parallel\n\necho a > out.1; cat out.1\necho 'b  c'\n"))
            let result = try await run.launch("--memory", "64M", "--timeout", "1h").result()
            #expect(result.status == 0, "\(result.errors)")
            #expect(result.errors.contains("\(run.file): taken as plain commands, one a line\n"), "\(result.errors)")
            let results = try await run.results()
            #expect(Set(results.map { $0.string("stdout") }) == ["a\n", "b  c\n"])
            let job = try await run.distcomp("jobs", "--json").output
            #expect(
                job.contains(#""job":"cmds""#) && job.contains(#""memory_bytes":67108864"#)
                    && job.contains(#""timeout_seconds":3600"#), "\(job)")
            #expect(scratch.lines("out.1") == ["a"])
        }
    }

    @Test("commands come from a pipe too, and -q says nothing of them")
    func pipedCommands() async throws {
        try await withScratch { scratch in
            #expect(
                try await shell("printf 'true 1\\ntrue 2\\n' | distcomp submit --dry-run --cores 1 -", in: scratch)
                    .output
                    == "shell:0:0:1:true 1\nshell:0:0:1:true 2\n")
            let result = try await shell("echo true | distcomp run -q --state state -", in: scratch)
            #expect(result.status == 0 && result.errors.isEmpty, "\(result.errors)")
        }
    }

    @Test("a file of task lines says memory and time itself: options for it are an error that says so")
    func optionsOfTaskLines() async throws {
        try await withScratch { scratch in
            try scratch.write("tasks", "shell:1:0:0:true\n")
            let result = try await shell("distcomp submit --dry-run --memory 1G --timeout 5m tasks", in: scratch)
            #expect(result.status == 2 && result.output.isEmpty)
            #expect(result.errors.contains("tasks: --memory, --timeout: its lines are task lines"), "\(result.errors)")
            let amount = try await shell("distcomp submit --dry-run --memory 1Q tasks", in: scratch)
            #expect(amount.status == 2 && amount.errors.contains("--memory 1Q: expected GB"), "\(amount.errors)")
        }
    }

    @Test("a Slurm array script is run: a task an index, with its directives; what is not done is named")
    func slurm() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, [])
            try scratch.write(
                "array.sh",
                """
                #!/bin/bash
                #SBATCH --array=1-5:2
                #SBATCH --mem=64M --time=10
                #SBATCH --partition=long
                echo "$SLURM_ARRAY_TASK_ID of $SLURM_ARRAY_TASK_COUNT: $1 ${SLURM_JOB_ID:-none}"
                """)
            let result = try await shell(
                "distcomp run --state \(run.state) --from-slurm array.sh -- 'an argument'", in: scratch)
            #expect(result.status == 0, "\(result.errors)")
            #expect(
                result.errors.contains("array.sh: not done here: --partition (line 4), SLURM_JOB_ID is not set\n"),
                "\(result.errors)")
            let results = try await run.results()
            #expect(
                Set(results.map { $0.string("stdout") }) == [
                    "1 of 3: an argument none\n", "3 of 3: an argument none\n", "5 of 3: an argument none\n",
                ])
            let job = try await run.distcomp("jobs", "--json").output
            #expect(
                job.contains(#""memory_bytes":67108864"#) && job.contains(#""cores":1"#)
                    && job.contains(#""timeout_seconds":600"#), "\(job)")
            let dry = try await shell("distcomp submit --dry-run --memory 1G --from-slurm array.sh", in: scratch)
            #expect(dry.outputLines.count == 3 && dry.output.hasPrefix("shell:0:1G:1:600s:"), "\(dry.output)")
        }
    }

    @Test("what a job log says has ended with exit 0 is left out; our own job log is one")
    func jobLog() async throws {
        try await withScratch { scratch in
            let run = try Run(scratch, [])
            let sweep = "-- 'echo {}; test {} != c' ::: 'a b' c d"
            let first = try await shell(
                "distcomp run --state \(run.state) -- 'echo {}; test {} != c' ::: 'a b' c", in: scratch)
            #expect(first.status == 1)
            try scratch.write("our.log", try await run.distcomp("results", "--format", "joblog").output)
            let result = try await shell("distcomp submit --dry-run --resume-joblog our.log \(sweep)", in: scratch)
            #expect(result.output == "shell:0:0:0:echo c; test c != c\nshell:0:0:0:echo d; test d != c\n")
            #expect(result.errors == "our.log: 1 task ended with exit 0 there, left out\n")
            let none = try await shell("distcomp submit --dry-run --resume-joblog array.sh \(sweep)", in: scratch)
            #expect(none.status == 2 && none.errors.contains("array.sh: No such file"), "\(none.errors)")
        }
    }
}
