// The processes of this machine and what they hold in memory, for where no control group counts for us: each process of a task is
// found by its ancestry, and each page of memory is counted once.

import CLinux
import Glibc

/// A process as /proc/PID/stat shows it, see proc(5).
public struct ProcessEntry: Equatable, Sendable {
    public let process: Int32
    public let parent: Int32
    public let session: Int32
    /// In ticks since the boot. A process number that is used again has another.
    public let startTicks: UInt64
    /// It has ended, and its parent has not asked for its status yet.
    public let isZombie: Bool

    init(process: Int32, parent: Int32, session: Int32, startTicks: UInt64, isZombie: Bool = false) {
        self.process = process
        self.parent = parent
        self.session = session
        self.startTicks = startTicks
        self.isZombie = isZombie
    }

    /// Parses the text of /proc/PID/stat. A program's name stands there between brackets, and may hold brackets and spaces.
    public init?(parsing bytes: [UInt8]) {
        guard let open = bytes.firstIndex(of: UInt8(ascii: "(")), let close = bytes.lastIndex(of: UInt8(ascii: ")")),
            let process = Int32(String(decoding: bytes[..<open].filter { $0 != 32 }, as: UTF8.self))
        else { return nil }
        let fields = bytes[(close + 1)...].split(separator: 32, maxSplits: 20)
        func number(_ index: Int) -> UInt64? {
            fields.count > index ? UInt64(String(decoding: fields[index], as: UTF8.self)) : nil
        }
        guard let parent = number(1).flatMap({ Int32(exactly: $0) }), let startTicks = number(19) else { return nil }
        self.process = process
        self.parent = parent
        session = number(3).flatMap { Int32(exactly: $0) } ?? 0
        self.startTicks = startTicks
        let state = fields[0].first
        isZombie = state == UInt8(ascii: "Z") || state == UInt8(ascii: "X")
    }

    /// As it is now; nil once it is gone.
    public static func read(_ process: Int32) throws(SystemError) -> ProcessEntry? {
        do throws(SystemError) {
            return ProcessEntry(parsing: try FileSystem.contents(of: "/proc/\(process)/stat"))
        } catch  where [ENOENT, ESRCH, EACCES, EPERM].contains(error.code) {
            return nil  // The last two where /proc hides the processes of others (hidepid), which are none of ours.
        }
    }

    /// Whether the process that had this number, and began then, has ended. Where another user's cannot be seen, it has not: see kill(2).
    public static func isGone(_ process: Int32, startTicks: UInt64) -> Bool {
        if Glibc.kill(process, 0) != 0, errno == ESRCH { return true }
        guard let now = try? read(process) else { return false }  // It is there; whether it is the same cannot be seen.
        return now.startTicks != startTicks || now.isZombie
    }

    /// All there are, zombies left out. One that begins or ends meanwhile may be missing.
    ///
    /// - Throws: when they cannot be listed now, as without a descriptor to spare. Who is not seen is not gone.
    public static func all() throws(SystemError) -> [ProcessEntry] {
        var entries: [ProcessEntry] = []
        for name in try FileSystem.entries(of: "/proc") {
            guard let process = Int32(name), let entry = try read(process), !entry.isZombie else { continue }
            entries.append(entry)
        }
        return entries
    }

    /// The value of a variable in the environment it was started with; nil where there is none, or it may not be read.
    public func environment(_ name: String) -> String? {
        let prefix = Array((name + "=").utf8)
        guard let bytes = try? FileSystem.contents(of: "/proc/\(process)/environ", bytesMax: 4 << 20) else {
            return nil
        }
        let found = bytes.split(separator: 0).first { $0.starts(with: prefix) }
        return found.map { String(decoding: $0.dropFirst(prefix.count), as: UTF8.self) }
    }

    /// Sends a signal to this very process, if it still is.
    ///
    /// - Returns: false once it has gone.
    @discardableResult
    public func send(_ signal: Int32) -> Bool {
        let raw = clinux_pidfd_open(process)
        guard raw >= 0 else { return false }
        let handle = OwnedDescriptor(adopting: raw)
        guard let now = try? ProcessEntry.read(process), now.startTicks == startTicks, !now.isZombie else {
            return false
        }
        _ = clinux_pidfd_send_signal(handle.raw, signal)  // ESRCH: it has ended; another's process is not ours to end.
        return true
    }

    public func kill() { send(SIGKILL) }

    /// A signal; after TERM comes CONT, so that a stopped one can act on it.
    public func signal(_ signal: Int32) {
        if send(signal), signal == SIGTERM { send(SIGCONT) }
    }
}

/// What processes hold of memory that nothing but their end gives back: not what is cached of files.
public enum ResidentMemory {
    /// No less than the process holds, in bytes: pages shared with another are counted for each. Cheap.
    public static func bound(of process: Int32) -> UInt64 {
        sum(of: ["RssAnon:", "RssShmem:", "VmSwap:"], in: "/proc/\(process)/status") ?? 0
    }

    /// What it holds, each shared page by its share. The kernel looks at every page for it: 12 ms a gigabyte of small ones.
    public static func share(of process: Int32) -> UInt64? {
        sum(of: ["Pss_Anon:", "Pss_Shmem:", "SwapPss:"], in: "/proc/\(process)/smaps_rollup")
    }

    private static func sum(of names: [String], in path: String) -> UInt64? {
        guard let bytes = try? FileSystem.contents(of: path) else { return nil }
        return sum(of: names, in: bytes)
    }

    /// The sum of some lines of `name: number kB`; nil when none of them is there.
    static func sum(of names: [String], in bytes: [UInt8]) -> UInt64? {
        var sum: UInt64?
        for line in bytes.split(separator: 10) {
            guard let name = names.first(where: { line.starts(with: $0.utf8) }) else { continue }
            let digits = line.dropFirst(name.utf8.count).drop { $0 == 32 || $0 == 9 }.prefix { $0 >= 48 && $0 <= 57 }
            guard let kilobytes = UInt64(String(decoding: digits, as: UTF8.self)) else { continue }
            sum = (sum ?? 0) &+ kilobytes &* 1024
        }
        return sum
    }

    /// What all of them hold together, or no less than that where it is not above `enough`.
    public static func total(of processes: [Int32], exactlyAbove enough: UInt64) -> UInt64 {
        let bound = processes.reduce(UInt64(0)) { $0 &+ Self.bound(of: $1) }
        if bound <= enough { return bound }
        return processes.reduce(UInt64(0)) { $0 &+ (share(of: $1) ?? Self.bound(of: $1)) }
    }
}
