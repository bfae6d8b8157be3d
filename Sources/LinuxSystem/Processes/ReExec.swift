// How this process becomes another program and remains itself: its process id, its children and the descriptors it names stay, all
// else begins anew.

import CLinux
import Glibc

public enum ReExec {
    /// Executes `path` in place of the running program, with `inheritance` in a file in memory and the descriptors in `kept` open.
    ///
    /// The child processes remain children of this process, and blocked signals blocked. Returns only by throwing; then all is as
    /// it was.
    /// - Parameter arguments: makes the arguments, the program's own name first, from the number of the file's descriptor.
    public static func execute(
        _ path: String, environment: [[UInt8]], inheritance: [UInt8], keeping kept: [Int32],
        arguments: (Int32) -> [String]
    ) throws(SystemError) -> Never {
        let raw = clinux_memory_file("distcompd-re-exec")
        guard raw >= 0 else { throw .last("memfd_create", "distcompd-re-exec") }
        let file = OwnedDescriptor(adopting: raw)
        try file.writeAll(inheritance, subject: "memfd")
        guard lseek(raw, 0, SEEK_SET) == 0 else { throw .last("lseek", "memfd") }
        let words = arguments(raw).map { Array($0.utf8) }
        for descriptor in kept where clinux_set_close_on_exec(descriptor, false) != 0 {
            throw closing(kept, after: .last("fcntl F_SETFD", "descriptor \(descriptor)"))
        }
        _ = withCStrings(words) { words in withCStrings(environment) { execve(path, words, $0) } }
        throw closing(kept, after: .last("execve", path))
    }

    private static func closing(_ kept: [Int32], after failure: SystemError) -> SystemError {
        // One that cannot be closed on exec was not open, and so cannot leak into a task.
        for descriptor in kept { _ = clinux_set_close_on_exec(descriptor, true) }
        return failure
    }

    /// Reads what the program before this one left in descriptor `raw`, and closes it.
    public static func inheritance(from raw: Int32, bytesMax: Int = 64 << 20) throws(SystemError) -> [UInt8] {
        try kept(raw).readToEnd(subject: "the re-exec record", bytesMax: bytesMax)
    }

    /// Takes over a descriptor that the program before this one kept open.
    public static func kept(_ raw: Int32) throws(SystemError) -> OwnedDescriptor {
        guard raw > 2, clinux_set_close_on_exec(raw, true) == 0 else {
            throw SystemError(call: "fcntl F_SETFD", subject: "kept descriptor \(raw)", code: EBADF)
        }
        return OwnedDescriptor(adopting: raw)
    }
}
