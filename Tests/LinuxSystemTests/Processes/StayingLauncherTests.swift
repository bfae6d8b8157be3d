// A launcher that stays: what it begins is a launch like any other, and a child of who asked for it.

import CLinux
import Glibc
import Testing

@testable import LinuxSystem

@Suite("A launcher that stays", .enabled(if: hasLauncher, "needs distcomp-launch, which `make debug` builds"))
struct StayingLauncherTests {
    private let bench: LaunchBench
    private let staying: StayingLauncher

    /// What it begins is a copy of it, or one that has its memory while it waits: nobody may notice a difference.
    enum Manner: CaseIterable { case copied, sharing }

    init() throws {
        bench = try LaunchBench(account: canLaunchAsNobody ? nobody : nil)
        staying = try bench.stay()
    }

    private func run(
        _ words: [String], environment: [String] = LaunchBench.standardEnvironment, place: LaunchPlace? = nil,
        processors: [Int] = [], joining groups: [SharedDescriptor] = [], _ manner: Manner
    ) throws -> LaunchResult {
        try bench.finish(
            try bench.begin(
                words, environment: environment, place: place, processors: processors, joining: groups, on: staying,
                mayWait: manner == .sharing))
    }

    @Test(
        "begins one task after the other, each with exactly the arguments, environment and streams it is given",
        arguments: Manner.allCases)
    func runsAsTold(_ manner: Manner) throws {
        for given in [["A=1", "EMPTY=", "LINES=a\nb"], ["B=2"], []] {
            let environment = try run(["/usr/bin/env", "-0"], environment: given, manner)
            #expect(environment.output.split(separator: 0).map { String(decoding: $0, as: UTF8.self) } == given)
        }
        #expect(try run(["printf", "%s|", "", "-s", "--", "naïve", "a b"], manner).text == "|-s|--|naïve|a b|")
        let streams = try run(["sh", "-c", "cat; echo to output; echo to error >&2; exit 3"], manner)
        #expect(streams.text == "to output\n" && streams.errorOutput == "to error\n")
        #expect(streams.ending == .exit(code: 3))
    }

