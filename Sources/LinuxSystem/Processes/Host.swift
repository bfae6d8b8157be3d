// What this machine is: its memory, cores, name, users.

import CLinux
import Glibc

/// The memory of the machine as /proc/meminfo tells it, in bytes.
public struct MemoryReading: Equatable, Sendable {
    public let totalBytes: UInt64
    /// MemAvailable: what can be had without swapping.
    public let availableBytes: UInt64

    public init(totalBytes: UInt64, availableBytes: UInt64) {
        self.totalBytes = totalBytes
        self.availableBytes = availableBytes
    }

    public static func current() throws(SystemError) -> MemoryReading {
        let text = try FileSystem.contents(of: "/proc/meminfo")
        guard let reading = MemoryReading(parsing: text) else {
            throw SystemError(call: "parse", subject: "/proc/meminfo", code: EINVAL)
        }
        return reading
    }

    /// Parses the text of /proc/meminfo; nil when MemTotal or MemAvailable is missing.
    public init?(parsing bytes: [UInt8]) {
        var total: UInt64?
        var available: UInt64?
        for line in Lines(of: bytes) where total == nil || available == nil {
            if let kilobytes = MemoryReading.kilobytes(in: line, after: "MemTotal:") { total = kilobytes }
            if let kilobytes = MemoryReading.kilobytes(in: line, after: "MemAvailable:") { available = kilobytes }
        }
        guard let total, let available else { return nil }
        self.init(totalBytes: total &* 1024, availableBytes: available &* 1024)
    }

    private static func kilobytes(in line: ArraySlice<UInt8>, after name: String) -> UInt64? {
        guard line.starts(with: name.utf8) else { return nil }
        let digits = line.dropFirst(name.utf8.count).drop { $0 == 32 }.prefix { $0 >= 48 && $0 <= 57 }
        return UInt64(String(decoding: digits, as: UTF8.self))
    }
}

/// An account tasks can run as.
public struct Account: Equatable, Sendable {
    public let name: String
    public let userIdentifier: UInt32
    public let groupIdentifier: UInt32
    /// Its group and every supplementary one, for setgroups(2).
    public let groupIdentifiers: [UInt32]
    public let homeDirectory: String

    /// The account of that name, or nil when the system knows none (getpwnam_r(3), getgrouplist(3)).
    public init?(named name: String) {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwnam_r(name, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        self.init(entry)
    }

    /// The account with that user id.
    public init?(userIdentifier: UInt32) {
        var entry = passwd()
        var found: UnsafeMutablePointer<passwd>?
        var buffer = [CChar](repeating: 0, count: 16_384)
        guard getpwuid_r(userIdentifier, &entry, &buffer, buffer.count, &found) == 0, found != nil else { return nil }
        self.init(entry)
    }

    /// The account that `text` names: by its name, or as `user:group`, in numbers, where it has none.
    public init?(named text: String, orNumbers: Bool) {
        if let account = Account(named: text) {
            self = account
            return
        }
        let numbers = text.split(separator: ":").compactMap { UInt32($0) }
        guard orNumbers, numbers.count == 2 else { return nil }
        self.init(userIdentifier: numbers[0], groupIdentifier: numbers[1])
    }

    /// One that the system has no name for: in a container, whoever owns a directory outside. Its name is its numbers.
    public init(nameless owner: FileStatus) {
        self.init(userIdentifier: owner.ownerIdentifier, groupIdentifier: owner.groupIdentifier)
    }

    private init(userIdentifier: UInt32, groupIdentifier: UInt32) {
        name = "\(userIdentifier):\(groupIdentifier)"
        self.userIdentifier = userIdentifier
        self.groupIdentifier = groupIdentifier
        groupIdentifiers = [groupIdentifier]
        homeDirectory = "/"
    }

    /// Whether it may be in the directory at `path`, which is absolute and has no links in it. By the permissions alone: access lists
    /// are not looked at.
    public func mayEnter(_ path: String) -> Bool {
        let parts = path.split(separator: "/")
        return (0...parts.count).allSatisfy { count in
            let status = try? FileSystem.status(of: "/" + parts[..<count].joined(separator: "/"))
            return status.map { hasPermission(0o1, $0) } ?? false
        }
    }

    /// Whether it may connect to the Unix socket at `path`.
    public func mayConnect(toSocket path: String) -> Bool {
        guard let resolved = try? FileSystem.resolved(path), let status = try? FileSystem.status(of: resolved) else {
            return false
        }
        return hasPermission(0o2, status)
            && mayEnter(String(resolved[..<(resolved.lastIndex(of: "/") ?? resolved.startIndex)]))
    }

    /// Whether a bit of `rwx` is set where it counts for this user.
    private func hasPermission(_ bit: UInt32, _ status: FileStatus) -> Bool {
        if userIdentifier == 0 { return true }
        if status.ownerIdentifier == userIdentifier { return status.permissions & (bit << 6) != 0 }
        if groupIdentifiers.contains(status.groupIdentifier) { return status.permissions & (bit << 3) != 0 }
        return status.permissions & bit != 0
    }

    private init(_ entry: passwd) {
        name = String(cString: entry.pw_name)
        userIdentifier = entry.pw_uid
        groupIdentifier = entry.pw_gid
        homeDirectory = String(cString: entry.pw_dir)
        var count: Int32 = 256
        var groups = [gid_t](repeating: 0, count: Int(count))
        let known = getgrouplist(entry.pw_name, entry.pw_gid, &groups, &count)
        // More than 256 groups: the primary one alone is the safe answer, since access is only ever lost by it.
        groupIdentifiers = known >= 0 ? Array(groups.prefix(Int(count))) : [entry.pw_gid]
    }
}

public enum Host {
    /// The host name up to its first dot.
    public static var shortName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        guard gethostname(&buffer, buffer.count - 1) == 0 else { return "node" }
        let name = buffer.prefix { $0 != 0 && $0 != 46 }.map { UInt8(bitPattern: $0) }
        return name.isEmpty ? "node" : String(decoding: name, as: UTF8.self)
    }

