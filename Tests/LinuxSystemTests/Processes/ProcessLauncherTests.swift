// Inside a task: nothing of the daemon's is there, and everything that was specified is.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Inside a task", .enabled(if: hasLauncher, "needs distcomp-launch, which `make debug` builds"))
struct InsideTaskTests {
    @Test(
        "a task of nobody has nobody's ids and groups, and no capability in any set",
        .enabled(if: canLaunchAsNobody, "needs root, and a working directory others may enter"))
    func asNobody() throws {
        let account = try #require(nobody)
        let status = try LaunchBench(account: account).run(["cat", "/proc/self/status"])
        #expect(status.ending == .exit(code: 0))
        let user = String(account.userIdentifier)
        let group = String(account.groupIdentifier)
        #expect(status.words(after: "Uid") == [user, user, user, user])
        #expect(status.words(after: "Gid") == [group, group, group, group])
        #expect(status.words(after: "Groups") == account.groupIdentifiers.map { String($0) }.sorted())
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            #expect(status.words(after: set) == ["0000000000000000"], "\(set)")
        }
        #expect(status.words(after: "NoNewPrivs") == ["1"])
    }

    @Test("a task of the daemon's own user has its ids and no capability it could use")
    func asOurselves() throws {
        let status = try LaunchBench().run(["cat", "/proc/self/status"])
        #expect(status.ending == .exit(code: 0))
        #expect(status.words(after: "Uid") == Array(repeating: String(getuid()), count: 4))
        #expect(status.words(after: "Gid") == Array(repeating: String(getgid()), count: 4))
        // Without CAP_SETPCAP the bounding set cannot be changed; NoNewPrivs makes it void.
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] + (Host.isRoot ? ["CapBnd"] : []) {
            #expect(status.words(after: set) == ["0000000000000000"], "\(set)")
        }
        #expect(status.words(after: "NoNewPrivs") == ["1"])
    }

    @Test("a task has a session of its own, no signal blocked and none ignored")
    func sessionAndSignals() throws {
        // Whatever the daemon ignores or blocks must not reach the task.
        signal(SIGPIPE, SIG_IGN)
        var blocked = sigset_t()
        var before = sigset_t()
        sigemptyset(&blocked)
        sigaddset(&blocked, SIGUSR2)
        #expect(pthread_sigmask(SIG_BLOCK, &blocked, &before) == 0)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }

        let status = try LaunchBench().run(["cat", "/proc/self/status"])
        for name in ["SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"] {
            #expect(status.words(after: name) == ["0000000000000000"], "\(name)")
        }
        #expect(status.words(after: "NSsid") == [String(status.process)])
        #expect(status.words(after: "NSpgid") == [String(status.process)])
    }

    @Test("a task has descriptors 0 to 2 only, also when the daemon holds one that is not close-on-exec")
    func descriptors() throws {
        let null = try OwnedDescriptor.open("/dev/null", [.readOnly])
        let leaky = OwnedDescriptor(adopting: dup(null.raw))
        #expect(fcntl(leaky.raw, F_GETFD) == 0)
        let bench = try LaunchBench()
        // The shell lists its own; a listing of the lister's would hold the directory being read.
        let result = try bench.run(["sh", "-c", "ls /proc/$$/fd; true"])
        #expect(result.lines == ["0", "1", "2"])
        #expect(leaky.raw > 2)
    }

    @Test("a task reads nothing from standard input")
    func standardInput() throws {
        #expect(try LaunchBench().run(["sh", "-c", "cat; readlink /proc/$$/fd/0"]).text == "/dev/null\n")
    }

    @Test("standard output and error go where they were sent")
    func streams() throws {
        let result = try LaunchBench().run(["sh", "-c", "echo to output; echo to error >&2"])
        #expect(result.text == "to output\n")
        #expect(result.errorOutput == "to error\n")
    }

    @Test("a task's environment is exactly what it was given, byte for byte")
    func environment() throws {
        let given = ["A=1", "EMPTY=", "EQUALS=a=b", "LINES=a\nb", "DISTCOMP_TASK=17"]
        let result = try LaunchBench().run(["/usr/bin/env", "-0"], environment: given)
        #expect(result.output.split(separator: 0).map { String(decoding: $0, as: UTF8.self) } == given)
        #expect(try LaunchBench().run(["/usr/bin/env"], environment: []).text == "")
    }

    @Test("arguments arrive byte for byte, empty ones and those that look like options too")
    func arguments() throws {
        let result = try LaunchBench().run(["/usr/bin/printf", "%s|", "", "-u", "--", "0", "naïve", "a b", "$HOME"])
        #expect(result.text == "|-u|--|0|naïve|a b|$HOME|")
    }

    @Test("umask, nice value and limits are those of the settings")
    func limits() throws {
        let bench = try LaunchBench(umask: 0o027, fileSizeBytesMax: 1 << 20, descriptorsMax: 256, nice: 3)
        #expect(try bench.run(["sh", "-c", "umask"]).text == "0027\n")
        #expect(try bench.run(["nice"]).text == "\(getpriority(__priority_which_t(0), 0) + 3)\n")
        let result = try bench.run(["cat", "/proc/self/limits"])
        #expect(limit("Max core file size", in: result) == ["0", "0"])
        #expect(limit("Max file size", in: result) == ["1048576", "1048576"])
        #expect(limit("Max open files", in: result)?.first == "256")
        let unlimited = try LaunchBench().run(["cat", "/proc/self/limits"])
        let ours = try FileSystem.text(of: "/proc/self/limits").split(separator: "\n").first {
            $0.hasPrefix("Max file size")
        }
        #expect(
            limit("Max file size", in: unlimited)?.last
                == ours?.split(separator: " ").dropFirst(4).first.map { String($0) })
    }

    private func limit(_ name: String, in result: LaunchResult) -> [String]? {
        result.lines.first { $0.hasPrefix(name) }
            .map { $0.dropFirst(name.count).split(separator: " ").prefix(2).map { String($0) } }
    }

    @Test("output beyond the file size limit ends the task, not the disk")
    func fileSizeLimit() throws {
        let result = try LaunchBench(fileSizeBytesMax: 4096).run(["head", "-c", "100000", "/dev/zero"])
        #expect(result.ending == .signal(SIGXFSZ))
        #expect(result.output.count == 4096)
    }

    @Test("what shields the daemon from the out-of-memory killer does not shield its tasks")
    func oomScore() throws {
        // Only a raised value can be set without privileges; that it comes back to 0 shows the reset all the same.
        let raise = "echo 500 >/proc/self/oom_score_adj"
        let reset = try launchDirectly(["-o", "--", "cat", "/proc/self/oom_score_adj"], through: raise)
        #expect(reset.text == "0\n")
        let kept = try launchDirectly(["--", "cat", "/proc/self/oom_score_adj"], through: raise)
        #expect(kept.text == "500\n")
    }

    @Test(
        "supplementary groups are exactly those asked for, none included",
        .enabled(if: canLaunchAsNobody, "needs root, and a working directory others may enter"),
        arguments: [[], [65_533], [7, 65_533, 4_294_967_294]])
    func supplementaryGroups(groups: [UInt32]) throws {
        let list = groups.map { String($0) }.joined(separator: ",")
        let result = try launchDirectly([
            "-u", "65534", "-g", "65532", "-G", list, "--", "cat", "/proc/self/status",
        ])
        #expect(result.words(after: "Groups") == groups.map { String($0) })
        #expect(result.words(after: "Gid") == ["65532", "65532", "65532", "65532"])
    }

    @Test(
        "a set-user-id program gives a task nothing",
        .enabled(if: canLaunchAsNobody, "needs root, and a working directory others may enter"))
    func setUserIdentifier() throws {
        let folder = try TemporaryFolder()
        #expect(try run("/bin/cp", ["/bin/cat", folder.path + "/cat"]) == .exit(code: 0))
        #expect(chmod(folder.path + "/cat", 0o4755) == 0)
        let result = try LaunchBench(account: nobody).run([folder.path + "/cat", "/proc/self/status"])
        #expect(result.words(after: "Uid")?.allSatisfy { $0 == "65534" } == true)
        #expect(result.words(after: "CapEff") == ["0000000000000000"])
    }

    @Test("each descriptor arrives at its number, also where a launch overwrites the numbers it hands on")
    func lowDescriptors() throws {
        let folder = try TemporaryFolder()
        let files = try (0..<12).map {
            SharedDescriptor(try OwnedDescriptor.open(try folder.file("\($0)"), [.readOnly]))
        }
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let output = try OwnedDescriptor.open(folder.path + "/output", [.readWrite, .create], mode: 0o600)
        // Backwards, and so many that every number handed on is also one to be overwritten.
        var handed = [null.raw, output.raw, null.raw] + files.reversed().map(\.raw)
        let highest = max(output.raw, null.raw, files.map(\.raw).max() ?? 0)
        while handed.count <= highest { handed.append(null.raw) }
        let words = ["sh", "-c", "for n in 3 4 5 6 7 8 9 10 11 12 13 14; do readlink /proc/$$/fd/$n; done"]
        let process = try spawn("/bin/sh", words.map { Array($0.utf8) }, environment: [], handing: handed)
        #expect(try endOf(process) == .exit(code: 0))
        let links = try FileSystem.text(of: folder.path + "/output").split(separator: "\n")
        #expect(links.map { String($0) } == (0..<12).reversed().map { "\(folder.path)/\($0)" })
    }
}

