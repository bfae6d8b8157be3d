// Control groups of a test's own.

import Glibc
import Testing

@testable import LinuxSystem

private let mounts = try? ControlGroupMounts.current()

/// Whether memory is on v1 while the v2 tree tracks processes: then adoption moves nobody, and trees can stand side by side.
let isHybrid = mounts.map { $0.unified != nil && $0.legacyMemory != nil } ?? false

/// Whether our own group is the root of a v2 tree, where adoption can be undone.
private let isAtRoot = mounts.map { $0.unified != nil && $0.unified == $0.unifiedMount } ?? false

let canAdopt =
    Host.isRoot && (isHybrid || isAtRoot)
    && [mounts?.unified, mounts?.legacyMemory].allSatisfy { $0.map { access($0, W_OK) == 0 } ?? true }

let needsTree: Comment = "needs root, and control groups of our own that we may divide"

/// A tree of one test, and a launcher into it; both are gone with the test, whatever came of it.
final class TreeBed {
    let name: String
    let tree: ControlGroupTree
    let bench: LaunchBench
    private var count = 0

    static let memoryBytesMax: UInt64 = 1 << 30

    init() throws {
        name = "test.\(Host.processIdentifier).\(String(randomUInt64(), radix: 36))"
        bench = try LaunchBench(account: canLaunchAsNobody ? nobody : nil)
        tree = try ControlGroupTree.adopt(name: name, memoryBytesMax: Self.memoryBytesMax)
    }

    deinit {
        _ = try? tree.clearLeftovers()
        tree.leave()
    }

    func group(_ limits: TaskLimits) throws -> TaskGroup {
        count += 1
        let group = TaskGroup(name: "\(count).task")
        try tree.create(group, limits: limits)
        return group
    }

    func start(_ words: [String], in group: TaskGroup) throws -> Int32 {
        try bench.start(words, joining: try tree.joiningDescriptors(of: group))
    }

    /// A launch returns before its process has joined the group: until then it can be killed by its number only.
    func startJoined(_ words: [String], in group: TaskGroup) throws -> Int32 {
        let process = try start(words, in: group)
        try waitUntil("process \(process) has joined \(group.name)") { try tree.processes(of: group).contains(process) }
        return process
    }

    func run(_ words: [String], in group: TaskGroup) throws -> LaunchResult {
        try bench.finish(try start(words, in: group))
    }

    func killAndRemove(_ group: TaskGroup) throws {
        try tree.kill(group)
        try waitUntil("\(group.name) is empty and removed") { try tree.remove(group) }
    }
}
