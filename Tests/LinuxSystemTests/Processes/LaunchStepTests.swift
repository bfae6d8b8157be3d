// A launch is all or nothing: whichever step fails, the task does not run, and the step and its errno are told.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Launch steps", .enabled(if: hasLauncher, "needs distcomp-launch, which `make debug` builds"))
struct LaunchStepTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private var evidence: String { folder.path + "/evidence" }

    private func expectRefusal(_ step: LaunchStep, _ code: Int32, _ result: LaunchResult) {
        #expect(result.failure == LauncherFailure(process: result.process, step: step, code: code))
        #expect(result.ending == .exit(code: 125))
        #expect(!FileSystem.exists(evidence), "the task ran")
    }

    @Test(
        "a step that fails keeps the task from running and is told with its errno",
        .enabled(if: hasLauncher && Host.isRoot, "needs root"),
        arguments: LaunchStep.allCases.filter { ![.arguments, .begin].contains($0) })
    func injected(step: LaunchStep) throws {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        #expect(chmod(folder.path, 0o777) == 0)
        let everyStep = [
            "-b", "01ff", "-o", "-n", "1", "-f", "100000", "-d", "64", "-u", "65534", "-g", "65534", "-G", "", "-c",
            "1",
        ]
        let command = ["--", "touch", evidence]
        let failing = ["-F", String(step.rawValue), "-E", String(EXFULL)]
        let result = try launchDirectly(everyStep + failing + command, groupDescriptors: [null.raw], through: "cd /")
        expectRefusal(step, EXFULL, result)
        // The same launch without the failure runs: it was the failure that kept it from running.
        let sound = try launchDirectly(everyStep + command, groupDescriptors: [null.raw], through: "cd /")
        #expect(sound.failure == nil)
        #expect(sound.ending == .exit(code: 0))
        #expect(FileSystem.exists(evidence))
    }

    @Test("the calls of all steps have names", arguments: LaunchStep.allCases)
    func names(step: LaunchStep) {
        #expect(!step.callName.isEmpty)
    }

    @Test(
        "options that make no sense are refused, never half-read",
        arguments: [
            ["-u", "-1", "-g", "1"], ["-u", "4294967295", "-g", "1"], ["-u", "4294967296", "-g", "1"],
            ["-u", " 5", "-g", "1"],
            ["-u", "5x", "-g", "1"], ["-u", "", "-g", "1"], ["-u", "5"], ["-g", "5"], ["-u", "5", "-g", "4294967295"],
            ["-G", "1,-2"], ["-G", "1,,2"], ["-G", "x"], ["-G", "4294967296"], ["-m", "999"], ["-m", "1777"],
            ["-c", "99"],
            ["-c", "-1"], ["-n", "x"], ["-n", "99"], ["-d", "99999999999999999999999"], ["-Z"], ["-u"],
        ])
    func badOptions(options: [String]) throws {
        let command = options.last == "-u" ? [] : ["--", "touch", evidence]
        expectRefusal(.arguments, EINVAL, try launchDirectly(options + command))
    }

    @Test("more groups than there is room for, and no program at all, are refused")
    func badLists() throws {
        let groups = (0...256).map { String($0) }.joined(separator: ",")
        expectRefusal(.arguments, EINVAL, try launchDirectly(["-G", groups, "--", "touch", evidence]))
        expectRefusal(.arguments, EINVAL, try launchDirectly([]))
        expectRefusal(.arguments, EINVAL, try launchDirectly(["--"]))
    }

    @Test("a group that cannot be joined keeps the task from running")
    func joinFails() throws {
        let readOnly = try OwnedDescriptor.open("/dev/null", [.readOnly])
        let command = ["--", "touch", evidence]
        expectRefusal(
            .joinControlGroup, EBADF, try launchDirectly(["-c", "1"] + command, groupDescriptors: [readOnly.raw]))
        expectRefusal(.joinControlGroup, EBADF, try launchDirectly(["-c", "1"] + command))
        let full = try OwnedDescriptor.open("/dev/full", [.writeOnly])
        let null = try OwnedDescriptor.open("/dev/null", [.writeOnly])
        let second = try launchDirectly(["-c", "2"] + command, groupDescriptors: [null.raw, full.raw])
        expectRefusal(.joinControlGroup, ENOSPC, second)
    }

    @Test("a session that cannot be had keeps the task from running")
    func sessionFails() throws {
        expectRefusal(.setsid, EPERM, try launchDirectly(["--", "touch", evidence], inNewSession: true))
    }

    @Test(
        "what an unprivileged launcher may not do, it refuses to do without",
        .enabled(if: canLaunchAsNobody, "needs root, and a working directory others may enter"),
        arguments: [
            (["-u", "0", "-g", "0", "-G", ""], LaunchStep.groups, EPERM), (["-u", "1", "-g", "1"], .groups, EPERM),
            (["-b", "1"], .boundingSet, EPERM), (["-n", "-5"], .nice, EACCES), (["-a", "8191"], .affinity, EINVAL),
        ])
    func unprivileged(options: [String], step: LaunchStep, code: Int32) throws {
        // A launch within a launch, whose status pipe is its standard output.
        let bench = try LaunchBench(account: nobody)
        let words =
            ["sh", "-c", "exec 3>&1; \"$@\"; exit $?", "sh", launcherPath] + options + ["--", "touch", evidence]
        #expect(chmod(folder.path, 0o777) == 0)
        let result = try bench.run(words)
        #expect(result.ending == .exit(code: 125))
        try #require(result.output.count == 12)
        let numbers = result.output.withUnsafeBytes {
            [$0.loadUnaligned(fromByteOffset: 4, as: Int32.self), $0.loadUnaligned(fromByteOffset: 8, as: Int32.self)]
        }
        #expect(numbers == [step.rawValue, code])
        #expect(!FileSystem.exists(evidence))
    }

    @Test("a launcher without a status pipe runs nothing")
    func noStatusPipe() throws {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let words = [launcherPath, "--", "touch", evidence]
        let process = try spawn(
            launcherPath, words.map { Array($0.utf8) }, environment: [], handing: [null.raw, null.raw, null.raw])
        #expect(try endOf(process) == .exit(code: 125))
        #expect(!FileSystem.exists(evidence))
    }
}
