// Where the output of a task stays, from its begin to its end: little of it is packed, much gets a name, and what one task leaves behind, a
// process, a file or a folder, is never in the next one's way, nor in its output.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Storing outputs")
struct OutputStoringTests {
    private let folder: TemporaryFolder
    private let outputs: OutputDirectory
    private static let task = "00000000000000aa"
    private static let other = "00000000000000bb"

    init() throws {
        folder = try TemporaryFolder()
        outputs = OutputDirectory(
            notYetOpenedAt: folder.path + "/results", account: Host.isRoot ? nobody : nil)
        outputs.packOutputs(ofNode: "node")
        try outputs.open()
        try #require(outputs.packingRefusal == nil)
    }

    private func begin(_ name: String = task, attempt: Int = 1) throws -> TaskOutput {
        try outputs.beginOutput(named: name, attempt: attempt)
    }

    private func write(_ text: String, to file: TaskOutput.End) {
        let bytes = Array(text.utf8)
        #expect(Glibc.write(file.raw, bytes, bytes.count) == bytes.count)
    }

    /// An attempt that writes and ends.
    @discardableResult
    private func run(
        _ text: String, _ error: String = "", _ name: String = task, attempt: Int = 1
    ) throws -> TaskOutput {
        let output = try begin(name, attempt: attempt)
        write(text, to: output.standardOutput)
        write(error, to: output.standardError)
        #expect(outputs.store(output, endedUnixMilliseconds: SystemClock.wallNanoseconds() / 1_000_000) == nil)
        return output
    }

    private func read(
        _ stream: TaskStream = .stdout, _ name: String = task, attempt: Int = 1, at place: SegmentPlace? = nil
    ) throws -> String? {
        try outputs.openOutput(named: name, stream, ofAttempt: attempt, at: place).map {
            String(decoding: try $0.read(at: 0, count: 1 << 20, subject: "output"), as: UTF8.self)
        }
    }

    /// Names without those of what waits for a task.
    private var entries: [String] {
        get throws { try FileSystem.entries(of: outputs.path).filter { !$0.hasPrefix(".spare-") }.sorted() }
    }

    private func path(_ name: String = task) -> String { outputs.path + "/" + name }

