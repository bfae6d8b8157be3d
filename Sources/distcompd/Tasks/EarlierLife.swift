// What tasks of an earlier life of this node left running, in whatever control group that was. The groups of this life are not always
// those of the one before: under systemd each `distcomp run` has a scope of its own, and a run may have groups that had none yesterday.

import LinuxSystem

struct EarlierLife {
    /// How many processes were ended.
    private(set) var ended = 0
    /// How many did not end in time, or belong to a node of the same name that lives in another container.
    private(set) var remaining = 0

    /// Ends all processes of tasks of the node: its lock is ours, so no task runs that is not left over.
    ///
    /// A task's group is `distcomp.NODE/tasks/TASK` wherever it is, see cgroups(7); who is in no group of ours has the variable of tasks
    /// that are watched.
    ///
    /// - Parameters:
    ///   - name: of the node's groups, which stands for its state directory as well.
    ///   - readsEnvironments: looks for the variable too. Not where it can be helped: to read it waits for whoever changes that
    ///     process's memory.
    static func endTasks(
        ofNode name: String, readsEnvironments: Bool, secondsMax: Double = 5
    ) throws(SystemError) -> EarlierLife {
        var life = EarlierLife()
        var killed: Set<TaskTrees.Identity> = []
        let deadline = SystemClock.bootNanoseconds() + Int64(secondsMax * 1e9)
        while true {
            let found = try tasks(ofNode: name, readsEnvironments: readsEnvironments)
            for entry in found.ours where killed.insert(TaskTrees.Identity(entry)).inserted { entry.kill() }
            (life.ended, life.remaining) = (killed.count, found.ours.count + found.othersCount)
            // Again: one may have been born while others were ended.
            if life.remaining == 0 || SystemClock.bootNanoseconds() >= deadline { return life }
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

    private static func tasks(
        ofNode name: String, readsEnvironments: Bool
    ) throws(SystemError) -> (ours: [ProcessEntry], othersCount: Int) {
        var found: [(entry: ProcessEntry, parent: Substring?)] = []
        var parentsWithNode: Set<Substring> = []
        for entry in try ProcessEntry.all() where entry.process != Host.processIdentifier {
            switch place(of: entry, node: name, readsEnvironments) {
            case .task(let parent): found.append((entry, parent))
            case .node(let parent) where entry.parent != Host.processIdentifier: parentsWithNode.insert(parent)
            case .watchedTask: found.append((entry, nil))
            case .node, nil: continue
            }
        }
        // Its lock cannot be seen from another container. A launcher of an earlier life is there for another moment.
        let ours = found.filter { $0.parent.map { !parentsWithNode.contains($0) } ?? true }.map(\.entry)
        return (ours, found.count - ours.count)
    }

    private static func place(of entry: ProcessEntry, node name: String, _ readsEnvironment: Bool) -> Place? {
        // One that has ended meanwhile has no group.
        if let group = try? Host.controlGroup(ofProcess: entry.process),
            let root = group.firstRange(of: "/distcomp.\(name)/")
        {
            let parent = group[..<root.lowerBound]
            let inside = group[root.upperBound...]
            if inside.hasPrefix("tasks/") { return .task(parent: parent) }
            if inside == "supervisor" { return .node(parent: parent) }
        }
        return readsEnvironment && entry.environment(TaskWatch.variable) == name ? .watchedTask : nil
    }
}
