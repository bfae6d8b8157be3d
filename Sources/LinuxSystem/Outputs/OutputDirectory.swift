// Where the output of tasks goes: into files without names and from there into segments, see OutputStoring.swift, or straight to
// `result_dir/<id>/stdout` and `stderr`. A task owns its folder and may do to it what it likes, so the daemon, being root, creates its
// files there anew, never follows a link, and reads back only what it created, by the descriptor it kept.

import CLinux
import Glibc

/// The folder that holds one folder per task.
public final class OutputDirectory {
    /// Less than this is as good as nothing: tasks write a buffer or two at a time.
    static let freeBytesMin: UInt64 = 1 << 20
    /// A task's folder and its two files.
    static let freeFilesMin: UInt64 = 3

    /// Its absolute path, for records that people read.
    public private(set) var path: String
    /// As it was given: what is there may change.
    private let pathInSettings: String
    /// Nil while there is none, see `open()`.
    private(set) var directory: SharedDescriptor?
    let owner: (user: UInt32, group: UInt32)?
    /// What others may do with a task's folder and its files, before our umask takes from it.
    let permissions: (folder: UInt32, file: UInt32)
    let fileModeMask = Host.fileModeMask
    /// How outputs are kept, and what serves for those to come.
    var storing = Storing()

    /// - Parameters:
    ///   - path: created when missing.
    ///   - account: who shall own what is below; nil leaves the daemon's user.
    public convenience init(path: String, account: Account?) throws(SystemError) {
        self.init(notYetOpenedAt: path, account: account)
        try open()
    }

    /// One that may not be there now: to be opened before it is of any use.
    ///
    /// - Parameter permitsByUmask: whether files are made as those of a shell are: all that the umask leaves. Else others may read.
    public init(notYetOpenedAt path: String, account: Account?, permitsByUmask: Bool = false) {
        permissions = permitsByUmask ? (0o777, 0o666) : (0o755, 0o644)
        self.path = path
        pathInSettings = path
        owner = Host.isRoot ? account.map { ($0.userIdentifier, $0.groupIdentifier) } : nil
    }

    /// Opens the directory that is at the path now, made where it is missing. To be called again when something was wrong with it: it
    /// may have been removed and made anew, or mounted again.
    public func open() throws(SystemError) {
        let opened = try OwnedDescriptor.openGuarded(
            pathInSettings, [.readOnly, .directory], creatingDirectories: 0o755)
        path = try opened.resolvedPath()
        let directory = SharedDescriptor(opened)
        self.directory = directory
        prepareStoring(in: directory)
    }

    /// Creates the folder `name` and empty files for the two streams of an attempt; what the two attempts before it wrote is kept beside
    /// them, see ``KeptAttempts``. Where that cannot be, nothing is left behind. Whatever else an attempt put in the way is set aside,
    /// as `name.earlier-1`: it is the task's own.
    public func createOutput(named name: String, attempt: Int = 1) throws(SystemError) -> TaskOutput {
        do throws(SystemError) {
            return try createOutput(inFolder: name, attempt)
        } catch  where Self.codesOfWhatIsThere.contains(error.code) {
            guard setAside(name) else { throw error }
            return try createOutput(inFolder: name, attempt)
        }
    }

    /// What a call is answered that meets something else than it wants, as opposed to a disk or a system that is short of something.
    private static let codesOfWhatIsThere: Set<Int32> = [
        EISDIR, ENOTDIR, ENOTEMPTY, EEXIST, ELOOP, ENXIO, EACCES, EPERM, EBUSY, ENODEV,
    ]
    static let setAsideMax = 100

    /// Gives what is in the place of a task's folder another name; false when there is nothing, or it cannot be.
    private func setAside(_ name: String) -> Bool {
        guard FileSystem.isPlainName(name), let directory else { return false }
        var status = stat()
        guard fstatat(directory.raw, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return false }
        for number in 1...Self.setAsideMax {
            let other = "\(name).earlier-\(number)"
            if fstatat(directory.raw, other, &status, AT_SYMLINK_NOFOLLOW) == 0 { continue }
            return renameat(directory.raw, name, directory.raw, other) == 0
        }
        return false
    }