    @Test(
        "what it begins is a child of ours without a privilege, in a session of its own, with three descriptors",
        arguments: Manner.allCases)
    func privileges(_ manner: Manner) throws {
        let status = try run(["cat", "/proc/self/status"], manner)
        #expect(status.words(after: "PPid") == [String(getpid())])
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] where Host.isRoot {
            #expect(status.words(after: set) == ["0000000000000000"], "\(set)")
        }
        #expect(status.words(after: "NoNewPrivs") == ["1"])
        #expect(status.words(after: "NSsid") == [String(status.process)])
        for set in ["SigBlk", "SigIgn"] { #expect(status.words(after: set) == ["0000000000000000"], "\(set)") }
        if canLaunchAsNobody, let nobody {
            #expect(status.words(after: "Uid") == Array(repeating: String(nobody.userIdentifier), count: 4))
            #expect(status.words(after: "Gid") == Array(repeating: String(nobody.groupIdentifier), count: 4))
            #expect(status.words(after: "Groups") == nobody.groupIdentifiers.map { String($0) })
        }
        #expect(
            try run(["sh", "-c", "ls /proc/$$/fd; umask; ulimit -Sn; ulimit -c; true"], manner).lines == [
                "0", "1", "2", "0022", "1024", "0",
            ])
    }

    @Test(
        "a directory, an input and processors hold for the task that has them, and for no other",
        arguments: Manner.allCases)
    func place(_ manner: Manner) throws {
        let input = try LaunchPlace.Input.text(Array("given".utf8))
        let processor = try #require(Processors.allowed().last)
        let own = try run(
            ["sh", "-c", "pwd; cat; echo; taskset -pc $$"], place: LaunchPlace(directory: "/usr", input: input),
            processors: [processor], manner)
        #expect(own.lines.prefix(2) == ["/usr", "given"] && own.lines.last?.hasSuffix(": \(processor)") == true)
        let other = try run(["sh", "-c", "pwd; cat"], manner)
        #expect(other.text == FileSystem.workingDirectory + "\n")
        let missing = try run(["true"], place: LaunchPlace(directory: "/nonexistent", input: nil), manner)
        #expect(missing.failure?.step == .ownDirectory && missing.failure?.code == ENOENT)
    }

    @Test(
        "a program that cannot be executed, and a group that cannot be joined, are told with step and errno, and others go on",
        arguments: Manner.allCases)
    func refused(_ manner: Manner) throws {
        let result = try run(["/nonexistent/program"], manner)
        #expect(result.failure == LauncherFailure(process: result.process, step: .execute, code: ENOENT))
        #expect(result.ending == .exit(code: 125))
        let full = SharedDescriptor(try OwnedDescriptor.open("/dev/full", [.writeOnly]))
        let null = SharedDescriptor(try OwnedDescriptor.open("/dev/null", [.writeOnly]))
        #expect(try run(["true"], joining: [null, full], manner).failure?.step == .joinControlGroup)
        #expect(try run(["echo", "on"], joining: [null, null], manner).text == "on\n")
    }

    @Test("many at once are begun, and each is told under its own number", arguments: Manner.allCases)
    func many(_ manner: Manner) throws {
        var processes: [Int32: UInt32] = [:]
        for number in UInt32(1)...200 {
            let process = try bench.begin(
                ["sh", "-c", "exit \(number % 100)"], number: number, on: staying, mayWait: manner == .sharing)
            processes[process] = number
        }
        #expect(processes.count == 200)
        for (process, number) in processes {
            #expect(try ChildProcesses.wait(for: process) == .exit(code: Int32(number % 100)))
        }
    }

    @Test("when it is killed, what it began goes on as our child, and it takes no more", arguments: Manner.allCases)
    func killed(_ manner: Manner) throws {
        let task = try bench.begin(
            ["sh", "-c", "read line < /dev/null; exec sleep 60"], on: staying, mayWait: manner == .sharing)
        ChildProcesses.kill(process: staying.process)
        _ = try ChildProcesses.wait(for: staying.process)
        #expect(try ChildProcesses.endingIfEnded(task) == nil)
        // The task has a copy of the socket until it executes its program.
        while (try? bench.tell(["true"], number: 9, on: staying)) != nil { pause(milliseconds: 1) }
        ChildProcesses.kill(process: task)
        #expect(try ChildProcesses.wait(for: task) == .signal(SIGKILL))
    }

    @Test("it ends by itself once nobody can tell it anything any more, and what it began goes on")
    func abandoned() throws {
        var other: StayingLauncher? = try bench.stay()
        let process = try #require(other).process
        let task = try bench.begin(["sleep", "60"], on: try #require(other))
        #expect(try ChildProcesses.endingIfEnded(process) == nil)
        other = nil
        #expect(try endOf(process) == .exit(code: 0))
        #expect(try ChildProcesses.endingIfEnded(task) == nil)
        ChildProcesses.kill(process: task)
        _ = try ChildProcesses.wait(for: task)
    }

    @Test(
        "its memory and environment cannot be read, nor can it be traced, by the user whom tasks run as",
        .enabled(if: canLaunchAsNobody, "needs root and a user to become"), arguments: Manner.allCases)
    func unreachable(_ manner: Manner) throws {
        let looks =
            "cat /proc/\(staying.process)/environ >&2; cat /proc/\(staying.process)/mem >&2; kill -0 \(staying.process)"
        let result = try run(["sh", "-c", looks], manner)
        #expect(result.ending != .exit(code: 0) && result.errorOutput.contains("denied"), "\(result.errorOutput)")
    }

    @Test(
        "whichever step fails, nothing runs, and the step and its errno are told",
        .enabled(if: hasLauncher && Host.isRoot, "needs root"),
        arguments: LaunchStep.allCases.filter { ![.arguments, .begin].contains($0) }, Manner.allCases)
    func injected(step: LaunchStep, _ manner: Manner) throws {
        let folder = try TemporaryFolder()
        #expect(chmod(folder.path, 0o777) == 0)
        let evidence = folder.path + "/evidence"
        let options = [
            "-s", "-b", "01ff", "-o", "-n", "1", "-f", "100000", "-d", "64", "-u", "65534", "-g", "65534", "-G", "",
        ]
        let direct = try DirectLauncher(options + ["-F", String(step.rawValue), "-E", String(EXFULL)])
        let order = try #require(
            LaunchOrder(["touch", evidence].map { Array($0.utf8) }, environment: [Array("PATH=/bin:/usr/bin".utf8)]))
        // One that fails before it waits has ended, or is about to.
        _ = try? direct.tell(order, mayWait: manner == .sharing)
        let failure = try direct.failure()
        #expect(failure.step == step && failure.code == EXFULL)
        direct.end()
        #expect(!FileSystem.exists(evidence), "the task ran")
    }

    @Test(
        "a message that is no order is told as one that was not begun, or as a failed launch, and the next is begun",
        arguments: [
            [1], [1, 0, 0, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0, 0],
            [1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 65, 0], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 65, 0],
            [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 120, 0, 65, 0],
            [1, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 65, 0],
        ])
    func malformed(bytes: [UInt8]) throws {
        let direct = try DirectLauncher(["-s"])
        try direct.tell(bytes: bytes)
        #expect(try direct.failure().step == .arguments)
        let order = try #require(LaunchOrder([Array("/bin/true".utf8)], environment: []))
        try direct.tell(order)
        #expect(try direct.begun() > 0)
        direct.end()
    }
}

