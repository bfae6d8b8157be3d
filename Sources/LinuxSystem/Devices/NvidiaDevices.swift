// The GPUs of NVIDIA, as their own library tells of them (NVML, which comes with the driver). It is opened when somebody asks, and linked to
// nothing: most machines have none. Another's code runs in this process then, and it may hang where the driver does, so a daemon has a
// short-lived child ask (see DeviceSearch.swift).

import Glibc

public enum NvidiaDevices {
    /// Where the driver puts it, for the loader to find.
    public static let usualLibrary = "libnvidia-ml.so.1"

    public struct Found: Equatable, Sendable {
        /// In the order of the library: `GPU-...` of whole ones; of one in MIG mode `MIG-...` of each of its slices instead.
        public var identifiers: [String] = []
        /// What is to be said of some of them.
        public var notes: [String] = []
    }

    /// Why none can be told of.
    public struct Failure: Error, Equatable, Sendable, CustomStringConvertible {
        /// Whether there is no such library: no driver of NVIDIA is installed.
        public let isLibraryMissing: Bool
        public let description: String
    }

    /// All of them.
    public static func find(library path: String = usualLibrary) throws(Failure) -> Found {
        guard let handle = dlopen(path, RTLD_NOW | RTLD_LOCAL) else {
            throw Failure(isLibraryMissing: true, description: "dlopen \(path): \(lastError())")
        }
        defer { dlclose(handle) }
        let library = try Library(handle, path)
        try library.check(library.begin(), "nvmlInit_v2")
        defer { _ = library.end() }
        var found = Found()
        for index in 0..<(try library.count("nvmlDeviceGetCount_v2", library.deviceCount)) {
            do throws(Failure) {
                try library.add(device: index, to: &found)
            } catch {
                // One that has fallen off the bus is no reason to lose the others.
                found.notes.append("GPU \(index): \(error)")
            }
        }
        return found
    }

    fileprivate static func lastError() -> String { dlerror().map { String(cString: $0) } ?? "no reason given" }
}

/// The calls of NVML that are needed. Each returns 0, or a number that stands for what went wrong.
private struct Library {
    typealias Device = UnsafeMutableRawPointer?
    typealias DevicePlace = UnsafeMutablePointer<Device>
    typealias NumberPlace = UnsafeMutablePointer<UInt32>

    let begin: @convention(c) () -> Int32
    let end: @convention(c) () -> Int32
    let deviceCount: @convention(c) (NumberPlace) -> Int32
    let device: @convention(c) (UInt32, DevicePlace) -> Int32
    let identifier: @convention(c) (Device, UnsafeMutablePointer<CChar>, UInt32) -> Int32
    let words: (@convention(c) (Int32) -> UnsafePointer<CChar>?)?
    /// Nil in a library that is older than MIG.
    let migMode: (@convention(c) (Device, NumberPlace, NumberPlace) -> Int32)?
    let sliceCountMax: (@convention(c) (Device, NumberPlace) -> Int32)?
    let slice: (@convention(c) (Device, UInt32, DevicePlace) -> Int32)?

    /// No device has more slices; a library that says so is not believed.
    static let slicesMax: UInt32 = 64
    static let devicesMax: UInt32 = 128
    static let identifierBytes = 96
    /// NVML_ERROR_NOT_SUPPORTED, NVML_ERROR_NOT_FOUND.
    static let notSupported: Int32 = 3
    static let notFound: Int32 = 6

