// A file that is written beside its old self, by us or by a library that wants a path, and takes its place when it is whole: whoever looks
// sees the old one or the new one, also after a loss of power.

import Glibc

/// The new form of a file, until it takes the place of the old one. One at a time: who finds another at it is told.
public struct FileReplacement: ~Copyable {
    /// What it replaces, links resolved.
    public let path: String
    /// Where it is written.
    public let partPath: String
    public let descriptor: SharedDescriptor

    private static let copyBytes = 1 << 20

    /// Begins an empty one. What a process left that ended half-way is written over.
    ///
    /// - Throws: `flock ...: Resource temporarily unavailable` where another process writes it.
    public init(of given: String) throws(SystemError) {
        let path = FileSystem.exists(given) ? try FileSystem.resolved(given) : given
        let file = SharedDescriptor(try Self.locked(path + ".part"))
        guard ftruncate(file.raw, 0) == 0 else { throw .last("ftruncate", path + ".part") }
        (self.path, partPath, descriptor) = (path, path + ".part", file)
    }

    /// The file of that name, which nobody else has.
    private static func locked(_ path: String) throws(SystemError) -> OwnedDescriptor {
        while true {
            let file = try OwnedDescriptor.open(path, [.readWrite, .create, .doNotFollow], mode: 0o666)
            guard try file.tryLock(subject: path) else {
                throw SystemError(call: "flock", subject: path, code: EWOULDBLOCK)
            }
            // Whoever had it before may have put it into its place, or removed it, while we came.
            let own = try file.status(subject: path)
            if FileSystem.exists(path), try FileSystem.status(of: path).inode == own.inode { return file }
        }
    }

    /// Begins with what is there already; whether there is anything. The old one's permissions are kept.
    public func copyOld() throws(SystemError) -> Bool {
        guard FileSystem.exists(path) else { return false }
        let old = SharedDescriptor(try OwnedDescriptor.open(path, [.readOnly]))
        var status = stat()
        guard fstat(old.raw, &status) == 0 else { throw .last("fstat", path) }
        guard fchmod(descriptor.raw, status.st_mode & 0o777) == 0 else { throw .last("fchmod", partPath) }
        var offset: Int64 = 0
        while true {
            let bytes = try old.read(at: offset, count: Self.copyBytes, subject: path)
            if bytes.isEmpty { return offset > 0 }
            try descriptor.writeAll(bytes, subject: partPath)
            offset += Int64(bytes.count)
        }
    }

    /// It is whole: it is on the disk, and has the name, when this returns.
    public consuming func commit() throws(SystemError) {
        guard fsync(descriptor.raw) == 0 else { throw .last("fsync", partPath) }
        guard rename(partPath, path) == 0 else { throw .last("rename", partPath) }
        let slash = path.lastIndex(of: "/")
        let parent = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let directory = try OwnedDescriptor.open(parent, [.readOnly, .directory])
        guard fsync(directory.raw) == 0 else { throw .last("fsync", parent) }
    }

    /// Nobody wants it any more.
    public consuming func abandon() { unlink(partPath) }
}
