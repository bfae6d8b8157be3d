// The disk a node keeps its results on, and what befalls it: a tmpfs of the node's own, so that it can be full without anybody else's.

import Glibc
import LinuxSystem

/// What may be wrong with it.
enum DiskTrouble: CaseIterable {
    /// Nothing new can be made in result_dir, as on a disk that was remounted read-only. (It is immutable instead: a file system with
    /// files open for writing cannot be made read-only, and a node always has some.)
    case refusesEntries
    case noInodes
    /// What a running task writes is lost as well.
    case noSpace

    var text: String {
        switch self {
        case .refusesEntries: "took no new entries"
        case .noInodes: "had no inodes left"
        case .noSpace: "was full"
        }
    }

    /// The same as a name for programs.
    var word: String {
        switch self {
        case .refusesEntries: "refused_entries"
        case .noInodes: "no_inodes"
        case .noSpace: "no_space"
        }
    }
}

struct ResultDisk {
    let path: String

    private static let sizeOptions = "size=4g"
    private static let inodeOptions = "nr_inodes=8m"

    /// Mounts it.
    init(at path: String) throws {
        self.path = path
        try FileSystem.createDirectories(path, mode: 0o755)
        let options = "mode=755,\(Self.sizeOptions),\(Self.inodeOptions)"
        guard try succeeds("mount", "-t", "tmpfs", "-o", options, "distcomp-chaos", path) else {
            throw ChaosError(description: "a tmpfs cannot be mounted at \(path)")
        }
    }

    /// False when it cannot be done at this moment, for the disk is in use: try again.
    func begin(_ trouble: DiskTrouble) throws -> Bool {
        var now = statvfs()
        guard statvfs(path, &now) == 0 else { throw SystemError.last("statvfs", path) }
        switch trouble {
        case .refusesEntries: return try succeeds("chattr", "+i", path)
        case .noInodes: return try remount("nr_inodes=\(now.f_files - now.f_ffree)")
        case .noSpace:
            let used = now.f_blocks - now.f_bfree
            // A size of 0 would be no limit at all.
            return try used > 0 && remount("size=\(used * UInt(now.f_frsize))")
        }
    }

    func end(_ trouble: DiskTrouble) throws {
        let isDone =
            switch trouble {
            case .refusesEntries: try succeeds("chattr", "-i", path)
            case .noInodes: try remount(Self.inodeOptions)
            case .noSpace: try remount(Self.sizeOptions)
            }
        guard isDone else { throw ChaosError(description: "\(path) cannot be mended") }
    }

    /// Refused for a limit below what is used, which may have grown since we looked.
    private func remount(_ option: String) throws -> Bool {
        try succeeds("mount", "--options-mode", "ignore", "-o", "remount,\(option)", "--target", path)
    }

    // MARK: A place for mounts

    private static let mark = "DISTCOMP_CHAOS_MOUNTS"

    /// Goes on as the same process in a mount namespace of its own, so that no mount outlives the run however it ends. Returns in that
    /// namespace, or where there can be none: then nothing can be mounted.
    static func enterOwnNamespace() throws {
        guard Host.isRoot, Host.environment(mark) == nil,
            try succeeds("unshare", "--mount", "--propagation", "private", "true")
        else { return }
        setenv(mark, "yes", 1)
        let own = try FileSystem.destination(ofLink: "/proc/self/exe")
        let words = ["unshare", "--mount", "--propagation", "private", own] + CommandLine.arguments.dropFirst()
        var pointers = words.map { strdup($0) } + [nil]
        execvp("unshare", &pointers)
        throw SystemError.last("exec", "unshare")
    }

    static var isPossible: Bool { Host.environment(mark) != nil }
}

/// Runs a program found in PATH to its end. What it says goes nowhere.
private func succeeds(_ words: String...) throws -> Bool {
    let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
    let process = try SpawnLock.shared.withLock { _ in
        try ChildProcesses.start("/usr/bin/env", words, descriptors: [null.raw, null.raw, null.raw])
    }
    return try ChildProcesses.wait(for: process) == .exit(code: 0)
}
