// Tasks that ask for GPUs and other things, on nodes that are told of devices which are none: who gets which is the node's word alone.

import Glibc
import LinuxSystem
import Testing

@Suite("Devices of nodes", .aFewAtATime)
struct ResourceFleetTests {
    private let twoDevices = ["resources": #"{"gpu": ["GPU-0a1b", "GPU-2c3d"], "licence": 3}"#]

    /// A command that says what it was given, then runs until `gate` is there. Where another has the device, it fails.
    private func holding(_ gate: String, in scratch: Scratch, sharing: Bool = false) -> String {
        let mark = "\(scratch.path)/held-$CUDA_VISIBLE_DEVICES"
        let lock = sharing ? "true" : "mkdir \"\(mark)\""
        let unlock = sharing ? "true" : "rmdir \"\(mark)\""
        return """
            \(lock) || exit 7; echo "$CUDA_VISIBLE_DEVICES $HIP_VISIBLE_DEVICES $ROCR_VISIBLE_DEVICES $DISTCOMP_RESOURCE_GPU"; \
            echo "$CUDA_VISIBLE_DEVICES" >> \(scratch.path)/begun; until [ -e \(scratch.path)/\(gate) ]; do sleep 0.02; done; \(unlock) # {}
            """
    }

    private func outputs(_ job: String, of fleet: Fleet) async throws -> [String] {
        try await fleet.distcomp("results", job, "--format", "jsonl").outputLines.map { line in
            let object = try jsonObject(String(line))
            return "\(object.string("state") ?? "") \(object.string("stdout") ?? "")"
        }.sorted()
    }

    @Test(
        "no two tasks have one device at once; who asks for none sees none; why, workers and status say what is in use")
    func whole() async throws {
        try await withFleet { fleet in
            chmod(fleet.scratch.path, 0o777)
            let node = try await fleet.startedNode("a", twoDevices.merging(["max_task_per_worker": "8"]) { $1 })
            let words = ["submit", "--name", "held", "--gpus", "1", "--", holding("gate", in: fleet.scratch), ":::"]
            #expect(try await fleet.distcomp(words + ["1", "2", "3", "4", "5"]).status == 0)
            try await eventually("two run") { fleet.scratch.lines("begun").count == 2 }

            let show =
                #"echo "[${CUDA_VISIBLE_DEVICES-unset}${HIP_VISIBLE_DEVICES-unset}${ROCR_VISIBLE_DEVICES-unset}]""#
            let none = ["submit", "--name", "none", "--env", "CUDA_VISIBLE_DEVICES=GPU-0a1b", "--", show]
            #expect(try await fleet.distcomp(none).status == 0)
            #expect(try await fleet.distcomp("watch", "none").status == 0)
            #expect(try await outputs("none", of: fleet) == ["finished []\n"])

            let why = try await fleet.distcomp("why", "held").output
            #expect(why.contains("waits for a free gpu") && why.contains("a (2/2 gpu 0/3 licence)"), "\(why)")
            let workers = try await fleet.distcomp("workers", "--json").output
            let resources = #""resources":{"gpu":{"total":2,"asked":2},"licence":{"total":3,"asked":0}}"#
            #expect(workers.contains(resources), "\(workers)")
            #expect(try await fleet.distcomp("status", "--json").output.contains(resources))
            #expect(try await fleet.distcomp("workers").output.contains("2/2 gpu 0/3 licence"))

            try fleet.scratch.write("gate", "")
            #expect(try await fleet.distcomp("watch", "held").status == 0)
            let lines = fleet.scratch.lines("begun")
            #expect(lines.count == 5 && Set(lines.prefix(2)) == ["GPU-0a1b", "GPU-2c3d"], "\(lines)")
            for output in try await outputs("held", of: fleet) {
                let names = output.dropFirst("finished ".count).split(whereSeparator: \.isWhitespace)
                #expect(output.hasPrefix("finished GPU-") && names.count == 4 && Set(names).count == 1, "\(output)")
            }
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("halves share a device, and leave the other whole; a licence is counted without names")
    func parts() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", twoDevices.merging(["max_task_per_worker": "8"]) { $1 })
            let half = holding("gate", in: fleet.scratch, sharing: true)
            chmod(fleet.scratch.path, 0o777)
            #expect(
                try await fleet.distcomp("submit", "--name", "halves", "--gpus", "0.5", "--", half, ":::", "1", "2")
                    .status == 0)
            try await eventually("two run") { fleet.scratch.lines("begun").count == 2 }
            #expect(Set(fleet.scratch.lines("begun")) == ["GPU-0a1b"])
            let rest = [
                "submit", "--name", "rest", "--resources", "gpu=1,licence=1.5", "--",
                "echo $CUDA_VISIBLE_DEVICES $DISTCOMP_RESOURCE_LICENCE",
            ]
            #expect(try await fleet.distcomp(rest).status == 0)
            #expect(try await fleet.distcomp("watch", "rest").status == 0)
            #expect(try await outputs("rest", of: fleet) == ["finished GPU-2c3d 1.5\n"])
            try fleet.scratch.write("gate", "")
            #expect(try await fleet.distcomp("watch", "halves").status == 0)
            #expect(try await node.stop().status == 0)
        }
    }

