// Which process belongs to which task, where no control group says so. A child belongs to whom its parent does. One whose parent has
// ended becomes a child of this daemon, its subreaper: then it is known from an earlier look, by the variable that tasks find in their
// environment, by its session, or because no other task can have begun it. Pure: a table of processes in, their owners out.

import LinuxSystem

struct TaskTrees {
    private struct Tree {
        let process: Int32
        let identifier: String
        /// When the main process began; nil until it was seen.
        var startTicks: UInt64?
        var sessions: Set<Int32>
    }

    /// A process, whatever its number is used for later.
    struct Identity: Hashable {
        let process: Int32
        let startTicks: UInt64

        init(_ entry: ProcessEntry) { (process, startTicks) = (entry.process, entry.startTicks) }
    }

    private var trees: [TaskNumber: Tree] = [:]
    private var owners: [Identity: TaskNumber] = [:]

    mutating func add(_ number: TaskNumber, process: Int32, identifier: String) {
        // Each task has a session of its own, which its main process leads.
        trees[number] = Tree(process: process, identifier: identifier, sessions: [process])
    }

    mutating func remove(_ number: TaskNumber) { trees[number] = nil }

    /// The processes of every task, main process first and children before theirs; and orphans that are of none any more.
    ///
    /// - Parameters:
    ///   - daemon: this process.
    ///   - known: children of this process that are no orphans.
    ///   - identifierInEnvironment: what a process has in its environment; asked for new orphans alone.
    mutating func sort(
        _ table: [ProcessEntry], daemon: Int32, known: Set<Int32>, identifierInEnvironment: (ProcessEntry) -> String?
    ) -> (members: [TaskNumber: [ProcessEntry]], strays: [ProcessEntry]) {
        var children: [Int32: [ProcessEntry]] = [:]
        for entry in table { children[entry.parent, default: []].append(entry) }
        // A process number may be used again while what an earlier task left is still being ended: it is the later one's then.
        let mains = Dictionary(trees.map { ($0.value.process, $0.key) }, uniquingKeysWith: max)

        var members: [TaskNumber: [ProcessEntry]] = [:]
        var strays: [ProcessEntry] = []
        var found: [Identity: TaskNumber] = [:]
        // Those seen before keep their owner, wherever their parent is now.
        let roots = table.filter { $0.parent == daemon || owners[Identity($0)] != nil }
        for root in roots where found[Identity(root)] == nil {
            let isMain = root.parent == daemon && mains[root.process] != nil
            if isMain, let number = mains[root.process] { trees[number]?.startTicks = root.startTicks }
            guard root.parent != daemon || isMain || !known.contains(root.process) else { continue }
            let owner =
                (isMain ? mains[root.process] : nil) ?? owners[Identity(root)].flatMap { trees[$0] == nil ? nil : $0 }
                ?? owner(of: root, identifierInEnvironment)
            guard let owner else {
                if root.parent == daemon { strays.append(root) }
                continue
            }
            var next = [root]
            while let entry = next.popLast() {
                guard found.updateValue(owner, forKey: Identity(entry)) == nil else { continue }
                members[owner, default: []].append(entry)
                trees[owner]?.sessions.insert(entry.session)
                next += children[entry.process] ?? []
            }
        }
        owners = found
        return (members, strays)
    }

    /// Whose orphan it is; nil when it can be no running task's, or several could have begun it.
    private func owner(of orphan: ProcessEntry, _ identifierInEnvironment: (ProcessEntry) -> String?) -> TaskNumber? {
        let identifier = identifierInEnvironment(orphan)
        if let number = trees.first(where: { $0.value.identifier == identifier })?.key { return number }
        if let number = trees.first(where: { $0.value.sessions.contains(orphan.session) })?.key { return number }
        if identifier != nil { return nil }  // A task's that is gone.
        let candidates = trees.filter { $0.value.startTicks ?? 0 <= orphan.startTicks }
        return candidates.count == 1 ? candidates.first?.key : nil
    }

    /// Whether a task runs that may have begun a process at that time.
    func mayHaveOwner(_ stray: ProcessEntry) -> Bool {
        trees.values.contains { $0.startTicks ?? 0 <= stray.startTicks }
    }
}