@Suite("Launch failures", .enabled(if: hasLauncher, "needs distcomp-launch, which `make debug` builds"))
struct LaunchFailureTests {
    private let bench: LaunchBench

    init() throws { bench = try LaunchBench(account: canLaunchAsNobody ? nobody : nil) }

    private func expectFailure(_ code: Int32, _ words: [String], environment: [String]? = nil) throws {
        let result = try bench.run(words, environment: environment ?? LaunchBench.standardEnvironment)
        #expect(result.failure == LauncherFailure(process: result.process, step: .execute, code: code))
        #expect(result.ending == .exit(code: 125))
        #expect(result.text == "" && result.errorOutput == "")
    }

    @Test("a program that is not there is ENOENT, by path and by name")
    func missing() throws {
        try expectFailure(ENOENT, ["/nonexistent/program"])
        try expectFailure(ENOENT, ["no-such-program-anywhere"])
        try expectFailure(ENOENT, [""])
        try expectFailure(ENOENT, [try bench.folder.executable("script", "#!/nonexistent/interpreter\n")])
    }

    @Test("a program that may not be executed is EACCES, as a directory is")
    func forbidden() throws {
        try expectFailure(EACCES, [try bench.folder.file("data", "echo no".utf8, mode: 0o644)])
        try expectFailure(EACCES, ["/tmp"])
        try expectFailure(EACCES, ["data"], environment: ["PATH=/nonexistent:\(bench.folder.path):/usr/bin"])
    }

