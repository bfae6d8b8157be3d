// A launch that waits for its task: once told, it is a launch like any other.

import CLinux
import Glibc
import Testing

@testable import LinuxSystem

@Suite("A launch that stands by", .enabled(if: hasLauncher, "needs distcomp-launch, which `make debug` builds"))
struct StandbyLaunchTests {
    private let bench: LaunchBench

    init() throws { bench = try LaunchBench(account: canLaunchAsNobody ? nobody : nil) }

    /// A launch that waits, told to run `words`.
    private func run(
        _ words: [String], environment: [String] = LaunchBench.standardEnvironment
    ) throws -> LaunchResult {
        let standby = try bench.standBy()
        try bench.begin(words, environment: environment, on: standby)
        return try bench.finish(standby.process)
    }

    @Test("runs what it is told with exactly the arguments, environment and streams it is given")
    func runsAsTold() throws {
        let given = ["A=1", "EMPTY=", "LINES=a\nb", "PATH=/usr/bin:/bin"]
        let environment = try run(["/usr/bin/env", "-0"], environment: given)
        #expect(environment.output.split(separator: 0).map { String(decoding: $0, as: UTF8.self) } == given)
        let arguments = try run(["printf", "%s|", "", "-s", "--", "naïve", "a b"])
        #expect(arguments.text == "|-s|--|naïve|a b|")
        let streams = try run(["sh", "-c", "cat; echo to output; echo to error >&2; exit 3"])
        #expect(streams.text == "to output\n" && streams.errorOutput == "to error\n")
        #expect(streams.ending == .exit(code: 3))
        #expect(try run(["/usr/bin/env"], environment: []).text == "")
    }

