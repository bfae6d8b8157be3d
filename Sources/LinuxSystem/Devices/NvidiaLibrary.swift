// The calls of NVML that are needed, found by name in a library that is opened for as long as this lives. What it answers is not believed
// where it cannot be: numbers of things are bounded, and structures are laid out here as its header has them.

import Glibc

final class NvidiaLibrary {
    typealias Device = UnsafeMutableRawPointer?
    private typealias DevicePlace = UnsafeMutablePointer<Device>
    private typealias NumberPlace = UnsafeMutablePointer<UInt32>
    private typealias Failure = NvidiaDevices.Failure

    private typealias ForNumber = @convention(c) (Device, NumberPlace) -> Int32
    /// Fills a structure, or as many of them as a number says.
    private typealias ForStructure = @convention(c) (Device, UnsafeMutableRawPointer) -> Int32
    private typealias ForStructures = @convention(c) (Device, NumberPlace, UnsafeMutableRawPointer?) -> Int32

    private let handle: UnsafeMutableRawPointer
    private let end: @convention(c) () -> Int32
    private let count: @convention(c) (NumberPlace) -> Int32
    private let device: @convention(c) (UInt32, DevicePlace) -> Int32
    private let identifier: @convention(c) (Device, UnsafeMutablePointer<CChar>, UInt32) -> Int32
    private let words: (@convention(c) (Int32) -> UnsafePointer<CChar>?)?
    /// Nil in a library that is older than MIG.
    private let migMode: (@convention(c) (Device, NumberPlace, NumberPlace) -> Int32)?
    private let sliceCountMax: ForNumber?
    private let slice: (@convention(c) (Device, UInt32, DevicePlace) -> Int32)?
    private let memory: ForStructure?
    private let busyShares: ForStructure?
    /// The newest form there is; the oldest has shorter entries.
    private let processes: (call: ForStructures, entryBytes: Int)?
    private let processShares: (@convention(c) (Device, UnsafeMutableRawPointer?, NumberPlace, UInt64) -> Int32)?
    private let accountingMode: ForNumber?
    private let account: (@convention(c) (Device, UInt32, UnsafeMutableRawPointer) -> Int32)?

    /// No device has more slices; a library that says so is not believed.
    private static let slicesMax: UInt32 = 64
    private static let devicesMax: UInt32 = 128
    private static let identifierBytes = 96
    /// Of one device.
    private static let processesMax: UInt32 = 1024
    /// NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NOT_FOUND, NVML_ERROR_INSUFFICIENT_SIZE.
    private static let notSupported: Int32 = 3
    private static let notFound: Int32 = 6
    private static let tooSmall: Int32 = 7

