// The two calls that bring a program to run, and what both want of their arguments: posix_spawn(3) starts it as a child,
// execve(2) puts it in place of this one.

import CLinux
import Glibc

/// posix_spawn(3) of `path`: descriptor `handed[n]` becomes n in the child, every signal has its default action and none is
/// blocked. All other descriptors are close-on-exec. A NUL byte inside a string is refused (EINVAL): cut there, it would mean
/// something else.
///
/// - Parameter known: the file actions of earlier calls.
func spawn(
    _ path: String, _ arguments: [[UInt8]], environment: [[UInt8]], handing handed: [Int32], inNewSession: Bool = false,
    beginningIn directory: SharedDescriptor? = nil, bornIn cgroupDescriptor: SharedDescriptor? = nil,
    known: KnownFileActions = KnownFileActions()
) throws(SystemError) -> Int32 {
    guard !arguments.contains(where: { $0.contains(0) }), !environment.contains(where: { $0.contains(0) }) else {
        throw SystemError(call: "posix_spawn", subject: path, code: EINVAL)
    }
    let moved = try movedAbove(handed)
    defer { for raw in moved.copies { close(raw) } }
    let actions =
        if let directory {
            try FileActions(handing: moved.descriptors, beginningIn: directory)
        } else {
            try known.handing(moved.descriptors)
        }

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var every = sigset_t()
    sigfillset(&every)
    var none = sigset_t()
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &every)
    posix_spawnattr_setsigmask(&attributes, &none)
    let setSession: Int32 = inNewSession ? 0x80 : 0  // POSIX_SPAWN_SETSID, which needs _GNU_SOURCE.
    let flags = Int32(POSIX_SPAWN_SETSIGDEF) | Int32(POSIX_SPAWN_SETSIGMASK) | setSession
    posix_spawnattr_setflags(&attributes, Int16(flags))
    if let cgroupDescriptor {
        let code = clinux_spawnattr_set_cgroup(&attributes, cgroupDescriptor.raw)
        guard code == 0 else { throw SystemError(call: "posix_spawnattr_setcgroup_np", subject: path, code: code) }
    }

    var process: pid_t = 0
    let code = withCStrings(arguments) { argumentPointers in
        withCStrings(environment) { environmentPointers in
            posix_spawn(&process, path, &actions.list, &attributes, argumentPointers, environmentPointers)
        }
    }
    guard code == 0 else { throw SystemError(call: "posix_spawn", subject: path, code: code) }
    return process
}

/// File actions that hand descriptors over, see posix_spawn_file_actions_adddup2(3).
final class FileActions {
    fileprivate var list = posix_spawn_file_actions_t()

    /// Descriptor `handed[n]` becomes n, and the child begins in `directory`, where one is given.
    fileprivate init(handing handed: [Int32], beginningIn directory: SharedDescriptor? = nil) throws(SystemError) {
        posix_spawn_file_actions_init(&list)
        for (target, source) in handed.enumerated() {
            let code = posix_spawn_file_actions_adddup2(&list, source, Int32(target))
            guard code == 0 else {
                throw SystemError(call: "posix_spawn_file_actions_adddup2", subject: "descriptor \(source)", code: code)
            }
        }
        guard let directory else { return }
        let code = clinux_spawn_in_directory(&list, directory.raw)
        guard code == 0 else {
            throw SystemError(call: "posix_spawn_file_actions_addfchdir_np", subject: "\(directory.raw)", code: code)
        }
    }

    deinit { posix_spawn_file_actions_destroy(&list) }
}

/// File actions by what they hand over. A task's descriptors are most often the numbers of an earlier task's, and glibc asks the
/// kernel for the limit on descriptors (prlimit(2)) twice for each that is added: 14 calls a task.
final class KnownFileActions {
    private static let countMax = 256
    private var actions: [[Int32]: FileActions] = [:]

    fileprivate func handing(_ descriptors: [Int32]) throws(SystemError) -> FileActions {
        if let known = actions[descriptors] { return known }
        let made = try FileActions(handing: descriptors)
        if actions.count >= Self.countMax { actions.removeAll() }
        actions[descriptors] = made
        return made
    }
}

/// `handed` with copies in place of those whose number a dup2 of the same launch would overwrite before their turn. There are
/// none where the low numbers are reserved, see `reserveDescriptors`.
private func movedAbove(_ handed: [Int32]) throws(SystemError) -> (descriptors: [Int32], copies: [Int32]) {
    var descriptors = handed
    var copies: [Int32] = []
    for (target, source) in handed.enumerated() where source < handed.count && source != target {
        let copy = clinux_duplicate_from(source, Int32(handed.count))
        guard copy >= 0 else {
            let failure = SystemError.last("fcntl F_DUPFD_CLOEXEC", "descriptor \(source)")
            for raw in copies { close(raw) }
            throw failure
        }
        descriptors[target] = copy
        copies.append(copy)
    }
    return (descriptors, copies)
}

/// Lays `strings` out as execve(2) wants them: a NULL-terminated array of NUL-terminated strings.
func withCStrings<Result>(
    _ strings: [[UInt8]], _ body: (UnsafePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
    var storage: [CChar] = []
    storage.reserveCapacity(strings.reduce(0) { $0 + $1.count + 1 })
    var offsets: [Int] = []
    offsets.reserveCapacity(strings.count)
    for string in strings {
        offsets.append(storage.count)
        string.withUnsafeBytes { storage.append(contentsOf: $0.bindMemory(to: CChar.self)) }
        storage.append(0)
    }
    return storage.withUnsafeMutableBufferPointer { buffer in
        var pointers = offsets.map { offset in buffer.baseAddress.map { $0 + offset } }
        pointers.append(nil)
        return pointers.withUnsafeBufferPointer { list in
            // The array is never empty (it ends in nil), so it has an address.
            list.baseAddress.map(body) ?? body(UnsafePointer(bitPattern: 8).unsafelyUnwrapped)
        }
    }
}

// MARK: - Re-exec

/// How this process becomes another program and remains itself: its process id, its children and the descriptors it names stay,
/// all else begins anew.
public enum ReExec {
    /// Executes `path` in place of the running program, with `inheritance` in a file in memory and the descriptors in `kept`
    /// open.
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
        try file.writeAll(inheritance, subject: "the re-exec record")
        guard lseek(raw, 0, SEEK_SET) == 0 else { throw .last("lseek", "the re-exec record") }
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

    /// Closes all that the program before this one kept open, where it cannot be told what for: a lock would be held against us, and
    /// tasks would be given what is not theirs. All other descriptors are close-on-exec, see FD_CLOEXEC of fcntl(2), and stay.
    public static func closeKept() throws(SystemError) {
        for name in try FileSystem.entries(of: "/proc/self/fd") {
            guard let raw = Int32(name), raw > 2 else { continue }
            let flags = fcntl(raw, F_GETFD)
            if flags >= 0, flags & FD_CLOEXEC == 0 { close(raw) }
        }
    }

    /// Takes over a descriptor that the program before this one kept open.
    public static func kept(_ raw: Int32) throws(SystemError) -> OwnedDescriptor {
        guard raw > 2, clinux_set_close_on_exec(raw, true) == 0 else {
            throw SystemError(call: "fcntl F_SETFD", subject: "kept descriptor \(raw)", code: EBADF)
        }
        return OwnedDescriptor(adopting: raw)
    }
}
