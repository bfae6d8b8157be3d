// A directory and a standard input of a task's own, by a launch and by one that stood by: the same, and nothing of them as root.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("A task's own place", .enabled(if: hasLauncher, "needs distcomp-launch, which `make debug` builds"))
struct LaunchPlaceTests {
    enum Way: CaseIterable { case launched, stoodBy }

    private let bench: LaunchBench
    private let folder: TemporaryFolder

    init() throws {
        bench = try LaunchBench(account: canLaunchAsNobody ? nobody : nil)
        folder = try TemporaryFolder()
    }

    private func start(
        _ words: [String], _ way: Way, in directory: String? = nil, reading input: LaunchPlace.Input? = nil,
        environment: [String] = LaunchBench.standardEnvironment
    ) throws -> Int32 {
        let place = LaunchPlace(directory: directory, input: input)
        switch way {
        case .launched: return try bench.start(words, environment: environment, place: place)
        case .stoodBy:
            let standby = try bench.standBy()
            try bench.begin(words, environment: environment, place: place, on: standby)
            return standby.process
        }
    }

    private func run(
        _ words: [String], _ way: Way, in directory: String? = nil, reading input: LaunchPlace.Input? = nil,
        environment: [String] = LaunchBench.standardEnvironment
    ) throws -> LaunchResult {
        try bench.finish(try start(words, way, in: directory, reading: input, environment: environment))
    }

    @Test("the task begins in its directory, and programs are found from there", arguments: Way.allCases)
    func directory(way: Way) throws {
        _ = try folder.executable("tool", "#!/bin/sh\npwd -P\n")
        let result = try run(["./tool"], way, in: folder.path)
        #expect(result.failure == nil)
        #expect(result.text == folder.path + "\n" && result.ending == .exit(code: 0))
        let elsewhere = try run(["tool"], way, in: folder.path, environment: ["PATH=."])
        #expect(elsewhere.text == folder.path + "\n")
    }

    @Test("it reads its file, from the start to the end", arguments: Way.allCases)
    func file(way: Way) throws {
        let path = try folder.file("input", "one\ntwo\n".utf8)
        #expect(try run(["cat"], way, reading: .file(path)).text == "one\ntwo\n")
        #expect(try run(["cat"], way, in: folder.path, reading: .file(path)).text == "one\ntwo\n")
        #expect(try run(["cat"], way, in: folder.path).text == "")
    }

    @Test("it reads a text of any bytes, more than a pipe holds, and nobody can change it", arguments: Way.allCases)
    func text(way: Way) throws {
        let bytes = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        #expect(try run(["cat"], way, reading: try .text(bytes)).output == bytes)
        #expect(try run(["cat"], way, reading: try .text([])).output == [])
        // By name, as programs that want a file do.
        #expect(try run(["cat", "/dev/stdin"], way, reading: try .text(Array("by name".utf8))).text == "by name")
        let attempts = "{ echo x >&0; } 2>/dev/null || echo kept; { echo x >/dev/stdin; } 2>/dev/null || echo kept; cat"
        #expect(try run(["sh", "-c", attempts], way, reading: try .text([65])).text == "kept\nkept\nA")
    }

    @Test("a task has descriptors 0 to 2 only, whatever it reads", arguments: Way.allCases)
    func descriptors(way: Way) throws {
        let path = try folder.file("input")
        for input in [LaunchPlace.Input.file(path), try .text([65])] {
            #expect(try run(["sh", "-c", "ls /proc/$$/fd; true"], way, reading: input).lines == ["0", "1", "2"])
        }
    }

