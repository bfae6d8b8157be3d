// The time of day of one redis-server, set apart from the machine's own: see stepped-clock.c.

import Glibc
import LinuxSystem

/// An offset that stands in a mapped file, and the library that adds it to what a server is told of the time of day.
final class SteppedClock {
    private let offset: UnsafeMutablePointer<Int64>
    private let path: String
    private let library: String

    /// Whether there is a compiler to make the library with.
    static let isAvailable =
        (getenv("PATH").map { String(cString: $0) } ?? "").split(separator: ":").contains {
            access("\($0)/cc", X_OK) == 0
        }

    /// - Parameter directory: where the library and the offset stand; its owner removes them.
    init(in directory: String) throws {
        path = directory + "/clock-offset"
        library = directory + "/stepped-clock.so"
        try FileSystem.replace(path, with: Array(repeating: 0, count: MemoryLayout<Int64>.size), mode: 0o644)
        let file = try OwnedDescriptor.open(path, [.readWrite])
        guard
            let page = mmap(nil, MemoryLayout<Int64>.size, PROT_READ | PROT_WRITE, MAP_SHARED, file.raw, 0),
            page != MAP_FAILED
        else { throw SystemError.last("mmap", path) }
        offset = page.bindMemory(to: Int64.self, capacity: 1)
        try compile()
    }

    deinit { munmap(offset, MemoryLayout<Int64>.size) }

    /// What a server is given to see this clock.
    var environment: [String] { ["LD_PRELOAD=" + library, "STEPPED_CLOCK_FILE=" + path] }

    var offsetSeconds: Double { Double(offset.pointee) / 1e9 }

    /// The server sees it from its next look at the time: one aligned store is never seen by halves.
    func step(bySeconds seconds: Double) { offset.pointee += Int64(seconds * 1e9) }

    private func compile() throws {
        let source = library.dropLast(2) + "c"
        try FileSystem.replace(String(source), with: PackageResources.stepped_clock_c, mode: 0o644)
        let compiler = try spawn(
            ["cc", "-std=c11", "-O2", "-shared", "-fPIC", String(source), "-o", library], standardInput: nil)
        guard reap(compiler) == 0 else {
            throw RedisServerFixtureError(description: "cc does not compile \(source)")
        }
    }
}
