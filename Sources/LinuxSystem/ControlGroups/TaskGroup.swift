// The control group of one task, from before its first process to after its last. Verbs in the order of its life: create,
// join, signal, kill, measure, remove.

import CLinux
import Glibc

/// The name of a task's group below `tasks/`: that of the first task it held, see GroupReuse.swift.
public struct TaskGroup: Hashable, Sendable {
    public let name: String

    public init(name: String) { self.name = name }
}

/// What a task may use.
public struct TaskLimits: Equatable, Sendable {
    /// memory.max in bytes; nil leaves only the cap on all tasks together.
    public var memoryBytesMax: UInt64?
    /// pids.max.
    public var processesMax: Int?
    /// cpu.weight, 1 to 10,000 with 100 the kernel's own; nil leaves that.
    public var processorWeight: Int?
    /// cpu.max in thousandths of a processor; nil for no limit.
    public var processorQuotaMillicores: Int?

    public init(
        memoryBytesMax: UInt64? = nil, processesMax: Int? = nil, processorWeight: Int? = nil,
        processorQuotaMillicores: Int? = nil
    ) {
        self.memoryBytesMax = memoryBytesMax
        self.processesMax = processesMax
        self.processorWeight = processorWeight
        self.processorQuotaMillicores = processorQuotaMillicores
    }
}

/// What a group has used, each figure absent where the kernel does not tell.
public struct TaskGroupUsage: Equatable, Sendable {
    public var userMicroseconds: UInt64?
    public var systemMicroseconds: UInt64?
    public var memoryPeakBytes: UInt64?
    /// How many of its processes the kernel's out-of-memory killer took.
    public var oomKills: UInt64?
    /// How often its own limit left the kernel no other way (v2 alone): a kill without is another limit's.
    public var oomEvents: UInt64?
    /// See MemoryAccount.swift; absent unless asked for.
    public var memory: MemoryAccount?

    public init() {}

    /// From the text of cpu.stat, memory.peak and memory.events, or their v1 likes.
    init(processorStatistics: Substring?, memoryPeak: Substring?, memoryEvents: Substring?) {
        userMicroseconds = processorStatistics.flatMap { value(of: "user_usec", in: $0) }
        systemMicroseconds = processorStatistics.flatMap { value(of: "system_usec", in: $0) }
        memoryPeakBytes = memoryPeak.flatMap { UInt64($0) }
        oomKills = memoryEvents.flatMap { value(of: "oom_kill", in: $0) }
        oomEvents = memoryEvents.flatMap { value(of: "oom", in: $0) }
    }
}

extension ControlGroupTree {
    /// Makes the group and writes every limit. On any refusal nothing is left behind.
    public func create(_ group: TaskGroup, limits: TaskLimits) throws(SystemError) {
        guard FileSystem.isPlainName(group.name) else {
            throw SystemError(call: "mkdir", subject: "tasks/\(group.name)", code: EINVAL)
        }
        var made: [SharedDescriptor] = []
        do {
            for tasks in hierarchies {
                try makeGroup(group.name, in: tasks)
                made.append(tasks)
            }
            try setLimits(limits, of: group)
        } catch {
            // Only what was made here: a group of that name that was there already is another's. The first refusal is the
            // one to report.
            for tasks in made { _ = try? removeGroup(group.name, from: tasks) }
            throw error
        }
    }

    /// Writes every limit, before the first instruction of a task. For a group that has none yet: a lower one may be refused, and
    /// an absent one lifts none.
    public func setLimits(_ limits: TaskLimits, of group: TaskGroup) throws(SystemError) {
        try setMemory(limits, of: group)
        try setProcesses(limits, of: group)
        try setProcessorTime(limits, of: group)
    }

    private func makeGroup(_ name: String, in tasks: SharedDescriptor) throws(SystemError) {
        guard mkdirat(tasks.raw, name, 0o755) == 0 else { throw .last("mkdir", "tasks/\(name)") }
    }

    private func setMemory(_ limits: TaskLimits, of group: TaskGroup) throws(SystemError) {
        if let legacyMemory {
            guard let bytes = limits.memoryBytesMax else { return }
            try write(String(bytes), to: "memory.limit_in_bytes", of: group, in: legacyMemory)
            try write(String(bytes), to: "memory.memsw.limit_in_bytes", of: group, in: legacyMemory, ifPresent: true)
            return
        }
        if let bytes = limits.memoryBytesMax { try write(String(bytes), to: "memory.max", of: group, in: unified) }
        try write("0", to: "memory.swap.max", of: group, in: unified, ifPresent: true)
        try write("1", to: "memory.oom.group", of: group, in: unified)
    }