    @Test("becomes a task without a privilege, in a session of its own, with three descriptors")
    func privileges() throws {
        let status = try run(["cat", "/proc/self/status"])
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] where Host.isRoot {
            #expect(status.words(after: set) == ["0000000000000000"], "\(set)")
        }
        #expect(status.words(after: "NoNewPrivs") == ["1"])
        #expect(status.words(after: "NSsid") == [String(status.process)])
        for set in ["SigBlk", "SigIgn"] { #expect(status.words(after: set) == ["0000000000000000"], "\(set)") }
        if canLaunchAsNobody { #expect(status.words(after: "Uid")?.allSatisfy { $0 != "0" } == true) }
        #expect(try run(["sh", "-c", "ls /proc/$$/fd; true"]).lines == ["0", "1", "2"])
    }

    @Test("ends by itself once nobody can tell it anything any more")
    func abandoned() throws {
        var standby: LaunchBench.WaitingLaunch? = try bench.standBy()
        let process = try #require(standby).process
        #expect(try ChildProcesses.endingIfEnded(process) == nil)
        standby = nil
        #expect(try endOf(process) == .exit(code: 0))
        #expect(bench.launcher.failures().isEmpty)
    }

    @Test("a program that cannot be executed is told with its step and errno")
    func missing() throws {
        let result = try run(["/nonexistent/program"])
        #expect(result.failure == LauncherFailure(process: result.process, step: .execute, code: ENOENT))
        #expect(result.ending == .exit(code: 125))
    }

    @Test("a command too long for one message, or with a NUL byte in it, is no order; the longest that fits runs")
    func bounds() throws {
        func order(_ words: [String]) -> LaunchOrder? {
            LaunchOrder(words.map { Array($0.utf8) }, environment: [])
        }
        let longest = String(repeating: "x", count: LaunchOrder.bytesMax - 4 - "echo".utf8.count - 2)
        #expect(order(["echo", longest + "x"]) == nil)
        #expect(order(["echo", "a\0b"]) == nil)
        #expect(order([]) == nil)
        #expect(LaunchOrder([Array("env".utf8)], environment: [Array("A=\0".utf8)]) == nil)
        #expect(try run(["echo", longest], environment: []).text == longest + "\n")
    }

    @Test("it waits for its own order, and its launcher begins others meanwhile; it goes on when that ends")
    func besideItsLauncher() throws {
        let staying = try bench.stay()
        let launch = try staying.standBy(number: 1, joining: [], bornIn: nil)
        let waiting = LaunchBench.WaitingLaunch(launch: launch, process: try bench.processBegun(number: 1))
        #expect(try bench.finish(try bench.begin(["echo", "other"], on: staying)).text == "other\n")
        ChildProcesses.kill(process: staying.process)
        _ = try ChildProcesses.wait(for: staying.process)
        // Nobody takes it for its launcher, once it waits.
        while (try? bench.tell(["true"], number: 9, on: staying)) != nil { pause(milliseconds: 1) }
        try bench.begin(["echo", "own"], on: waiting)
        #expect(try bench.finish(waiting.process).text == "own\n")
    }

    @Test("one that was killed is found so when it is to begin")
    func killed() throws {
        let standby = try bench.standBy()
        ChildProcesses.kill(process: standby.process)
        _ = try ChildProcesses.wait(for: standby.process)
        // Its launcher may have the other end for a moment longer.
        while (try? bench.begin(["true"], on: standby)) != nil { pause(milliseconds: 1) }
    }

    @Test(
        "a message that is no order is refused, and nothing runs",
        arguments: [
            [], [1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0, 65, 0], [2, 0, 0, 0, 65, 0], [1, 0, 0, 0, 65, 66],
            [255, 255, 255, 255, 65, 0],
            // With a place of its own: that is not there, without arguments, with more of them than there are strings.
            [1, 0, 0, 128, 0], [1, 0, 0, 128, 0, 0], [0, 0, 0, 128, 0, 0, 65, 0], [2, 0, 0, 128, 0, 0, 65, 0],
        ])
    func malformed(bytes: [UInt8]) throws {
        for descriptorCount in 0...3 where descriptorCount != 2 || !bytes.isEmpty {
            let result = try sent(bytes, descriptorCount: descriptorCount)
            if bytes.isEmpty {
                #expect(result.ending == .exit(code: 0))
            } else {
                #expect(result.failure?.step == .arguments)
                #expect(result.ending == .exit(code: 125))
            }
        }
        // A good one without its streams is none either.
        for descriptorCount in [0, 1, 3] {
            let result = try sent([1, 0, 0, 0] + Array("true\0".utf8), descriptorCount: descriptorCount)
            #expect(result.failure?.step == .arguments, "\(descriptorCount)")
        }
        // Nor is one that tells of a standard input and brings none.
        for descriptorCount in [0, 1, 2, 4] {
            let result = try sent([1, 0, 0, 64] + Array("true\0".utf8), descriptorCount: descriptorCount)
            #expect(result.failure?.step == .arguments, "\(descriptorCount)")
        }
    }

    private func sent(_ bytes: [UInt8], descriptorCount: Int) throws -> LaunchResult {
        let standby = try bench.standBy()
        let socket = standby.launch.socket.raw
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let sent =
            descriptorCount == 0
            ? send(socket, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            : clinux_send_with_descriptors(
                socket, bytes, bytes.count, Array(repeating: null.raw, count: descriptorCount), Int32(descriptorCount))
        try #require(sent == bytes.count)
        return try bench.finish(standby.process)
    }

    @Test("a command of its own and an order to stay exclude each other")
    func contradiction() throws {
        #expect(try launchDirectly(["-s", "--", "true"]).failure?.step == .arguments)
        #expect(try launchDirectly(["-c", "0"]).failure?.step == .arguments)
    }

    @Test(
        "it waits in its group, and limits written meanwhile hold for its task", .enabled(if: canAdopt, needsTree))
    func limits() throws {
        let bed = try TreeBed()
        let group = try bed.group(TaskLimits())
        let standby = try bed.bench.standBy(joining: try bed.tree.joiningDescriptors(of: group))
        try waitUntil("it is in its group") { try bed.tree.processes(of: group) == [standby.process] }
        try bed.tree.setLimits(TaskLimits(memoryBytesMax: 32 << 20, processesMax: 10), of: group)
        try bed.bench.begin(["sh", "-c", "tail /dev/zero; exit 7"], on: standby)
        let ending = try endOf(standby.process)
        #expect(ending == .exit(code: 7) || ending == .signal(SIGKILL))
        let usage = try bed.tree.usage(of: group)
        #expect(try #require(usage.oomKills) > 0)
        #expect(try #require(usage.memoryPeakBytes) <= 32 << 20)
        try bed.killAndRemove(group)
    }
}