/// A launcher with options of the test's own choosing.
private final class DirectLauncher {
    private let pipe: PipeEnds
    private let socket: OwnedDescriptor
    private let null: OwnedDescriptor
    private let process: Int32
    private var children: [Int32] = []

    init(_ options: [String]) throws {
        pipe = try OwnedDescriptor.pipe()
        null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        var ends: [Int32] = [-1, -1]
        guard clinux_message_sockets(&ends) == 0 else { throw SystemError.last("socketpair", "") }
        socket = OwnedDescriptor(adopting: ends[0])
        let theirs = OwnedDescriptor(adopting: ends[1])
        let words = [launcherPath] + options
        process = try spawn(
            words[0], words.map { Array($0.utf8) }, environment: [],
            handing: [null.raw, null.raw, null.raw, pipe.writing.raw, theirs.raw])
    }

    func tell(bytes: [UInt8], descriptorCount: Int = 2) throws {
        let descriptors = Array(repeating: null.raw, count: descriptorCount)
        let sent = clinux_send_with_descriptors(
            socket.raw, bytes, bytes.count, descriptors, Int32(descriptorCount))
        guard sent == bytes.count else { throw SystemError.last("sendmsg", "") }
    }

    func tell(_ order: LaunchOrder, mayWait: Bool = false) throws {
        // One group.
        try tell(bytes: [1, 0, 0, 0, 1, 0, 0, 0, mayWait ? 4 : 0, 0, 0, 0] + order.message, descriptorCount: 3)
    }

    private func record() throws -> (Int32, Int32, Int32) {
        var record: (Int32, Int32, Int32) = (0, 0, 0)
        _ = try DescriptorWait.until(pipe.reading.raw, readable: true, writable: false, atMostMilliseconds: nil)
        guard read(pipe.reading.raw, &record, 12) == 12 else { throw SystemError.last("read", "") }
        if record.1 == 0 { children.append(record.0) }
        return record
    }

    /// The first that it tells.
    func failure() throws -> (step: LaunchStep?, code: Int32) {
        while true {
            let (_, step, code) = try record()
            if step > 0 { return (LaunchStep(rawValue: step), code) }
        }
    }

    /// The process of the next that it begins, by its own word and by that of the launcher.
    func begun() throws -> Int32 {
        var said: Set<Int32> = []
        while true {
            let (process, step, _) = try record()
            if step <= 0, !said.insert(process).inserted { return process }
        }
    }

    /// Ends it, and waits for all that it began.
    func end() {
        ChildProcesses.kill(process: process)
        for child in children + [process] { _ = try? ChildProcesses.wait(for: child) }
    }
}
