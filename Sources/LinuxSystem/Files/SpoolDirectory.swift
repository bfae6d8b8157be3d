// A directory of small files that outlive the process: each is there whole or not at all, at whatever moment the process dies.
// (After a loss of power one may be missing or damaged; the reader of a file has to tell.) The directory belongs to the daemon
// alone, and is worked on by descriptor, so that no link and no swapped directory leads a write elsewhere.

import CLinux
import Glibc

/// Small files by name, in a directory that only their owner may look into.
public final class SpoolDirectory {
    public let path: String
    private let directory: SharedDescriptor

    /// What a file is called while it is written. One that a crash left is to be removed.
    public static let temporarySuffix = ".new"

    /// Opens the directory at `path`, made where it is missing. A link is refused, and so is another user's directory.
    public init(path: String) throws(SystemError) {
        let opened = try OwnedDescriptor.openGuarded(
            path, [.readOnly, .directory, .doNotFollow], creatingDirectories: 0o700)
        var status = stat()
        guard fstat(opened.raw, &status) == 0 else { throw .last("fstat", path) }
        guard status.st_uid == geteuid() else {
            throw SystemError(call: "check the owner of", subject: path, code: EPERM)
        }
        guard fchmod(opened.raw, 0o700) == 0 else { throw .last("chmod", path) }
        self.path = path
        directory = SharedDescriptor(opened)
    }

    /// Every name in it, in their order, with the size of the file; 0 where that cannot be told.
    public func files() throws(SystemError) -> [(name: String, sizeBytes: Int)] {
        try FileSystem.entries(of: "/proc/self/fd/\(directory.raw)").sorted().map { name in
            var status = stat()
            let isThere = fstatat(directory.raw, name, &status, AT_SYMLINK_NOFOLLOW) == 0
            return (name, isThere ? max(0, Int(status.st_size)) : 0)
        }
    }

    /// A file that is being written, under a temporary name until all of it is there.
    public struct Unfinished: ~Copyable {
        fileprivate let name: String
        fileprivate let file: OwnedDescriptor
    }

    /// Begins a new file, in place of one that was begun under this name and not finished.
    public func begin(_ name: String) throws(SystemError) -> Unfinished {
        let temporary = name + Self.temporarySuffix
        unlinkat(directory.raw, temporary, 0)  // Of an earlier try.
        let flags: OpenFlags = [.writeOnly, .create, .exclusive, .doNotFollow]
        return Unfinished(name: name, file: try OwnedDescriptor.open(temporary, flags, mode: 0o600, below: directory))
    }

    /// Writes a part of it, to the page cache: it survives the death of this process, and not a loss of power.
    public func append(_ bytes: [UInt8], to unfinished: borrowing Unfinished) throws(SystemError) {
        try unfinished.file.writeAll(bytes, subject: "\(path)/\(unfinished.name)")
    }

    /// Gives it its name.
    public func finish(_ unfinished: consuming Unfinished) throws(SystemError) {
        let name = unfinished.name
        try rename(name + Self.temporarySuffix, to: name)
    }

    /// Removes what was begun.
    public func abandon(_ unfinished: consuming Unfinished) {
        unlinkat(directory.raw, unfinished.name + Self.temporarySuffix, 0)  // If it stays, the next start removes it.
    }

    /// The bytes of a file, at most `bytesMax`. Only of a plain file: anything else there has not come from ``begin(_:)``.
    public func read(_ name: String, bytesMax: Int) throws(SystemError) -> [UInt8] {
        let subject = "\(path)/\(name)"
        // Without waiting: opening a FIFO would wait for a writer.
        let file = try OwnedDescriptor.open(name, [.readOnly, .doNotFollow, .nonBlocking], below: directory)
        var status = stat()
        guard fstat(file.raw, &status) == 0 else { throw .last("fstat", subject) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw SystemError(call: "read", subject: subject, code: EINVAL)
        }
        return try file.readToEnd(subject: subject, bytesMax: bytesMax)
    }

    /// Gives an entry, whatever it is, another name.
    public func rename(_ name: String, to newName: String) throws(SystemError) {
        guard renameat(directory.raw, name, directory.raw, newName) == 0 else {
            throw .last("rename", "\(path)/\(name)")
        }
    }

    /// Removes a file. After a loss of power it may be there again.
    public func remove(_ name: String) throws(SystemError) {
        guard unlinkat(directory.raw, name, 0) == 0 else { throw .last("unlink", "\(path)/\(name)") }
    }
}
