// What tasks use of GPUs, as a driver's library tells that pretends: what it answers stands in a file. It may also hang, or crash.

import Glibc
import LinuxSystem
import Testing

@Suite("Use of devices", .aFewAtATime)
struct DeviceUseFleetTests {
    /// Lines `device NAME USED TOTAL PERCENT` and `process NAME PID BYTES PERCENT` are what it answers; `hang` and `crash` what it does.
    private static let library = """
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <unistd.h>
        typedef unsigned long long u64;
        struct memory { unsigned version; u64 total, reserved, free, used; };
        struct shares { unsigned gpu, memory; };
        struct entry { unsigned pid; u64 bytes; unsigned instance, part; };
        struct sample { unsigned pid; u64 at; unsigned processors, memory, encoders, decoders; };
        static u64 rows[64][3];
        static unsigned looks;
        static int find(const char *word, const char *device) {
          FILE *file = fopen(FOLDER "/answers", "r");
          char line[256], first[32], name[96];
          int count = 0;
          if (!file) return 0;
          while (fgets(line, sizeof line, file)) {
            u64 *row = rows[count];
            if (!strncmp(line, "crash", 5)) abort();
            while (!strncmp(line, "hang", 4)) pause();
            if (sscanf(line, "%31s %95s %llu %llu %llu", first, name, row, row + 1, row + 2) == 5
                && !strcmp(first, word) && !strcmp(name, device)) count++;
          }
          fclose(file);
          return count;
        }
        int nvmlInit_v2(void) { return 0; }
        int nvmlShutdown(void) { return 0; }
        int nvmlDeviceGetCount_v2(unsigned *count) {
          FILE *file = fopen(FOLDER "/looks", "a");
          looks++;
          fputs("look\\n", file);
          fclose(file);
          *count = 2;
          return 0;
        }
        int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = index ? "GPU-2c3d" : "GPU-0a1b"; return 0; }
        int nvmlDeviceGetUUID(void *device, char *text, unsigned length) { strncpy(text, device, length); return 0; }
        int nvmlDeviceGetMemoryInfo_v2(void *device, struct memory *memory) {
          if (!find("device", device)) return 3;
          memory->used = rows[0][0]; memory->total = rows[0][1];
          return 0;
        }
        int nvmlDeviceGetUtilizationRates(void *device, struct shares *shares) {
          if (!find("device", device)) return 3;
          shares->gpu = rows[0][2];
          return 0;
        }
        int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct entry *entries) {
          unsigned all = find("process", device), room = *count;
          *count = all;
          if (room < all) return 7;
          for (unsigned i = 0; i < all; i++) { entries[i].pid = rows[i][0]; entries[i].bytes = rows[i][1]; }
          return 0;
        }
        int nvmlDeviceGetProcessUtilization(void *device, struct sample *samples, unsigned *count, u64 since) {
          unsigned all = find("process", device), room = *count;
          *count = all;
          if (!all) return 6;
          if (room < all) return 7;
          for (unsigned i = 0; i < all; i++) {
            samples[i].pid = rows[i][0]; samples[i].at = looks; samples[i].processors = rows[i][2];
          }
          return 0;
        }
        """

