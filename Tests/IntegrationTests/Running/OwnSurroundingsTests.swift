// A directory, variables and an input of a task's own, on real nodes: there for that task, and no trouble for the next.

import Foundation
import Glibc
import LinuxSystem
import Testing

@Suite("what a task has of its own", .aFewAtATime)
struct OwnSurroundingsTests {
    /// What a line wrote to standard output, run alone on a node that has had time to make a launch ready.
    private func output(_ fleet: Fleet, _ line: String) async throws -> String {
        if Host.isRoot { try await eventually("a launch waits") { !fleet.scratch.waitingLaunches().isEmpty } }
        let line = line.replacing("SCRATCH", with: fleet.scratch.path)
        try await fleet.submit([line])
        try await fleet.untilIdle()
        let lines = try await fleet.distcomp("results", "--format", "jsonl").outputLines.map {
            try jsonObject(String($0))
        }
        let result = try #require(lines.first { $0.string("task") == line })
        #expect(result.integer("exit_code") == 0, "\(result)")
        return try #require(result.string("stdout"))
    }

    @Test(
        "a task begins in its directory, with its variables, and reads its file or its text, on a node at rest and in a crowd"
    )
    func all() async throws {
        try await withFleet { fleet in
            let scratch = fleet.scratch.path
            try FileSystem.createDirectories(scratch + "/work", mode: 0o755)
            try fleet.scratch.write("work/input", "from a file\n")
            let node = try await fleet.startedNode("a")
            let cases = [
                (
                    #"{"cwd":"SCRATCH/work","command":"sh -c 'pwd; echo $PWD; cat input'"}"#,
                    "\(scratch)/work\n\(scratch)/work\nfrom a file\n"
                ),
                (#"{"env":{"OWN":"a  \"b\"\n"},"command":"printenv OWN"}"#, "a  \"b\"\n\n"),
                (#"{"stdin":"SCRATCH/work/input","command":"cat"}"#, "from a file\n"),
                (#"{"stdin":{"text":"one\ntwo"},"command":"cat -"}"#, "one\ntwo"),
                (
                    #"{"name":"n","cwd":"SCRATCH","env":{"A":"1"},"stdin":{"text":"x"},"command":"sh -c 'pwd; echo $A; cat'"}"#,
                    "\(scratch)\n1\nx"
                ),
            ]
            for (line, expected) in cases { #expect(try await output(fleet, line) == expected, "\(line)") }
            // Many at once: most are launched anew, and none has what another has.
            let lines = (1...40).map { number in
                #"{"env":{"N":"\#(number)"},"stdin":{"text":"\#(number)"},"command":"sh -c 'echo $N $(cat) $(pwd)'"}"#
            }
            try await fleet.submit(lines)
            try await fleet.untilFinished(cases.count + lines.count)
            let finished = try fleet.hash("finished_tasks")
            for (index, line) in lines.enumerated() {
                let number = index + 1
                #expect(finished[line]?.hasPrefix(#"a: "\#(number) \#(number) /"#) == true, "\(finished[line] ?? "")")
            }
            #expect(try await node.stop().status == 0)
        }
    }

    @Test(
        "its variables hold over the node's and over the numbers of threads, each is there once, and DISTCOMP_* is out of reach"
    )
    func environment() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a")
            let own = #"{"LANG":"xx","HOME":"/own","OMP_NUM_THREADS":"7","PATH":"/own:/usr/bin:/bin","NEW":""}"#
            let lines = try await output(fleet, #"{"cores":1,"env":\#(own),"command":"env"}"#).split(separator: "\n")
            for expected in [
                "LANG=xx", "HOME=/own", "OMP_NUM_THREADS=7", "PATH=/own:/usr/bin:/bin", "NEW=", "MKL_NUM_THREADS=1",
            ] {
                let name = expected.prefix { $0 != "=" } + "="
                #expect(lines.filter { $0.hasPrefix(name) } == [expected[...]])
            }
            #expect(lines.contains("DISTCOMP_ATTEMPT=1") && !lines.contains { $0.hasPrefix("=") })
            let path = try fleet.scratch.write(
                "reaching", #"{"env":{"A":"1","DISTCOMP_TASK":"x"},"command":"env"}"# + "\n")
            let refused = try await fleet.distcomp("submit", path)
            #expect(refused.status == 2)
            #expect(
                refused.errors.contains(
                    "\(path):1:17: env: found `DISTCOMP_TASK`, expected a name of letters, digits and _ that begins with "
                        + "no digit, and not with DISTCOMP_\n"), "\(refused.errors)")
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("what a task saved is there for its next attempt, on another node too, and each task has a place of its own")
    func checkpoints() async throws {
        try await withFleet { fleet in
            let states = fleet.scratch.path + "/states"
            try FileSystem.createDirectories(states, mode: 0o777)
            #expect(chmod(states, 0o777) == 0)
            let late = ["retry_delay_seconds": "3600"]
            let first = try await fleet.startedNode("a", late)
            let save =
                "cd $DISTCOMP_CHECKPOINT_DIR && cat * 2>/dev/null; echo {} $DISTCOMP_ATTEMPT >> steps; "
                + "[ $DISTCOMP_ATTEMPT = 2 ]"
            let submitted = try await fleet.distcomp(
                "submit", "--name", "j", "--checkpoint-dir", states + "/./j", "--", save, ":::", "x", "y")
            #expect(submitted.status == 0, "\(submitted.errors)")
            try await eventually("both have failed once") {
                try await fleet.distcomp("tasks", "j", "--cause", "exit", "--json").outputLines.count == 2
            }
            #expect(try await first.stop().status == 0)
            let second = try await fleet.startedNode("b", late)
            #expect(try await fleet.distcomp("retry", "j").status == 0)
            #expect(try await fleet.distcomp("watch", "j").status == 0)
            let results = try await fleet.distcomp("results", "j", "--format", "jsonl").outputLines.map {
                try jsonObject(String($0))
            }
            #expect(Set(results.compactMap { $0.string("stdout") }) == ["x 1\n", "y 1\n"], "\(results)")
            #expect(results.allSatisfy { $0.string("worker") == "b" })
            let names = Set(try FileManager.default.contentsOfDirectory(atPath: states + "/j"))
            #expect(names == Set(results.compactMap { $0.string("id") }))
            #expect(try await second.stop().status == 0)

            for (words, problem) in [
                (["--checkpoint-dir", ""], "--checkpoint-dir: a path is needed"),
                (["--checkpoint-dir", "x", "--idempotent"], "two copies of a task would save in one place"),
            ] {
                let refused = try await fleet.distcomp(["submit"] + words + ["--", "true"])
                #expect(refused.status == 2 && refused.errors.contains(problem), "\(refused)")
            }
        }
    }

    @Test(
        "a directory that one node of two lacks fails there by name, stops nothing there, and the task runs on the other",
        .enabled(if: Host.isRoot, "needs root, to mount"))
    func missingOnOne() async throws {
        try await withFleet { fleet in
            let scratch = fleet.scratch
            let data = scratch.path + "/shared/data"
            try FileSystem.createDirectories(data, mode: 0o755)
            let settings = ["max_retry_per_task": "3", "max_task_per_worker": "1"]
            let sound = try await fleet.startedNode("sound", settings)
            let held = "shell:9:0:0:600:until [ -e \(scratch.path)/gate ]; do sleep 0.02; done; echo held"
            try await fleet.submit([held])
            try await eventually("the sound node is busy") { try fleet.count("in_progress_tasks") == 1 }
            // To the other node an empty disk hides the directory.
            let lacking = try fleet.node("lacking", settings)
            lacking.command = [
                "/usr/bin/unshare", "--mount", "/bin/sh", "-c",
                "mount -t tmpfs none \(scratch.path)/shared && exec \"$@\"", "sh",
                Products.distcompd,
            ]
            try await lacking.start()
            let line = #"{"cwd":"\#(data)","command":"pwd"}"#
            try await fleet.submit([line])
            try await eventually("it has failed there", lacking.log) {
                try fleet.hash("failed_tasks")[line] == "lacking,"
            }
            let reason = try fleet.hash("task_fail_reason")[line] ?? ""
            #expect(reason == "launch failed: chdir \(data): No such file or directory (on lacking)")
            let other = "shell:1:0:0:echo other"
            try await fleet.submit([other])
            try await eventually("the next runs there") {
                try fleet.hash("finished_tasks")[other]?.hasPrefix("lacking: ") == true
            }
            #expect(!lacking.log.contains("no task can be started here"), "\(lacking.log)")
            try scratch.write("gate", "")
            try await fleet.untilFinished(3)
            #expect(try fleet.hash("finished_tasks")[line] == "sound: \"\(data)\\n\"")
            #expect(try fleet.count("failed_tasks") == 0)
            #expect(try await lacking.stop().status == 0)
            #expect(try await sound.stop().status == 0)
        }
    }

    @Test(
        "an input that is not there, or may not be read, is told by name; one that never opens is ended by its timeout")
    func badInput() async throws {
        try await withFleet { fleet in
            let scratch = fleet.scratch.path
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "0"])
            let pipe = scratch + "/pipe"
            #expect(mkfifo(pipe, 0o666) == 0 && chmod(pipe, 0o666) == 0)
            let secret = try fleet.scratch.write("secret", "root's")
            chmod(secret, 0)
            func line(_ path: String) -> String { #"{"timeout":1,"stdin":"\#(path)","command":"cat"}"# }
            try await fleet.submit([line(pipe), line(scratch), line(scratch + "/none"), line(secret)])
            try await fleet.untilIdle()
            let reasons = try fleet.hash("task_fail_reason")
            func failure(_ path: String, _ message: String) -> String {
                "launch failed: open standard input \(path): \(message) (on a)"
            }
            #expect(reasons[line(scratch)] == failure(scratch, "Is a directory"))
            #expect(reasons[line(scratch + "/none")] == failure(scratch + "/none", "No such file or directory"))
            #expect(reasons[line(secret)] == failure(secret, "Permission denied"))
            #expect(reasons[line(pipe)]?.hasPrefix("timeout (1 s)") == true, "\(reasons)")
            #expect(try await output(fleet, "shell:1:0:0:echo goes on") == "goes on\n")
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("a task that failed is given the same again, by a node that has replaced its program meanwhile too")
    func again() async throws {
        try await withFleet { fleet in
            let gate = fleet.scratch.path + "/gate"
            let node = try await fleet.startedNode(
                "a", ["max_retry_per_task": "2", "restart_mode": #""keep""#])
            let command = "echo $PWD $OWN; cat; until [ -e \(gate) ]; do sleep 0.02; done; [ $DISTCOMP_ATTEMPT = 2 ]"
            let line = #"{"cwd":"/usr","env":{"OWN":"v"},"stdin":{"text":"text"},"command":"\#(command)"}"#
            try await fleet.submit([line])
            try await eventually("it runs") { !fleet.scratch.tasks(with: "until [ -e").isEmpty }
            node.program?.send(SIGHUP)
            try await eventually("the node is replaced", node.log) {
                node.log.split(separator: " connected").count >= 3
            }
            try fleet.scratch.write("gate", "")
            try await fleet.untilFinished(1)
            #expect(try fleet.hash("finished_tasks")[line] == #"a: "/usr v\ntext""#)
            #expect(try await node.stop().status == 0)
        }
    }
}

@Suite("options for what a command has of its own", .aFewAtATime)
struct SurroundingOptionTests {
    @Test("--cwd, --env and --stdin are made whole where they are typed, with the values of each command of a sweep")
    func options() async throws {
        try await withScratch { scratch in
            for value in ["1", "2"] {
                try FileSystem.createDirectories("\(scratch.path)/work/\(value)", mode: 0o777)
                try scratch.write("input\(value)", "read \(value)\n")
            }
            // What a variable has here is no template.
            let typed =
                "cd \(scratch.path) && GIVEN='a {} b' exec \(Products.distcomp) run --state state --json --cwd work/./{} "
                + "--env GIVEN --env OWN={#}={1} --stdin ./input{} -- 'pwd -P; echo $GIVEN $OWN; cat' ::: 1 2"
            scratch.expectGroups(ofNode: Host.shortName, stateDirectory: scratch.path + "/state/node")
            let result = try await RunningProgram("/bin/sh", ["-c", typed], in: scratch).result()
            #expect(result.status == 0, "\(result.errors)")
            let results = try await RunningProgram(
                Products.distcomp, ["results", "--format", "jsonl", "--state", scratch.path + "/state"], in: scratch
            ).result().outputLines.map { try jsonObject(String($0)) }
            #expect(
                Set(results.compactMap { $0.string("stdout") })
                    == Set(["1", "2"].map { "\(scratch.path)/work/\($0)\na {} b \($0)=\($0)\nread \($0)\n" }))
            let path = scratch.path
            let tasks = Set(results.compactMap { $0.string("task") })
            // What is the same for all is the job's.
            #expect(
                tasks.contains {
                    $0.contains(#" {"cwd":"\#(path)/work/1","env":{"OWN":"1=1"},"stdin":"\#(path)/input1","#)
                }, "\(tasks)")
        }
    }

    @Test(
        "a wrong value is one clear error, and nothing is done",
        arguments: [
            (
                ["--env", "1A=x"],
                "distcomp: --env 1A=x: expected a name of letters, digits and _ that begins with no digit, "
                    + "and not with DISTCOMP_\n"
            ),
            (
                ["--env", "DISTCOMP_TASK=x"],
                "distcomp: --env DISTCOMP_TASK=x: expected a name of letters, digits and _ that "
                    + "begins with no digit, and not with DISTCOMP_\n"
            ),
            (
                ["--env", "NOT_SET_ANYWHERE"],
                "distcomp: --env NOT_SET_ANYWHERE: there is no such variable here; give its value, "
                    + "as NOT_SET_ANYWHERE=VALUE\n"
            ),
            (["--cwd", ""], "distcomp: --cwd: a path is needed\n"),
            (
                ["--stdin", "-"],
                "distcomp: --stdin takes a file that the nodes can open; - is the standard input of this command\n"
            ),
        ] as [([String], String)])
    func mistakes(options: [String], message: String) async throws {
        try await withScratch { scratch in
            let words = ["submit", "--dry-run"] + options + ["--", "true"]
            let result = try await RunningProgram(Products.distcomp, words, in: scratch).result()
            #expect(result.status == 2 && result.output.isEmpty)
            #expect(result.errors.hasPrefix(message), "\(result.errors)")
            #expect(!result.errors.dropFirst(message.count).contains("distcomp:"))
        }
    }

    @Test(
        "for files of task lines they are refused, since those have their own; plain commands take them",
        arguments: ["--cwd=/", "--env=A=1", "--stdin=/x"])
    func files(option: String) async throws {
        try await withScratch { scratch in
            let lines = try scratch.write("lines", "shell:1:0:0:true\n")
            let commands = try scratch.write("commands", "true\n")
            func submit(_ file: String) async throws -> ProgramResult {
                try await RunningProgram(Products.distcomp, ["submit", "--dry-run", option, file], in: scratch).result()
            }
            let refused = try await submit(lines)
            #expect(refused.status == 2)
            #expect(refused.errors.contains("options are for plain commands"), "\(refused.errors)")
            let taken = try await submit(commands)
            #expect(taken.status == 0 && taken.output.hasPrefix("{"), "\(taken.output)\(taken.errors)")
        }
    }
}
