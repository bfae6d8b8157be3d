// The daemon's own part of the control group hierarchies:
//
//     <the group we were started in>/
//         distcomp.<name>/
//             supervisor/     the daemon itself, so that its own group is free to hand controllers down
//             tasks/          capped below the machine's memory, so that tasks can never take the node down
//                 x1.17.9c3f/ one task at a time; see GroupReuse.swift
//
// On a hybrid host the same stands under the v1 memory and pids controllers, with `task-groups/` for `tasks/`: there every group
// has a file of that name.

import CLinux
import Glibc

/// A control group set-up that cannot hold tasks, with what to do about it.
public struct ContainmentError: Error, CustomStringConvertible {
    /// The file or call that refused, and why.
    public let cause: String
    /// What the operator can do.
    public let remedy: String

    public init(cause: String, remedy: String) {
        self.cause = cause
        self.remedy = remedy
    }

    public var description: String { "\(cause). \(remedy)" }
}

/// Who enforces the memory caps of tasks.
public enum MemoryEnforcement: String, Sendable {
    /// memory.max of the v2 tree.
    case unified = "cgroup v2"
    /// memory.limit_in_bytes of the v1 memory controller.
    case legacy = "cgroup v1"
}

/// Where a daemon's groups are, as seen from the group it was started in.
public enum ControlGroupPlace: Equatable, Sendable {
    /// Below that group, which it has to itself.
    case below
    /// Below that group, whose other processes were moved into a leaf.
    case belowSharedGroup
    /// Below another, which is above that group.
    case beside(String)
}

/// The control groups that belong to this daemon.
public final class ControlGroupTree {
    /// `tasks/` in the v2 tree.
    let unified: SharedDescriptor
    /// `tasks/` under the v1 memory controller.
    let legacyMemory: SharedDescriptor?
    /// `tasks/` under the v1 pids controller.
    let legacyProcesses: SharedDescriptor?
    /// The path of `tasks/` in every hierarchy it is in, v2 first.
    let taskPaths: [String]
    /// The group we were started in, in the v2 tree.
    let startGroup: String
    /// Where `distcomp.<name>` is.
    public let place: ControlGroupPlace

    /// Who enforces the memory caps.
    public let memory: MemoryEnforcement
    /// Whether cpu.weight and cpu.max can be set.
    public let controlsProcessorTime: Bool
    /// Whether pids.max can be set, on either version.
    public let controlsProcessCount: Bool

    /// Which of the groups above tasks had to have some killed; nil until `watchLimits` was called.
    var strikes: LimitStrikes?
    /// Nil where we may not read it.
    let outOfMemoryLog = OutOfMemoryLog()

    /// Whether a group that a task has left may be used again: not where tasks may change it, as they may where they run as
    /// the user who owns it.
    public var reusesGroups = false
    /// The groups that may be used again, as long as nothing happens to them that forbids it.
    var reusableLimits: [TaskGroup: TaskLimits] = [:]
    var openGroups: [TaskGroup: OpenGroup] = [:]
    /// Those of them that wait for a task, the one used last at the end.
    var spareGroups: [TaskGroup] = []

    /// The memory that ended tasks left.
    public let leftMemory: LeftMemory

    /// `tasks/` in every hierarchy a task is in, v2 first.
    var hierarchies: [SharedDescriptor] { [unified] + [legacyMemory, legacyProcesses].compactMap { $0 } }

    /// `tasks/` in the v2 tree, for messages and for the pressure trigger.
    public var tasksPath: String { taskPaths[0] }

    init(
        unified: SharedDescriptor, legacyMemory: SharedDescriptor? = nil, legacyProcesses: SharedDescriptor? = nil,
        taskPaths: [String], startGroup: String, place: ControlGroupPlace = .below, memory: MemoryEnforcement,
        controlsProcessorTime: Bool, controlsProcessCount: Bool
    ) {
        self.place = place
        self.unified = unified
        self.legacyMemory = legacyMemory
        leftMemory = LeftMemory(unified: unified, legacyMemory: legacyMemory)
        self.legacyProcesses = legacyProcesses
        self.taskPaths = taskPaths
        self.startGroup = startGroup
        self.memory = memory
        self.controlsProcessorTime = controlsProcessorTime
        self.controlsProcessCount = controlsProcessCount
    }