    @Test(
        "a daemon replaced in place knows whose its devices are; one that was killed gives them anew, when what ran is gone"
    )
    func lives() async throws {
        try await withFleet { fleet in
            chmod(fleet.scratch.path, 0o777)
            let settings = ["restart_mode": "\"keep\"", "max_retry_per_task": "1", "max_task_per_worker": "8"]
            let node = try await fleet.startedNode("a", twoDevices.merging(settings) { $1 })
            let held = holding("gate", in: fleet.scratch)
            let words = ["submit", "--name", "held", "--gpus", "1", "--", held, ":::"]
            #expect(try await fleet.distcomp(words + ["1", "2"]).status == 0)
            try await eventually("two run") { fleet.scratch.lines("begun").count == 2 }
            func lives() -> Int { node.log.split(separator: "\n").count { $0.contains(" connected") } }
            let before = lives()
            node.program?.send(SIGHUP)
            try await eventually("the next program", node.log) { lives() > before }
            // Free were they if it had forgotten: then this would begin, and fail.
            #expect(try await fleet.distcomp(words + ["3"]).status == 0)
            #expect(try await fleet.distcomp("submit", "--name", "plain", "--", "true").status == 0)
            #expect(try await fleet.distcomp("watch", "plain").status == 0)
            #expect(fleet.scratch.lines("begun").count == 2)
            let why = try await fleet.distcomp("why", "held").output
            #expect(why.contains("waits for a free gpu"), "\(why)")

            try await node.kill9()
            for device in ["GPU-0a1b", "GPU-2c3d"] { rmdir("\(fleet.scratch.path)/held-\(device)") }
            try await node.start()
            try await eventually("two run again") { fleet.scratch.lines("begun").count == 4 }
            #expect(Set(fleet.scratch.lines("begun").suffix(2)) == ["GPU-0a1b", "GPU-2c3d"])
            try fleet.scratch.write("gate", "")
            #expect(try await fleet.distcomp("watch", "held").status == 0)
            #expect(try await node.stop().status == 0)
        }
    }

    @Test(
        "what no node has is said at once by submit, why and status; a line of JSON says it too, and the same for all")
    func nowhere() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", twoDevices)
            let late = try await fleet.distcomp("submit", "--name", "late", "--gpus", "3", "--", "true")
            let note =
                "late: its tasks ask for 3 gpu, and no live node has that (the most, a, has 2 gpu): it waits for one"
            #expect(late.status == 0 && late.errors.contains(note), "\(late)")
            let why = try await fleet.distcomp("why", "late").output
            #expect(why.contains("asks for 3 gpu, and no live node"), "\(why)")
            let status = try await fleet.distcomp("status").output
            #expect(status.contains("1 waiting ask for what no live node has"), "\(status)")
            #expect(try await fleet.distcomp("set", "late", "--gpus", "2").status == 0)
            #expect(try await fleet.distcomp("watch", "late").status == 0)
            #expect(try await fleet.distcomp("jobs", "--json").output.contains(#""resources":{"gpu":2}"#))