    private func setProcesses(_ limits: TaskLimits, of group: TaskGroup) throws(SystemError) {
        guard let count = limits.processesMax, controlsProcessCount else { return }
        if let legacyProcesses {
            try write(String(count), to: "pids.max", of: group, in: legacyProcesses)
        } else {
            try write(String(count), to: "pids.max", of: group, in: unified)
        }
    }

    private func setProcessorTime(_ limits: TaskLimits, of group: TaskGroup) throws(SystemError) {
        guard controlsProcessorTime else { return }
        if let weight = limits.processorWeight { try write(String(weight), to: "cpu.weight", of: group, in: unified) }
        if let millicores = limits.processorQuotaMillicores {
            try write(processorTimeMax(millicores: millicores), to: "cpu.max", of: group, in: unified)
        }
    }

    /// The files a process writes `0` to in order to join the group, one per hierarchy: cgroup.procs, and in v1 `tasks`, which
    /// moves a process of one thread without the lock that all forks and exits of the machine wait for (Linux 6.0).
    ///
    /// - Parameter exceptUnified: leave out the v2 tree, for a process that is born there.
    public func joiningDescriptors(
        of group: TaskGroup, exceptUnified: Bool = false
    ) throws(SystemError) -> [SharedDescriptor] {
        if let open = openGroups[group] { return Array(open.joining.dropFirst(exceptUnified ? 1 : 0)) }
        var descriptors: [SharedDescriptor] = []
        for tasks in hierarchies.dropFirst(exceptUnified ? 1 : 0) {
            let path = group.name + (tasks === unified ? "/cgroup.procs" : "/tasks")
            descriptors.append(SharedDescriptor(try OwnedDescriptor.open(path, [.writeOnly], below: tasks)))
        }
        return descriptors
    }

    /// The directory of the group in the v2 tree, for a process to be born in it.
    public func cgroupDescriptor(of group: TaskGroup) throws(SystemError) -> SharedDescriptor {
        if let open = openGroups[group] { return open.cgroupDescriptor }
        return SharedDescriptor(try OwnedDescriptor.open(group.name, [.pathOnly, .directory], below: unified))
    }

    /// Sends `signal` to every process of the group, and SIGCONT after SIGTERM so that a stopped one can act on it.
    ///
    /// By pidfd, and only after the process was seen to be in the group: a recycled number is never signalled.
    public func signal(_ signal: Int32, to group: TaskGroup) throws(SystemError) {
        for process in try processes(of: group) {
            let raw = clinux_pidfd_open(process)
            guard raw >= 0 else { continue }  // ESRCH: it has ended meanwhile.
            let handle = OwnedDescriptor(adopting: raw)
            guard isProcess(process, in: group) else { continue }
            // ESRCH again; nothing else can be refused to us.
            _ = clinux_pidfd_send_signal(handle.raw, signal)
            if signal == SIGTERM { _ = clinux_pidfd_send_signal(handle.raw, SIGCONT) }
        }
    }

    /// Kills every process of the group at once, those being born included (cgroup.kill); the group is not used again.
    public func kill(_ group: TaskGroup) throws(SystemError) {
        reusableLimits[group] = nil
        do {
            try write("1", to: "cgroup.kill", of: group, in: unified)
        } catch  where error.code == ENOENT {
            // Before Linux 5.14 there is no cgroup.kill: the caller repeats until the group is empty.
            killEachProcess(of: group)
        }
    }

    func killEachProcess(of group: TaskGroup) {
        for process in (try? processes(of: group)) ?? [] {
            let raw = clinux_pidfd_open(process)
            guard raw >= 0 else { continue }
            let handle = OwnedDescriptor(adopting: raw)
            if isProcess(process, in: group) { _ = clinux_pidfd_send_signal(handle.raw, SIGKILL) }
        }
    }

    /// The processes in the group and those below it, as far as they can be listed.
    public func processes(of group: TaskGroup) throws(SystemError) -> [Int32] {
        var processes: [Int32] = []
        for (index, directory) in try directories(of: group, in: unified).enumerated() {
            do throws(SystemError) {
                let file = try OwnedDescriptor.open("cgroup.procs", [.readOnly], below: directory)
                let bytes = try file.readToEnd(subject: "tasks/\(group.name)/cgroup.procs", bytesMax: 4 << 20)
                processes += trimmedText(bytes).split(separator: "\n").compactMap { Int32($0) }
            } catch {
                // Of those in the group: a threaded one lists none (they stand in its parent), or it has just been removed.
                if index == 0 { throw error }
            }
        }
        return processes
    }

    private func isProcess(_ process: Int32, in group: TaskGroup) -> Bool {
        guard let memberships = try? FileSystem.text(of: "/proc/\(process)/cgroup") else { return false }
        return memberships.split(separator: "\n").contains { line in
            line.hasPrefix("0::") && (line.hasSuffix("/tasks/" + group.name) || line.contains("/tasks/\(group.name)/"))
        }
    }

