// What a task needs for its output and nobody else has used up: two files without names, and an empty folder. Most tasks write little and
// leave nothing in their folder, so the next one gets the same: to make and remove files is most of what output costs a file system.
//
// A file is handed out again only when nobody has it open for writing: a task may have passed it on to a process that is not in its group.
// For that each task gets a description of its own (open(2) of /proc/self/fd), and the daemon keeps one for reading.

import CLinux
import Glibc

final class SpareFiles {
    /// More slots than that wait for nobody.
    private static let countMax = 256

    private var pairs: [OutputPair] = []
    /// Whether one was taken since it was last looked at.
    private var isInUse = false
    private let directory: SharedDescriptor
    private let path: String

    /// Where the file system has no files without names, that is what it says.
    init(in directory: SharedDescriptor, _ path: String) throws(SystemError) {
        (self.directory, self.path) = (directory, path)
        // Sent to a holder of a lease while another opens the file: we hold one for a moment, to see whether anybody does.
        signal(SIGIO, SIG_IGN)
        _ = try madeFile()
    }

    /// Two empty files: to be read by, and for the task.
    func take() throws(SystemError) -> (files: OutputPair, ends: OutputPair) {
        isInUse = true
        while let pair = pairs.popLast() {
            // One that cannot be opened any more is of no use; a new one tells why.
            guard let output = try? reopened(pair.standardOutput), let error = try? reopened(pair.standardError) else {
                break
            }
            return (pair, OutputPair(standardOutput: output, standardError: error))
        }
        let pair = try made()
        return (
            pair,
            OutputPair(
                standardOutput: try reopened(pair.standardOutput), standardError: try reopened(pair.standardError))
        )
    }

    /// Takes back what has no name and is not needed any more; empty or not.
    func giveBack(_ pair: OutputPair) {
        guard pairs.count < Self.countMax, isFree(pair.standardOutput), isFree(pair.standardError) else { return }
        pairs.append(pair)
    }

    /// Lets go of them all.
    func clear() { pairs = [] }

    /// Lets go of what has waited in vain since this was last called: an open file keeps its disk from being mounted read-only.
    func clearIdle() {
        if !isInUse { clear() }
        isInUse = false
    }

    private static let permissions: UInt32 = 0o666

    /// Whether it is as a new one would be by now, and nobody else writes to it. Where the file system cannot tell, somebody may.
    private func isFree(_ file: SharedDescriptor) -> Bool {
        var status = stat()
        guard fstat(file.raw, &status) == 0, status.st_nlink == 0, status.st_uid == geteuid(),
            status.st_mode & 0o7777 == Self.permissions, clinux_is_being_written(file.raw) == 0
        else { return false }
        guard status.st_size != 0 else { return true }
        guard let end = try? reopened(file) else { return false }
        return ftruncate(end.raw, 0) == 0
    }

    private func made() throws(SystemError) -> OutputPair {
        OutputPair(standardOutput: try madeFile(), standardError: try madeFile())
    }

    /// Whoever has it open may open it again, as programs do with /dev/stdout; nobody else can come by it.
    private func madeFile() throws(SystemError) -> SharedDescriptor {
        let raw = clinux_open_unnamed(directory.raw, 0o600)
        guard raw >= 0 else { throw .last("open (a file without a name)", path) }
        let file = OwnedDescriptor(adopting: raw)
        guard fchmod(raw, Self.permissions) == 0 else { throw .last("chmod (of a file without a name)", path) }
        return SharedDescriptor(try OwnedDescriptor.open("/proc/self/fd/\(file.raw)", [.readOnly]))
    }

    private func reopened(_ file: SharedDescriptor) throws(SystemError) -> SharedDescriptor {
        SharedDescriptor(try OwnedDescriptor.open("/proc/self/fd/\(file.raw)", [.readWrite, .append]))
    }
}

/// The folder of a task, which may be handed on when nothing is in it.
final class TaskFolder {
    let name: String
    let descriptor: SharedDescriptor
    fileprivate let status: stat
    /// Whether there was nothing in it when the task got it.
    let isNew: Bool