    private func createOutput(inFolder name: String, _ attempt: Int) throws(SystemError) -> TaskOutput {
        guard FileSystem.isPlainName(name) else {
            throw SystemError(call: "mkdir", subject: "\(path)/\(name)", code: EINVAL)
        }
        let (folder, isNew) = try makeFolder(name)
        do throws(SystemError) {
            if !isNew || attempt > 1 { try keepEarlier(in: folder, of: name, isNew: isNew, before: attempt) }
            let files = OutputPair(
                standardOutput: try createFile("stdout", in: folder, of: name),
                standardError: try createFile("stderr", in: folder, of: name))
            let taskFolder = try TaskFolder(name, folder, isNew: isNew)
            guard isNew || isThere(taskFolder) else {
                // Another node has taken it for a spare one in this moment.
                for file in Self.streams { unlinkat(folder.raw, file, 0) }
                throw SystemError(call: "mkdir", subject: "\(path)/\(name)", code: ENOENT)
            }
            return TaskOutput(
                files, folder: taskFolder, folderPath: "\(path)/\(name)", attempt: attempt, isNamed: true)
        } catch {
            if isNew { removeOutput(named: name) }  // Files nobody will use would only take what was missing.
            throw error
        }
    }

    /// The folder of that name, made where there is none.
    func makeFolder(_ name: String) throws(SystemError) -> (SharedDescriptor, isNew: Bool) {
        guard let directory else { throw SystemError(call: "open", subject: path, code: ENOENT) }
        let isNew = mkdirat(directory.raw, name, permissions.folder) == 0
        if !isNew && errno != EEXIST { throw .last("mkdir", "\(path)/\(name)") }
        do throws(SystemError) {
            let folder = SharedDescriptor(
                try OwnedDescriptor.open(name, [.readOnly, .directory, .doNotFollow], below: directory))
            try give(folder.raw, "\(path)/\(name)")
            return (folder, isNew)
        } catch {
            if isNew { unlinkat(directory.raw, name, AT_REMOVEDIR) }
            throw error
        }
    }

    /// Whether a folder still has its name.
    func isThere(_ folder: TaskFolder) -> Bool {
        var status = stat()
        guard let directory, fstatat(directory.raw, folder.name, &status, AT_SYMLINK_NOFOLLOW) == 0 else {
            return false
        }
        return UInt64(status.st_ino) == folder.inode
    }

    // MARK: Earlier attempts

    static let streams = TaskStream.allCases.map(\.rawValue)

    /// Gives what the attempt before wrote the names under which it is kept, takes away what is older than is kept, and says which there
    /// are. What cannot be kept, since the task put something in its way, is replaced as what is not kept.
    func keepEarlier(
        in folder: SharedDescriptor, of name: String, isNew: Bool, before attempt: Int
    ) throws(SystemError) {
        let before = isNew ? nil : try keptAttempts(in: folder) ?? .first
        let after = before?.followed(by: attempt) ?? KeptAttempts(only: attempt)
        for stream in Self.streams {
            for (index, number) in (before?.numbers ?? []).enumerated() {
                let earlier = KeptAttempts.earlierName(of: stream, number)
                if !after.numbers.dropFirst().contains(number) {
                    if index > 0 { unlinkat(folder.raw, earlier, 0) }
                } else if index == 0 {
                    renameat(folder.raw, stream, folder.raw, earlier)
                }
            }
        }
        unlinkat(folder.raw, KeptAttempts.fileName, 0)
        guard attempt > 1 else { return }
        // Before there is anything of this attempt: should we die in between, nothing is taken for another's.
        let file = try OwnedDescriptor.open(
            KeptAttempts.fileName, [.writeOnly, .create, .exclusive, .doNotFollow], mode: permissions.file,
            below: folder)
        try give(file.raw, "\(path)/\(name)/\(KeptAttempts.fileName)")
        try file.writeAll(Array(after.text.utf8), subject: "\(path)/\(name)/\(KeptAttempts.fileName)")
    }

    /// nil where there is none, or what no node wrote. One that could not be read is neither: with that the outputs would get wrong numbers.
    private func keptAttempts(in folder: SharedDescriptor) throws(SystemError) -> KeptAttempts? {
        do throws(SystemError) {
            let file = try OwnedDescriptor.open(
                KeptAttempts.fileName, [.readOnly, .doNotFollow, .nonBlocking], below: folder)
            try file.requirePlainFile(subject: KeptAttempts.fileName)
            return KeptAttempts(
                text: try file.readToEnd(subject: KeptAttempts.fileName, bytesMax: KeptAttempts.fileBytesMax))
        } catch {
            if error.isOfTheMachine { throw error }
            return nil
        }
    }

    /// Removes the folder of that name and the files in it that are ours; a folder that holds more stays.
    public func removeOutput(named name: String) {
        guard let directory, let folder = folder(named: name) else { return }
        for file in Self.streams + [KeptAttempts.fileName] { unlinkat(folder.raw, file, 0) }
        unlinkat(directory.raw, name, AT_REMOVEDIR)
    }

