// What is used of the GPUs of NVIDIA, told by a library that pretends, and said in lines.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("What is used of GPUs")
struct NvidiaUseTests {
    /// A whole device on which processes are, one that answers nothing but its name, and one slice. What the first says is odd where
    /// ODD is 1; the form of its list of processes has the number FORM. It has measured more at each look.
    private static let library = """
        #include <stdint.h>
        #include <string.h>
        typedef void *Device;
        typedef unsigned long long u64;
        struct memory { unsigned version; u64 total, reserved, free, used; };
        struct shares { unsigned gpu, memory; };
        struct sample { unsigned pid; u64 at; unsigned processors, memory, encoders, decoders; };
        struct account { unsigned gpu, memory; u64 peak, time, start; unsigned running, rest[5]; };
        #if FORM == 1
        #define LIST nvmlDeviceGetComputeRunningProcesses
        struct entry { unsigned pid; u64 bytes; };
        #elif FORM == 2
        #define LIST nvmlDeviceGetComputeRunningProcesses_v2
        struct entry { unsigned pid; u64 bytes; unsigned instance, part; };
        #else
        #define LIST nvmlDeviceGetComputeRunningProcesses_v3
        struct entry { unsigned pid; u64 bytes; unsigned instance, part; };
        #endif
        static unsigned looks;
        static const char *names[] = {"GPU-0a1b", "GPU-mute", "GPU-cut", "MIG-one"};
        #define WHOLE ((Device)1)
        #define SLICE ((Device)4)
        int nvmlInit_v2(void) { return 0; }
        int nvmlShutdown(void) { return 0; }
        int nvmlDeviceGetCount_v2(unsigned *count) { looks++; *count = ODD ? 4000000000u : 3; return 0; }
        int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *device) {
          if (index > 2) return 15;
          *device = (Device)(uintptr_t)(index + 1);
          return 0;
        }
        int nvmlDeviceGetUUID(Device device, char *text, unsigned length) {
          strncpy(text, names[(uintptr_t)device - 1], length);
          return 0;
        }
        int nvmlDeviceGetMigMode(Device device, unsigned *current, unsigned *pending) {
          *current = *pending = device == (Device)3;
          return 0;
        }
        int nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned *count) { *count = 7; return 0; }
        int nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned index, Device *slice) {
          if (index != 3) return 6;
          *slice = SLICE;
          return 0;
        }
        int nvmlDeviceGetMemoryInfo_v2(Device device, struct memory *memory) {
          if (memory->version != ((unsigned)sizeof *memory | 2u << 24)) return 25;
          if (device != WHOLE && device != SLICE) return 3;
          memory->total = 8000; memory->reserved = 500; memory->used = ODD ? 9000 : 3000; memory->free = 4500;
          return 0;
        }
        int nvmlDeviceGetUtilizationRates(Device device, struct shares *shares) {
          if (device != WHOLE) return 3;
          shares->gpu = ODD ? 101 : 70; shares->memory = 5;
          return 0;
        }
        int LIST(Device device, unsigned *count, struct entry *entries) {
          if (device == SLICE) {
            if (*count < 2) { *count = 2; return 7; }
            entries[0].pid = entries[1].pid = 31;
            entries[0].bytes = 10; entries[1].bytes = 20;
            *count = 2;
            return 0;
          }
          if (device != WHOLE) return 3;
          unsigned all = looks < 3 ? 3 : 2;
          if (!entries || *count < all) { *count = all; return 7; }
          entries[0].pid = 11; entries[0].bytes = 1000;
          entries[1].pid = ODD ? 4000000001u : 12; entries[1].bytes = ODD ? 9000 : -1;
          if (all == 3) { entries[2].pid = 13; entries[2].bytes = 2000; }
          *count = ODD ? 4000000000u : all;
          return 0;
        }
        int nvmlDeviceGetProcessUtilization(Device device, struct sample *samples, unsigned *count, u64 since) {
          if (device != WHOLE) return 3;
          if (since >= looks * 1000) return 6;
          if (!samples) { *count = 4; return 7; }
          memset(samples, 0, 4 * sizeof *samples);
          for (int i = 0; i < 3; i++) samples[i].at = looks * 1000 + i;
          samples[0].pid = samples[1].pid = 11; samples[0].processors = ODD ? 4000000000u : 30; samples[1].processors = 50;
          samples[2].pid = 12; samples[2].processors = 10;
          samples[3].pid = 11; samples[3].at = 1; samples[3].processors = 99;  // Long ago.
          *count = ODD ? 4000000000u : 4;
          return 0;
        }
        int nvmlDeviceGetAccountingMode(Device device, unsigned *mode) { *mode = 1; return device == WHOLE ? 0 : 3; }
        int nvmlDeviceGetAccountingStats(Device device, unsigned pid, struct account *account) {
          if (pid == 12) return 6;
          account->peak = ODD ? 9000 : pid == 11 ? 1500 : 2500;
          account->running = pid == 11;
          return 0;
        }
        """

