// Whose fault a failed launch is goes by the step. What only the task itself can be at fault for, it is: that there is no such
// program, that it cannot be executed, that its words are too many; that this machine lacks the directory it begins in or the file it
// reads, or that nothing can be saved where it says. That another machine may have them does not make it this one's fault: a task with a mistyped directory would stop one node
// after the other. It fails here, and is tried elsewhere like any other that failed. Everything else would have met the next task as
// well, and is the machine's: a disk, a group, a limit, a user, the launcher itself.

import Glibc

extension LauncherFailure {
    /// Whether the task is at fault, rather than the machine.
    ///
    /// - Parameter memoryBytesMax: what the launch was capped at, nil for nothing.
    public func isOfTheTask(memoryBytesMax: UInt64?) -> Bool {
        if isForWantOfMemory(code, cappedAt: memoryBytesMax) { return true }
        // Whatever is wrong with these, even a file server that fails: other tasks are elsewhere.
        if step == .ownDirectory || step == .standardInput || step == .checkpointDirectory {
            return !shortages.contains(code)
        }
        return step == .execute && programErrors.contains(code)
    }
}

extension SystemError {
    /// The same for a launch that did not get as far as to distcomp-launch.
    public func isOfTheTask(memoryBytesMax: UInt64?) -> Bool {
        if call == "memfd_create" { return !shortages.contains(code) }  // Only who has a text to read needs one.
        guard call == "posix_spawn" else { return false }
        return code == E2BIG || isForWantOfMemory(code, cappedAt: memoryBytesMax)
    }
}

/// What execve(2) says of a program, as opposed to what it says of a machine that is short of something or fails to read its disk.
private let programErrors: Set<Int32> = [
    ENOENT, EACCES, ENOEXEC, ENOTDIR, ELOOP, E2BIG, ENAMETOOLONG, EISDIR, EPERM, EINVAL, ELIBBAD, ETXTBSY,
]

extension SystemError {
    /// Whether it tells of the machine, and nothing of the file or program that was asked for: a limit that is reached, a disk that fails.
    var isOfTheMachine: Bool { shortages.contains(code) || code == EIO }
}

/// What any task would have met.
private let shortages: Set<Int32> = [ENOMEM, ENFILE, EMFILE]

/// To start any program takes the kernel some memory, which it charges to the task's group. Who asks for less than that has no use
/// for another node: there it would be the same.
private func isForWantOfMemory(_ code: Int32, cappedAt memoryBytesMax: UInt64?) -> Bool {
    guard let memoryBytesMax else { return false }
    return code == ENOMEM && memoryBytesMax < 4 << 20
}
