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
        /// When it was changed itself, not what is in it, as the look found it.
        let changed: Double
    }

    private struct State {
        var isBusy = false
        var found: [Candidate] = []
        /// How many outputs a finished segment holds: that never changes.
        var recordCounts: [UInt32: Int] = [:]
        /// Why something could not be looked at, or removed; what cannot be judged stays.
        var failure: SystemError?
    }

    private let state = Mutex(State())
    private static let candidatesMax = 4096
    /// So long after a change a folder may be that of a task which runs on another node, whose daemon touches it three times meanwhile.
    private static let silentSeconds: Double = 900
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

    /// What kept it from doing all it was to do since last asked.
    func takeFailure() -> SystemError? { state.withLock { $0.failure.take() } }

    /// What a step gives; nil, with the reason noted, where it cannot be taken. That something has gone meanwhile is no reason.
    private func noting<Result: ~Copyable>(_ step: () throws(SystemError) -> Result) -> Result? {
        do throws(SystemError) {
            return try step()
        } catch {
            if error.code != ENOENT { state.withLock { $0.failure = error } }
            return nil
        }
    }

    private func noteLast(_ call: String, _ subject: String) {
        let error = SystemError.last(call, subject)
        if error.code != ENOENT { state.withLock { $0.failure = error } }
    }

    var hasFound: Bool { state.withLock { !$0.found.isEmpty } }

    /// Removes what was taken from its name, and old segments; looks for folders that may go. False while that is under way.
    ///
    /// - Parameter looks: whether folders are looked for; else only what is doomed goes.
    func start(
        in results: SharedDescriptor, node: String, _ limits: OutputLimits, nowUnixSeconds: Double, looks: Bool,
        touching inUse: [String]
    ) -> Bool {
        let isFree = state.withLock { state in
            defer { state.isBusy = true }
            return !state.isBusy
        }
        guard isFree else { return false }
        do throws(SystemError) {
            try DetachedThread.start {
                self.touch(inUse, in: results)
                self.removeDoomed(in: results, node)
                if looks {
                    self.removeSegments(in: results, limits, nowUnixSeconds)
                    self.look(in: results, limits, nowUnixSeconds)
                }
                self.state.withLock { $0.isBusy = false }
            }
            return true
        } catch {
            state.withLock { ($0.isBusy, $0.failure) = (false, error) }
            return false
        }
    }

    /// Where nodes share the directory, the others know by that that somebody has need of a folder.
    private func touch(_ names: [String], in results: SharedDescriptor) {
        for name in names where utimensat(results.raw, name, nil, AT_SYMLINK_NOFOLLOW) != 0 {
            noteLast("utimensat", name)
        }
    }

    var isBusy: Bool { state.withLock { $0.isBusy } }

    // MARK: Segments

    private func removeSegments(in results: SharedDescriptor, _ limits: OutputLimits, _ now: Double) {
        let opened = noting { () throws(SystemError) in
            SharedDescriptor(
                try OwnedDescriptor.open(
                    SegmentStore.directoryName, [.readOnly, .directory, .doNotFollow], below: results))
        }
        guard let directory = opened, let names = entries(of: directory) else { return }
        var newerCount = 0
        for number in names.compactMap({ SegmentStore.number(of: $0) }).sorted(by: >) {
            let name = SegmentStore.fileName(number)
            let opened = noting { () throws(SystemError) in
                try OwnedDescriptor.open(name, [.readOnly, .doNotFollow, .nonBlocking], below: directory)
            }
            guard let file = opened,
                let status = noting({ () throws(SystemError) in try file.requirePlainFile(subject: name) })
            else { continue }
            let isOld = limits.ageSecondsMax.map { status.modifiedUnixSeconds < now - $0 } ?? false
            let isBeyond = limits.countMax.map { newerCount >= $0 } ?? false
            // One that somebody appends to is locked.
            if isOld || isBeyond, noting({ () throws(SystemError) in try file.tryLock(subject: name) }) == true {
                if unlinkat(directory.raw, name, 0) != 0 { noteLast("unlink", name) }
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
        while at < size {
            // Counted too low, fewer would be taken for old; the next look counts anew.
            let read = noting { () throws(SystemError) in
                try file.read(at: Int64(at), count: SegmentRecord.headBytes, subject: SegmentStore.fileName(number))
            }
            guard let head = read else { return count }
            guard let record = head.withUnsafeBytes({ SegmentRecord(head: $0) }) else { break }
            count += 1
            at += record.bytes
        }
        // The last one grows.
        if size >= SegmentStore.segmentBytes / 2 { state.withLock { $0.recordCounts[number] = count } }
        return count
    }

    // MARK: Folders

    private func look(in results: SharedDescriptor, _ limits: OutputLimits, _ now: Double) {
        guard let names = entries(of: results) else { return }
        var folders: [(candidate: Candidate, newest: Double)] = []
        for name in names where Self.isOfTask(name) {
            if let folder = newest(name, in: results) { folders.append(folder) }
        }
        folders.sort { $0.newest > $1.newest }
        let old = folders.enumerated().filter { index, folder in
            limits.ageSecondsMax.map { folder.newest < now - $0 } ?? false
                || limits.countMax.map { index >= $0 && folder.newest < now - Self.silentSeconds } ?? false
        }
        let found = old.suffix(Self.candidatesMax).map(\.element.candidate)  // The oldest first.
        state.withLock { $0.found = found }
    }

    /// Whether it is the folder of a task, or what was set aside of one.
    private static func isOfTask(_ name: String) -> Bool {
        let parts = name.split(separator: ".", maxSplits: 1)
        return parts.first.flatMap { SegmentRecord.task(named: String($0)) } != nil
            && (parts.count == 1 || parts[1].hasPrefix("earlier-"))
    }

    /// When something last changed in a folder, as far as a short look tells; nil where that cannot be told: then it stays.
    private func newest(_ name: String, in results: SharedDescriptor) -> (Candidate, newest: Double)? {
        let opened = noting { () throws(SystemError) in
            SharedDescriptor(
                try OwnedDescriptor.open(name, [.readOnly, .directory, .doNotFollow], below: results))
        }
        guard let folder = opened, let names = entries(of: folder, countMax: Self.filesLookedAtMax) else { return nil }
        var status = stat()
        guard fstat(folder.raw, &status) == 0 else {
            noteLast("fstat", name)
            return nil
        }
        let candidate = Candidate(
            name: name, inode: UInt64(status.st_ino), changed: FileStatus(status).modifiedUnixSeconds)
        var newest = candidate.changed
        for entry in names {
            var file = stat()
            guard fstatat(folder.raw, entry, &file, AT_SYMLINK_NOFOLLOW) == 0 || errno == ENOENT else {
                noteLast("fstat", "\(name)/\(entry)")
                return nil
            }
            newest = max(newest, FileStatus(file).modifiedUnixSeconds)
        }
        return (candidate, newest)
    }

    private func entries(of directory: SharedDescriptor, countMax: Int = .max) -> [String]? {
        noting { () throws(SystemError) in
            try FileSystem.entries(of: "/proc/self/fd/\(directory.raw)", countMax: countMax)
        }
    }

    private func removeDoomed(in results: SharedDescriptor, _ node: String) {
        guard let names = entries(of: results) else { return }
        for name in names where name.hasPrefix("\(Self.doomedPrefix)\(node)-") {
            remove(name, in: results, depth: 0)
        }
    }

    /// Removes a directory with all that is in it, by descriptor: a link is removed, and never followed.
    private func remove(_ name: String, in directory: SharedDescriptor, depth: Int) {
        if unlinkat(directory.raw, name, 0) == 0 || depth > Self.depthMax { return }
        let opened = noting { () throws(SystemError) in
            SharedDescriptor(
                try OwnedDescriptor.open(name, [.readOnly, .directory, .doNotFollow], below: directory))
        }
        guard let folder = opened else { return }
        for entry in entries(of: folder) ?? [] { remove(entry, in: folder, depth: depth + 1) }
        if unlinkat(directory.raw, name, AT_REMOVEDIR) != 0 { noteLast("rmdir", name) }
    }
}

extension OutputDirectory {
    private static let removedAtOnceMax = 256
    private static let lookPauseNanoseconds: Int64 = 3_600_000_000_000
    private static let touchPauseNanoseconds: Int64 = 300_000_000_000

    /// Removes what is not to be kept any more; a little each time, so it is to be called now and then.
    ///
    /// - Parameter inUse: the tasks that run here, or are not reported yet.
    public func removeOld(_ limits: OutputLimits, inUse: Set<String>) {
        guard let directory else { return }
        let now = SystemClock.bootNanoseconds()
        let touches = !inUse.isEmpty && now >= storing.nextTouchNanoseconds
        var isDoomed = false
        let found = limits.keepAll ? [] : storing.retention.takeFound(Self.removedAtOnceMax)
        for candidate in found where !inUse.contains(candidate.name) {
            var status = stat()
            guard fstatat(directory.raw, candidate.name, &status, AT_SYMLINK_NOFOLLOW) == 0,
                UInt64(status.st_ino) == candidate.inode,
                // Another node may have begun an attempt in it since, or have touched it.
                FileStatus(status).modifiedUnixSeconds == candidate.changed
            else { continue }
            storing.doomedCount += 1
            let name = "\(OutputRetention.doomedPrefix)\(storing.node)-\(now)-\(storing.doomedCount)"
            if clinux_rename_in(directory.raw, candidate.name, name) == 0 { isDoomed = true }
        }
        let looks = !limits.keepAll && now >= storing.nextLookNanoseconds && !storing.retention.hasFound
        guard isDoomed || looks || touches else { return }
        if let age = limits.ageSecondsMax { storing.segments?.finishCurrent(olderThanSeconds: age / 4) }
        let isStarted = storing.retention.start(
            in: directory, node: storing.node, limits,
            nowUnixSeconds: Double(SystemClock.wallNanoseconds()) / 1e9, looks: looks,
            touching: touches ? Array(inUse) : [])
        if touches, isStarted { storing.nextTouchNanoseconds = now + Self.touchPauseNanoseconds }
        if looks, isStarted { storing.nextLookNanoseconds = now + Self.lookPauseNanoseconds }
    }

    /// Why something that was old may be there still; nil where nothing stood in the way since last asked.
    public func takeRemovalFailure() -> SystemError? { storing.retention.takeFailure() }

    /// Has the next call look for what is old, however short ago that was done.
    public func lookForOld() { storing.nextLookNanoseconds = 0 }

    /// Whether something is being removed.
    public var isRemoving: Bool { storing.retention.isBusy || storing.retention.hasFound }
}