    @Test("a program in no format the kernel knows is ENOEXEC")
    func garbage() throws {
        try expectFailure(ENOEXEC, [try bench.folder.file("binary", [0x7F, 0x00, 0x01, 0x02], mode: 0o755)])
        try expectFailure(ENOEXEC, [try bench.folder.file("empty", [], mode: 0o755)])
    }

    @Test("a script that lacks its #! line runs in sh with its arguments")
    func scriptWithoutInterpreter() throws {
        let script = try bench.folder.executable("script", "echo \"$0: $1, $2\"; exit 7\n")
        let result = try bench.run([script, "one", "two words"])
        #expect(result.failure == nil)
        #expect(result.text == "\(script): one, two words\n")
        #expect(result.ending == .exit(code: 7))
    }

    @Test("more arguments than the kernel takes are refused at the spawn")
    func tooMuch() throws {
        let error = #expect(throws: SystemError.self) {
            _ = try bench.start(["echo", String(repeating: "x", count: 3 << 20)])
        }
        #expect(error == SystemError(call: "posix_spawn", subject: launcherPath, code: E2BIG))
    }

    @Test("a NUL byte in a word or variable is refused, for it would cut the text to another command")
    func nulBytes() throws {
        let refusal = SystemError(call: "posix_spawn", subject: launcherPath, code: EINVAL)
        #expect(throws: refusal) { _ = try bench.start(["echo", "a\0b"]) }
        #expect(throws: refusal) { _ = try bench.start(["echo"], environment: ["A=\0"]) }
    }

    @Test("a launcher that is not there is an error of the spawn")
    func noLauncher() throws {
        let settings = LaunchSettings(
            account: nil, umask: 0o022, fileSizeBytesMax: nil, descriptorsMax: 64, resetsOomScore: false)
        let launcher = try ProcessLauncher(path: "/nonexistent/distcomp-launch", settings: settings)
        #expect(throws: SystemError(call: "posix_spawn", subject: "/nonexistent/distcomp-launch", code: ENOENT)) {
            _ = try launcher.launch([], environment: [], standardOutput: 1, standardError: 2, joining: [])
        }
    }

    @Test(
        "a command that is nowhere is not found, also where a directory of PATH may not be looked into",
        .enabled(if: canLaunchAsNobody, "needs root, and a working directory others may enter"))
    func closedPath() throws {
        let closed = bench.folder.path + "/closed"
        try FileSystem.createDirectories(closed, mode: 0o700)
        let result = try LaunchBench(account: nobody).run(
            ["no-such-command"], environment: ["PATH=\(closed):/usr/bin"])
        #expect(result.failure?.code == ENOENT)
    }

    @Test("a name is looked up in the task's own PATH, past files that may not be executed and what is no directory")
    func pathLookup() throws {
        let folder = bench.folder.path
        for name in ["a", "b", "c"] { try FileSystem.createDirectories("\(folder)/\(name)", mode: 0o755) }
        try bench.folder.file("plain")
        try bench.folder.file("a/tool", "echo a".utf8, mode: 0o644)
        _ = try bench.folder.executable("b/tool", "#!/bin/sh\necho b\n")
        _ = try bench.folder.executable("c/tool", "#!/bin/sh\necho c\n")
        let path = "PATH=/nonexistent:\(folder)/plain:\(folder)/a:\(folder)/b:\(folder)/c"
        #expect(try bench.run(["tool"], environment: [path]).text == "b\n")
        try expectFailure(EACCES, ["tool"], environment: ["PATH=\(folder)/a"])
        try expectFailure(ENOENT, ["tool"], environment: ["PATH=\(folder)"])
        try expectFailure(ENOENT, ["tool"], environment: ["PATH=" + String(repeating: "x", count: 10_000)])
        // Without PATH, the usual directories.
        #expect(try bench.run(["true"], environment: []).ending == .exit(code: 0))
    }

    @Test("a file that was meant but cannot be run does not make another one run in its place")
    func pathLookupStops() throws {
        let folder = bench.folder.path
        for name in ["a", "b"] { try FileSystem.createDirectories("\(folder)/\(name)", mode: 0o755) }
        try bench.folder.file("a/tool", [0, 1, 2], mode: 0o755)
        _ = try bench.folder.executable("b/tool", "#!/bin/sh\necho b\n")
        try expectFailure(ENOEXEC, ["tool"], environment: ["PATH=\(folder)/a:\(folder)/b"])
    }

    @Test("an empty element of PATH is the working directory")
    func emptyPathElement() throws {
        _ = try bench.folder.executable("tool", "#!/bin/sh\necho here\n")
        let result = try launchDirectly(
            ["--", "tool"], environment: ["PATH=/nonexistent:"], through: "cd \(bench.folder.path)")
        #expect(result.text == "here\n")
    }

    @Test("a working directory that is gone fails the launch")
    func directoryGone() throws {
        let gone = bench.folder.path + "/gone"
        let result = try launchDirectly(["--", "true"], through: "/bin/mkdir \(gone); cd \(gone); /bin/rmdir \(gone)")
        #expect(result.failure == LauncherFailure(process: result.process, step: .workingDirectory, code: ENOENT))
    }

    @Test(
        "a working directory the task's user may not be in fails the launch",
        .enabled(if: hasLauncher && Host.isRoot, "needs root"))
    func directoryForbidden() throws {
        let closed = bench.folder.path + "/closed"
        try FileSystem.createDirectories(closed, mode: 0o700)
        let result = try launchDirectly(
            ["-u", "65534", "-g", "65534", "-G", "", "--", "true"], through: "cd \(closed)")
        #expect(result.failure == LauncherFailure(process: result.process, step: .workingDirectory, code: EACCES))
    }

    @Test("a failure can be asked for as soon as its process was reaped")
    func failuresBeforeReaping() throws {
        for _ in 0..<50 {
            let process = try bench.start(["/nonexistent/program"])
            _ = try ChildProcesses.wait(for: process)
            #expect(bench.launcher.failures().map(\.process) == [process])
        }
    }

    @Test("failures of launches side by side do not mix")
    func manyFailures() throws {
        let processes = try (0..<100).map { _ in try bench.start(["/nonexistent/program"]) }
        for process in processes { _ = try endOf(process) }
        let failures = bench.launcher.failures()
        #expect(Set(failures.map(\.process)) == Set(processes))
        #expect(failures.allSatisfy { $0.step == .execute && $0.code == ENOENT })
        #expect(bench.launcher.failures().isEmpty)
    }
}