    /// What may be the name of the task's group that a process is in: it may have made others below. Nil where there is
    /// no such process, or it cannot be looked at: then nothing is counted for it.
    public static func taskGroupNames(of process: Int32) -> [String]? {
        guard let memberships = try? FileSystem.text(of: "/proc/\(process)/cgroup") else { return nil }
        guard let line = memberships.split(separator: "\n").first(where: { $0.hasPrefix("0::") }) else { return [] }
        let names = line.split(separator: "/")
        return zip(names, names.dropFirst()).compactMap { $0 == "tasks" ? String($1) : nil }
    }

    /// What the group has used; nil for what this kernel does not count. Read after its processes ended and before it is removed.
    ///
    /// - Throws: when a file is there and cannot be read now. To go on without it could hide that memory was the cause.
    public func usage(of group: TaskGroup) throws(SystemError) -> TaskGroupUsage {
        if let open = openGroups[group] { return try open.usage() }
        let (memory, peak, events) =
            if let legacyMemory {
                (legacyMemory, "memory.max_usage_in_bytes", "memory.oom_control")
            } else {
                (unified, "memory.peak", "memory.events")
            }
        return TaskGroupUsage(
            processorStatistics: try readShort("cpu.stat", of: group, in: unified),
            memoryPeak: try readShort(peak, of: group, in: memory),
            memoryEvents: try readShort(events, of: group, in: memory))
    }

    /// What the group has used of the processors alone; for a group that no task has had.
    public func processorUsage(of group: TaskGroup) throws(SystemError) -> TaskGroupUsage {
        TaskGroupUsage(
            processorStatistics: try readShort("cpu.stat", of: group, in: unified), memoryPeak: nil, memoryEvents: nil)
    }

    // MARK: Control files

    private func write(
        _ value: String, to file: String, of group: TaskGroup, in tasks: SharedDescriptor, ifPresent: Bool = false
    ) throws(SystemError) {
        let path = group.name + "/" + file
        do {
            let descriptor = try OwnedDescriptor.open(path, [.writeOnly], below: tasks)
            try descriptor.writeAll(Array(value.utf8), subject: path)
        } catch  where ifPresent && error.code == ENOENT {
            return  // No such control on this kernel (no swap accounting): there is nothing to limit.
        }
    }

    /// A file that the kernel gives whole in one read, as all are that hold no list of processes; nil where there is none.
    func readShort(
        _ file: String, of group: TaskGroup, in tasks: SharedDescriptor
    ) throws(SystemError) -> Substring? {
        let path = group.name + "/" + file
        do throws(SystemError) {
            let opened = try OwnedDescriptor.open(path, [.readOnly], below: tasks)
            return try controlText { buffer throws(SystemError) in try opened.readNext(into: buffer, subject: path) }
        } catch  where error.code == ENOENT || error.code == ENODEV {
            return nil  // Not counted by this kernel; or the group has been removed already.
        }
    }
}

/// A control file's text, from a read that gives all of it, as of all that hold no list of processes.
func controlText(
    _ read: (UnsafeMutableRawBufferPointer) throws(SystemError) -> Int
) throws(SystemError) -> Substring {
    try withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer throws(SystemError) in
        let text = String(decoding: buffer[..<(try read(buffer))], as: UTF8.self)
        return text.hasSuffix("\n") ? text.dropLast() : text[...]
    }
}

/// The lines of a text, one after the other: a list of them all costs an allocation at every launch and ending.
struct Lines<Bytes: Collection<UInt8>>: Sequence, IteratorProtocol {
    private var rest: Bytes.SubSequence

    init(of bytes: Bytes) { rest = bytes[...] }

    mutating func next() -> Bytes.SubSequence? {
        guard !rest.isEmpty else { return nil }
        let line = rest.prefix { $0 != UInt8(ascii: "\n") }
        rest = rest[line.endIndex...].dropFirst()
        return line
    }
}

/// The number after `name` in a flat keyed file: lines of `name value`.
func value(of name: String, in text: Substring) -> UInt64? {
    // Byte by byte, for this is read at every ending: in characters it was a quarter of all that the daemon does.
    text.utf8.withContiguousStorageIfAvailable { bytes -> UInt64? in
        for line in Lines(of: bytes) where line.starts(with: name.utf8) {
            let value = line.dropFirst(name.utf8.count)
            guard value.first == UInt8(ascii: " ") else { continue }
            return UInt64(String(decoding: value.dropFirst(), as: UTF8.self))
        }
        return nil
    } ?? nil
}
