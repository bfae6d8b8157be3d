// A task owns the folder of its output and may do to it what it likes. Whatever that is, root writes nowhere else, reads back
// only what it created, and never hangs.

import Foundation
import Glibc
import Testing

@testable import LinuxSystem

@Suite("Output directory")
struct OutputDirectoryTests {
    private let folder: TemporaryFolder
    private let outputs: OutputDirectory

    init() throws {
        folder = try TemporaryFolder()
        outputs = try OutputDirectory(path: folder.path + "/results", account: Host.isRoot ? nobody : nil)
    }

    private var task: String { outputs.path + "/task" }

    private func write(_ text: String, to file: TaskOutput.End) {
        let bytes = Array(text.utf8)
        #expect(Glibc.write(file.raw, bytes, bytes.count) == bytes.count)
    }

    private func owner(of path: String) throws -> UInt32 {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw SystemError.last("lstat", path) }
        return status.st_uid
    }

    @Test("a task gets a folder and two empty files, all of them its own")
    func creates() throws {
        let output = try outputs.createOutput(named: "task")
        #expect(output.folderPath == task)
        let wanted = Host.isRoot ? try #require(nobody).userIdentifier : getuid()
        for path in [task, output.standardOutputPath, output.standardErrorPath] {
            #expect(try owner(of: path) == wanted)
        }
        #expect(try owner(of: outputs.path) == getuid())
        #expect(try FileSystem.entries(of: task).sorted() == ["stderr", "stdout"])
        #expect(fcntl(output.standardOutput.raw, F_GETFD) == FD_CLOEXEC)
    }

    @Test("what an earlier attempt wrote is replaced, and its late writers write to nothing of ours")
    func replaces() throws {
        let first = try outputs.createOutput(named: "task")
        write("first", to: first.standardOutput)
        let second = try outputs.createOutput(named: "task")
        write("second", to: second.standardOutput)
        write(" and late", to: first.standardOutput)
        #expect(try FileSystem.text(of: second.standardOutputPath) == "second")
        #expect(try second.standardOutputContents(bytesMax: 100) == Array("second".utf8))
    }

    @Test(
        "what an attempt put in the way of the next is set aside, and kept",
        arguments: [
            "rm stdout; mkdir stdout; touch stdout/file", "cd ..; rm -r task; echo mine > task",
            "cd ..; rm -r task; ln -s / task",
            "cd ..; rm -r task; mkfifo task", "rm stderr; mkdir -p stderr/deep; chmod 0 .",
        ])
    func setAside(mess: String) throws {
        _ = try outputs.createOutput(named: "task")
        let shell = Process()
        shell.executableURL = URL(filePath: "/bin/sh")
        shell.arguments = ["-c", "cd \(task); " + mess]
        try shell.run()
        shell.waitUntilExit()
        let output = try outputs.createOutput(named: "task")
        write("second", to: output.standardOutput)
        #expect(try FileSystem.text(of: task + "/stdout") == "second")
        #expect(try FileSystem.entries(of: outputs.path).sorted() == ["task", "task.earlier-1"])
    }

    @Test("standard output is read back whole, or not at all when it is too long")
    func contents() throws {
        let output = try outputs.createOutput(named: "task")
        #expect(try output.standardOutputContents(bytesMax: 0) == [])
        write("0123456789", to: output.standardOutput)
        #expect(try output.standardOutputContents(bytesMax: 10)?.count == 10)
        #expect(try output.standardOutputContents(bytesMax: 9) == nil)
    }

    @Test("of standard error the end is read back")
    func tail() throws {
        let output = try outputs.createOutput(named: "task")
        #expect(try output.standardErrorTail(bytesMax: 4) == [])
        write("0123456789", to: output.standardError)
        #expect(try output.standardErrorTail(bytesMax: 4) == Array("6789".utf8))
        #expect(try output.standardErrorTail(bytesMax: 99) == Array("0123456789".utf8))
    }

    /// What a hostile task leaves where its files were.
    enum Trap: CaseIterable {
        case symbolicLink, danglingLink, hardLink, fifo, socket
    }

    @Test(
        "what a task puts in the place of its files is replaced, never opened", arguments: Trap.allCases,
        ["stdout", "stderr"])
    func trapped(trap: Trap, name: String) throws {
        let victim = try folder.file("victim", "untouched".utf8, mode: 0o600)
        _ = try outputs.createOutput(named: "task")
        let path = task + "/" + name
        try FileSystem.remove(path)
        try lay(trap, at: path, victim: victim)

        let output = try outputs.createOutput(named: "task")
        write("out", to: output.standardOutput)
        write("err", to: output.standardError)
        #expect(try FileSystem.text(of: victim) == "untouched")
        #expect(try owner(of: victim) == getuid())
        #expect(try FileSystem.status(of: victim).permissions == 0o600)
        #expect(!FileSystem.exists(folder.path + "/nothing"))
        #expect(try FileSystem.text(of: output.standardOutputPath) == "out")
        #expect(try FileSystem.text(of: output.standardErrorPath) == "err")
    }

    private func lay(_ trap: Trap, at path: String, victim: String) throws {
        let isLaid =
            switch trap {
            case .symbolicLink: symlink(victim, path) == 0
            case .danglingLink: symlink(folder.path + "/nothing", path) == 0
            case .hardLink: link(victim, path) == 0
            case .fifo: mkfifo(path, 0o666) == 0
            case .socket: mknod(path, S_IFSOCK | 0o666, 0) == 0
            }
        guard isLaid else { throw SystemError.last("lay a trap", path) }
    }

    @Test("a directory in the place of a file is set aside with its folder, and nothing in it is touched")
    func directoryAsFile() throws {
        try FileSystem.createDirectories(task + "/stdout/inside", mode: 0o700)
        _ = try outputs.createOutput(named: "task")
        let inside = task + ".earlier-1/stdout/inside"
        #expect(try FileSystem.status(of: inside).permissions == 0o700)
        #expect(try owner(of: inside) == getuid())
    }

    @Test("files swapped while the task runs are not what is read back")
    func swappedAfterwards() throws {
        let secret = try folder.file("secret", "secret".utf8, mode: 0o600)
        let output = try outputs.createOutput(named: "task")
        write("mine", to: output.standardOutput)
        write("mine too", to: output.standardError)
        for path in [output.standardOutputPath, output.standardErrorPath] {
            try FileSystem.remove(path)
            #expect(symlink(secret, path) == 0)
        }
        #expect(try output.standardOutputContents(bytesMax: 100) == Array("mine".utf8))
        #expect(try output.standardErrorTail(bytesMax: 100) == Array("mine too".utf8))
    }

    @Test("a link in the place of the folder is set aside, and where it leads stays whose it was")
    func linkAsFolder() throws {
        let victim = folder.path + "/victim"
        try FileSystem.createDirectories(victim, mode: 0o700)
        #expect(symlink(victim, task) == 0)
        _ = try outputs.createOutput(named: "task")
        #expect(try owner(of: victim) == getuid())
        #expect(try FileSystem.entries(of: victim).isEmpty)
    }

    @Test("a FIFO in the place of the folder is set aside without waiting for its other end")
    func fifoAsFolder() throws {
        #expect(mkfifo(task, 0o666) == 0)
        _ = try outputs.createOutput(named: "task")
        #expect(try FileSystem.entries(of: outputs.path).sorted() == ["task", "task.earlier-1"])
    }

    @Test(
        "a name that leads out of the directory is refused",
        arguments: ["", ".", "..", "../victim", "a/b", "/tmp", "a\0b", "task/"])
    func hostileName(name: String) throws {
        let error = #expect(throws: SystemError.self) { _ = try outputs.createOutput(named: name) }
        #expect(error?.code == EINVAL)
        #expect(try owner(of: folder.path) == getuid())
        #expect(try FileSystem.entries(of: outputs.path).isEmpty)
    }

    @Test("a name as odd as the file system takes stays inside, and one too long is an error")
    func oddName() throws {
        for name in ["\n", "-rf", "...", "a\u{301}", String(repeating: "x", count: 255)] {
            _ = try outputs.createOutput(named: name)
            #expect(FileSystem.exists("\(outputs.path)/\(name)/stdout"))
        }
        let long = String(repeating: "x", count: 1 << 20)
        let error = #expect(throws: SystemError.self) { _ = try outputs.createOutput(named: long) }
        #expect(error?.code == ENAMETOOLONG)
    }

    @Test(
        "a task that swaps its files as fast as it can never has root write elsewhere",
        .enabled(if: Host.isRoot, "needs root"))
    func race() throws {
        let victim = try folder.file("victim", "untouched".utf8, mode: 0o600)
        _ = try outputs.createOutput(named: "task")
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let swap = "cd \(task) || exit 1; while :; do ln -sf \(victim) stdout; rm -f stderr; mkfifo stderr; done"
        let hostile = try ChildProcesses.start("/bin/sh", ["-c", swap], descriptors: [null.raw, null.raw, null.raw])
        defer {
            ChildProcesses.kill(processGroup: hostile)
            _ = try? ChildProcesses.wait(for: hostile)
        }
        try waitUntil("the swapping has begun") { try owner(of: task + "/stdout") == 0 }
        for _ in 0..<300 {
            // EEXIST: a race was lost, safely.
            guard let output = try? outputs.createOutput(named: "task") else { continue }
            write("x", to: output.standardOutput)
            write("x", to: output.standardError)
            #expect(try output.standardOutputContents(bytesMax: 10) == [UInt8(ascii: "x")])
        }
        #expect(try FileSystem.text(of: victim) == "untouched")
        #expect(try owner(of: victim) == getuid())
    }

    @Test("the directory is created with those above it, and known by its resolved path")
    func resolved() throws {
        let path = folder.path + "/a/../b/c"
        try FileSystem.createDirectories(folder.path + "/a", mode: 0o755)
        #expect(try OutputDirectory(path: path, account: nil).path == FileSystem.resolved(folder.path) + "/b/c")
        let file = try folder.file("file")
        #expect(throws: SystemError.self) { _ = try OutputDirectory(path: file, account: nil) }
    }

    private static let canMount = Host.isRoot && FileSystem.isExecutable("/bin/mount")

    /// A file system of its own, gone at the end; `body` is skipped where mounting is not allowed.
    private func withDisk(_ options: String, _ body: (String) throws -> Void) throws {
        let disk = folder.path + "/disk"
        try FileSystem.createDirectories(disk, mode: 0o755)
        guard try run("/bin/mount", ["-t", "tmpfs", "-o", options, "none", disk]) == .exit(code: 0) else { return }
        defer { _ = try? run("/bin/umount", ["-l", disk]) }
        try body(disk)
    }

    @Test(
        "a disk with no room left is a shortage, one with a mebibyte is none", .enabled(if: canMount, "needs mount(8)"))
    func full() throws {
        #expect(outputs.shortage == nil)
        try withDisk("size=2m") { disk in
            let small = try OutputDirectory(path: disk + "/results", account: nil)
            #expect(small.shortage == nil)
            let output = try small.createOutput(named: "task")
            let piece = [UInt8](repeating: 1, count: 4096)
            var rounds = 0
            while rounds < 1000, Glibc.write(output.standardOutput.raw, piece, piece.count) == piece.count {
                rounds += 1
            }
            #expect(rounds < 1000)
            #expect(small.shortage?.code == ENOSPC)
            #expect(small.bytesOnDisk(ofOutputNamed: "task") > 1 << 20)
            #expect(small.bytesOnDisk(ofOutputNamed: "other") == 0)
        }
    }

    @Test("no inodes are a shortage, told as such", .enabled(if: canMount, "needs mount(8)"))
    func noInodes() throws {
        try withDisk("nr_inodes=6") { disk in
            let small = try OutputDirectory(path: disk, account: nil)
            #expect(small.shortage == nil)
            _ = try small.createOutput(named: "task")
            #expect(small.shortage?.code == ENOSPC)
            #expect(small.shortage?.call.contains("inodes") == true)
            // Two are left, so the last file cannot be made; the folder and the first file are not left behind.
            #expect(throws: SystemError.self) { _ = try small.createOutput(named: "next") }
            #expect(try FileSystem.entries(of: disk) == ["task"])
        }
    }

    @Test(
        "a disk that may only be read is a shortage, until it may be written", .enabled(if: canMount, "needs mount(8)"))
    func readOnly() throws {
        try withDisk("size=2m") { disk in
            let small = try OutputDirectory(path: disk, account: nil)
            #expect(try run("/bin/mount", ["-o", "remount,ro", disk]) == .exit(code: 0))
            #expect(small.shortage?.code == EROFS)
            #expect(try run("/bin/mount", ["-o", "remount,rw", disk]) == .exit(code: 0))
            #expect(small.shortage == nil)
        }
    }

    @Test("a directory that was removed is made anew when it is opened again")
    func removed() throws {
        try FileSystem.removeTree(outputs.path)
        #expect(throws: SystemError.self) { _ = try outputs.createOutput(named: "task") }
        try outputs.open()
        _ = try outputs.createOutput(named: "task")
        outputs.removeOutput(named: "task")
        #expect(try FileSystem.entries(of: outputs.path).isEmpty)
    }

    @Test("an owner who is right already is left alone, also where nobody may change any")
    func ownerIsRight() throws {
        // What is opened as a path alone can be looked at, and not be given to anybody.
        let file = try OwnedDescriptor.open(try folder.file("file"), [.pathOnly])
        let own = try #require(Account(userIdentifier: getuid()))
        try OutputDirectory(notYetOpenedAt: "/", account: own).give(file.raw, "file")
        if let nobody, Host.isRoot {
            #expect(throws: SystemError.self) {
                try OutputDirectory(notYetOpenedAt: "/", account: nobody).give(file.raw, "file")
            }
        }
    }
}
