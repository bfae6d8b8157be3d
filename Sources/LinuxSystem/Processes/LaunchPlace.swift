// Where a task begins and what it reads, where that is not the daemon's directory and nothing. Both are the task's own words, so no
// path of them is followed before the launch has become the task's user: distcomp-launch enters the directory and opens the file.

import CLinux
import Glibc

/// A directory and a standard input of a task's own; each may be absent.
public struct LaunchPlace: Sendable {
    public enum Input: Sendable {
        /// Opened by the task's user. One that never opens, such as a pipe nobody writes to, holds up this task alone.
        case file(String)
        /// What is open already, read from where it stands.
        case open(SharedDescriptor)
    }

    public var directory: String?
    public var input: Input?

    public init(directory: String?, input: Input?) {
        self.directory = directory
        self.input = input
    }

    var inputPath: String? { if case .file(let path) = input { path } else { nil } }
    var inputDescriptor: Int32? { if case .open(let descriptor) = input { descriptor.raw } else { nil } }
}

extension LaunchPlace.Input {
    /// A file in memory that holds `text` and can never be changed again: to read it waits for nobody, as a pipe would, and no disk
    /// is needed. It is there as long as the task has it open, and counts as memory of whoever made it: no line is so long that this
    /// would matter.
    public static func text(_ text: [UInt8]) throws(SystemError) -> LaunchPlace.Input {
        let subject = "standard input of a task"
        let raw = clinux_sealable_memory_file("distcomp-input")
        guard raw >= 0 else { throw .last("memfd_create", subject) }
        let file = OwnedDescriptor(adopting: raw)
        try file.writeAll(text, subject: subject)
        guard clinux_seal(raw) == 0 else { throw .last("fcntl F_ADD_SEALS", subject) }
        guard lseek(raw, 0, SEEK_SET) == 0 else { throw .last("lseek", subject) }
        return .open(SharedDescriptor(file))
    }
}

/// Variables that only the task itself is to have, as `NAME=VALUE`. They are marked, by what no name begins with, and
/// unmarked by distcomp-launch once it has become the task's user: a C library heeds some of them, and root must not run by what a
/// task's line says.
public func ownVariable(_ name: String, _ value: String) -> [UInt8] {
    Array("=\(name)=\(value)".utf8)
}
