// The GPUs of a machine, told by a library and a folder that pretend to be those of drivers.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Finding GPUs")
struct DeviceTests {
    /// A library with the calls of NVML, in which two whole GPUs are, one that is cut into slices and one that answers no more.
    private static let library = """
        #include <string.h>
        #include <stdint.h>
        typedef void *Device;
        static const char *names[] = {"GPU-0a1b-00", "GPU-cut", "GPU-lost", "GPU-2c3d-02", "MIG-one", "MIG-two"};
        int nvmlInit_v2(void) { return INIT; }
        int nvmlShutdown(void) { return 0; }
        const char *nvmlErrorString(int code) { return code == 9 ? "Driver Not Loaded" : "GPU is lost"; }
        int nvmlDeviceGetCount_v2(unsigned *count) { *count = 4; return 0; }
        int nvmlDeviceGetHandleByIndex_v2(unsigned index, Device *device) {
          if (index == 2) return 15;
          *device = (Device)(uintptr_t)(index + 1);
          return 0;
        }
        int nvmlDeviceGetUUID(Device device, char *text, unsigned length) {
          strncpy(text, names[(uintptr_t)device - 1], length);
          return 0;
        }
        int nvmlDeviceGetMigMode(Device device, unsigned *current, unsigned *pending) {
          if (device == (Device)4) return 3;  // Not supported by this one.
          *current = *pending = device == (Device)2;
          return 0;
        }
        int nvmlDeviceGetMaxMigDeviceCount(Device device, unsigned *count) { *count = 7; return 0; }
        int nvmlDeviceGetMigDeviceHandleByIndex(Device device, unsigned index, Device *slice) {
          if (index != 1 && index != 4) return 6;  // Nothing there.
          *slice = (Device)(uintptr_t)(index == 1 ? 5 : 6);
          return 0;
        }
        """

    private func built(_ folder: TemporaryFolder, initAnswers code: Int = 0) throws -> String {
        let source = try folder.file("nvml.c", Self.library.utf8)
        let path = folder.path + "/libpretended.\(code).so"
        let words = ["cc", "-shared", "-fPIC", "-DINIT=\(code)", source, "-o", path]
        #expect(try run("/usr/bin/env", words) == .exit(code: 0))
        return path
    }

    @Test(
        "those of NVIDIA are told by their library: whole ones, slices in place of one that is cut, and what is wrong with others"
    )
    func nvidia() throws {
        let folder = try TemporaryFolder()
        let found = try NvidiaDevices.find(library: try built(folder))
        #expect(found.identifiers == ["GPU-0a1b-00", "MIG-one", "MIG-two", "GPU-2c3d-02"])
        #expect(found.notes == ["GPU 2: nvmlDeviceGetHandleByIndex_v2: GPU is lost"])
    }

    @Test("without a driver, or with a library that is none, it is said which call failed and why")
    func failures() throws {
        let folder = try TemporaryFolder()
        let withoutDriver = try built(folder, initAnswers: 9)
        let uninstalled = #expect(throws: NvidiaDevices.Failure.self) { try NvidiaDevices.find(library: withoutDriver) }
        #expect(uninstalled?.description == "nvmlInit_v2: Driver Not Loaded" && uninstalled?.isLibraryMissing == false)
        let none = #expect(throws: NvidiaDevices.Failure.self) {
            try NvidiaDevices.find(library: folder.path + "/none.so")
        }
        #expect(none?.isLibraryMissing == true && none?.description.contains("/none.so") == true)
        let other = #expect(throws: NvidiaDevices.Failure.self) { try NvidiaDevices.find(library: "libm.so.6") }
        #expect(other?.isLibraryMissing == false && other?.description.contains("nvmlInit_v2") == true)
    }

    @Test("those of AMD are the processors with SIMD units among the folders of its driver, in their order")
    func amd() throws {
        let folder = try TemporaryFolder()
        let nodes: [(String, String)] = [
            ("0", "cpu_cores_count 64\nsimd_count 0\nunique_id 0\n"), ("10", "simd_count 416\nunique_id 0\n"),
            ("2", "simd_count 416\nunique_id 17204529132421054\n"), ("3", ""), ("x", "simd_count 416\n"),
        ]
        for (name, properties) in nodes {
            try FileSystem.createDirectories(folder.path + "/nodes/" + name, mode: 0o755)
            try folder.file("nodes/\(name)/properties", properties.utf8)
        }
        let all = AMDDevices.find(topology: folder.path)
        #expect(all.identifiers == ["GPU-003d1f6d97773fbe", "1"] && all.notes.isEmpty)
        let none = AMDDevices.find(topology: folder.path + "/none")
        #expect(none.identifiers.isEmpty && none.notes.isEmpty)
        // What cannot be read is told, and takes no other with it.
        try FileSystem.createDirectories(folder.path + "/nodes/1/properties", mode: 0o755)
        let found = AMDDevices.find(topology: folder.path)
        #expect(found.identifiers == ["GPU-003d1f6d97773fbe", "1"] && found.notes.count == 1)
        #expect(found.notes.first?.contains("/nodes/1/properties") == true, "\(found.notes)")
        #expect(AMDDevices.find(topology: folder.path + "/nodes/2/properties").notes.count == 1)
    }
}