    @Test("what cannot be had is told with its step and errno, and nothing runs", arguments: Way.allCases)
    func missing(way: Way) throws {
        let file = try folder.file("input")
        let cases: [(directory: String?, input: String?, step: LaunchStep, code: Int32)] = [
            (folder.path + "/none", nil, .ownDirectory, ENOENT), (file, nil, .ownDirectory, ENOTDIR),
            (nil, folder.path + "/none", .standardInput, ENOENT), (nil, folder.path, .standardInput, EISDIR),
            (nil, file + "/x", .standardInput, ENOTDIR),
        ]
        for each in cases {
            let result = try run(["echo", "ran"], way, in: each.directory, reading: each.input.map { .file($0) })
            #expect(
                result.failure == LauncherFailure(process: result.process, step: each.step, code: each.code), "\(each)")
            #expect(result.ending == .exit(code: 125) && result.text == "")
        }
    }

    @Test(
        "a directory for what it saves is made, with that above it, and one that is there is as good",
        arguments: Way.allCases)
    func checkpoints(way: Way) throws {
        try FileSystem.createDirectories(folder.path + "/open", mode: 0o777)
        #expect(chmod(folder.path + "/open", 0o777) == 0)
        let path = folder.path + "/open/job/1"
        let environment = LaunchBench.standardEnvironment + ["DISTCOMP_CHECKPOINT_DIR=\(path)"]
        let save = ["sh", "-c", "cat $DISTCOMP_CHECKPOINT_DIR/saved; echo saved >> $DISTCOMP_CHECKPOINT_DIR/saved"]
        #expect(try run(save, way, environment: environment).failure == nil)
        #expect(try run(save, way, environment: environment).text == "saved\n")

        let file = try folder.file("input")
        for (path, code) in [
            (file, ENOTDIR), (file + "/1", ENOTDIR), (folder.path + "/none/job/1", ENOENT), ("/proc/job/1", ENOENT),
        ] {
            let result = try run(
                ["echo", "ran"], way,
                environment: LaunchBench.standardEnvironment + ["DISTCOMP_CHECKPOINT_DIR=\(path)"])
            #expect(
                result.failure == LauncherFailure(process: result.process, step: .checkpointDirectory, code: code),
                "\(path)")
            #expect(result.text == "")
        }
    }

    @Test(
        "no path is followed with more rights than the task's user has",
        .enabled(if: canLaunchAsNobody, "needs root, and a working directory others may enter"),
        arguments: Way.allCases)
    func rights(way: Way) throws {
        let closed = folder.path + "/closed"
        try FileSystem.createDirectories(closed, mode: 0o700)
        let secret = try folder.file("secret", "root's".utf8, mode: 0o600)
        let directory = try run(["echo", "ran"], way, in: closed)
        #expect(directory.failure?.step == .ownDirectory && directory.failure?.code == EACCES)
        let input = try run(["cat"], way, reading: .file(secret))
        #expect(input.failure?.step == .standardInput && input.failure?.code == EACCES)
        #expect(input.text == "")
        let saving = try run(
            ["echo", "ran"], way,
            environment: LaunchBench.standardEnvironment + ["DISTCOMP_CHECKPOINT_DIR=\(closed)/1"])
        #expect(saving.failure?.step == .checkpointDirectory && saving.failure?.code == EACCES)
    }

    @Test("a pipe nobody writes to holds up that task alone, which can be told to end", arguments: Way.allCases)
    func pipe(way: Way) throws {
        let path = folder.path + "/pipe"
        #expect(mkfifo(path, 0o666) == 0 && chmod(path, 0o666) == 0)
        let held = try start(["cat"], way, reading: .file(path))
        #expect(try run(["echo", "another"], way).text == "another\n")
        #expect(try ChildProcesses.endingIfEnded(held) == nil)
        ChildProcesses.signal(.terminate, process: held)
        #expect(try endOf(held) == .signal(SIGTERM))
        // Once somebody writes, it is read like any file.
        let fed = try start(["cat"], way, reading: .file(path))
        try waitUntil("it waits for a writer") {
            guard let writer = try? OwnedDescriptor.open(path, [.writeOnly, .nonBlocking]) else { return false }
            try writer.writeAll(Array("through a pipe".utf8), subject: path)
            return true
        }
        #expect(try bench.finish(fed).text == "through a pipe")
    }

    @Test("variables of the task's own are there for it, and not for the launch", arguments: Way.allCases)
    func variables(way: Way) throws {
        let own = ["=OWN=a=b", "=EMPTY="]
        let result = try run(["/usr/bin/env", "-0"], way, environment: ["GIVEN=1"] + own)
        #expect(
            result.output.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
                == ["GIVEN=1", "OWN=a=b", "EMPTY="])
        #expect(ownVariable("OWN", "a=b") == Array(own[0].utf8))
        // Its own PATH decides what is run.
        _ = try folder.executable("tool", "#!/bin/sh\necho found\n")
        #expect(try run(["tool"], way, environment: ["=PATH=\(folder.path)"]).text == "found\n")
        // While it waits for its input it is the launch still, and no C library has seen the variable by a name it could heed.
        let pipe = folder.path + "/pipe"
        #expect(mkfifo(pipe, 0o666) == 0)
        let held = try bench.start(
            ["true"], environment: ["=GLIBC_TUNABLES=x"], place: LaunchPlace(directory: nil, input: .file(pipe)))
        try waitUntil("it has been executed") {
            let given = try FileSystem.text(of: "/proc/\(held)/environ")
            #expect(!given.hasPrefix("GLIBC_TUNABLES"))
            return given == "=GLIBC_TUNABLES=x\0"
        }
        ChildProcesses.kill(process: held)
        #expect(try endOf(held) == .signal(SIGKILL))
    }
}