    @Test("a small output takes no inode: files and folder serve the next task, which finds them as new ones")
    func small() throws {
        let first = try begin()
        #expect(try entries == [Self.task])
        let status = try FileSystem.status(of: path())
        if Host.isRoot { #expect(status.ownerIdentifier == nobody?.userIdentifier) }
        #expect(try FileSystem.entries(of: path()).isEmpty)
        write("out", to: first.standardOutput)
        write("err", to: first.standardError)
        outputs.store(first, endedUnixMilliseconds: 5)
        #expect(try entries == ["segments"])
        #expect([first.standardOutputPath, first.standardErrorPath] == ["", ""])
        let place = first.place
        #expect(try read(at: place) == "out" && read(.stderr, at: place) == "err")
        #expect(try first.standardOutputContents(bytesMax: 10) == Array("out".utf8))
        #expect(try first.standardErrorTail(bytesMax: 2) == Array("rr".utf8))

        let second = try begin(Self.other)
        #expect(try FileSystem.status(of: path(Self.other)).inode == status.inode)
        #expect(second.sizeBytes(.stdout) == 0 && second.sizeBytes(.stderr) == 0)
        write("new", to: second.standardOutput)
        outputs.store(second, endedUnixMilliseconds: 6)
        #expect(try read(.stdout, Self.other, at: second.place) == "new")
        #expect(try read(at: place) == "out")
    }

    @Test("two thousand tasks leave some inodes, and those that write nothing not even a byte")
    func inodes() throws {
        for number in 1...2000 {
            let digits = String(number, radix: 16)
            try run(number % 2 == 0 ? "" : "\(number)\n", "", String(repeating: "0", count: 16 - digits.count) + digits)
        }
        #expect(try entries == ["segments"])
        #expect(try FileSystem.entries(of: outputs.path).count <= 3)
        #expect(try FileSystem.entries(of: outputs.path + "/segments") == ["00000001"])
        let written = (1...2000).filter { $0 % 2 == 1 }.reduce(0) { $0 + 65 + "\($1)".utf8.count }
        #expect(try FileSystem.status(of: outputs.path + "/segments/00000001").sizeBytes == Int64(written))
    }

    @Test("programs of the task's user can open their standard output by its name in /dev")
    func reopened() throws {
        let output = try begin()
        let script = "echo one > /dev/stdout; echo two >> /proc/self/fd/2; echo three >&1"
        var (program, arguments) = ("/bin/sh", ["-c", script])
        if Host.isRoot, let nobody, FileSystem.isExecutable("/usr/bin/setpriv") {
            program = "/usr/bin/setpriv"
            arguments =
                [
                    "--reuid", "\(nobody.userIdentifier)", "--regid", "\(nobody.groupIdentifier)", "--clear-groups",
                    "/bin/sh",
                ]
                + arguments
        }
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let process = try ChildProcesses.start(
            program, arguments, descriptors: [null.raw, output.standardOutput.raw, output.standardError.raw])
        #expect(try endOf(process) == .exit(code: 0))
        outputs.store(output, endedUnixMilliseconds: 0)
        #expect(try output.standardOutputContents(bytesMax: 100) == Array("one\nthree\n".utf8))
        #expect(try output.standardErrorTail(bytesMax: 100) == Array("two\n".utf8))
    }

    @Test("a file that somebody can still write to serves nobody else", arguments: TaskStream.allCases)
    func lateWriter(stream: TaskStream) throws {
        let first = try begin()
        let late = try OwnedDescriptor.duplicate(
            of: (stream == .stdout ? first.standardOutput : first.standardError).raw)
        write("first", to: first.standardOutput)
        outputs.store(first, endedUnixMilliseconds: 0)
        let second = try begin(Self.other)
        try late.writeAll(Array("late".utf8), subject: "late")
        write("second", to: second.standardOutput)
        outputs.store(second, endedUnixMilliseconds: 0)
        #expect(try second.standardOutputContents(bytesMax: 100) == Array("second".utf8))
        #expect(second.sizeBytes(.stderr) == 0)
        #expect(try first.standardOutputContents(bytesMax: 100) == Array("first".utf8))
    }

    @Test("a large output gets the names that outputs always had, and is the task's own")
    func large() throws {
        let text = String(repeating: "x", count: OutputDirectory.packedBytesMax)
        let output = try run(text, "e")
        #expect(output.place == nil)
        #expect(output.standardOutputPath == path() + "/stdout")
        #expect(try FileSystem.contents(of: output.standardOutputPath).count == text.utf8.count)
        #expect(try FileSystem.text(of: output.standardErrorPath) == "e")
        let status = try FileSystem.status(of: output.standardOutputPath)
        #expect(status.permissions == 0o644 & ~Host.fileModeMask)
        if Host.isRoot { #expect(status.ownerIdentifier == nobody?.userIdentifier) }
        #expect(try read()?.utf8.count == text.utf8.count)
        // A byte less is packed.
        #expect(try run(String(text.dropLast()), "e", Self.other).place != nil)
    }

    @Test("one that runs for a while has its names, is followed by them, and is packed all the same when it has ended")
    func named() throws {
        let output = try begin(attempt: 2)
        write("begun", to: output.standardOutput)
        try outputs.name(output)
        #expect(try FileSystem.text(of: path() + "/stdout") == "begun")
        #expect(try GuardedDirectory(path: path()).keptAttempts()?.numbers == [2])
        let follower = try OwnedDescriptor.open(path() + "/stdout", [.readOnly])
        write(" and ended", to: output.standardOutput)
        outputs.store(output, endedUnixMilliseconds: 0)
        #expect(try entries == ["segments"])
        let next = try begin(Self.other)
        write("another's", to: next.standardOutput)
        #expect(try follower.readToEnd(subject: "follower", bytesMax: 100) == Array("begun and ended".utf8))
        #expect(try read(attempt: 2, at: output.place) == "begun and ended")
    }

    @Test("what a task leaves in its folder stays there, by the path it was told, and its next attempt finds it")
    func folderIsUsed() throws {
        let first = try begin()
        try folder.file("results/\(Self.task)/checkpoint", "7".utf8)
        write("first", to: first.standardOutput)
        outputs.store(first, endedUnixMilliseconds: 0)
        #expect(try FileSystem.entries(of: path()) == ["checkpoint"])
        try run("another", "", Self.other)
        #expect(try entries == [Self.task, "segments"])
        let second = try begin(attempt: 2)
        #expect(second.folderPath == path())
        #expect(try FileSystem.text(of: path() + "/checkpoint") == "7")
        write("second", to: second.standardOutput)
        outputs.store(second, endedUnixMilliseconds: 0)
        #expect(second.place != nil)
        #expect(try FileSystem.entries(of: path()).contains("checkpoint"))
    }

    @Test(
        "a folder that is not as it was made serves nobody else",
        arguments: ["chmod 777 .", "chmod g+s .", "mkdir deep", "touch .hidden", "setfacl -d -m u:daemon:rwx ."])
    func folderIsChanged(how: String) throws {
        if how.hasPrefix("setfacl"), !FileSystem.isExecutable("/usr/bin/setfacl") { return }
        let output = try begin()
        let inode = try FileSystem.status(of: path()).inode
        #expect(try LinuxSystemTests.run("/bin/sh", ["-c", "cd \(path()) && \(how)"]) == .exit(code: 0))
        outputs.store(output, endedUnixMilliseconds: 0)
        _ = try begin(Self.other)
        #expect(try FileSystem.status(of: path(Self.other)).inode != inode)
        let isLeft = ["mkdir deep", "touch .hidden"].contains(how)
        #expect(FileSystem.exists(path()) == isLeft, "an empty one is removed")
    }

    @Test("where folders get the group of the one they are in, they serve the next task as well")
    func groupIsInherited() throws {
        guard chmod(outputs.path, 0o2755) == 0 else { throw SystemError.last("chmod", outputs.path) }
        let first = try begin()
        let status = try FileSystem.status(of: path())
        outputs.store(first, endedUnixMilliseconds: 0)
        _ = try begin(Self.other)
        #expect(try FileSystem.status(of: path(Self.other)).inode == status.inode)
        #expect(try entries == [Self.other])
    }

    @Test(
        "a spare folder into which somebody put something, or which was removed, is not used", arguments: [true, false])
    func spareIsTouched(removed: Bool) throws {
        try run("", "")
        let spare = try #require(try FileSystem.entries(of: outputs.path).first { $0.hasPrefix(".spare-") })
        if removed {
            try FileSystem.removeDirectory(outputs.path + "/" + spare)
        } else {
            try folder.file("results/\(spare)/late", "late".utf8)
        }
        _ = try begin(Self.other)
        #expect(try FileSystem.entries(of: path(Self.other)).isEmpty)
    }

    @Test("a file of the task's own that has the name of a stream keeps its content under another")
    func ownFile() throws {
        let output = try begin()
        try folder.file("results/\(Self.task)/stdout", "mine".utf8)
        write(String(repeating: "x", count: 70_000), to: output.standardOutput)
        outputs.store(output, endedUnixMilliseconds: 0)
        #expect(try FileSystem.contents(of: path() + "/stdout").count == 70_000)
        #expect(try FileSystem.text(of: path() + "/stdout.own-1") == "mine")
    }

    @Test("no link that a task put in the place of its streams is followed, to name or to remove them")
    func links() throws {
        let secret = try folder.file("secret", "secret".utf8, mode: 0o600)
        let output = try begin()
        #expect(symlink(secret, path() + "/stdout") == 0)
        try outputs.name(output)
        write("out", to: output.standardOutput)
        #expect(unlink(path() + "/stderr") == 0 && symlink(secret, path() + "/stderr") == 0)
        outputs.store(output, endedUnixMilliseconds: 0)
        #expect(try FileSystem.text(of: secret) == "secret")
        #expect(try FileSystem.status(of: secret).ownerIdentifier == getuid())
        #expect(try FileSystem.entries(of: path()).sorted() == ["stderr", "stdout.own-1"])
        #expect(output.place?.standardOutputBytes == 3)
    }

    @Test("earlier attempts are found by their number, packed or not, and nothing of an earlier count is")
    func attempts() throws {
        func fail(_ attempt: Int, _ text: String) throws -> TaskOutput {
            let output = try run(text, "", attempt: attempt)
            try outputs.noteFailure(output)
            return output
        }
        let large = String(repeating: "2", count: 70_000)
        _ = try fail(1, "first")
        _ = try fail(2, large)
        _ = try fail(3, "")
        let last = try run("last", "", attempt: 4)
        #expect(try read(attempt: 1) == "first")
        #expect(try read(attempt: 2) == large)
        #expect(try read(attempt: 3) == "")
        #expect(try read(attempt: 4, at: last.place) == "last")
        #expect(try read(attempt: 5) == nil)
        #expect(try read(.stdout, Self.other, attempt: 1) == nil)
        let results = try GuardedDirectory(path: outputs.path)
        #expect(try results.keptAttempts(ofTask: Self.task, last: 4) == [4, 3, 2])
        _ = try fail(1, "anew")
        #expect(try read(attempt: 1) == "anew")
        #expect(try results.keptAttempts(ofTask: Self.other, last: nil) == [])
    }

    @Test("what a killed daemon left in files is the attempt's, though one of that number failed before")
    func killed() throws {
        let before = try run("before", "", attempt: 1)
        try outputs.noteFailure(before)
        var times = [timespec(tv_sec: time(nil) + 100, tv_nsec: 0), timespec(tv_sec: time(nil) + 100, tv_nsec: 0)]
        let output = try begin()
        write("cut short", to: output.standardOutput)
        try outputs.name(output)
        #expect(utimensat(AT_FDCWD, path() + "/stdout", &times, 0) == 0)
        let next = OutputDirectory(notYetOpenedAt: outputs.path, account: Host.isRoot ? nobody : nil)
        next.packOutputs(ofNode: "node")
        try next.open()
        let second = try next.beginOutput(named: Self.task, attempt: 2)
        write("second", to: second.standardOutput)
        next.store(second, endedUnixMilliseconds: 0)
        #expect(try read(attempt: 1) == "cut short")
    }

    @Test(
        "what the next image of a daemon takes over stays, also where the task has removed its folder",
        arguments: [true, false])
    func resumed(isRemoved: Bool) throws {
        let output = try begin()
        write("begun, ", to: output.standardOutput)
        let kept = try [output.standardOutput, output.standardError].map {
            SharedDescriptor(try OwnedDescriptor.duplicate(of: $0.raw))
        }
        if isRemoved { #expect(rmdir(path()) == 0) }
        let next = OutputDirectory(notYetOpenedAt: outputs.path, account: Host.isRoot ? nobody : nil)
        next.packOutputs(ofNode: "node")
        try next.open()
        let taken = try next.resumed(
            TaskOutput(standardOutput: kept[0], standardError: kept[1], folderPath: path()), named: Self.task)
        write("and done", to: output.standardOutput)
        #expect(next.store(taken, endedUnixMilliseconds: 5) == nil)
        #expect(try read(at: try #require(taken.place)) == "begun, and done")
        #expect(try entries == ["segments"])
    }

    @Test("an output that is to be taken over and has no place to stay is told")
    func notResumed() throws {
        let output = try begin()
        let kept = try [output.standardOutput, output.standardError].map {
            SharedDescriptor(try OwnedDescriptor.duplicate(of: $0.raw))
        }
        try #require(rmdir(path()) == 0)
        _ = try OwnedDescriptor.open(path(), [.writeOnly, .create], mode: 0o600)
        #expect(throws: SystemError.self) {
            try outputs.resumed(
                TaskOutput(standardOutput: kept[0], standardError: kept[1], folderPath: path()), named: Self.task)
        }
        try FileSystem.remove(path())
    }

    @Test("outputs that were files before are found, and are not in the way of what comes")
    func upgrade() throws {
        let files = try OutputDirectory(path: outputs.path, account: Host.isRoot ? nobody : nil)
        for attempt in 1...2 {
            let old = try files.createOutput(named: Self.task, attempt: attempt)
            write("old \(attempt)", to: old.standardOutput)
        }
        #expect(try read(attempt: 1) == "old 1" && read(attempt: 2) == "old 2")
        let third = try run("third", "", attempt: 3)
        #expect(try read(attempt: 3, at: third.place) == "third")
        #expect(try read(attempt: 1) == "old 1" && read(attempt: 2) == "old 2")
    }

    @Test("a task that never began leaves nothing, and nothing of it is kept")
    func discarded() throws {
        let output = try begin()
        outputs.discard(output)
        #expect(try entries == [])
        #expect(output.place == .empty)
    }

    @Test("an output that cannot be packed gets its names, and all of it is there, and it is told why")
    func notPacked() throws {
        try folder.file("results/segments")
        let output = try begin()
        write("second", to: output.standardOutput)
        #expect(outputs.store(output, endedUnixMilliseconds: 0)?.code == ENOTDIR)
        #expect(output.standardOutputPath == path() + "/stdout")
        #expect(try FileSystem.text(of: path() + "/stdout") == "second")
    }

    @Test("what waits in vain is let go of, and a node that has run nothing leaves nothing")
    func idle() throws {
        #expect(try FileSystem.entries(of: outputs.path).isEmpty)
        try run("", "")
        outputs.tidy()
        #expect(try FileSystem.entries(of: outputs.path).count == 1, "it was in use a moment ago")
        outputs.tidy()
        #expect(try FileSystem.entries(of: outputs.path).isEmpty)
        try run("one", "")
        #expect(try entries == ["segments"])
    }

    private func age(_ path: String, bySeconds seconds: Int) throws {
        var times = [
            timespec(tv_sec: time(nil) - seconds, tv_nsec: 0), timespec(tv_sec: time(nil) - seconds, tv_nsec: 0),
        ]
        guard utimensat(AT_FDCWD, path, &times, AT_SYMLINK_NOFOLLOW) == 0 else {
            throw SystemError.last("utimensat", path)
        }
    }

    /// Until nothing more is to be removed.
    private func removeOld(_ limits: OutputLimits, inUse: Set<String> = []) throws {
        outputs.lookForOld()
        outputs.removeOld(limits, inUse: inUse)
        try waitUntil("what is old is gone") {
            outputs.removeOld(limits, inUse: inUse)
            return !outputs.isRemoving
        }
    }

    @Test(
        "what is older than is kept goes: segments, and folders with all that is in them, but not what is in use or newer"
    )
    func removesOld() throws {
        let secret = try folder.file("secret", "secret".utf8)
        let large = String(repeating: "x", count: 70_000)
        let names = (1...6).map { "000000000000000\($0)" }
        for name in names { try run(large, "", name) }
        guard symlink(secret, path(names[0]) + "/link") == 0, mkdir(path(names[0]) + "/deep", 0o755) == 0 else {
            throw SystemError.last("lay", names[0])
        }
        try folder.file("results/\(names[0])/deep/file")
        for name in names {
            for entry in try FileSystem.entries(of: path(name)) {
                try age(path(name) + "/" + entry, bySeconds: 1000)
            }
            try age(path(name), bySeconds: 1000)
        }
        try age(path(names[1]) + "/stderr", bySeconds: 10)  // Something in it is new.
        try folder.file("results/notes")
        try FileSystem.createDirectories(outputs.path + "/of-somebody", mode: 0o755)
        try age(outputs.path + "/of-somebody", bySeconds: 1000)
        try removeOld(OutputLimits(ageSecondsMax: 500), inUse: [names[2]])
        #expect(try entries == [names[1], names[2], "notes", "of-somebody"])
        #expect(try FileSystem.text(of: secret) == "secret")
        try removeOld(OutputLimits())
        #expect(try entries.count == 4, "without a limit nothing goes")
    }

    @Test("in a directory that nodes share, the folder of a task that runs on another stays, however long it is silent")
    func removesNothingOfOthers() throws {
        let names = (1...4).map { "000000000000000\($0)" }
        for name in names {
            try run(String(repeating: "x", count: 70_000), "", name)
            for entry in try FileSystem.entries(of: path(name)) {
                try age(path(name) + "/" + entry, bySeconds: 10_000)
            }
            try age(path(name), bySeconds: 10_000)
        }
        let other = OutputDirectory(notYetOpenedAt: outputs.path, account: nil)
        try other.open()
        other.removeOld(OutputLimits(), inUse: [names[2]])
        try waitUntil("it has touched that") { !other.isRemoving }
        #expect(other.takeRemovalFailure() == nil)
        try removeOld(OutputLimits(countMax: 1))
        #expect(try entries == [names[2]], "it is the newest, and one is kept")
        try run("", String(repeating: "x", count: 70_000), names[3])
        try removeOld(OutputLimits(countMax: 1))
        #expect(try entries == [names[2], names[3]], "it changed a moment ago")
    }

    @Test("a folder that cannot be looked into stays, and why is told; it goes once it can")
    func removalWithoutDescriptors() async throws {
        await #expect(processExitsWith: .success) {
            let here = try OutputStoringTests()
            let name = "0000000000000001"
            try here.run(String(repeating: "x", count: 70_000), "", name)
            // Something in it is new.
            try here.age(here.path(name), bySeconds: 1000)
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
            let most = limit.rlim_cur
            let lowest = try OwnedDescriptor.open("/dev/null", [.readOnly]).raw
            var failures = 0
            for free in 0...5 {
                limit.rlim_cur = rlim_t(lowest) + rlim_t(free)
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                try here.removeOld(OutputLimits(ageSecondsMax: 500))
                limit.rlim_cur = most
                setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
                if here.outputs.takeRemovalFailure()?.code == EMFILE { failures += 1 }
                #expect(try here.entries.contains(name), "with \(free) descriptors")
            }
            #expect(failures > 0)
            for stream in ["stdout", "stderr"] { try here.age(here.path(name) + "/" + stream, bySeconds: 1000) }
            try here.removeOld(OutputLimits(ageSecondsMax: 500))
            #expect(try !here.entries.contains(name))
            #expect(here.outputs.takeRemovalFailure() == nil)
        }
    }

    @Test("segments that are old, or beyond the newest outputs that are kept, go; the one that is written to stays")
    func removesSegments() throws {
        outputs.packOutputs(ofNode: "node", segmentBytes: 1000)
        for number in 1...9 { try run(String(repeating: "x", count: 236), "", "000000000000000\(number)") }
        func segments() throws -> [String] { try FileSystem.entries(of: outputs.path + "/segments").sorted() }
        #expect(try segments() == ["00000001", "00000002", "00000003"])
        // What is finished is open, and locked, until it is written back; and as long as a process that another test starts has a copy.
        outputs.tidy()
        try waitUntil("all but the newest six are gone") {
            try removeOld(OutputLimits(countMax: 6))
            return try segments() == ["00000002", "00000003"]
        }
        for name in try segments() { try age(outputs.path + "/segments/" + name, bySeconds: 1000) }
        try waitUntil("what is old is gone") {
            try removeOld(OutputLimits(ageSecondsMax: 500))
            return try segments() == ["00000003"]
        }
    }

    @Test("a disk that is full while an output is packed loses none of it", .enabled(if: canMount))
    func full() throws {
        let disk = folder.path + "/disk"
        try FileSystem.createDirectories(disk, mode: 0o755)
        guard
            try LinuxSystemTests.run("/bin/mount", ["-t", "tmpfs", "-o", "size=512k", "none", disk]) == .exit(code: 0)
        else { return }
        defer { _ = try? LinuxSystemTests.run("/bin/umount", ["-l", disk]) }
        let outputs = OutputDirectory(notYetOpenedAt: disk, account: nil)
        outputs.packOutputs(ofNode: "node")
        try outputs.open()
        let output = try outputs.beginOutput(named: Self.task, attempt: 1)
        let text = String(repeating: "x", count: 60_000)
        write(text, to: output.standardOutput)
        let filler = try OwnedDescriptor.open(disk + "/filler", [.writeOnly, .create], mode: 0o600)
        let piece = [UInt8](repeating: 1, count: 4096)
        while Glibc.write(filler.raw, piece, piece.count) > 0 {}
        let error = outputs.store(output, endedUnixMilliseconds: 0)
        #expect(error?.code == ENOSPC)
        #expect(output.standardOutputPath == disk + "/\(Self.task)/stdout")
        #expect(try FileSystem.text(of: output.standardOutputPath) == text)
        #expect(outputs.bytesOnDisk(of: output) >= 60_000)
    }

    private static let canMount = Host.isRoot && FileSystem.isExecutable("/bin/mount")

    @Test("segments are for whom the files were: for all, or for the tasks' user alone", .enabled(if: Host.isRoot))
    func permissions() async throws {
        await #expect(processExitsWith: .success) {
            for (mask, mode, isOthers) in [(0o022, 0o644, false), (0o077, 0o600, true), (0o027, 0o640, true)] {
                umask(mode_t(mask))
                let here = try OutputStoringTests()
                try here.run("text", "")
                let status = try FileSystem.status(of: here.outputs.path + "/segments/00000001")
                #expect(status.permissions == UInt32(mode))
                #expect(status.ownerIdentifier == (isOthers ? nobody?.userIdentifier : 0))
                let directory = try FileSystem.status(of: here.outputs.path + "/segments")
                let wanted = mask == 0o022 ? UInt32(0o755) : mask == 0o077 ? 0o700 : 0o750
                #expect(directory.permissions == wanted)
            }
        }
    }

    @Test("files with names from the start are packed at the end, and two nodes in one place do not share spares")
    func namesAtOnce() throws {
        let other = OutputDirectory(notYetOpenedAt: outputs.path, account: Host.isRoot ? nobody : nil)
        other.packOutputs(ofNode: "other", namesAtOnce: true)
        try other.open()
        let output = try other.beginOutput(named: Self.task, attempt: 1)
        #expect(try FileSystem.entries(of: path()).sorted() == ["stderr", "stdout"])
        try run("mine", "", Self.other)
        write("theirs", to: output.standardOutput)
        other.store(output, endedUnixMilliseconds: 0)
        #expect(try entries == ["segments"])
        #expect(try FileSystem.entries(of: outputs.path + "/segments").sorted() == ["00000001", "00000002"])
        #expect(try FileSystem.entries(of: outputs.path).filter { $0.hasPrefix(".spare-") }.count == 2)
        #expect(try read(at: output.place) == "theirs")
    }
}
