// The outputs of the last three attempts, in a folder that the task owns: whatever it puts there, numbers are never mixed up with what
// another attempt wrote, and root writes nowhere else.

import Foundation
import Glibc
import Testing

@testable import LinuxSystem

@Suite("Kept attempts")
struct KeptAttemptsTests {
    private let folder: TemporaryFolder
    private let outputs: OutputDirectory

    init() throws {
        folder = try TemporaryFolder()
        outputs = try OutputDirectory(path: folder.path + "/results", account: Host.isRoot ? nobody : nil)
    }

    private var task: String { outputs.path + "/task" }

    /// An attempt that writes its number to both streams.
    @discardableResult
    private func run(_ attempt: Int, writing text: String? = nil) throws -> TaskOutput {
        let output = try outputs.createOutput(named: "task", attempt: attempt)
        for (file, end) in [(output.standardOutput, ""), (output.standardError, " bad")] {
            let bytes = Array(((text ?? "\(attempt)") + end).utf8)
            #expect(Glibc.write(file.raw, bytes, bytes.count) == bytes.count)
        }
        return output
    }

    private func read(_ attempt: Int, _ stream: TaskStream = .stdout) throws -> String? {
        guard let file = try outputs.openOutput(named: "task", stream, ofAttempt: attempt) else { return nil }
        return String(decoding: try file.read(at: 0, count: 100, subject: "output"), as: UTF8.self)
    }

    private var kept: [String?] { get throws { try (1...6).map { try read($0) } } }

    @Test("each attempt is read by its number, the last three are kept, and the last has the name without one")
    func numbers() throws {
        for attempt in 1...5 { try run(attempt) }
        #expect(try kept == [nil, nil, "3", "4", "5", nil])
        #expect(try read(3, .stderr) == "3 bad" && read(5, .stderr) == "5 bad")
        #expect(try FileSystem.text(of: task + "/stdout") == "5")
        #expect(
            try FileSystem.entries(of: task).sorted()
                == [".attempts", "stderr", "stderr.3", "stderr.4", "stdout", "stdout.3", "stdout.4"])
        #expect(try GuardedDirectory(path: task).keptAttempts()?.numbers == [5, 4, 3])
    }

    @Test("where the list cannot be read for want of descriptors, nothing is renamed and no output is lost")
    func noDescriptors() async throws {
        await #expect(processExitsWith: .success) {
            let here = try KeptAttemptsTests()
            for attempt in 1...2 { try here.run(attempt) }
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let most = limit.rlim_cur
            let lowest = try OwnedDescriptor.open("/dev/null", [.readOnly]).raw
            var refusals = 0
            for free in 0...12 {
                limit.rlim_cur = rlim_t(lowest) + rlim_t(free)
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                let output = Result { try here.outputs.createOutput(named: "task", attempt: 3) }
                limit.rlim_cur = most
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                #expect(try here.read(1) == "1" && here.read(2) == "2", "with \(free) to open")
                if case .failure(let error as SystemError) = output {
                    #expect(error.code == EMFILE)
                    refusals += 1
                } else {
                    break
                }
            }
            #expect(refusals >= 2)
        }
    }

    @Test("a first attempt has two files and no more")
    func first() throws {
        try run(1)
        #expect(try FileSystem.entries(of: task).sorted() == ["stderr", "stdout"])
        #expect(try kept == ["1", nil, nil, nil, nil, nil])
    }

    @Test("attempts that other nodes had are no numbers here")
    func elsewhere() throws {
        try run(2)
        try run(5)
        #expect(try kept == [nil, "2", nil, nil, "5", nil])
    }

    @Test("what begins anew is counted anew: nothing of before has one of its numbers")
    func anew() throws {
        for attempt in 1...3 { try run(attempt) }
        try run(1, writing: "new")
        #expect(try kept == ["new", nil, nil, nil, nil, nil])
        #expect(try FileSystem.entries(of: task).sorted() == ["stderr", "stdout"])
        try run(2)
        #expect(try kept == ["new", "2", nil, nil, nil, nil])
    }

    @Test("an attempt that came back untried is replaced by the same one")
    func same() throws {
        try run(1)
        try run(2)
        try run(2, writing: "again")
        #expect(try kept == ["1", "again", nil, nil, nil, nil])
    }

    @Test("one that was cut short before it had its files takes no number from another")
    func cutShort() throws {
        try run(1)
        try run(2)
        try FileSystem.remove(task + "/stdout")
        try run(3)
        #expect(try kept == ["1", nil, "3", nil, nil, nil])
    }

    @Test(
        "whatever a task makes of what is kept, only that is lost, and no link is followed nor FIFO waited for",
        arguments: [
            "rm .attempts; ln -s SECRET .attempts", "rm .attempts; mkfifo .attempts", "rm .attempts; mkdir .attempts",
            "echo 9 8 7 6 5 4 3 2 1 > .attempts", "echo 99999999999999999999 > .attempts", "echo ../../x > .attempts",
            "echo -1 > .attempts", "head -c 100000 /dev/zero > .attempts", "ln -sf SECRET stdout",
            "rm stdout; mkfifo stdout", "rm stdout.1; mkdir -p stdout.1/deep", "ln -sf SECRET stdout.1",
            "rm stdout.1; mkfifo stdout.1",
        ])
    func hostile(_ mess: String) throws {
        let secret = try folder.file("secret", "secret".utf8, mode: 0o644)
        try run(1)
        try run(2)
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        shell.arguments = ["-c", "cd \(task); " + mess.replacing("SECRET", with: secret)]
        try shell.run()
        shell.waitUntilExit()
        #expect(try kept.allSatisfy { $0 != "secret" })
        let third = try run(3)
        #expect(try third.standardOutputContents(bytesMax: 10) == Array("3".utf8))
        #expect(try kept.allSatisfy { $0 != "secret" })
        #expect(try read(3) == "3")
        try run(4)
        try run(5)
        #expect(try read(5) == "5" && read(4) == "4")
        #expect(try FileSystem.text(of: secret) == "secret")
        #expect(try FileSystem.entries(of: task).count <= 9)
    }
}
