// What each step between a bare posix_spawn and a task of ours costs.

import ArgumentParser
import LinuxSystem

struct SpawnMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "spawn", abstract: "What each step of starting a task adds to a bare posix_spawn.")

    @Option(help: "How many processes are started in each way.")
    var tasks = 500

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [tasks] }

    /// All ways in turn, so that whatever else the machine does affects them all equally.
    func measure(in place: String, _ figures: FigureTable) throws {
        let ways = try SpawnWays(in: place)
        defer { ways.leave() }
        var times = ways.all.map { _ in [Double]() }
        for number in 0..<tasks {
            for (index, way) in ways.all.enumerated() {
                times[index].append(try seconds { try way.run(number) } * 1e6)
            }
        }
        let spreads = times.map { Spread($0) }
        for (way, spread) in zip(ways.all, spreads) { figures.add(way.name, spread, "us") }
        for (index, way) in ways.all.enumerated().dropFirst() {
            figures.add("added by \(way.step)", spreads[index].median - spreads[index - 1].median, "us")
        }
        figures.add("all of it to a bare spawn", spreads[spreads.count - 1].median / spreads[0].median, "")
    }
}

/// The ways to run `sh -c true` and wait for its end, each with one step more than the one before.
private final class SpawnWays {
    private static let command = ["/bin/sh", "-c", "true"]

    private static let limits = TaskLimits(memoryBytesMax: 1 << 30, processesMax: 1000)
    /// Different limits, so that a new group is never one that waits to be used again.
    private static let spareLimits = TaskLimits(memoryBytesMax: 1 << 30, processesMax: 1001)

    private let ofOurUser: ProcessLauncher
    private let ofAnother: ProcessLauncher
    private let outputs: OutputDirectory
    private let packedOutputs: OutputDirectory
    private let null: SharedDescriptor
    private let groups: ControlGroupTree

    init(in place: String) throws {
        let account = Host.isRoot ? Account(named: "nobody") : nil
        let path = try program("distcomp-launch")
        ofOurUser = try ProcessLauncher(path: path, settings: Self.settings(nil))
        ofAnother = try ProcessLauncher(path: path, settings: Self.settings(account))
        outputs = try OutputDirectory(path: place + "/output", account: account)
        packedOutputs = OutputDirectory(notYetOpenedAt: place + "/packed", account: account)
        packedOutputs.packOutputs(ofNode: "bench")
        try packedOutputs.open()
        if let refusal = packedOutputs.packingRefusal { throw refusal }
        null = SharedDescriptor(try OwnedDescriptor.open("/dev/null", [.readWrite]))
        groups = try ControlGroupTree.adopt(name: "bench-spawn-\(Host.processIdentifier)", memoryBytesMax: 1 << 40)
    }

    private static func settings(_ account: Account?) -> LaunchSettings {
        LaunchSettings(
            account: account, umask: 0o022, fileSizeBytesMax: nil, descriptorsMax: 1024,
            resetsOomScore: Host.isShieldedFromOutOfMemory)
    }

    func leave() { groups.leave() }

    var all: [(name: String, step: String, run: (Int) throws -> Void)] {
        [
            ("posix_spawn of sh -c true", "", { _ in try self.runBare() }),
            ("and distcomp-launch, capabilities dropped", "distcomp-launch", { _ in try self.run(by: self.ofOurUser) }),
            ("and as user nobody", "the change of user", { _ in try self.run(by: self.ofAnother) }),
            ("and in a new control group", "a new control group", { try self.runInGroup("a\($0)") }),
            ("or in one used before", "one used before", { try self.runInSpareGroup("c\($0)") }),
            ("and with output files", "a folder with two files", { try self.runWithOutput("b\($0)") }),
            ("or with output that is packed", "a packed output", { try self.runWithPackedOutput($0) }),
        ]
    }

    private func runBare() throws {
        try end(
            ChildProcesses.start(
                Self.command[0], Array(Self.command.dropFirst()), descriptors: [null.raw, null.raw, null.raw]))
    }

    private func run(by launcher: ProcessLauncher) throws {
        try end(launch(launcher, null.raw, null.raw, joining: [], bornIn: nil))
    }

    private func runInGroup(_ name: String) throws {
        groups.reusesGroups = false
        try run(in: groups.prepareGroup(named: name, limits: Self.limits), standardOutput: nil, standardError: nil)
    }

    private func runInSpareGroup(_ name: String, standardOutput: Int32? = nil, standardError: Int32? = nil) throws {
        groups.reusesGroups = true
        try run(
            in: groups.prepareGroup(named: name, limits: Self.spareLimits), standardOutput: standardOutput,
            standardError: standardError)
    }

    private func run(in group: TaskGroup, standardOutput: Int32?, standardError: Int32?) throws {
        let isBornThere = ProcessLauncher.canSpawnInGroup
        try end(
            launch(
                ofAnother, standardOutput ?? null.raw, standardError ?? null.raw,
                joining: groups.joiningDescriptors(of: group, exceptUnified: isBornThere),
                bornIn: isBornThere ? groups.cgroupDescriptor(of: group) : nil))
        let usage = try groups.usage(of: group)
        _ = try waited("the end of a control group") { try groups.retire(group, after: usage) ? true : nil }
    }

    private func runWithOutput(_ name: String) throws {
        let output = try outputs.createOutput(named: name)
        try runInSpareGroup(name, standardOutput: output.standardOutput.raw, standardError: output.standardError.raw)
    }

    private func runWithPackedOutput(_ number: Int) throws {
        let digits = String(number, radix: 16)
        let name = String(repeating: "0", count: 16 - digits.count) + digits
        let output = try packedOutputs.beginOutput(named: name, attempt: 1)
        try OwnedDescriptor.duplicate(of: output.standardOutput.raw).writeAll(
            Array("\(number)\n".utf8), subject: "output")
        try runInSpareGroup(name, standardOutput: output.standardOutput.raw, standardError: output.standardError.raw)
        if let error = packedOutputs.store(output, endedUnixMilliseconds: 0) { throw error }
    }

    private func launch(
        _ launcher: ProcessLauncher, _ standardOutput: Int32, _ standardError: Int32, joining: [SharedDescriptor],
        bornIn: SharedDescriptor?
    ) throws -> Int32 {
        try launcher.launch(
            Self.command.map { Array($0.utf8) }, environment: Host.environment, standardOutput: standardOutput,
            standardError: standardError, joining: joining, bornIn: bornIn)
    }

    private func end(_ process: Int32) throws {
        let ending = try ChildProcesses.wait(for: process)
        guard ending == .exit(code: 0) else { throw BenchError(description: "sh -c true ended with \(ending)") }
    }
}
