// Reading and writing files as the daemon does: by descriptor, bounded, and never through a link it was not told to follow.

import CLinux
import Glibc

/// The kind of a directory entry, its owner, size and age.
public struct FileStatus: Sendable {
    public let isDirectory: Bool
    public let isRegular: Bool
    public let ownerIdentifier: UInt32
    public let groupIdentifier: UInt32
    /// How many names it has.
    public let linkCount: UInt64
    public let permissions: UInt32
    public let sizeBytes: Int64
    /// When its content last changed, in seconds since 1970.
    public let modifiedUnixSeconds: Double
    /// Distinguishes it from every other file of its file system, a later one of the same name included.
    public let inode: UInt64
    /// Distinguishes its file system from all others of this machine at the time.
    public let device: UInt64

    init(_ status: stat) {
        isDirectory = status.st_mode & S_IFMT == S_IFDIR
        isRegular = status.st_mode & S_IFMT == S_IFREG
        ownerIdentifier = status.st_uid
        groupIdentifier = status.st_gid
        linkCount = UInt64(status.st_nlink)
        permissions = status.st_mode & 0o7777
        sizeBytes = Int64(status.st_size)
        modifiedUnixSeconds = Double(status.st_mtim.tv_sec) + Double(status.st_mtim.tv_nsec) / 1e9
        inode = UInt64(status.st_ino)
        device = UInt64(status.st_dev)
    }
}

public enum FileSystem {
    /// The bytes of a small file, at most `bytesMax`; a longer one is an error (EFBIG), not a cut.
    public static func contents(of path: String, bytesMax: Int = 1 << 20) throws(SystemError) -> [UInt8] {
        let file = try OwnedDescriptor.open(path, [.readOnly])
        return try file.readToEnd(subject: path, bytesMax: bytesMax)
    }

    /// The text of a small file such as those of procfs and cgroupfs, white space at its end removed.
    public static func text(of path: String, bytesMax: Int = 1 << 20) throws(SystemError) -> String {
        trimmedText(try contents(of: path, bytesMax: bytesMax))
    }

    /// Replaces a file as a whole: written beside it, synced, and renamed over it, so that a crash leaves the old or the new.
    public static func replace(_ path: String, with bytes: [UInt8], mode: UInt32) throws(SystemError) {
        let temporary = path + ".new"
        _ = unlink(temporary)  // Left by a crash; if it cannot go, the exclusive creation below says why.
        let file = try OwnedDescriptor.open(temporary, [.writeOnly, .create, .exclusive, .doNotFollow], mode: mode)
        do throws(SystemError) {
            try file.writeAll(bytes, subject: temporary)
            guard fsync(file.raw) == 0 else { throw .last("fsync", temporary) }
            guard rename(temporary, path) == 0 else { throw .last("rename", path) }
        } catch {
            unlink(temporary)  // Half a file would only take more of the room that was missing.
            throw error
        }
    }

    /// Whether `name` names an entry of the directory it is looked up in, and nothing outside of it.
    public static func isPlainName(_ name: String) -> Bool {
        !["", ".", ".."].contains(name) && !name.utf8.contains { $0 == 0 || $0 == UInt8(ascii: "/") }
    }

    /// Creates a directory and those above it that are missing; one that exists is left as it is.
    public static func createDirectories(_ path: String, mode: UInt32) throws(SystemError) {
        if mkdir(path, mode) == 0 { return }
        switch errno {
        case EEXIST:
            guard try status(of: path).isDirectory else {
                throw SystemError(call: "mkdir", subject: path, code: ENOTDIR)
            }
        case ENOENT:
            guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { throw .last("mkdir", path) }
            try createDirectories(String(path[..<slash]), mode: mode)
            guard mkdir(path, mode) == 0 || errno == EEXIST else { throw .last("mkdir", path) }
        default:
            throw .last("mkdir", path)
        }
    }

    /// What stat(2) says of `path`, links followed.
    public static func status(of path: String) throws(SystemError) -> FileStatus {
        var result = stat()
        guard stat(path, &result) == 0 else { throw .last("stat", path) }
        return FileStatus(result)
    }

    public static func exists(_ path: String) -> Bool { access(path, F_OK) == 0 }

    public static func isReadable(_ path: String) -> Bool { access(path, R_OK) == 0 }

    public static func isExecutable(_ path: String) -> Bool { access(path, X_OK) == 0 }

    public static func remove(_ path: String) throws(SystemError) {
        guard unlink(path) == 0 else { throw .last("unlink", path) }
    }

    /// Removes an empty directory.
    public static func removeDirectory(_ path: String) throws(SystemError) {
        guard rmdir(path) == 0 else { throw .last("rmdir", path) }
    }

