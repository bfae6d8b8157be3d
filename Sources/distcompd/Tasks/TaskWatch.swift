// In place of control groups, where none can be had: the processes of each task are found and measured several times a second, and
// a task that holds more than its cap is killed, as the kernel would. It is a watch, not a cap: between two looks a task can
// take what it can take in that time. A limit on address space or data is none either way: programs that reserve much and use
// little fail under it, with errors nobody understands.

import LinuxSystem

final class TaskWatch {
    private struct Watched {
        let memoryBytesMax: UInt64?
        /// What it held when it was found above its cap.
        var killedAtBytes: UInt64?
        /// The most it was seen to hold.
        var peakBytes: UInt64 = 0
    }

    /// The pause between two looks: by how soon the task nearest to its cap can be there, and so that looking takes no more than a
    /// twentieth of one processor.
    private static let pauseNanoseconds: ClosedRange<Int64> = 50_000_000...200_000_000
    private static let pauseNanosecondsMax: Int64 = 1_000_000_000
    private static let costShare: Int64 = 20
    /// What a task takes at the most in a nanosecond, in bytes: page by page, and with several threads, a gigabyte a second.
    private static let bytesPerNanosecond: UInt64 = 1

    private var trees = TaskTrees()
    private var watched: [TaskNumber: Watched] = [:]
    /// The children that were started and not reaped; all others are orphans of tasks.
    var knownChildren: () -> Set<Int32> = { [] }
    /// When the next look is due; nil while nothing with a cap runs.
    private(set) var nextLookNanoseconds: Int64?
    /// No look before, for what the last one cost.
    private var notBeforeNanoseconds: Int64 = 0

    func add(_ number: TaskNumber, process: Int32, identifier: String, memoryBytesMax: UInt64?) {
        trees.add(number, process: process, identifier: identifier)
        watched[number] = Watched(memoryBytesMax: memoryBytesMax)
        if memoryBytesMax != nil {
            let soon = max(notBeforeNanoseconds, SystemClock.bootNanoseconds() + Self.pauseNanoseconds.lowerBound)
            nextLookNanoseconds = min(nextLookNanoseconds ?? .max, soon)
        }
    }

    /// Nothing of the task is left.
    func forget(_ number: TaskNumber) {
        trees.remove(number)
        watched[number] = nil
        if !watched.values.contains(where: { $0.memoryBytesMax != nil }) { nextLookNanoseconds = nil }
    }

    /// What the task held when it was killed for that; nil when it was not.
    func peakOfKilled(_ number: TaskNumber) -> UInt64? { watched[number]?.killedAtBytes }

    /// The most that a task with a cap was seen to hold.
    func peak(_ number: TaskNumber) -> UInt64 { watched[number]?.peakBytes ?? 0 }

    // MARK: Memory

    /// Measures all tasks that have a cap, when it is time to.
    func lookIfDue() {
        let begun = SystemClock.bootNanoseconds()
        guard let due = nextLookNanoseconds, due <= begun else { return }
        var leftBytes = UInt64.max
        // Who cannot be looked at now is looked at next time.
        let members = (try? members()) ?? [:]
        for (number, task) in watched {
            guard let cap = task.memoryBytesMax, task.killedAtBytes == nil, let entries = members[number] else {
                continue
            }
            let heldBytes = ResidentMemory.total(of: entries.map(\.process), exactlyAbove: cap)
            watched[number]?.peakBytes = max(task.peakBytes, heldBytes)
            guard heldBytes > cap else {
                leftBytes = min(leftBytes, cap - heldBytes)
                continue
            }
            watched[number]?.killedAtBytes = heldBytes
            try? kill(number, entries)  // These are killed; what they begot meanwhile is, when the task is collected.
        }
        let now = SystemClock.bootNanoseconds()
        let range = Self.pauseNanoseconds
        let pause = min(range.upperBound, max(range.lowerBound, Int64(clamping: leftBytes / Self.bytesPerNanosecond)))
        notBeforeNanoseconds = now + min(Self.pauseNanosecondsMax, (now - begun) * Self.costShare)
        nextLookNanoseconds = max(notBeforeNanoseconds, now + pause)
    }

    // MARK: All of a task

    /// A signal to every process of the task.
    func signal(_ number: TaskNumber, _ signal: Int32) throws(SystemError) {
        for entry in try members()[number] ?? [] { entry.signal(signal) }
    }

    /// The end of every process of the task, those born meanwhile included.
    func kill(_ number: TaskNumber) throws(SystemError) { try kill(number, members()[number] ?? []) }

    private func kill(_ number: TaskNumber, _ first: [ProcessEntry]) throws(SystemError) {
        var entries = first
        var killed: Set<TaskTrees.Identity> = []
        // What is left of one that forks faster than this is killed when it is collected.
        for _ in 0..<10 {
            let fresh = entries.filter { killed.insert(TaskTrees.Identity($0)).inserted }
            if fresh.isEmpty { return }
            for entry in fresh { entry.kill() }
            entries = try members()[number] ?? []
        }
    }

    /// Whether no process of a task, whose main process has been reaped, is left.
    func isGone(_ number: TaskNumber) throws(SystemError) -> Bool {
        // What a task left has become our child when its main process ended: mostly there is nothing, which is quick to see.
        if let children = ChildProcesses.ofThisProcess(), knownChildren().isSuperset(of: children) { return true }
        return try members()[number] == nil
    }

    /// The processes of each task.
    func members() throws(SystemError) -> [TaskNumber: [ProcessEntry]] {
        let (members, strays) = trees.sort(
            try ProcessEntry.all(), daemon: Host.processIdentifier, known: knownChildren(),
            identifierInEnvironment: { $0.environment("DISTCOMP_TASK") })
        // All that may have begun them have ended.
        for stray in strays where !trees.mayHaveOwner(stray) { stray.kill() }
        return members
    }
}
