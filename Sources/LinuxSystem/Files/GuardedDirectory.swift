// How files are opened where others may change what is there. Whoever may write to a directory may put a link, a FIFO or a file of
// somebody else's into it at any moment; root, who may open everything, would then read or overwrite what they could not. So root
// follows no link that another user made, works by descriptor, and looks at what it has opened, not at what a path named just before.

import CLinux
import Glibc

extension OwnedDescriptor {
    /// So many links on the way of one path are no loop yet, as in path_resolution(7).
    private static let linksMax = 40

    /// Opens `path`, as root through no link that another user made.
    ///
    /// - Parameter directoryMode: with it, directories that are missing are made, the last one too where `flags` ask for one.
    public static func openGuarded(
        _ path: String, _ flags: OpenFlags, mode: UInt32 = 0, creatingDirectories directoryMode: UInt32? = nil
    ) throws(SystemError) -> OwnedDescriptor {
        guard Host.isRoot else {
            // The links that a user follows lead nowhere that user could not go.
            if let directoryMode {
                try FileSystem.createDirectories(
                    flags.contains(.directory) ? path : parent(of: path), mode: directoryMode)
            }
            return try open(path, flags, mode: mode)
        }
        let raw = retryingInterrupted {
            clinux_openat_without_links(AT_FDCWD, path, flags.rawValue | O_CLOEXEC, mode)
        }
        // Whatever kept it from being opened, the walk tells; often it is only a link of root's own.
        return raw >= 0
            ? OwnedDescriptor(adopting: raw)
            : try walk(path, flags, mode: mode, creatingDirectories: directoryMode)
    }

    /// The same, component by component.
    static func walk(
        _ path: String, _ flags: OpenFlags, mode: UInt32, creatingDirectories directoryMode: UInt32?
    ) throws(SystemError) -> OwnedDescriptor {
        func components(_ path: String) -> [String] { path.split(separator: "/").map { String($0) }.reversed() }
        func start(_ path: String) throws(SystemError) -> SharedDescriptor {
            SharedDescriptor(try open(path.hasPrefix("/") ? "/" : ".", [.pathOnly, .directory]))
        }
        var directory = try start(path)
        var rest = components(path)
        var linkCount = 0
        while let name = rest.popLast() {
            let isLast = rest.isEmpty
            if !(isLast && flags.contains(.doNotFollow)), let target = try target(ofLink: name, in: directory, path) {
                linkCount += 1
                guard linkCount <= linksMax else { throw SystemError(call: "open", subject: path, code: ELOOP) }
                if target.hasPrefix("/") { directory = try start(target) }
                rest += components(target)
                continue
            }
            if let directoryMode, !isLast || flags.contains(.directory),
                mkdirat(directory.raw, name, directoryMode) != 0, errno != EEXIST
            {
                throw .last("mkdir", path)
            }
            let next = try opened(
                name, isLast ? [flags, .doNotFollow] : [.pathOnly, .directory, .doNotFollow], mode, in: directory, path)
            if isLast { return next }
            directory = SharedDescriptor(next)
        }
        return try opened(".", flags, mode, in: directory, path)
    }

    private static func opened(
        _ name: String, _ flags: OpenFlags, _ mode: UInt32, in directory: SharedDescriptor, _ path: String
    ) throws(SystemError) -> OwnedDescriptor {
        let raw = retryingInterrupted { clinux_openat(directory.raw, name, flags.rawValue | O_CLOEXEC, mode) }
        guard raw >= 0 else { throw .last("open", path) }
        return OwnedDescriptor(adopting: raw)
    }