    /// A node with two devices that are none, and its folder for answers.
    private func node(of fleet: Fleet) async throws -> Node {
        let scratch = fleet.scratch
        chmod(scratch.path, 0o777)
        let source = try scratch.write("nvml.c", Self.library)
        let library = "\(scratch.path)/nvml.so"
        let words = ["cc", "-shared", "-fPIC", "-DFOLDER=\"\(scratch.path)\"", source, "-o", library]
        let built = try await RunningProgram("/usr/bin/env", words, in: scratch).result()
        try #require(built.status == 0, "\(built)")
        let resources = ["resources": #"{"gpu": ["GPU-0a1b", "GPU-2c3d"]}"#, "max_task_per_worker": "8"]
        let node = try fleet.node("a", resources.merging(["restart_mode": "\"keep\""]) { $1 })
        node.command = [Products.distcompd, "--nvidia-library", library]
        return node
    }

    /// Has the library answer so, and waits until the node has taken an answer to a question that came after.
    private func answer(_ lines: [String], in scratch: Scratch) async throws {
        try scratch.write("answers", lines.joined(separator: "\n") + "\n")
        // One look may be under way; the next is of this, and the one after that begins when the node has its answer.
        let before = scratch.lines("looks").count
        try await eventually("two looks") { scratch.lines("looks").count >= before + 2 }
    }

    /// A command that says which process it is, and runs until `gate` is there.
    private func holding(_ name: String, in scratch: Scratch) -> String {
        "echo $$ $CUDA_VISIBLE_DEVICES > \(scratch.path)/of-\(name); until [ -e \(scratch.path)/gate-\(name) ]; do sleep 0.05; done"
    }

    /// Its process and its devices, once it runs.
    private func begun(_ name: String, in scratch: Scratch) async throws -> (process: String, device: String) {
        try await eventually("\(name) runs") { () -> (String, String)? in
            let words = scratch.lines("of-\(name)").first?.split(separator: " ").map(String.init) ?? []
            return words.count == 2 ? (words[0], words[1]) : nil
        }
    }

    private func submit(_ name: String, _ options: [String], to fleet: Fleet) async throws {
        let words = ["submit", "--name", name] + options + ["--", holding(name, in: fleet.scratch)]
        #expect(try await fleet.distcomp(words).status == 0)
    }

    /// What `workers --json` tells of devices.
    private func used(of fleet: Fleet) async throws -> [[String: Any]] {
        try jsonObject(try await fleet.distcomp("workers", "--json").output)["devices"] as? [[String: Any]] ?? []
    }

    /// Ends it; its record.
    private func ended(_ name: String, of fleet: Fleet) async throws -> [String: Any] {
        try fleet.scratch.write("gate-\(name)", "")
        #expect(try await fleet.distcomp("watch", name).status == 0)
        return try jsonObject(String(try await fleet.distcomp("results", name, "--format", "jsonl").output))
    }

    @Test(
        "by its processes where the driver names them, also of a part of a device and by a program that replaced the daemon; by the device where it does not"
    )
    func told() async throws {
        try await withFleet { fleet in
            let scratch = fleet.scratch
            let node = try await node(of: fleet)
            try await node.start()
            #expect(try await fleet.distcomp("submit", "--name", "plain", "--", "true").status == 0)
            #expect(try await fleet.distcomp("watch", "plain").status == 0)
            #expect(scratch.lines("looks").isEmpty, "nothing is asked where no task has a GPU")

            try await submit("half", ["--gpus", "0.5"], to: fleet)
            try await submit("rest", ["--gpus", "0.5"], to: fleet)
            try await submit("none", [], to: fleet)
            let (half, device) = try await begun("half", in: scratch)
            let (rest, _) = try await begun("rest", in: scratch)
            try await eventually("none runs") { !scratch.lines("of-none").isEmpty }
            let none = scratch.lines("of-none")[0].split(separator: " ")[0]
            func lines(_ bytes: Int) -> [String] {
                [
                    "device \(device) 90000 100000 100", "process \(device) \(half) \(bytes) 25",
                    "process \(device) \(rest) 4096 50", "process \(device) \(none) 30000 20",
                    "process \(device) \(getpid()) 20000 5",
                ]
            }
            try await answer(lines(2048), in: scratch)
            try await answer(lines(1024), in: scratch)
            let before = node.log.split(separator: "\n").count { $0.contains(" connected") }
            node.program?.send(SIGHUP)
            try await eventually("the next program", node.log) {
                node.log.split(separator: "\n").count { $0.contains(" connected") } > before
            }
            try await answer(lines(512), in: scratch)
            try await eventually("workers tells what is used now") {
                try await used(of: fleet).contains {
                    $0.string("device") == device && $0.integer("used_bytes") == 90000
                }
            }
            #expect(try await fleet.distcomp("workers").output.contains("1/2 gpu (0.0/0.0 GB, 100 %)"))
            let first = try await ended("half", of: fleet)
            #expect(first.integer("gpu_memory_peak_bytes") == 2048, "\(first)")
            #expect(first.double("gpu_utilization").map { $0 > 0.1 && $0 <= 0.25 } == true, "\(first)")
            let second = try await ended("rest", of: fleet)
            #expect(second.integer("gpu_memory_peak_bytes") == 4096, "\(second)")
            let show = try await fleet.distcomp("show", try #require(second.string("id"))).output
            #expect(show.contains("gpu        peak 4 KB, ") && show.contains(" % busy"), "\(show)")
            let third = try await ended("none", of: fleet)
            #expect(third.string("state") == "finished" && third.integer("gpu_memory_peak_bytes") == nil, "\(third)")

            try await submit("whole", ["--gpus", "1"], to: fleet)
            let (_, own) = try await begun("whole", in: scratch)
            try await answer(["device \(own) 70000 100000 40", "process \(own) 2000000000 69000 40"], in: scratch)
            let whole = try await ended("whole", of: fleet)
            #expect(whole.integer("gpu_memory_peak_bytes") == 70_000, "\(whole)")
            #expect(whole.double("gpu_utilization") != nil, "\(whole)")
            try await eventually("no task has a GPU: nothing is told") { try await used(of: fleet).isEmpty }
            #expect(try await node.stop().status == 0)
            #expect(scratch.processes(with: "--watch-gpus").isEmpty)
        }
    }

    @Test(
        "a driver that hangs, or whose library crashes, holds up nothing: other tasks begin and end, and so does the node",
        arguments: ["hang", "crash"])
    func trouble(kind: String) async throws {
        try await withFleet { fleet in
            let scratch = fleet.scratch
            let node = try await node(of: fleet)
            try await node.start()
            try scratch.write("answers", kind + "\n")
            try await submit("held", ["--gpus", "1"], to: fleet)
            _ = try await begun("held", in: scratch)
            try await eventually("the library is asked") { !scratch.lines("looks").isEmpty }
            if kind == "crash" { try await node.logs("the program that asks the driver for it has ended (signal(6))") }
            let words = ["submit", "--name", "others", "--", "true # {}", ":::"] + (1...20).map { "\($0)" }
            #expect(try await fleet.distcomp(words).status == 0)
            #expect(try await fleet.distcomp("watch", "others").status == 0)
            let held = try await ended("held", of: fleet)
            #expect(held.string("state") == "finished" && held.integer("gpu_memory_peak_bytes") == nil, "\(held)")
            #expect(held.double("gpu_utilization") == nil)
            #expect(try await node.stop().status == 0)
            try await eventually("nobody asks any more") { scratch.processes(with: "--watch-gpus").isEmpty }
        }
    }
}