    /// Takes the daemon's place in the hierarchies: makes the groups, moves the daemon into `supervisor/`, hands the
    /// controllers down, and caps `tasks/`.
    ///
    /// - Parameters:
    ///   - name: tells this daemon's groups from another's in the same parent; the same at every start, so that what an
    ///     earlier life left is found.
    ///   - memoryBytesMax: what all tasks together may use.
    ///   - parent: the process that we serve, if there is one: it and its children may be moved out of our way.
    public static func adopt(
        name: String, memoryBytesMax: UInt64, parent: Int32? = nil
    ) throws(ContainmentError) -> ControlGroupTree {
        try ControlGroupAdoption(name: name, memoryBytesMax: memoryBytesMax, parent: parent).perform()
    }

    /// Whether the group of this process could be divided as it is: memory can be capped in it, it was delegated to us, and it holds
    /// this process and its children alone. One that was not delegated systemd stops as a whole when a task runs out of memory.
    public static var canDivideOwnGroup: Bool {
        guard let mounts = try? ControlGroupMounts.current(), let own = mounts.unified,
            let controllers = try? FileSystem.text(of: own + "/cgroup.controllers"),
            controllers.split(separator: " ").contains("memory"),
            let processes = try? FileSystem.text(of: own + "/cgroup.procs", bytesMax: 4 << 20)
        else { return false }
        let mustBeOurs = ["", "/cgroup.procs", "/cgroup.subtree_control"]
        return clinux_is_delegated(own) && mustBeOurs.allSatisfy { access(own + $0, W_OK) == 0 }
            && processes.split(separator: "\n").compactMap { Int32($0) }
                .allSatisfy { ChildProcesses.is($0, below: getpid()) }
    }

    /// Sets what all tasks together may use, also while some run.
    public func setMemoryMax(_ bytes: UInt64) throws(SystemError) {
        switch memory {
        case .unified: try writeControlFile(taskPaths[0] + "/memory.max", String(bytes))
        case .legacy: try writeLegacyMemoryMax(bytes, of: taskPaths[1])
        }
    }

    /// Limits the processor time of all tasks together; nil for no limit.
    public func setProcessorTimeMax(millicores: Int?) throws(SystemError) {
        guard controlsProcessorTime else { return }
        try writeControlFile(taskPaths[0] + "/cpu.max", processorTimeMax(millicores: millicores))
    }

    /// The groups there are in `tasks/`, in whichever hierarchy, but for those set aside.
    func taskGroupNames() throws(SystemError) -> [String] {
        var names: Set<String> = []
        for path in taskPaths {
            for name in try FileSystem.entries(of: path) where try isGroup(path + "/" + name) {
                names.insert(name)
            }
        }
        return names.subtracting(leftMemory.asideNames).sorted()
    }

    private func isGroup(_ path: String) throws(SystemError) -> Bool {
        do {
            return try FileSystem.status(of: path).isDirectory
        } catch  where error.code == ENOENT {
            return false
        }
    }

    /// Leaves the hierarchies as they were found, as far as that is possible: a delegated group that handed controllers
    /// down cannot take its process back, and systemd then removes the whole when the unit ends.
    ///
    /// - Returns: why processes that were moved out of our way could not be moved back; nil when they are.
    @discardableResult
    public func leave() -> SystemError? {
        removeSpares()
        leftMemory.letGo()
        removeEmptyGroups()
        var failure: SystemError?
        if place == .belowSharedGroup, let root = roots.first {
            do throws(SystemError) {
                try returnNeighbours(of: root, to: startGroup)
            } catch {
                failure = error
            }
        }
        removeControlGroups(roots, returningTo: startGroup)
        return failure
    }

    /// `distcomp.<name>` in every hierarchy it is in.
    private var roots: [String] {
        taskPaths.map { path in String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)]) }
    }
}

/// What cpu.max takes.
func processorTimeMax(millicores: Int?) -> String {
    let periodMicroseconds = 100_000
    guard let millicores else { return "max \(periodMicroseconds)" }
    let (quota, overflow) = millicores.multipliedReportingOverflow(by: periodMicroseconds / 1000)
    return "\(overflow ? "max" : String(max(1000, quota))) \(periodMicroseconds)"
}

/// Writes a control file by its path.
func writeControlFile(_ path: String, _ value: String) throws(SystemError) {
    let file = try OwnedDescriptor.open(path, [.writeOnly])
    try file.writeAll(Array(value.utf8), subject: path)
}
