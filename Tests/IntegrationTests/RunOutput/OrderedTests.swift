// `distcomp run --output ordered`: what each task wrote, whole, in the order of the input.

import Glibc
import LinuxSystem
import Testing

@Suite("run --output ordered", .aFewAtATime)
struct OrderedTests {
    private func run(_ scratch: Scratch, _ words: [String]) async throws -> ProgramResult {
        let state = scratch.path + "/state"
        scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state + "/node")
        return try await RunningProgram(
            Products.distcomp, ["run", "--state", state, "--output", "ordered"] + words, in: scratch
        ).result()
    }

    @Test("the first is waited for, then all come whole in the order of input, byte by byte")
    func order() async throws {
        try await withScratch { scratch in
            let go = scratch.path + "/go"
            let file = try scratch.write(
                "commands",
                """
                while ! test -e \(go); do sleep 0.05; done; echo first
                printf 'b\\0\\377'
                printf c; echo trouble >&2
                echo d; touch \(scratch.path)/fourth
                printf 'b\\0\\377'

                """)
            let program = try RunningProgram(
                Products.distcomp,
                ["run", file, "--state", scratch.path + "/state", "--slots", "2", "--output", "ordered"], in: scratch)
            try await eventually("the fourth ends", program.errors) { FileSystem.exists(scratch.path + "/fourth") }
            #expect(program.output == "")
            try scratch.write("go", "")
            let result = try await program.result()
            #expect(result.status == 0)
            // One that is named twice is one task.
            let bytes = try FileSystem.contents(of: scratch.path + "/program1.out")
            #expect(bytes == Array("first\nb".utf8) + [0, 255] + Array("cd\n".utf8), "\(bytes)")
            #expect(result.errors.contains("trouble\n") && result.errors.contains("4 tasks: 4 finished"))
        }
    }

    @Test("of a task that was tried again the last attempt is shown; of what failed or was killed all that it wrote")
    func attempts() async throws {
        try await withScratch { scratch in
            let file = try scratch.write(
                "tasks",
                """
                shell:1:0:0:echo try $DISTCOMP_ATTEMPT; test $DISTCOMP_ATTEMPT = 3
                shell:1:0:0:1:echo late; exec sleep 1000
                shell:1:0:0:echo last

                """)
            let result = try await run(scratch, [file, "--attempts", "3", "--tag"])
            #expect(result.status == 1)
            let lines = result.outputLines.map { $0.split(separator: "\t").map(String.init) }
            #expect(lines.map(\.last) == ["try 3", "late", "last"], "\(result.output)")
            #expect(lines.first?.first == "echo try $DISTCOMP_A…ISTCOMP_ATTEMPT = 3", "\(result.output)")
        }
    }

    @Test("going on shows what had not ended, in the order in which it was given, and nothing again")
    func goingOn() async throws {
        try await withScratch { scratch in
            let go = scratch.path + "/go"
            let words = ["--slots", "1", "--", "test {} != 2 || test -e \(go) || exec sleep 1000; echo {}", ":::"]
            let program = try RunningProgram(
                Products.distcomp,
                ["run", "--state", scratch.path + "/state", "--output", "ordered"] + words + (1...40).map { "\($0)" },
                in: scratch)
            try await eventually("the second task", program.errors) { !scratch.tasks(with: "sleep 1000").isEmpty }
            program.send(SIGINT)
            let first = try await program.result()
            #expect(first.status == 130 && first.output == "1\n", "\(first)")
            try scratch.write("go", "")
            let next = try await run(scratch, [])
            #expect(next.status == 0)
            #expect(next.output == (2...40).map { "\($0)\n" }.joined(), "\(next)")
        }
    }

    @Test("two thousand tasks come in their order, each with its value")
    func many() async throws {
        try await withScratch { scratch in
            let file = try scratch.write("values", (1...2000).map { "\($0)\n" }.joined())
            let result = try await run(scratch, ["-q", "--tag", "--", "echo x {}", "::::", file])
            #expect(result.status == 0, "\(result.errors.suffix(500))")
            #expect(result.output == (1...2000).map { "\($0)\tx \($0)\n" }.joined())
        }
    }

    @Test(
        "what a task links into the place of its output is not shown, in either manner",
        .enabled(if: Host.isRoot && Products.areReachableByAnybody), arguments: ["stream", "ordered"])
    func links(manner: String) async throws {
        try await withScratch { scratch in
            let state = scratch.path + "/state"
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state + "/node")
            let secret = try scratch.write("secret", "only root may read this\n")
            chmod(secret, 0o600)
            let link =
                "cd $DISTCOMP_OUTPUT_DIR && rm -f stdout stderr && ln -s \(secret) stdout && ln -s \(secret) stderr"
            let program = try RunningProgram(
                Products.distcomp,
                [
                    "run", "--state", state, "--user", "nobody", "--slots", "1", "--output", manner, "--", "sh", "-c",
                    "{}",
                    ":::", link, "\(link); sleep 0.2", "echo fine",
                ], in: scratch)
            let result = try await program.result()
            #expect(result.status == 0 && result.output == "fine\n", "\(result)")
            #expect(!result.errors.contains("only root"))
        }
    }

    @Test("output that the settings have elsewhere is shown too", arguments: ["stream", "ordered"])
    func elsewhere(manner: String) async throws {
        try await withScratch { scratch in
            let settings = try scratch.write(
                "own.json", "{\"memory_caps\": \"best-effort\", \"result_dir\": \"\(scratch.path)/there\"}")
            let state = scratch.path + "/state"
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state + "/node")
            let result = try await RunningProgram(
                Products.distcomp,
                ["run", "--state", state, "--config", settings, "--output", manner, "--", "echo", "here"], in: scratch
            ).result()
            #expect(result.status == 0 && result.output == "here\n", "\(result)")
        }
    }

    @Test("--tag without --output, and --json beside it, are refused; parallel's words are answered with ours")
    func refusals() async throws {
        try await withScratch { scratch in
            let cases: [(words: [String], said: String)] = [
                (["--tag", "--", "true"], "--output stream or --output ordered"),
                (["--json", "--output", "stream", "--", "true"], "take one of them"),
                (["--keep-order", "--", "true"], "did you mean --output ordered?"),
                (["--line-buffer", "--", "true"], "did you mean --output stream?"),
            ]
            for one in cases {
                let result = try await RunningProgram(Products.distcomp, ["run"] + one.words, in: scratch).result()
                #expect(result.status == 2 && result.output == "" && result.errors.contains(one.said), "\(result)")
            }
        }
    }
}