    /// The processors this process may run on, see sched_getaffinity(2); at least one.
    public static var coreCount: Int {
        // nproc's rule, which includes cpusets. Quotas are a subject of their own: SurroundingGroups.
        max(1, Processors.allowed().count)
    }

    public static var isRoot: Bool { geteuid() == 0 }
    public static var userIdentifier: UInt32 { geteuid() }
    public static var processIdentifier: Int32 { getpid() }
    public static var parentIdentifier: Int32 { getppid() }

    /// The kernel's release, as `uname -r` prints it.
    public static var kernelRelease: String {
        var names = utsname()
        guard uname(&names) == 0 else { return "unknown" }
        return withUnsafeBytes(of: &names.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    }

    public static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

    /// The whole environment, as `NAME=value` in bytes.
    public static var environment: [[UInt8]] {
        var entries: [[UInt8]] = []
        var pointer = clinux_environment()
        while let current = pointer?.pointee {
            entries.append(
                Array(UnsafeBufferPointer(start: current, count: strlen(current)).map { UInt8(bitPattern: $0) }))
            pointer = pointer.map { $0 + 1 }
        }
        return entries
    }

    /// Whether this process is preferred by the out-of-memory killer less than others, which its tasks must not inherit.
    public static var isShieldedFromOutOfMemory: Bool {
        guard let text = try? FileSystem.text(of: "/proc/self/oom_score_adj"), let score = Int(text) else {
            return false
        }
        return score < 0
    }

    /// Keeps other processes of our user, such as tasks, from tracing this one and from reading its memory and environment. They may
    /// still signal it.
    public static func forbidTracing() { _ = clinux_forbid_tracing() }

    /// The bits of permissions that files made by this process do not get, see umask(2).
    public static var fileModeMask: UInt32 {
        let mask = umask(0o077)
        umask(mask)
        return UInt32(mask)
    }

    /// The most memory this process ever had resident.
    public static var residentBytesMax: UInt64 {
        var usage = rusage()
        guard getrusage(__rusage_who_t(truncatingIfNeeded: RUSAGE_SELF.rawValue), &usage) == 0 else { return 0 }
        return UInt64(max(0, usage.ru_maxrss)) &* 1024
    }

    /// Has `signal` sent to us when the process that started this one ends first, see PR_SET_PDEATHSIG of prctl(2); for what serves one
    /// `distcomp run`.
    ///
    /// - Parameter parent: who started it, by its own word; nil where it said nothing.
    /// - Returns: false where that one has ended already, of which no signal tells.
    public static func followParent(_ parent: Int32?, signal: Signal) throws(SystemError) -> Bool {
        guard clinux_set_parent_death_signal(signal.rawValue) == 0 else { throw .last("prctl", "PR_SET_PDEATHSIG") }
        return parent.map { $0 == getppid() } ?? true
    }

    /// A write to a reader that has gone returns EPIPE rather than ending the process.
    public static func ignoreBrokenPipes() { signal(SIGPIPE, SIG_IGN) }

    /// Orphans of our tasks become our children, so that they are reaped here and end with us.
    public static func adoptOrphans() throws(SystemError) {
        guard clinux_become_subreaper() == 0 else { throw .last("prctl", "PR_SET_CHILD_SUBREAPER") }
    }

    /// Raises the number of descriptors we may open to the hard limit; returns the soft limit from before, for the tasks.
    public static func raiseDescriptorLimit() -> UInt64 {
        var limit = rlimit()
        guard getrlimit(clinux_rlimit_nofile(), &limit) == 0 else { return 1024 }
        let before = limit.rlim_cur
        limit.rlim_cur = limit.rlim_max
        // A refusal leaves the old limit, which is enough for hundreds of tasks; a spawn that meets it says EMFILE.
        setrlimit(clinux_rlimit_nofile(), &limit)
        return UInt64(before)
    }
}

extension Host {
    /// A word that tells this machine from others: its machine-id, see machine-id(5), or its name where it has none.
    public static var machineIdentifier: String {
        let identifier = (try? FileSystem.text(of: "/etc/machine-id")) ?? ""
        return identifier.isEmpty ? shortName : String(identifier.prefix(12))
    }

    /// How many cores are busy, by the load average over the last minute (/proc/loadavg); 0 when that cannot be told.
    public static var busyCores: Double {
        guard let text = try? FileSystem.text(of: "/proc/loadavg"), let first = text.split(separator: " ").first else {
            return 0
        }
        return Double(first) ?? 0
    }
}
