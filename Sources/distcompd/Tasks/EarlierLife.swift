// What tasks of an earlier life of this node left running, in whatever control group that was. The groups of this life are not always
// those of the one before: under systemd each `distcomp run` has a scope of its own, and a run may have groups that had none yesterday.

import LinuxSystem

struct EarlierLife {
    /// How many processes were ended.
    private(set) var ended = 0
    /// How many did not end in time.
    private(set) var remaining = 0

    /// Stands in the environment of tasks, with the mark of the node.
    static let variable = "DISTCOMP_NODE_MARK"

    /// So long a launcher of an earlier life is waited for, which ends when it finds that its daemon has.
    private static let launcherNanosecondsMax: Int64 = 500_000_000

    /// Ends all processes of tasks of the node: its lock is ours, so no task runs that is not left over.
    ///
    /// A task's group is `distcomp.NODE/tasks/TASK` wherever it is, see cgroups(7); who is in no group of ours has the variable.
    ///
    /// - Parameters:
    ///   - name: of the node's groups.
    ///   - mark: what its tasks have in their environment, and those of another node of that name have not.
    ///   - isWatching: there are no groups, so all environments are looked at. Not else: to read one waits for whoever changes that
    ///     process's memory.
    static func endTasks(
        ofNode name: String, mark: String, isWatching: Bool, secondsMax: Double = 5
    ) throws(SystemError) -> EarlierLife {
        var life = EarlierLife()
        var killed: Set<TaskTrees.Identity> = []
        let begin = SystemClock.bootNanoseconds()
        while true {
            let (ours, othersCount) = try tasks(ofNode: name, mark: mark, isWatching: isWatching)
            for entry in ours where killed.insert(TaskTrees.Identity(entry)).inserted { entry.kill() }
            (life.ended, life.remaining) = (killed.count, ours.count)
            let waited = SystemClock.bootNanoseconds() - begin
            // Again: one may have been born while others were ended.
            if ours.isEmpty, othersCount == 0 || waited > launcherNanosecondsMax { return life }
            if waited > Int64(secondsMax * 1e9) { return life }
            pause(milliseconds: 10)
        }
    }

    /// Where a process is, as far as it has to do with a node of that name.
    private enum Place {
        /// Among the tasks of the node whose groups are in `parent`.
        case task(parent: Substring)
        /// That node itself, or a launcher of its.
        case node(parent: Substring)
        case watchedTask
    }

    /// Those that are to be ended, and how many belong to a node of the same name that lives: its lock cannot be seen from another
    /// container.
    private static func tasks(
        ofNode name: String, mark: String, isWatching: Bool
    ) throws(SystemError) -> (ours: [ProcessEntry], othersCount: Int) {
        var found: [(entry: ProcessEntry, parent: Substring?)] = []
        var parentsWithNode: Set<Substring> = []
        for entry in try ProcessEntry.all() where entry.process != Host.processIdentifier {
            switch place(of: entry, node: name, mark: mark, isWatching: isWatching) {
            case .task(let parent): found.append((entry, parent))
            case .node(let parent) where entry.parent != Host.processIdentifier: parentsWithNode.insert(parent)
            case .watchedTask: found.append((entry, nil))
            case .node, nil: continue
            }
        }
        let ours = found.filter { $0.parent.map { !parentsWithNode.contains($0) } ?? true }.map(\.entry)
        return (ours, found.count - ours.count)
    }

    private static func place(of entry: ProcessEntry, node name: String, mark: String, isWatching: Bool) -> Place? {
        // One that has ended meanwhile has no group.
        if let group = try? Host.controlGroup(ofProcess: entry.process),
            let root = group.firstRange(of: "/distcomp.\(name)/")
        {
            let parent = group[..<root.lowerBound]
            let inside = group[root.upperBound...]
            if inside == "supervisor" { return .node(parent: parent) }
            // A task may have cleared its environment; whoever bears another mark is another's.
            if inside.hasPrefix("tasks/"), mayBeOurs(entry) {
                return entry.environment(variable).map { $0 == mark } ?? true ? .task(parent: parent) : nil
            }
        }
        return isWatching && mayBeOurs(entry) && entry.environment(variable) == mark ? .watchedTask : nil
    }

    /// Whether it could be ended at all.
    private static func mayBeOurs(_ entry: ProcessEntry) -> Bool {
        Host.isRoot
            || (try? FileSystem.status(of: "/proc/\(entry.process)"))?.ownerIdentifier == Host.userIdentifier
    }
}
