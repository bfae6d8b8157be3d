// The memory that ended tasks leave. A group that was removed lives on, out of sight, for as long as a page is charged to it: of a
// file that its task wrote, or was the first to read. Such a page can be had back at any time, and counts as available memory; the
// group does not, and takes some tens of kilobytes, more with more processors. So a node of little memory would stop for ever after
// some thousand tasks of a line of output each: the kernel presses on such pages only when memory runs out, which a node that takes
// no more tasks never lets happen.
//
// Here they are pressed on. Of v2 `memory.reclaim` of `tasks/` is told to take back as many pages as there are removed groups:
// the kernel scrapes what those hold to the last page, and takes next to nothing from what living tasks use. v1 can press on single
// groups only, and on all that they hold, so there a group is set aside when its task has ended, and removed when it has been
// pressed on; one that holds much is removed as it is, for what it holds may be of use to others, and there cannot be many.
//
// Pages that are not written to disk yet cannot be taken back. The kernel writes them within half a minute, so another look is had
// after that. Pressing may take long, so a thread does it.

import CLinux
import Glibc
import Synchronization

/// What ended tasks left of one tree, and how it is pressed on.
public final class LeftMemory {
    /// Why to look now.
    public enum Occasion: Sendable {
        /// Many tasks have ended.
        case manyHaveEnded
        /// Time has passed.
        case nowAndThen
        /// The node takes no task for want of memory.
        case memoryIsShort
    }

    /// So many removed groups, or a quarter of those there are, are worth a press: of what cannot be had back (files in a tmpfs) there
    /// may be thousands, all of which the kernel looks at each time.
    static let groupCountMin = 256
    /// The most groups of v1 set aside.
    static let asideCountMax = 1024
    /// When what was dirty has been written: after 30 s the kernel begins to write, every 5 s.
    static let writeBackNanoseconds: Int64 = 40_000_000_000
    /// What could not be had back a moment ago is not asked for again.
    static let pauseNanoseconds: Int64 = 2_000_000_000
    /// A group of v1 that holds more is not pressed on.
    static let bytesPressedMax: UInt64 = 4 << 20

    private let legacyMemory: SharedDescriptor?
    /// Of `tasks/` in v2; nil where the kernel has no memory.reclaim (before Linux 5.19).
    private let files: (statistics: SharedDescriptor, reclaim: SharedDescriptor)?
    private var aside: [Aside] = []
    private var removedCount = 0
    private var pressedNanoseconds = Int64.min / 2
    /// When to press once more on what was dirty.
    private var againNanoseconds: Int64?
    private let press: Press?

    init(unified: SharedDescriptor, legacyMemory: SharedDescriptor?) {
        self.legacyMemory = legacyMemory
        if legacyMemory == nil, let statistics = try? OwnedDescriptor.open("cgroup.stat", [.readOnly], below: unified),
            let reclaim = try? OwnedDescriptor.open("memory.reclaim", [.writeOnly], below: unified)
        {
            files = (SharedDescriptor(statistics), SharedDescriptor(reclaim))
        } else {
            files = nil
        }
        press = try? Press()  // Without a descriptor to spare nothing is pressed on.
    }

    /// Readable when a press is over; nil where nothing is pressed on.
    public var descriptor: Int32? { press?.ended.raw }

    /// Takes note that a press is over.
    public func acknowledge() {
        var count: UInt64 = 0
        if let press { _ = read(press.ended.raw, &count, 8) }  // EAGAIN: somebody did before.
    }

    /// The groups of v1 that are still there, though their tasks are not.
    var asideNames: Set<String> { Set((aside + (press?.groups.withLock { $0 } ?? [])).map(\.name)) }

    /// The group of a task was removed, on v2.
    func groupWasRemoved() {
        removedCount += 1
        if removedCount % Self.groupCountMin == 0 { press(.manyHaveEnded) }
    }

    /// Takes over a group of v1 that no task is in any more.
    func setAside(_ group: TaskGroup) {
        aside.append(Aside(name: group.name, sinceNanoseconds: SystemClock.bootNanoseconds()))
        if aside.count % Self.groupCountMin == 0 { press(.manyHaveEnded) }
        if aside.count > Self.asideCountMax, let legacyMemory {
            _ = try? removeGroup(aside.removeFirst().name, from: legacyMemory)  // Pressing cannot keep up.
        }
    }

    /// Presses on what was left, if that is worth while. Does not wait.
    public func press(_ occasion: Occasion) {
        guard legacyMemory != nil else { return pressOnRemoved(occasion) }
        switch occasion {
        case .manyHaveEnded: pressOnAside(olderThan: .max)
        case .nowAndThen: pressOnAside(olderThan: SystemClock.bootNanoseconds() - Self.writeBackNanoseconds)
        case .memoryIsShort:
            let now = SystemClock.bootNanoseconds()
            guard now - pressedNanoseconds >= Self.pauseNanoseconds else { return }
            pressedNanoseconds = now
            pressOnAside(olderThan: .max)
        }
    }

