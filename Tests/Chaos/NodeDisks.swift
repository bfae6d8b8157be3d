// The disks that a node keeps results and reports on, and what befalls them: each a tmpfs of the node's own, so that it can be full
// without anybody else's.

import Glibc
import LinuxSystem

/// What may be wrong with them.
enum DiskTrouble: CaseIterable {
    /// Nothing new can be made in result_dir, as on a disk that was remounted read-only. (It is immutable instead: a file system with
    /// files open for writing cannot be made read-only, and a node always has some.)
    case refusesEntries
    case noInodes
    /// What a running task writes is lost as well.
    case noSpace
    /// Reports cannot be kept where state_dir is.
    case noStateInodes

    var text: String {
        switch self {
        case .refusesEntries: "result directories that took no new entries"
        case .noInodes: "result directories without inodes"
        case .noSpace: "result directories without space"
        case .noStateInodes: "state directories without inodes"
        }
    }

    /// The same as a name for programs.
    var word: String {
        switch self {
        case .refusesEntries: "refused_entries"
        case .noInodes: "no_inodes"
        case .noSpace: "no_space"
        case .noStateInodes: "no_state_inodes"
        }
    }
}

struct NodeDisks {
    private let results: String
    private let state: String

    private static let sizeOptions = "size=4g"
    private static let inodeOptions = "nr_inodes=8m"

    /// Mounts them.
    init(results: String, state: String) throws {
        self.results = results
        self.state = state
        for path in [results, state] {
            try FileSystem.createDirectories(path, mode: 0o755)
            let options = "mode=755,\(Self.sizeOptions),\(Self.inodeOptions)"
            guard try succeeds("mount", "-t", "tmpfs", "-o", options, "distcomp-chaos", path) else {
                throw ChaosError(description: "a tmpfs cannot be mounted at \(path)")
            }
        }
    }

    /// False when it cannot be done at this moment, for the disk is in use: try again.
    func begin(_ trouble: DiskTrouble) throws -> Bool {
        let path = path(trouble)
        var now = statvfs()
        guard statvfs(path, &now) == 0 else { throw SystemError.last("statvfs", path) }
        switch trouble {
        case .refusesEntries: return try succeeds("chattr", "+i", path)
        case .noInodes, .noStateInodes: return try remount(path, "nr_inodes=\(now.f_files - now.f_ffree)")
        case .noSpace:
            let used = now.f_blocks - now.f_bfree
            // A size of 0 would be no limit at all.
            return try used > 0 && remount(path, "size=\(used * UInt(now.f_frsize))")
        }
    }

    func end(_ trouble: DiskTrouble) throws {
        let path = path(trouble)
        let isDone =
            switch trouble {
            case .refusesEntries: try succeeds("chattr", "-i", path)
            case .noInodes, .noStateInodes: try remount(path, Self.inodeOptions)
            case .noSpace: try remount(path, Self.sizeOptions)
            }
        guard isDone else { throw ChaosError(description: "\(path) cannot be mended") }
    }

    private func path(_ trouble: DiskTrouble) -> String { trouble == .noStateInodes ? state : results }

    /// Refused for a limit below what is used, which may have grown since we looked.
    private func remount(_ path: String, _ option: String) throws -> Bool {
        try succeeds("mount", "--options-mode", "ignore", "-o", "remount,\(option)", "--target", path)
    }

    // MARK: A place for mounts

    private static let mark = "CHAOS_OWN_MOUNTS"

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
