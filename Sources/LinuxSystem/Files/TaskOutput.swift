// Where the output of tasks goes: `result_dir/<id>/stdout` and `stderr`. A task owns its folder and may do to it what it
// likes, so the daemon, being root, creates its files there anew, never follows a link, and reads back only what it created,
// by the descriptor it kept.

import CLinux
import Glibc

/// The folder that holds one folder per task.
public final class OutputDirectory {
    /// Its absolute path, for records that people read.
    public let path: String
    private let directory: SharedDescriptor
    private let owner: (user: UInt32, group: UInt32)?

    /// - Parameters:
    ///   - path: created when missing.
    ///   - account: who shall own what is below; nil leaves the daemon's user.
    public init(path: String, account: Account?) throws(SystemError) {
        try FileSystem.createDirectories(path, mode: 0o755)
        self.path = try FileSystem.resolved(path)
        directory = SharedDescriptor(try OwnedDescriptor.open(self.path, [.readOnly, .directory]))
        owner = Host.isRoot ? account.map { ($0.userIdentifier, $0.groupIdentifier) } : nil
    }

    /// Creates the folder `name` and empty files for the two streams; what an earlier attempt wrote is replaced.
    public func createOutput(named name: String) throws(SystemError) -> TaskOutput {
        guard FileSystem.isPlainName(name) else {
            throw SystemError(call: "mkdir", subject: "\(path)/\(name)", code: EINVAL)
        }
        let folder = try openFolder(name)
        let output = TaskOutput(
            standardOutput: try createFile("stdout", in: folder, of: name),
            standardError: try createFile("stderr", in: folder, of: name), folderPath: "\(path)/\(name)")
        return output
    }

    /// Whether the file system has next to no room left: then a task's failure to write is explained by that.
    public var isFull: Bool { freeBytes < 64 << 10 }

    /// What users may still write there; the largest number there is when that cannot be told.
    public var freeBytes: UInt64 {
        var statistics = statvfs()
        guard fstatvfs(directory.raw, &statistics) == 0 else { return .max }
        let (bytes, overflow) = UInt64(statistics.f_bavail).multipliedReportingOverflow(by: UInt64(statistics.f_frsize))
        return overflow ? .max : bytes
    }

    private func openFolder(_ name: String) throws(SystemError) -> SharedDescriptor {
        if mkdirat(directory.raw, name, 0o755) != 0 && errno != EEXIST { throw .last("mkdir", "\(path)/\(name)") }
        let folder = try OwnedDescriptor.open(name, [.readOnly, .directory, .doNotFollow], below: directory)
        if let owner, fchown(folder.raw, owner.user, owner.group) != 0 { throw .last("chown", "\(path)/\(name)") }
        return SharedDescriptor(folder)
    }

    private func createFile(
        _ stream: String, in folder: SharedDescriptor, of name: String
    ) throws(SystemError) -> SharedDescriptor {
        let file = try openNew(stream, in: folder, of: name)
        if let owner, fchown(file.raw, owner.user, owner.group) != 0 {
            throw .last("chown", "\(path)/\(name)/\(stream)")
        }
        return SharedDescriptor(file)
    }

    /// Most tasks are tried once, so what an earlier attempt left is taken away only when it is met.
    private func openNew(
        _ stream: String, in folder: SharedDescriptor, of name: String
    ) throws(SystemError) -> OwnedDescriptor {
        let flags: OpenFlags = [.readWrite, .append, .create, .exclusive, .doNotFollow]
        do throws(SystemError) {
            return try OwnedDescriptor.open(stream, flags, mode: 0o644, below: folder)
        } catch  where error.code == EEXIST {
            if unlinkat(folder.raw, stream, 0) != 0 && errno != ENOENT {
                throw .last("unlink", "\(path)/\(name)/\(stream)")
            }
            return try OwnedDescriptor.open(stream, flags, mode: 0o644, below: folder)
        }
    }
}

/// The two output files of one attempt of a task.
public struct TaskOutput {
    public let standardOutput: SharedDescriptor
    public let standardError: SharedDescriptor
    public let folderPath: String

    public init(standardOutput: SharedDescriptor, standardError: SharedDescriptor, folderPath: String) {
        self.standardOutput = standardOutput
        self.standardError = standardError
        self.folderPath = folderPath
    }

    public var standardOutputPath: String { folderPath + "/stdout" }
    public var standardErrorPath: String { folderPath + "/stderr" }

    /// All that was written to standard output, or nil when it is more than `bytesMax`.
    public func standardOutputContents(bytesMax: Int) throws(SystemError) -> [UInt8]? {
        let size = standardOutput.sizeBytes ?? 0
        guard size <= bytesMax else { return nil }
        return try standardOutput.read(at: 0, count: Int(size), subject: standardOutputPath)
    }

    /// The last `bytesMax` bytes of standard error.
    public func standardErrorTail(bytesMax: Int) throws(SystemError) -> [UInt8] {
        let size = standardError.sizeBytes ?? 0
        let start = max(0, size - Int64(bytesMax))
        return try standardError.read(at: start, count: Int(size - start), subject: standardErrorPath)
    }
}