    /// Opens the library and begins to use it.
    init(_ path: String) throws(NvidiaDevices.Failure) {
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw Failure(isLibraryMissing: true, description: "dlopen \(path): \(Self.lastError())")
        }
        func optional<Call>(_ name: String, _ type: Call.Type) -> Call? {
            dlsym(handle, name).map { unsafeBitCast($0, to: type) }
        }
        func needed<Call>(_ name: String, _ type: Call.Type) throws(Failure) -> Call {
            guard let call = optional(name, type) else {
                let reason = Self.lastError()
                dlclose(handle)
                throw Failure(isLibraryMissing: false, description: "dlsym \(path): \(reason)")
            }
            return call
        }
        let begin = try needed("nvmlInit_v2", (@convention(c) () -> Int32).self)
        end = try needed("nvmlShutdown", (@convention(c) () -> Int32).self)
        count = try needed("nvmlDeviceGetCount_v2", (@convention(c) (NumberPlace) -> Int32).self)
        device = try needed("nvmlDeviceGetHandleByIndex_v2", (@convention(c) (UInt32, DevicePlace) -> Int32).self)
        identifier = try needed(
            "nvmlDeviceGetUUID", (@convention(c) (Device, UnsafeMutablePointer<CChar>, UInt32) -> Int32).self)
        words = optional("nvmlErrorString", (@convention(c) (Int32) -> UnsafePointer<CChar>?).self)
        migMode = optional("nvmlDeviceGetMigMode", (@convention(c) (Device, NumberPlace, NumberPlace) -> Int32).self)
        sliceCountMax = optional("nvmlDeviceGetMaxMigDeviceCount", ForNumber.self)
        slice = optional(
            "nvmlDeviceGetMigDeviceHandleByIndex", (@convention(c) (Device, UInt32, DevicePlace) -> Int32).self)
        // The first form counts what the driver keeps for itself as used.
        memory = optional("nvmlDeviceGetMemoryInfo_v2", ForStructure.self)
        busyShares = optional("nvmlDeviceGetUtilizationRates", ForStructure.self)
        let processesName = "nvmlDeviceGetComputeRunningProcesses"
        processes =
            (optional(processesName + "_v3", ForStructures.self) ?? optional(processesName + "_v2", ForStructures.self))
            .map { ($0, 24) } ?? optional(processesName, ForStructures.self).map { ($0, 16) }
        processShares = optional(
            "nvmlDeviceGetProcessUtilization",
            (@convention(c) (Device, UnsafeMutableRawPointer?, NumberPlace, UInt64) -> Int32).self)
        accountingMode = optional("nvmlDeviceGetAccountingMode", ForNumber.self)
        account = optional(
            "nvmlDeviceGetAccountingStats", (@convention(c) (Device, UInt32, UnsafeMutableRawPointer) -> Int32).self)
        let code = begin()
        guard code == 0 else {
            let reason = Self.reason(code, words)
            dlclose(handle)
            throw Failure(isLibraryMissing: false, description: "nvmlInit_v2: \(reason)")
        }
        self.handle = handle
    }

    deinit {
        _ = end()
        dlclose(handle)
    }

    private static func lastError() -> String { dlerror().map { String(cString: $0) } ?? "no reason given" }

    private static func reason(
        _ code: Int32, _ words: (@convention(c) (Int32) -> UnsafePointer<CChar>?)?
    ) -> String {
        words?(code).map { String(cString: $0) } ?? "error \(code)"
    }

    /// Each call returns 0, or a number that stands for what went wrong.
    private func check(_ code: Int32, _ call: String) throws(Failure) {
        guard code != 0 else { return }
        throw Failure(isLibraryMissing: false, description: "\(call): \(Self.reason(code, words))")
    }

    // MARK: Devices

    func deviceCount() throws(NvidiaDevices.Failure) -> UInt32 {
        var number: UInt32 = 0
        try check(count(&number), "nvmlDeviceGetCount_v2")
        return min(number, Self.devicesMax)
    }

    /// A whole device, or the slices of one that is in MIG mode: then no program can use it as a whole.
    func devices(at index: UInt32) throws(NvidiaDevices.Failure) -> (devices: [Device], isCut: Bool) {
        var device: Device = nil
        try check(self.device(index, &device), "nvmlDeviceGetHandleByIndex_v2")
        guard try isCut(device) else { return ([device], false) }
        var places: UInt32 = 0
        try check(sliceCountMax?(device, &places) ?? 0, "nvmlDeviceGetMaxMigDeviceCount")
        var slices: [Device] = []
        for number in 0..<min(places, Self.slicesMax) {
            var slice: Device = nil
            let code = self.slice?(device, number, &slice) ?? Self.notFound
            if code == Self.notFound { continue }  // A place where a slice could be.
            try check(code, "nvmlDeviceGetMigDeviceHandleByIndex")
            slices.append(slice)
        }
        return (slices, true)
    }

    private func isCut(_ device: Device) throws(Failure) -> Bool {
        guard let migMode, slice != nil, sliceCountMax != nil else { return false }
        var (current, pending): (UInt32, UInt32) = (0, 0)
        let code = migMode(device, &current, &pending)
        if code == Self.notSupported { return false }
        try check(code, "nvmlDeviceGetMigMode")
        return current == 1
    }

    func identifier(of device: Device) throws(NvidiaDevices.Failure) -> String {
        var text = [CChar](repeating: 0, count: Self.identifierBytes)
        try check(identifier(device, &text, UInt32(text.count)), "nvmlDeviceGetUUID")
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    // MARK: What is used of one

    /// Without what the driver keeps for itself; nil where it is not told, or cannot be.
    func memory(of device: Device) -> (usedBytes: UInt64, totalBytes: UInt64)? {
        guard let memory else { return nil }
        // nvmlMemory_v2_t: its version (its size, and 2 in the highest byte), total, reserved, free, used.
        var structure: [UInt64] = [2 << 24 | 40, 0, 0, 0, 0]
        guard memory(device, &structure) == 0, structure[1] > 0, structure[4] <= structure[1] else { return nil }
        return (structure[4], structure[1])
    }

    /// For how much of the last moment anything ran on it.
    func busyPercent(of device: Device) -> UInt32? {
        // nvmlUtilization_t: of its processors, of its memory.
        var structure: [UInt32] = [0, 0]
        guard let busyShares, busyShares(device, &structure) == 0, structure[0] <= 100 else { return nil }
        return structure[0]
    }

    /// The processes that have a context there, and what they hold, where that is told.
    func processes(on device: Device) -> [(process: Int32, bytes: UInt64?)]? {
        guard let processes else { return nil }
        var number: UInt32 = 0
        let code = processes.call(device, &number, nil)
        if code == 0 { return [] }
        guard code == Self.tooSmall else { return nil }
        number = min(number, Self.processesMax / 2) * 2 + 5  // Others may begin meanwhile.
        let words = processes.entryBytes / 8
        // nvmlProcessInfo_t: the process, its bytes (all ones where that is not known), and in later forms where in a slice it is.
        var entries = [UInt64](repeating: 0, count: Int(number) * words)
        let capacity = number
        guard processes.call(device, &number, &entries) == 0 else { return nil }
        return (0..<Int(min(number, capacity))).compactMap { index in
            guard let process = Int32(exactly: entries[index * words] & 0xFFFF_FFFF), process > 0 else { return nil }
            let bytes = entries[index * words + 1]
            return (process, bytes == .max ? nil : bytes)
        }
    }

    /// What was measured of one process, by the clock of the driver.
    struct Share {
        let process: Int32
        let at: UInt64
        let percent: UInt32
    }

    /// How busy processes kept its processors, since a moment; nil where it is not told, empty where nothing was measured since.
    func shares(on device: Device, since: UInt64) -> [Share]? {
        guard let processShares else { return nil }
        var number: UInt32 = 0
        let code = processShares(device, nil, &number, since)
        if code == 0 || code == Self.notFound { return [] }
        guard code == Self.tooSmall else { return nil }
        number = min(number, Self.processesMax)
        // nvmlProcessUtilizationSample_t: the process, when, and of its processors, memory, encoders and decoders.
        var entries = [UInt64](repeating: 0, count: Int(number) * 4)
        let capacity = number
        let answer = processShares(device, &entries, &number, since)
        if answer == Self.notFound { return [] }
        guard answer == 0 else { return nil }
        return (0..<Int(min(number, capacity))).compactMap { index in
            guard let process = Int32(exactly: entries[index * 4] & 0xFFFF_FFFF), process > 0 else { return nil }
            return Share(
                process: process, at: entries[index * 4 + 1], percent: UInt32(entries[index * 4 + 2] & 0xFFFF_FFFF))
        }
    }

    /// Whether the driver keeps an account of each process.
    func keepsAccounts(of device: Device) -> Bool {
        var mode: UInt32 = 0
        guard let accountingMode, account != nil else { return false }
        return accountingMode(device, &mode) == 0 && mode == 1
    }

    /// The most that a process held, which may have ended.
    func peak(of process: Int32, on device: Device) -> (bytes: UInt64, isRunning: Bool)? {
        // nvmlAccountingStats_t: two shares, the most memory, its time, its start, whether it runs, and room for more.
        var structure = [UInt64](repeating: 0, count: 8)
        guard let account, let number = UInt32(exactly: process), account(device, number, &structure) == 0,
            structure[1] != .max
        else { return nil }
        return (structure[1], structure[4] & 0xFFFF_FFFF != 0)
    }
}