            let good = #"{"command": "echo $CUDA_VISIBLE_DEVICES", "resources": {"gpu": 2}}"#
            let file = try fleet.scratch.write("lines.json", good + "\n")
            #expect(try await fleet.distcomp("submit", "--name", "lines", file).status == 0)
            #expect(try await fleet.distcomp("watch", "lines").status == 0)
            #expect(try await outputs("lines", of: fleet) == ["finished GPU-0a1b,GPU-2c3d\n"])
            try fleet.scratch.write("lines.json", good + "\n" + #"{"command": "true"}"# + "\n")
            let mixed = try await fleet.distcomp("submit", "--name", "mixed", file)
            #expect(
                mixed.status == 2 && mixed.errors.contains("all tasks of a job have the same resources"), "\(mixed)")
            // What is wrong with the first is found before there is a job.
            let saving = try fleet.scratch.write(
                "saving.json", #"{"command": "true", "checkpoint_dir": "/srv"}"# + "\n")
            // Which nodes they are for is said by all of them alike, too.
            let text =
                #"{"command": "echo 1", "where": "ssd"}"# + "\n" + #"{"command": "echo 2", "where": "!hdd"}"# + "\n"
            let placed = try fleet.scratch.write("placed.json", text.replacing("!hdd", with: "ssd"))
            #expect(try await fleet.distcomp("submit", "--name", "placed", placed).status == 0)
            #expect(try await fleet.distcomp("jobs", "--json").output.contains(#""where":"ssd""#))
            #expect(try await fleet.distcomp("why", "placed").output.contains("(--where 'ssd')"))
            #expect(try await fleet.distcomp("cancel", "--quiet", "placed").status == 0)
            let unlike = try fleet.scratch.write("unlike.json", text)
            let elsewhere = try await fleet.distcomp("submit", "--name", "unlike", unlike)
            #expect(
                elsewhere.status == 2 && elsewhere.errors.contains("the job's are for `ssd`, and this one for `!hdd`"),
                "\(elsewhere)")
            for (words, problem) in [
                (["--where", "hdd", placed], "all tasks of a job are for the same nodes"),
                (["--gpus", "1", file], "all tasks of a job have the same resources"),
                (["--idempotent", saving], "two copies of a task would save in one place"),
            ] {
                let contrary = try await fleet.distcomp(["submit", "--name", "contrary"] + words)
                #expect(contrary.status == 2 && contrary.errors.contains(problem), "\(contrary)")
                #expect(!(try await fleet.distcomp("jobs").output.contains("contrary")))
            }
            for (option, value) in [
                ("--gpus", "1.5"), ("--gpus", "0"), ("--resources", "GPU=1"), ("--resources", "gpu"),
            ] {
                let refused = try await fleet.distcomp("submit", option, value, "--", "true")
                #expect(refused.status == 2 && refused.errors.contains("\(option) \(value)"), "\(refused)")
            }
            #expect(try await node.stop().status == 0)
        }
    }

    @Test("a run on a machine without GPUs says so; one whose caller has some of them gives its tasks those alone")
    func oneMachine() async throws {
        try await withScratch { scratch in
            func run(_ name: String, _ devices: String, _ words: [String]) async throws -> ProgramResult {
                scratch.expectGroups(ofNode: Host.shortName, stateDirectory: "\(scratch.path)/\(name)/node")
                let own = [
                    "CUDA_VISIBLE_DEVICES=\(devices)", Products.distcomp, "run", "--state", "\(scratch.path)/\(name)",
                ]
                return try await RunningProgram("/usr/bin/env", own + words, in: scratch).result()
            }
            let refused = try await run("none", "", ["--gpus", "2", "--", "true"])
            #expect(
                refused.status == 1 && refused.errors.contains("1 task asks for 2 gpu, and this machine has 0 gpu"),
                "\(refused)")
            let given = try await run(
                "some", "GPU-7,GPU-8",
                ["--output", "ordered", "--gpus", "1", "--", "echo $CUDA_VISIBLE_DEVICES {}", ":::", "1"])
            #expect(given.status == 0 && given.output == "GPU-7 1\n", "\(given)")
        }
    }

    @Test(
        "GPUs are found by a driver's library that pretends, and one that crashes is told of and stops nothing")
    func found() async throws {
        try await withFleet { fleet in
            let scratch = fleet.scratch
            func library(_ name: String, _ start: String) async throws -> String {
                let source = try scratch.write(
                    "\(name).c",
                    """
                    #include <string.h>
                    #include <stdlib.h>
                    int nvmlInit_v2(void) { \(start) }
                    int nvmlShutdown(void) { return 0; }
                    int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
                    int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = index ? "GPU-b" : "GPU-a"; return 0; }
                    int nvmlDeviceGetUUID(void *device, char *text, unsigned length) { strncpy(text, device, length); return 0; }
                    """)
                let words = ["cc", "-shared", "-fPIC", source, "-o", "\(scratch.path)/\(name).so"]
                let built = try await RunningProgram("/usr/bin/env", words, in: scratch).result()
                try #require(built.status == 0, "\(built)")
                return "\(scratch.path)/\(name).so"
            }
            let listed = try fleet.node("listed", ["resources": #"{"gpu": ["GPU-0a1b"]}"#]).configurationPath
            let doctor = try await fleet.distcomp("doctor", "--config", listed)
            #expect(
                doctor.output.contains("GPU-0a1b; a program that uses CUDA needs 120 MB of memory for that alone"),
                "\(doctor)")
            let auto = ["resources": #"{"gpu": "auto"}"#]
            let node = try fleet.node("a", auto)
            node.command = [Products.distcompd, "--nvidia-library", try await library("good", "return 0;")]
            try await node.start()
            let words = ["submit", "--name", "j", "--gpus", "2", "--", "echo $CUDA_VISIBLE_DEVICES"]
            #expect(try await fleet.distcomp(words).status == 0)
            #expect(try await fleet.distcomp("watch", "j").status == 0)
            #expect(try await outputs("j", of: fleet) == ["finished GPU-a,GPU-b\n"])
            #expect(try await node.stop().status == 0)

            let crashing = try fleet.node("b", auto)
            crashing.command = [Products.distcompd, "--nvidia-library", try await library("bad", "abort();")]
            try await crashing.start()
            try await crashing.logs("no GPU was found (the driver's library ended the search for them by signal 6")
            #expect(try await crashing.stop().status == 0)
        }
    }
}