    init(_ name: String, _ descriptor: SharedDescriptor, isNew: Bool) throws(SystemError) {
        var status = stat()
        guard fstat(descriptor.raw, &status) == 0 else { throw .last("fstat", name) }
        (self.name, self.descriptor, self.status, self.isNew) = (name, descriptor, status, isNew)
    }

    var inode: UInt64 { UInt64(status.st_ino) }

    var isEmpty: Bool { clinux_is_empty_directory(descriptor.raw) }

    /// Whether it belongs to whom it did, and permits what it did, when the task got it.
    fileprivate var isUnchanged: Bool {
        var now = stat()
        guard fstat(descriptor.raw, &now) == 0, now.st_nlink > 0, now.st_uid == status.st_uid,
            now.st_gid == status.st_gid, now.st_mode == status.st_mode
        else { return false }
        let isUntouched =
            now.st_ctim.tv_sec == status.st_ctim.tv_sec && now.st_ctim.tv_nsec == status.st_ctim.tv_nsec
        return isUntouched || !clinux_hands_down_access(descriptor.raw)
    }
}

/// Folders that tasks have left empty, under names of their own: `.spare-NODE-0` and so on. What a task is told its folder is called is
/// called so while it runs, and for as long as there is something in it.
final class SpareFolders {
    private static let countMax = 256

    private var folders: [TaskFolder] = []
    private var isInUse = false
    private var freeNames: [String]
    private let directory: SharedDescriptor

    /// - Parameter node: tells this node's from those of others, which may have theirs in the same place.
    init(in directory: SharedDescriptor, ofNode node: String) {
        self.directory = directory
        freeNames = (0..<Self.countMax).reversed().map { ".spare-\(node)-\($0)" }
        // Of a life that was killed.
        for name in freeNames { unlinkat(directory.raw, name, AT_REMOVEDIR) }
    }

    /// A folder with this name that nobody has, and in which nothing is; nil when none waits, or something has the name.
    func take(_ name: String) -> TaskFolder? {
        isInUse = true
        while let folder = folders.last {
            if folder.isEmpty {
                if clinux_rename_in(directory.raw, folder.name, name) == 0 {
                    folders.removeLast()
                    freeNames.append(folder.name)
                    return try? TaskFolder(name, folder.descriptor, isNew: true)
                }
                // Something has the name, or nothing can be changed there now.
                guard errno == ENOENT else { return nil }
            }
            // Somebody has removed it, or put something into it.
            folders.removeLast()
            if !FileSystem.exists("/proc/self/fd/\(directory.raw)/\(folder.name)") { freeNames.append(folder.name) }
        }
        return nil
    }

    /// Takes back a folder, or removes it, if nothing is in it; else it stays.
    func giveBack(_ folder: TaskFolder) {
        guard folder.isEmpty else { return }
        guard folder.isUnchanged, let spareName = freeNames.popLast() else {
            unlinkat(directory.raw, folder.name, AT_REMOVEDIR)
            return
        }
        guard clinux_rename_in(directory.raw, folder.name, spareName) == 0 else {
            unlinkat(directory.raw, folder.name, AT_REMOVEDIR)
            return freeNames.append(spareName)
        }
        // Another node may have come to use it in between, for the same task; or it was another's that had the name.
        var status = stat()
        guard fstatat(directory.raw, spareName, &status, AT_SYMLINK_NOFOLLOW) == 0, status.st_ino == folder.inode,
            folder.isEmpty, let spare = try? TaskFolder(spareName, folder.descriptor, isNew: true)
        else {
            if clinux_rename_in(directory.raw, spareName, folder.name) == 0 { freeNames.append(spareName) }
            return
        }
        folders.append(spare)
    }

    /// Removes them all.
    func clear() { while !folders.isEmpty { removeLast() } }

    /// Removes some of those that have waited in vain since this was last called.
    func clearIdle() {
        for _ in 0..<Self.removedAtOnceMax where !isInUse && !folders.isEmpty { removeLast() }
        isInUse = false
    }

    private static let removedAtOnceMax = 16

    private func removeLast() {
        let folder = folders.removeLast()
        if unlinkat(directory.raw, folder.name, AT_REMOVEDIR) == 0 { freeNames.append(folder.name) }
    }
}
