// Whose fault a failed launch is goes by the step. What only the command itself can be at fault for, it is: that there is no such
// program, that it cannot be executed, that its words are too many. Everything else would have met the next command as well, and is
// the machine's: a disk, a group, a limit, a user, the launcher itself.

import Glibc

extension LauncherFailure {
    /// Whether the command is at fault, rather than the machine.
    ///
    /// - Parameter memoryBytesMax: what the launch was capped at, nil for nothing.
    public func isOfTheCommand(memoryBytesMax: UInt64?) -> Bool {
        if isForWantOfMemory(code, cappedAt: memoryBytesMax) { return true }
        return step == .execute && programErrors.contains(code)
    }
}

extension SystemError {
    /// The same for a launch that did not get as far as to distcomp-launch.
    public func isOfTheCommand(memoryBytesMax: UInt64?) -> Bool {
        guard call == "posix_spawn" else { return false }
        return code == E2BIG || isForWantOfMemory(code, cappedAt: memoryBytesMax)
    }
}

/// What execve(2) says of a program, as opposed to what it says of a machine that is short of something or fails to read its disk.
private let programErrors: Set<Int32> = [
    ENOENT, EACCES, ENOEXEC, ENOTDIR, ELOOP, E2BIG, ENAMETOOLONG, EISDIR, EPERM, EINVAL, ELIBBAD, ETXTBSY,
]

/// To start any program takes the kernel some memory, which it charges to the task's group. Who asks for less than that has no use
/// for another node: there it would be the same.
private func isForWantOfMemory(_ code: Int32, cappedAt memoryBytesMax: UInt64?) -> Bool {
    guard let memoryBytesMax else { return false }
    return code == ENOMEM && memoryBytesMax < 4 << 20
}