    private func observer(_ folder: TemporaryFolder, form: Int, isOdd: Bool = false) throws -> NvidiaObserver {
        let source = try folder.file("nvml.c", Self.library.utf8)
        let path = folder.path + "/libpretended.\(form).\(isOdd).so"
        let words = ["cc", "-shared", "-fPIC", "-DFORM=\(form)", "-DODD=\(isOdd ? 1 : 0)", source, "-o", path]
        #expect(try run("/usr/bin/env", words) == .exit(code: 0))
        return try NvidiaObserver(library: path)
    }

    @Test(
        "memory and times are told of devices, slices and their processes, by whatever form there is",
        arguments: [1, 2, 3])
    func told(form: Int) throws {
        let folder = try TemporaryFolder()
        let observer = try observer(folder, form: form)
        var device = NvidiaUse(identifier: "GPU-0a1b")
        (device.usedBytes, device.totalBytes, device.percent) = (3000, 8000, 70)
        var slice = NvidiaUse(identifier: "MIG-one")
        (slice.usedBytes, slice.totalBytes) = (3000, 8000)
        slice.processes = [.init(31, bytes: 30)]
        // What was measured before the first look may be of others.
        device.processes = [.init(11, bytes: 1000, peakBytes: 1500), .init(12), .init(13, bytes: 2000)]
        #expect(try observer.look() == [device, NvidiaUse(identifier: "GPU-mute"), slice])
        device.processes = [
            .init(11, bytes: 1000, percent: 40, peakBytes: 1500), .init(12, percent: 10),
            .init(13, bytes: 2000, percent: 0),
        ]
        #expect(try observer.look() == [device, NvidiaUse(identifier: "GPU-mute"), slice])
        // One that has ended leaves its account, once.
        device.processes.removeLast()
        device.ended = [.init(13, peakBytes: 2500)]
        #expect(try observer.look() == [device, NvidiaUse(identifier: "GPU-mute"), slice])
        device.ended = []
        let last = try observer.look()
        #expect(last == [device, NvidiaUse(identifier: "GPU-mute"), slice])
        #expect(NvidiaUse.parse(NvidiaUse.text(last)) == last)
    }

    @Test("numbers that cannot be are not told", arguments: [1, 3])
    func odd(form: Int) throws {
        let folder = try TemporaryFolder()
        let observer = try observer(folder, form: form, isOdd: true)
        for _ in 0..<3 {
            let device = try #require(try observer.look().first)
            #expect(device.usedBytes == nil && device.totalBytes == nil && device.percent == nil)
            #expect(device.processes.first == .init(11, bytes: 1000, peakBytes: 9000), "\(device)")
            #expect(device.processes.allSatisfy { $0.process > 0 && $0.percent == nil } && device.processes.count <= 3)
        }
    }

    @Test("of lines that nobody has written so, what can be understood is taken")
    func lines() {
        let text = """
            process 1 2 3 4
            device GPU-a 10 20 101
            process 5 6 7 -
            process -5 6 7 8
            process 99999999999 6 7 8
            process 5 6
            ended 9 - - 18446744073709551616
            device GPU-b - - 100
            \u{0} what
            end

            """
        var a = NvidiaUse(identifier: "GPU-a")
        (a.usedBytes, a.totalBytes) = (10, 20)
        a.processes = [.init(5, bytes: 6, percent: 7)]
        a.ended = [.init(9)]
        var b = NvidiaUse(identifier: "GPU-b")
        b.percent = 100
        #expect(NvidiaUse.parse(text) == [a, b])
        let many = "device a 1 1 1\n" + String(repeating: "process 1 1 1 1\n", count: 100_000)
        #expect(NvidiaUse.parse(many).first?.processes.count ?? 0 < 10_000)
    }
}