    /// How much of the disk a task's folder takes, in bytes: its streams and what it made beside them, as far as a short look tells.
    func bytesOnDisk(ofOutputNamed name: String) -> UInt64 {
        guard let folder = folder(named: name),
            let names = try? FileSystem.entries(of: "/proc/self/fd/\(folder.raw)", countMax: Self.filesMeasuredMax)
        else { return 0 }
        return names.reduce(0) { sum, name in
            var status = stat()
            guard fstatat(folder.raw, name, &status, AT_SYMLINK_NOFOLLOW) == 0 else { return sum }
            return sum &+ UInt64(max(0, status.st_blocks)) &* 512
        }
    }

    private static let filesMeasuredMax = 256

    /// Not through a link that may be there in place of the folder.
    private func folder(named name: String) -> SharedDescriptor? {
        guard FileSystem.isPlainName(name), let directory,
            let folder = try? OwnedDescriptor.open(name, [.readOnly, .directory, .doNotFollow], below: directory)
        else { return nil }
        return SharedDescriptor(folder)
    }

    // MARK: Room

    /// What keeps tasks from writing here, as the error they would meet; nil when nothing does.
    public var shortage: SystemError? {
        guard let directory else { return SystemError(call: "open", subject: path, code: ENOENT) }
        var statistics = statvfs()
        guard fstatvfs(directory.raw, &statistics) == 0 else { return .last("statvfs", path) }
        return Self.shortage(statistics, path)
    }

    static func shortage(_ statistics: statvfs, _ path: String) -> SystemError? {
        if statistics.f_flag & UInt(ST_RDONLY) != 0 {
            return SystemError(call: "write below", subject: path, code: EROFS)
        }
        // Where a file system counts no blocks, or no inodes, it says 0 of 0.
        if statistics.f_blocks > 0, bytesFree(statistics) < freeBytesMin {
            return SystemError(call: "write below", subject: path, code: ENOSPC)
        }
        if statistics.f_files > 0, UInt64(statistics.f_favail) < freeFilesMin {
            return SystemError(call: "create files (no inodes are left) below", subject: path, code: ENOSPC)
        }
        return nil
    }

    /// What users may still write there; the largest number there is when that cannot be told.
    public var freeBytes: UInt64 {
        var statistics = statvfs()
        guard let directory, fstatvfs(directory.raw, &statistics) == 0 else { return .max }
        return Self.bytesFree(statistics)
    }

    private static func bytesFree(_ statistics: statvfs) -> UInt64 {
        let (bytes, overflow) = UInt64(statistics.f_bavail).multipliedReportingOverflow(by: UInt64(statistics.f_frsize))
        return overflow ? .max : bytes
    }

    // MARK: Steps

    private func createFile(
        _ stream: String, in folder: SharedDescriptor, of name: String
    ) throws(SystemError) -> SharedDescriptor {
        let file = try openNew(stream, in: folder, of: name)
        try give(file.raw, "\(path)/\(name)/\(stream)")
        return SharedDescriptor(file)
    }

    /// Makes the task's user the owner of what is open. A file system that has one owner for everything (NFS that takes root for
    /// nobody, bindfs) may refuse to change any, even to what it is: that is no harm where it is right already.
    func give(_ raw: Int32, _ subject: @autoclosure () -> String) throws(SystemError) {
        guard let owner else { return }
        if fchown(raw, owner.user, owner.group) == 0 { return }
        let refusal = SystemError.last("chown", subject())
        var status = stat()
        guard fstat(raw, &status) == 0, status.st_uid == owner.user, status.st_gid == owner.group else { throw refusal }
    }

    /// Most tasks are tried once, so what an earlier attempt left is taken away only when it is met.
    private func openNew(
        _ stream: String, in folder: SharedDescriptor, of name: String
    ) throws(SystemError) -> OwnedDescriptor {
        let flags: OpenFlags = [.readWrite, .append, .create, .exclusive, .doNotFollow]
        do throws(SystemError) {
            return try OwnedDescriptor.open(stream, flags, mode: permissions.file, below: folder)
        } catch  where error.code == EEXIST {
            if unlinkat(folder.raw, stream, 0) != 0 && errno != ENOENT {
                throw .last("unlink", "\(path)/\(name)/\(stream)")
            }
            return try OwnedDescriptor.open(stream, flags, mode: permissions.file, below: folder)
        }
    }
}
