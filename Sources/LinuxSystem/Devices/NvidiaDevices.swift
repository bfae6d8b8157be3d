// The GPUs of NVIDIA, as their own library tells of them (NVML, which comes with the driver). It is opened when somebody asks, and linked to
// nothing: most machines have none. Another's code runs in this process then, and it may hang where the driver does, so a daemon has a
// child ask (see DeviceSearch.swift and DeviceWatch.swift).

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
        let library = try NvidiaLibrary(path)
        var found = Found()
        for index in 0..<(try library.deviceCount()) {
            do throws(Failure) {
                let (devices, isCut) = try library.devices(at: index)
                if isCut, devices.isEmpty {
                    found.notes.append("GPU \(index) is in MIG mode and has no slices: no task can use it")
                }
                for device in devices { found.identifiers.append(try library.identifier(of: device)) }
            } catch {
                // One that has fallen off the bus is no reason to lose the others.
                found.notes.append("GPU \(index): \(error)")
            }
        }
        return found
    }
}