    /// Where a link leads; nil when this is none. Its owner is who made it: not even the owner of its directory can change that.
    private static func target(
        ofLink name: String, in directory: SharedDescriptor, _ path: String
    ) throws(SystemError) -> String? {
        var status = stat()
        guard fstatat(directory.raw, name, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_mode & S_IFMT == S_IFLNK else {
            return nil
        }
        guard status.st_uid == 0 || status.st_uid == geteuid() else {
            let owner = Account(userIdentifier: status.st_uid)?.name ?? "\(status.st_uid)"
            throw SystemError(
                call: "open (through the link \(name), which is \(owner)'s: root does not follow it)", subject: path,
                code: ELOOP)
        }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlinkat(directory.raw, name, &buffer, buffer.count)
        guard count >= 0 else { throw .last("readlink", path) }
        return String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

extension FileSystem {
    /// The bytes of a plain file, at most `bytesMax`; as root through no link that another user made. A FIFO in its place is refused, not
    /// waited for, and so are devices. What the path names may also be a descriptor that this process was given (`/dev/fd/3`).
    public static func guardedContents(of path: String, bytesMax: Int = 1 << 20) throws(SystemError) -> [UInt8] {
        if path == "/dev/stdin" || path.hasPrefix("/dev/fd/") || path.hasPrefix("/proc/self/fd/") {
            return try contents(of: path, bytesMax: bytesMax)
        }
        let file = try OwnedDescriptor.openGuarded(path, [.readOnly, .nonBlocking])
        try file.requirePlainFile(subject: path)
        return try file.readToEnd(subject: path, bytesMax: bytesMax)
    }
}

extension OwnedDescriptor {
    /// Throws unless this is open on a file with bytes of its own.
    @discardableResult
    func requirePlainFile(subject: String) throws(SystemError) -> FileStatus {
        let status = try status(subject: subject)
        guard status.isRegular else {
            throw SystemError(
                call: "open (it is no plain file)", subject: subject, code: status.isDirectory ? EISDIR : EINVAL)
        }
        return status
    }

    /// The path by which the kernel knows what is open here: absolute, without links.
    public func resolvedPath() throws(SystemError) -> String {
        try FileSystem.destination(ofLink: "/proc/self/fd/\(raw)")
    }
}

/// A directory and the files in it, by name. Nothing in it is reached through a link; a file must be a plain one, and for root its own
/// or the directory's owner's: what another user had linked into it is not touched.
public final class GuardedDirectory: Sendable {
    public let path: String
    /// The user it belongs to.
    public let ownerIdentifier: UInt32
    public let groupIdentifier: UInt32
    private let directory: SharedDescriptor

    /// Opens the directory at `path`; as root through no link that another user made.
    ///
    /// - Parameter mode: with it, it is made where it is missing, and those above it.
    public convenience init(path: String, creating mode: UInt32? = nil) throws(SystemError) {
        try self.init(
            path, try OwnedDescriptor.openGuarded(path, [.readOnly, .directory], creatingDirectories: mode))
    }

    init(_ path: String, _ opened: consuming OwnedDescriptor) throws(SystemError) {
        let status = try opened.status(subject: path)
        self.path = path
        ownerIdentifier = status.ownerIdentifier
        groupIdentifier = status.groupIdentifier
        directory = SharedDescriptor(opened)
    }

    /// For a process that is to begin in it.
    public var descriptor: SharedDescriptor { directory }

    /// Its path as the kernel knows it: absolute, without links.
    public func resolvedPath() throws(SystemError) -> String {
        try FileSystem.destination(ofLink: "/proc/self/fd/\(directory.raw)")
    }

    /// Gives it to a user, unless there is something in it: then another may have been put in the place of the one just made, by whom the
    /// directory above belongs to.
    ///
    /// - Returns: the directory, which is theirs now.
    public func given(toUser user: UInt32, group: UInt32) throws(SystemError) -> GuardedDirectory {
        guard try FileSystem.entries(of: "/proc/self/fd/\(directory.raw)", countMax: 1).isEmpty else {
            throw SystemError(call: "chown", subject: path, code: ENOTEMPTY)
        }
        guard fchown(directory.raw, user, group) == 0 else { throw .last("chown", path) }
        return try GuardedDirectory(path, try OwnedDescriptor.duplicate(of: directory.raw))
    }

    /// Lets everybody pass through it, whatever the umask took away when it was made: tasks of another user to what is theirs below.
    public func letPass() throws(SystemError) {
        let permissions = try FileSystem.status(of: "/proc/self/fd/\(directory.raw)").permissions
        guard fchmod(directory.raw, permissions | 0o111) == 0 else { throw .last("chmod", path) }
    }

    /// A directory in it.
    ///
    /// - Parameter mode: with it, the directory is made where it is missing.
    public func directory(_ name: String, creating mode: UInt32? = nil) throws(SystemError) -> GuardedDirectory {
        try requirePlainName(name)
        if let mode, mkdirat(directory.raw, name, mode) != 0, errno != EEXIST { throw .last("mkdir", subject(name)) }
        return try GuardedDirectory(subject(name), try opened(name, [.readOnly, .directory]))
    }

    /// Opens a file in it. One that is made belongs to whom the directory does.
    public func open(_ name: String, _ flags: OpenFlags, mode: UInt32 = 0) throws(SystemError) -> OwnedDescriptor {
        try requirePlainName(name)
        guard flags.contains(.create), !has(name) else { return try openedFile(name, flags) }
        do {
            let file = try opened(name, [flags, .exclusive], mode: mode)
            try giveToOwner(file, name)
            return file
        } catch  where error.code == EEXIST && !flags.contains(.exclusive) {
            return try openedFile(name, flags)  // Somebody else has made it meanwhile.
        }
    }

    private func openedFile(_ name: String, _ flags: OpenFlags) throws(SystemError) -> OwnedDescriptor {
        let file = try opened(name, [flags.subtracting([.create, .truncate]), .nonBlocking])
        let status = try file.requirePlainFile(subject: subject(name))
        if Host.isRoot, status.linkCount > 1 || ![0, ownerIdentifier].contains(status.ownerIdentifier) {
            throw SystemError(call: "open (another user had it linked there)", subject: subject(name), code: EPERM)
        }
        // Only now: it might have been a file that is not to be touched.
        if flags.contains(.truncate), ftruncate(file.raw, 0) != 0 { throw .last("truncate", subject(name)) }
        return file
    }

    /// A new, empty file in place of whatever had its name. It belongs to whom the directory does.
    public func create(_ name: String, mode: UInt32) throws(SystemError) -> OwnedDescriptor {
        try requirePlainName(name)
        // What stays is met by the exclusive creation, which says why.
        unlinkat(directory.raw, name, 0)
        let file = try opened(name, [.readWrite, .create, .exclusive], mode: mode)
        try giveToOwner(file, name)
        return file
    }

    /// What root makes in another's directory is that user's too.
    private func giveToOwner(_ file: borrowing OwnedDescriptor, _ name: String) throws(SystemError) {
        guard Host.isRoot, ownerIdentifier != 0 else { return }
        guard fchown(file.raw, ownerIdentifier, groupIdentifier) == 0 else { throw .last("chown", subject(name)) }
    }

    /// The bytes of a file in it.
    public func contents(of name: String, bytesMax: Int = 1 << 20) throws(SystemError) -> [UInt8] {
        try open(name, [.readOnly]).readToEnd(subject: subject(name), bytesMax: bytesMax)
    }

    /// Replaces a file as a whole, see ``FileSystem/replace(_:with:mode:)``.
    public func replace(_ name: String, with bytes: [UInt8], mode: UInt32) throws(SystemError) {
        let temporary = name + ".new"
        let file = try create(temporary, mode: mode)
        do throws(SystemError) {
            try file.writeAll(bytes, subject: subject(temporary))
            guard fsync(file.raw) == 0 else { throw .last("fsync", subject(temporary)) }
            try move(temporary, to: name, in: self)
        } catch {
            unlinkat(directory.raw, temporary, 0)  // Half a file would only take more of the room that was missing.
            throw error
        }
    }

    /// Replaces a file as a whole, for everybody to read, whatever the umask is. Its loss costs nothing, so the disk is not waited for.
    public func publish(_ name: String, _ bytes: [UInt8]) throws(SystemError) {
        let temporary = name + ".new"
        let file = try create(temporary, mode: 0o644)
        do throws(SystemError) {
            guard fchmod(file.raw, 0o644) == 0 else { throw .last("chmod", subject(temporary)) }
            try file.writeAll(bytes, subject: subject(temporary))
            try move(temporary, to: name, in: self)
        } catch {
            unlinkat(directory.raw, temporary, 0)
            throw error
        }
    }

    /// Gives an entry, whatever it is, another name, or another place.
    public func move(_ name: String, to newName: String, in other: GuardedDirectory) throws(SystemError) {
        guard renameat(directory.raw, name, other.directory.raw, newName) == 0 else {
            throw .last("rename", subject(name))
        }
    }

    /// Removes a file in it; whether there was one.
    @discardableResult
    public func remove(_ name: String) throws(SystemError) -> Bool {
        if unlinkat(directory.raw, name, 0) == 0 { return true }
        guard errno == ENOENT else { throw .last("unlink", subject(name)) }
        return false
    }

    /// Whether there is an entry of that name, whatever it is.
    public func has(_ name: String) -> Bool {
        var status = stat()
        return fstatat(directory.raw, name, &status, AT_SYMLINK_NOFOLLOW) == 0
    }

    private func opened(_ name: String, _ flags: OpenFlags, mode: UInt32 = 0) throws(SystemError) -> OwnedDescriptor {
        let raw = retryingInterrupted {
            clinux_openat(directory.raw, name, flags.rawValue | O_NOFOLLOW | O_CLOEXEC, mode)
        }
        guard raw >= 0 else { throw .last("open", subject(name)) }
        return OwnedDescriptor(adopting: raw)
    }

    private func requirePlainName(_ name: String) throws(SystemError) {
        guard FileSystem.isPlainName(name) else {
            throw SystemError(call: "open", subject: subject(name), code: EINVAL)
        }
    }

    private func subject(_ name: String) -> String { "\(path)/\(name)" }
}