    /// Removes the groups that were set aside as they are.
    public func letGo() {
        guard let legacyMemory else { return }
        for name in asideNames { _ = try? removeGroup(name, from: legacyMemory) }
        aside = []
    }

    // MARK: v2

    private func pressOnRemoved(_ occasion: Occasion) {
        guard let press, !press.isUnderWay, let files else { return }
        let now = SystemClock.bootNanoseconds()
        guard let count = removedGroupCount(files.statistics), count > 0 else { return }
        let isTimeAgain = againNanoseconds.map { $0 <= now } ?? false
        let isWorthIt =
            switch occasion {
            case .manyHaveEnded: removedCount >= max(Self.groupCountMin, count / 4)
            case .nowAndThen: isTimeAgain || removedCount >= max(Self.groupCountMin, count) / 4
            case .memoryIsShort: now - pressedNanoseconds >= Self.pauseNanoseconds
            }
        guard isWorthIt else { return }
        againNanoseconds = isTimeAgain && removedCount == 0 ? nil : now + Self.writeBackNanoseconds
        pressedNanoseconds = now
        removedCount = 0
        let amount = Array("\(count * sysconf(Int32(_SC_PAGESIZE)))".utf8)
        // EAGAIN: there were fewer.
        press.start { _ = try? files.reclaim.writeAll(amount, subject: "tasks/memory.reclaim") }
    }

    private func removedGroupCount(_ statistics: SharedDescriptor) -> Int? {
        let text = try? controlText { buffer throws(SystemError) in
            try statistics.read(at: 0, into: buffer, subject: "tasks/cgroup.stat")
        }
        return text.flatMap { value(of: "nr_dying_descendants", in: $0) }.flatMap { Int(exactly: $0) }
    }

    // MARK: v1

    private func pressOnAside(olderThan nanoseconds: Int64) {
        guard let press, !press.isUnderWay, let legacyMemory else { return }
        aside = press.takeRest() + aside
        let count = aside.prefix { $0.sinceNanoseconds < nanoseconds }.count
        guard count > 0 else { return }
        let groups = Array(aside.prefix(count))
        aside.removeFirst(count)
        press.groups.withLock { $0 = groups }
        press.start {
            let rest = groups.filter { !$0.isRemoved(from: legacyMemory, pressedAt: SystemClock.bootNanoseconds()) }
            press.groups.withLock { $0 = rest }
        }
    }
}

/// A group of v1 whose task has ended.
private struct Aside: Sendable {
    let name: String
    let sinceNanoseconds: Int64

    /// Presses on what is in it, and removes it if that helped; whether it is gone.
    func isRemoved(from memory: SharedDescriptor, pressedAt nanoseconds: Int64) -> Bool {
        if let before = bytes("memory.usage_in_bytes", in: memory), before > 0, before <= LeftMemory.bytesPressedMax,
            let press = try? OwnedDescriptor.open("\(name)/memory.force_empty", [.writeOnly], below: memory)
        {
            _ = try? press.writeAll([UInt8(ascii: "0")], subject: name)  // Whether it helped is seen by what is left.
            // The kernel's own passes to the group above when this one goes. What else there is is pages, still dirty perhaps.
            let kernelBytes = bytes("memory.kmem.usage_in_bytes", in: memory) ?? 0
            let holdsPages = bytes("memory.usage_in_bytes", in: memory) ?? 0 > kernelBytes
            if holdsPages, nanoseconds - sinceNanoseconds < LeftMemory.writeBackNanoseconds { return false }
        }
        // What did not go goes with its file. An error is as good as gone: the next start clears what stays.
        return (try? removeGroup(name, from: memory)) ?? true
    }

    private func bytes(_ file: String, in memory: SharedDescriptor) -> UInt64? {
        let path = "\(name)/\(file)"
        guard let file = try? OwnedDescriptor.open(path, [.readOnly], below: memory) else { return nil }
        return (try? file.readToEnd(subject: path, bytesMax: 64)).flatMap { UInt64(trimmedText($0)) }
    }
}

/// At most one press at a time, in a thread.
private final class Press: Sendable {
    let ended: SharedDescriptor
    /// The groups of v1 that are being pressed on; afterwards those that are to be pressed on again.
    let groups = Mutex<[Aside]>([])
    private let underWay = Atomic(false)

    init() throws(SystemError) {
        let raw = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard raw >= 0 else { throw .last("eventfd", "for what ended tasks left") }
        ended = SharedDescriptor(OwnedDescriptor(adopting: raw))
    }

    var isUnderWay: Bool { underWay.load(ordering: .acquiring) }

    func takeRest() -> [Aside] {
        groups.withLock { groups in
            defer { groups = [] }
            return groups
        }
    }

    func start(_ work: @escaping @Sendable () -> Void) {
        underWay.store(true, ordering: .releasing)
        do throws(SystemError) {
            try DetachedThread.start { [self] in
                work()
                underWay.store(false, ordering: .releasing)
                var one: UInt64 = 1
                _ = write(ended.raw, &one, 8)
            }
        } catch {
            underWay.store(false, ordering: .releasing)  // No thread to be had: memory is short indeed; another time.
        }
    }
}