    init(_ handle: UnsafeMutableRawPointer, _ path: String) throws(NvidiaDevices.Failure) {
        func symbol(_ name: String) throws(NvidiaDevices.Failure) -> UnsafeMutableRawPointer {
            guard let address = dlsym(handle, name) else {
                throw NvidiaDevices.Failure(
                    isLibraryMissing: false, description: "dlsym \(path): \(NvidiaDevices.lastError())")
            }
            return address
        }
        begin = unsafeBitCast(try symbol("nvmlInit_v2"), to: (@convention(c) () -> Int32).self)
        end = unsafeBitCast(try symbol("nvmlShutdown"), to: (@convention(c) () -> Int32).self)
        deviceCount = unsafeBitCast(
            try symbol("nvmlDeviceGetCount_v2"), to: (@convention(c) (NumberPlace) -> Int32).self)
        device = unsafeBitCast(
            try symbol("nvmlDeviceGetHandleByIndex_v2"), to: (@convention(c) (UInt32, DevicePlace) -> Int32).self)
        identifier = unsafeBitCast(
            try symbol("nvmlDeviceGetUUID"),
            to: (@convention(c) (Device, UnsafeMutablePointer<CChar>, UInt32) -> Int32).self)
        words = dlsym(handle, "nvmlErrorString").map {
            unsafeBitCast($0, to: (@convention(c) (Int32) -> UnsafePointer<CChar>?).self)
        }
        migMode = dlsym(handle, "nvmlDeviceGetMigMode").map {
            unsafeBitCast($0, to: (@convention(c) (Device, NumberPlace, NumberPlace) -> Int32).self)
        }
        sliceCountMax = dlsym(handle, "nvmlDeviceGetMaxMigDeviceCount").map {
            unsafeBitCast($0, to: (@convention(c) (Device, NumberPlace) -> Int32).self)
        }
        slice = dlsym(handle, "nvmlDeviceGetMigDeviceHandleByIndex").map {
            unsafeBitCast($0, to: (@convention(c) (Device, UInt32, DevicePlace) -> Int32).self)
        }
    }

    func check(_ code: Int32, _ call: String) throws(NvidiaDevices.Failure) {
        guard code != 0 else { return }
        let reason = words?(code).map { String(cString: $0) } ?? "error \(code)"
        throw NvidiaDevices.Failure(isLibraryMissing: false, description: "\(call): \(reason)")
    }

    func count(_ call: String, _ function: (NumberPlace) -> Int32) throws(NvidiaDevices.Failure) -> UInt32 {
        var count: UInt32 = 0
        try check(function(&count), call)
        return min(count, Self.devicesMax)
    }

    func add(device index: UInt32, to found: inout NvidiaDevices.Found) throws(NvidiaDevices.Failure) {
        var device: Device = nil
        try check(self.device(index, &device), "nvmlDeviceGetHandleByIndex_v2")
        guard try isCut(device) else {
            found.identifiers.append(try identifier(of: device))
            return
        }
        var slices: [String] = []
        let places = try count("nvmlDeviceGetMaxMigDeviceCount") { sliceCountMax?(device, $0) ?? 0 }
        for number in 0..<min(places, Self.slicesMax) {
            var slice: Device = nil
            let code = self.slice?(device, number, &slice) ?? Self.notFound
            if code == Self.notFound { continue }  // A place where a slice could be.
            try check(code, "nvmlDeviceGetMigDeviceHandleByIndex")
            slices.append(try identifier(of: slice))
        }
        if slices.isEmpty { found.notes.append("GPU \(index) is in MIG mode and has no slices: no task can use it") }
        found.identifiers += slices
    }

    /// Whether it is in MIG mode: then no program can use it as a whole.
    private func isCut(_ device: Device) throws(NvidiaDevices.Failure) -> Bool {
        guard let migMode, slice != nil, sliceCountMax != nil else { return false }
        var (current, pending): (UInt32, UInt32) = (0, 0)
        let code = migMode(device, &current, &pending)
        if code == Self.notSupported { return false }
        try check(code, "nvmlDeviceGetMigMode")
        return current == 1
    }

    private func identifier(of device: Device) throws(NvidiaDevices.Failure) -> String {
        var text = [CChar](repeating: 0, count: Self.identifierBytes)
        try check(identifier(device, &text, UInt32(text.count)), "nvmlDeviceGetUUID")
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
