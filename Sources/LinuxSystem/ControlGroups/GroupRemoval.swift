// The end of groups. A task that may make groups in its own (root's tasks own theirs) leaves them there: as many and as deep as it
// liked, with processes in them or without. So whoever kills or removes a group goes down into it: by descriptor, never through a
// link, and a bounded way at a time, for the event loop waits. What is left to do is done when it is asked for again.

import CLinux
import Glibc

extension ControlGroupTree {
    /// Removes the group from every hierarchy, with the groups in it; false while processes, or dying ones, are still in it, or
    /// there is more in it than one call removes.
    public func remove(_ group: TaskGroup) throws(SystemError) -> Bool {
        reusableLimits[group] = nil
        for tasks in hierarchies where try !removeGroup(group.name, from: tasks) { return false }
        openGroups[group] = nil
        return true
    }

    /// The same for one that a task has had, which may have left memory in it: see LeftMemory.swift.
    func removeUsed(_ group: TaskGroup) throws(SystemError) -> Bool {
        guard legacyMemory != nil else {
            guard try remove(group) else { return false }
            leftMemory.groupWasRemoved()
            return true
        }
        reusableLimits[group] = nil
        for tasks in hierarchies where tasks !== legacyMemory {
            guard try removeGroup(group.name, from: tasks) else { return false }
        }
        openGroups[group] = nil
        leftMemory.setAside(group)
        return true
    }

    // MARK: Leftovers

    /// What an earlier life of this daemon left in `tasks/`.
    public struct Leftovers: Equatable, Sendable {
        /// The names of the groups that were killed and removed.
        public var cleared: [String] = []
        /// Those that could not be, and why.
        public var remaining: [SystemError] = []
    }

    /// Kills and removes what an earlier life of this daemon left in `tasks/`.
    ///
    /// - Parameter secondsMax: how long to wait for what was killed. At start there is no loop yet that this could hold up; killed
    ///   processes may take a while to give their memory back.
    public func clearLeftovers(
        except kept: Set<String> = [], secondsMax: Double = 5
    ) throws(SystemError) -> Leftovers {
        var names = try taskGroupNames().filter { !kept.contains($0) }
        var leftovers = Leftovers()
        var errors: [String: SystemError] = [:]
        let deadline = SystemClock.bootNanoseconds() + Int64(secondsMax * 1e9)
        while true {
            names.removeAll { name in
                let group = TaskGroup(name: name)
                do throws(SystemError) {
                    // Again each time: where there is no cgroup.kill, one pass may miss what was just being born.
                    try kill(group)
                    if try remove(group) {
                        leftovers.cleared.append(name)
                        return true
                    }
                    errors[name] = SystemError(call: "rmdir", subject: "tasks/\(name)", code: EBUSY)
                } catch {
                    errors[name] = error
                }
                return false
            }
            if names.isEmpty || SystemClock.bootNanoseconds() >= deadline { break }
            usleep(25_000)
        }
        leftovers.cleared.sort()
        leftovers.remaining = names.compactMap { errors[$0] }
        return leftovers
    }

    /// Removes the groups of tasks that nothing is in.
    func removeEmptyGroups() {
        for name in (try? taskGroupNames()) ?? [] { _ = try? remove(TaskGroup(name: name)) }
    }
}

/// Removes the group and those in it from one hierarchy.
func removeGroup(_ name: String, from tasks: SharedDescriptor) throws(SystemError) -> Bool {
    if unlinkat(tasks.raw, name, AT_REMOVEDIR) == 0 || errno == ENOENT { return true }
    guard errno == EBUSY else { throw .last("rmdir", "tasks/\(name)") }
    guard try removeGroupsBelow(name, in: tasks) else { return false }
    if unlinkat(tasks.raw, name, AT_REMOVEDIR) == 0 || errno == ENOENT { return true }
    if errno == EBUSY { return false }
    throw .last("rmdir", "tasks/\(name)")
}

/// How many groups one call looks into, and so how deep it goes: some milliseconds.
private let looksMax = 1024
/// Of how many groups in one a look takes note.
private let entriesMax = 4096

/// Goes down to the innermost groups and up again, removing what is empty; whether none is left. One descriptor is open at a
/// time: nobody can move a group elsewhere, so `..` is where we came from.
private func removeGroupsBelow(_ name: String, in tasks: SharedDescriptor) throws(SystemError) -> Bool {
    guard var directory = try openedGroup(name, in: tasks), hasGroups(directory) else { return false }
    var depth = 0
    for _ in 0..<looksMax {
        var inner: SharedDescriptor?
        for entry in try groupNames(in: directory) {
            if unlinkat(directory.raw, entry, AT_REMOVEDIR) == 0 || errno != EBUSY { continue }
            guard let busy = try openedGroup(entry, in: directory) else { continue }
            guard hasGroups(busy) else { return false }  // Processes hold it, and so those above it.
            inner = busy
            break
        }
        if let inner {
            (directory, depth) = (inner, depth + 1)
        } else if depth == 0 {
            return !hasGroups(directory)
        } else {
            guard let outer = try openedGroup("..", in: directory) else { return false }
            (directory, depth) = (outer, depth - 1)
        }
    }
    return false
}

/// The directory of the group and those of the groups in it, as far as a bounded look finds them.
func directories(of group: TaskGroup, in tasks: SharedDescriptor) throws(SystemError) -> [SharedDescriptor] {
    guard let top = try openedGroup(group.name, in: tasks) else {
        throw SystemError(call: "open", subject: "tasks/\(group.name)", code: ENOENT)
    }
    var found = [top]
    var next = 0
    while next < found.count {
        let directory = found[next]
        next += 1
        guard hasGroups(directory) else { continue }
        for entry in try groupNames(in: directory) where found.count < looksMax {
            if let inner = try openedGroup(entry, in: directory) { found.append(inner) }
        }
    }
    return found
}

/// Nil for what is no group, or not there any more.
private func openedGroup(_ name: String, in directory: SharedDescriptor) throws(SystemError) -> SharedDescriptor? {
    do throws(SystemError) {
        let flags: OpenFlags = [.readOnly, .directory, .doNotFollow]
        return SharedDescriptor(try OwnedDescriptor.open(name, flags, below: directory))
    } catch  where error.code == ENOTDIR || error.code == ENOENT {
        return nil
    }
}

/// A group counts as a link of the one it is in, as any directory does.
private func hasGroups(_ directory: SharedDescriptor) -> Bool {
    var status = stat()
    return fstat(directory.raw, &status) == 0 && status.st_nlink > 2
}

/// The groups in one.
private func groupNames(in directory: SharedDescriptor) throws(SystemError) -> [String] {
    do throws(SystemError) {
        return try FileSystem.entries(
            of: "/proc/self/fd/\(directory.raw)", countMax: entriesMax, areDirectories: true)
    } catch  where error.code == ENOENT {
        return []  // Removed meanwhile.
    }
}