    /// A new directory of that name and six random characters, for this user only (mkdtemp(3)).
    public static func makeTemporaryDirectory(_ prefix: String) throws(SystemError) -> String {
        var template = Array((prefix + "XXXXXX").utf8CString)
        guard mkdtemp(&template) != nil else { throw .last("mkdtemp", prefix) }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Removes a directory of ours and all that is in it; links in it are removed, not followed.
    public static func removeTree(_ path: String) throws(SystemError) {
        for name in try entries(of: path) {
            let entry = path + "/" + name
            if unlink(entry) == 0 { continue }
            guard errno == EISDIR || errno == EPERM else { throw .last("unlink", entry) }
            try removeTree(entry)
        }
        try removeDirectory(path)
    }

    /// The names in a directory, `.` and `..` left out; no more than `countMax` of them.
    ///
    /// - Parameter areDirectories: only those of directories, as far as the file system tells without another look.
    public static func entries(
        of path: String, countMax: Int = .max, areDirectories: Bool = false
    ) throws(SystemError) -> [String] {
        guard let stream = opendir(path) else { throw .last("opendir", path) }
        defer { closedir(stream) }
        var names: [String] = []
        while names.count < countMax, let entry = readdir(stream) {
            let type = Int(entry.pointee.d_type)
            if areDirectories, type != Int(DT_DIR), type != Int(DT_UNKNOWN) { continue }
            // As a C string, not as the 256 bytes it is declared with: cgroupfs has longer names.
            let name = withUnsafePointer(to: &entry.pointee.d_name) { name in
                name.withMemoryRebound(to: CChar.self, capacity: 1) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// The path with links and `..` resolved, see realpath(3).
    public static func resolved(_ path: String) throws(SystemError) -> String {
        guard let text = realpath(path, nil) else { throw .last("realpath", path) }
        defer { free(text) }
        return String(cString: text)
    }

    public static var workingDirectory: String {
        guard let text = getcwd(nil, 0) else { return "." }
        defer { free(text) }
        return String(cString: text)
    }

    /// The file a symbolic link names.
    public static func destination(ofLink path: String) throws(SystemError) -> String {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = buffer.withUnsafeMutableBytes { raw in
            raw.withMemoryRebound(to: CChar.self) { text in
                text.baseAddress.map { readlink(path, $0, text.count) } ?? -1
            }
        }
        guard count >= 0 else { throw .last("readlink", path) }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }
}

func trimmedText(_ bytes: [UInt8]) -> String {
    var end = bytes.count
    while end > 0, bytes[end - 1] == 10 || bytes[end - 1] == 32 { end -= 1 }
    return String(decoding: bytes[..<end], as: UTF8.self)
}

/// Writes all of `bytes` to `raw`.
///
/// - Parameter waitsForRoom: whether to wait for a non-blocking descriptor that takes nothing now; else that is an error
///   (EAGAIN).
func writeAll(_ bytes: [UInt8], to raw: Int32, subject: String, waitsForRoom: Bool) throws(SystemError) {
    var done = 0
    while done < bytes.count {
        let step = bytes.withUnsafeBytes { buffer in
            retryingInterrupted { Glibc.write(raw, buffer.baseAddress.map { $0 + done }, buffer.count - done) }
        }
        if step >= 0 {
            done += step
        } else if waitsForRoom, errno == EAGAIN {
            _ = try DescriptorWait.until(raw, readable: false, writable: true, atMostMilliseconds: nil)
        } else {
            throw .last("write", subject)
        }
    }
}

extension OwnedDescriptor {
    /// Everything from the current position to the end, at most `bytesMax`.
    public func readToEnd(subject: String, bytesMax: Int) throws(SystemError) -> [UInt8] {
        var bytes: [UInt8] = []
        // Most of what is read so is a control file of a few lines, many times a second.
        var buffer = [UInt8](repeating: 0, count: 2_048)
        while true {
            let count = retryingInterrupted { Glibc.read(raw, &buffer, buffer.count) }
            if count < 0 { throw .last("read", subject) }
            if count == 0 { return bytes }
            guard bytes.count + count <= bytesMax else {
                throw SystemError(call: "read", subject: subject, code: EFBIG)
            }
            bytes.append(contentsOf: buffer[..<count])
            if count == buffer.count, count < 65_536 { buffer = [UInt8](repeating: 0, count: count * 4) }
        }
    }

    /// Reads what there is next, at most the size of `buffer`; 0 at the end.
    public func readNext(into buffer: UnsafeMutableRawBufferPointer, subject: String) throws(SystemError) -> Int {
        let count = retryingInterrupted { Glibc.read(raw, buffer.baseAddress, buffer.count) }
        guard count >= 0 else { throw .last("read", subject) }
        return count
    }

    /// `count` bytes from `offset`, fewer where the file ends earlier (pread(2)).
    public func read(at offset: Int64, count: Int, subject: String) throws(SystemError) -> [UInt8] {
        guard count > 0 else { return [] }
        var done = 0
        var failure: SystemError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            while done < count {
                let step = retryingInterrupted {
                    pread(raw, buffer.baseAddress.map { $0 + done }, count - done, off_t(offset) + off_t(done))
                }
                if step < 0 { failure = .last("read", subject) }
                if step <= 0 { break }
                done += step
            }
            initialized = done
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes all of `bytes`; for files, where a short write means a full disk about to say so.
    public func writeAll(_ bytes: [UInt8], subject: String) throws(SystemError) {
        try LinuxSystem.writeAll(bytes, to: raw, subject: subject, waitsForRoom: false)
    }

    /// What fstat(2) says of what is open here.
    public func status(subject: String) throws(SystemError) -> FileStatus {
        var result = stat()
        guard fstat(raw, &result) == 0 else { throw .last("fstat", subject) }
        return FileStatus(result)
    }

    /// The size in bytes, or nil where that cannot be told.
    public var sizeBytes: Int64? {
        var status = stat()
        return fstat(raw, &status) == 0 ? Int64(status.st_size) : nil
    }

    /// Takes the lock of flock(2) on this descriptor without waiting; false when another holds it.
    ///
    /// - Throws: where there are no locks at all, as on some file systems of clusters (Lustre without `flock`, NFS without its lock daemon).
    public func tryLock(subject: String) throws(SystemError) -> Bool {
        if flock(raw, LOCK_EX | LOCK_NB) == 0 { return true }
        guard errno == EWOULDBLOCK else { throw .last("flock", subject) }
        return false
    }
}
