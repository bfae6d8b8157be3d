// What of ended outputs goes again, where the settings say that they are not to be kept for ever: segments as a whole, and the folders
// of tasks, with large outputs and whatever tasks put there. To look at a million of them takes long, so that is done in a thread; what it
// finds is taken from its name by the daemon's loop, which knows what is in use, and only then removed.

import CLinux
import Glibc
import Synchronization

/// How much of what has ended is kept.
public struct OutputLimits: Equatable, Sendable {
    /// nil: however old it is.
    public var ageSecondsMax: Double?
    /// So many of the newest, at the least; nil: all.
    public var countMax: Int?

    public init(ageSecondsMax: Double? = nil, countMax: Int? = nil) {
        (self.ageSecondsMax, self.countMax) = (ageSecondsMax, countMax)
    }

    var keepAll: Bool { ageSecondsMax == nil && countMax == nil }
}

final class OutputRetention: Sendable {
    /// The folder of a task that may go.
    struct Candidate {
        let name: String
        let inode: UInt64
    }

    private struct State {
        var isBusy = false
        var found: [Candidate] = []
        /// How many outputs a finished segment holds: that never changes.
        var recordCounts: [UInt32: Int] = [:]
    }

    private let state = Mutex(State())
    private static let candidatesMax = 4096
    /// The newest of so many files in a folder says how old it is.
    private static let filesLookedAtMax = 256
    private static let depthMax = 64
    static let doomedPrefix = ".old-"

    /// What was found since last asked, at most so many.
    func takeFound(_ countMax: Int) -> [Candidate] {
        state.withLock { state in
            let taken = Array(state.found.suffix(countMax))
            state.found.removeLast(taken.count)
            return taken
        }
    }

    var hasFound: Bool { state.withLock { !$0.found.isEmpty } }

    /// Removes what was taken from its name, and old segments; looks for folders that may go. False while that is under way.
    ///
    /// - Parameter looks: whether folders are looked for; else only what is doomed goes.
    func start(
        in results: SharedDescriptor, node: String, _ limits: OutputLimits, nowUnixSeconds: Double, looks: Bool
    ) -> Bool {
        let isFree = state.withLock { state in
            defer { state.isBusy = true }
            return !state.isBusy
        }
        guard isFree else { return false }
        do throws(SystemError) {
            try DetachedThread.start {
                self.removeDoomed(in: results, node)
                if looks {
                    self.removeSegments(in: results, limits, nowUnixSeconds)
                    self.look(in: results, limits, nowUnixSeconds)
                }
                self.state.withLock { $0.isBusy = false }
            }
            return true
        } catch {
            state.withLock { $0.isBusy = false }
            return false
        }
    }

    var isBusy: Bool { state.withLock { $0.isBusy } }

    // MARK: Segments

    private func removeSegments(in results: SharedDescriptor, _ limits: OutputLimits, _ now: Double) {
        guard
            let segments = try? OwnedDescriptor.open(
                SegmentStore.directoryName, [.readOnly, .directory, .doNotFollow], below: results)
        else { return }
        let directory = SharedDescriptor(segments)
        let names = (try? FileSystem.entries(of: "/proc/self/fd/\(directory.raw)")) ?? []
        var newerCount = 0
        for number in names.compactMap({ SegmentStore.number(of: $0) }).sorted(by: >) {
            let name = SegmentStore.fileName(number)
            guard
                let file = try? OwnedDescriptor.open(name, [.readOnly, .doNotFollow, .nonBlocking], below: directory),
                let status = try? file.requirePlainFile(subject: name)
            else { continue }
            let isOld = limits.ageSecondsMax.map { status.modifiedUnixSeconds < now - $0 } ?? false
            let isBeyond = limits.countMax.map { newerCount >= $0 } ?? false
            // One that somebody appends to is locked.
            if isOld || isBeyond, file.tryLock() {
                unlinkat(directory.raw, name, 0)
                unlinkat(directory.raw, name + SegmentStore.indexSuffix, 0)
                state.withLock { $0.recordCounts[number] = nil }
            } else if limits.countMax != nil {
                newerCount += recordCount(of: file, number, Int(status.sizeBytes))
            }
        }
    }

    private func recordCount(of file: borrowing OwnedDescriptor, _ number: UInt32, _ size: Int) -> Int {
        if let known = state.withLock({ $0.recordCounts[number] }) { return known }
        var (count, at) = (0, 0)
        while at < size,
            let head = try? file.read(at: Int64(at), count: SegmentRecord.headBytes, subject: "segment"),
            let record = head.withUnsafeBytes({ SegmentRecord(head: $0) })
        {
            count += 1
            at += record.bytes
        }
        // The last one grows.
        if size >= SegmentStore.segmentBytes / 2 { state.withLock { $0.recordCounts[number] = count } }
        return count
    }

    // MARK: Folders

    private func look(in results: SharedDescriptor, _ limits: OutputLimits, _ now: Double) {
        guard let names = try? FileSystem.entries(of: "/proc/self/fd/\(results.raw)") else { return }
        var folders: [(name: String, inode: UInt64, changed: Double)] = []
        for name in names where Self.isOfTask(name) {
            if let (inode, changed) = Self.newest(name, in: results) { folders.append((name, inode, changed)) }
        }
        folders.sort { $0.changed > $1.changed }
        let old = folders.enumerated().filter { index, folder in
            limits.ageSecondsMax.map { folder.changed < now - $0 } ?? false
                || limits.countMax.map { index >= $0 } ?? false
        }
        // The oldest first.
        let found = old.suffix(Self.candidatesMax).map { Candidate(name: $0.element.name, inode: $0.element.inode) }
        state.withLock { $0.found = found }
    }

    /// Whether it is the folder of a task, or what was set aside of one.
    private static func isOfTask(_ name: String) -> Bool {
        let parts = name.split(separator: ".", maxSplits: 1)
        return parts.first.flatMap { SegmentRecord.task(named: String($0)) } != nil
            && (parts.count == 1 || parts[1].hasPrefix("earlier-"))
    }

    /// When something last changed in a folder, as far as a short look tells.
    private static func newest(_ name: String, in results: SharedDescriptor) -> (inode: UInt64, Double)? {
        guard
            let opened = try? OwnedDescriptor.open(name, [.readOnly, .directory, .doNotFollow], below: results),
            let status = try? opened.status(subject: name)
        else { return nil }
        let folder = SharedDescriptor(opened)
        let names = (try? FileSystem.entries(of: "/proc/self/fd/\(folder.raw)", countMax: filesLookedAtMax)) ?? []
        let newest = names.reduce(status.modifiedUnixSeconds) { newest, name in
            var file = stat()
            guard fstatat(folder.raw, name, &file, AT_SYMLINK_NOFOLLOW) == 0 else { return newest }
            return max(newest, FileStatus(file).modifiedUnixSeconds)
        }
        return (status.inode, newest)
    }

    private func removeDoomed(in results: SharedDescriptor, _ node: String) {
        guard let names = try? FileSystem.entries(of: "/proc/self/fd/\(results.raw)") else { return }
        for name in names where name.hasPrefix("\(Self.doomedPrefix)\(node)-") {
            Self.remove(name, in: results, depth: 0)
        }
    }

    /// Removes a directory with all that is in it, by descriptor: a link is removed, and never followed.
    static func remove(_ name: String, in directory: SharedDescriptor, depth: Int) {
        if unlinkat(directory.raw, name, 0) == 0 || depth > depthMax { return }
        guard
            let opened = try? OwnedDescriptor.open(name, [.readOnly, .directory, .doNotFollow], below: directory)
        else { return }
        let folder = SharedDescriptor(opened)
        for entry in (try? FileSystem.entries(of: "/proc/self/fd/\(folder.raw)")) ?? [] {
            remove(entry, in: folder, depth: depth + 1)
        }
        unlinkat(directory.raw, name, AT_REMOVEDIR)
    }
}

extension OutputDirectory {
    private static let removedAtOnceMax = 256
    private static let lookPauseNanoseconds: Int64 = 3_600_000_000_000

    /// Removes what is not to be kept any more; a little each time, so it is to be called now and then.
    ///
    /// - Parameter inUse: the tasks that run here, or are not reported yet.
    public func removeOld(_ limits: OutputLimits, inUse: Set<String>) {
        guard !limits.keepAll, let directory else { return }
        let now = SystemClock.bootNanoseconds()
        var isDoomed = false
        for candidate in storing.retention.takeFound(Self.removedAtOnceMax) where !inUse.contains(candidate.name) {
            var status = stat()
            guard fstatat(directory.raw, candidate.name, &status, AT_SYMLINK_NOFOLLOW) == 0,
                UInt64(status.st_ino) == candidate.inode
            else { continue }
            storing.doomedCount += 1
            let name = "\(OutputRetention.doomedPrefix)\(storing.node)-\(now)-\(storing.doomedCount)"
            if clinux_rename_in(directory.raw, candidate.name, name) == 0 { isDoomed = true }
        }
        let looks = now >= storing.nextLookNanoseconds && !storing.retention.hasFound
        guard isDoomed || looks else { return }
        if let age = limits.ageSecondsMax { storing.segments?.finishCurrent(olderThanSeconds: age / 4) }
        let isStarted = storing.retention.start(
            in: directory, node: storing.node, limits,
            nowUnixSeconds: Double(SystemClock.wallNanoseconds()) / 1e9, looks: looks)
        if looks, isStarted { storing.nextLookNanoseconds = now + Self.lookPauseNanoseconds }
    }

    /// Has the next call look for what is old, however short ago that was done.
    public func lookForOld() { storing.nextLookNanoseconds = 0 }

    /// Whether something is being removed.
    public var isRemoving: Bool { storing.retention.isBusy || storing.retention.hasFound }
}
