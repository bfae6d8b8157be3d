// What root opens below a directory that others can change: whatever they put there, root reads and writes nothing else, and never waits.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Guarded opening", .enabled(if: Host.isRoot && nobody != nil))
struct GuardedDirectoryTests {
    private let folder: TemporaryFolder
    /// Root's own, which nothing below may change or show.
    private let precious: String
    /// A directory of another user's.
    private let theirs: String
    private let identifier: UInt32

    init() throws {
        folder = try TemporaryFolder()
        precious = try folder.file("precious", "untouched".utf8)
        theirs = folder.path + "/theirs"
        identifier = try #require(nobody).userIdentifier
        #expect(mkdir(theirs, 0o755) == 0 && chown(theirs, identifier, identifier) == 0)
    }

    @Test("of many who make a file at one time all have it")
    func makingAtOnce() async throws {
        for round in 0..<50 {
            let inodes = try await withThrowingTaskGroup(of: UInt64.self) { group in
                for _ in 0..<8 {
                    group.addTask { [theirs] in
                        let directory = try GuardedDirectory(path: theirs)
                        let file = try directory.open("lock\(round)", [.readWrite, .create], mode: 0o600)
                        return try file.status(subject: "lock").inode
                    }
                }
                return try await group.reduce(into: Set<UInt64>()) { $0.insert($1) }
            }
            #expect(inodes.count == 1)
        }
    }

    /// A link as that user makes one.
    private func link(_ name: String, to target: String) {
        #expect(symlink(target, theirs + "/" + name) == 0)
        #expect(lchown(theirs + "/" + name, identifier, identifier) == 0)
    }

    private func expectUntouched(sourceLocation: SourceLocation = #_sourceLocation) throws {
        let status = try FileSystem.status(of: precious)
        #expect(status.ownerIdentifier == 0 && status.permissions == 0o644, sourceLocation: sourceLocation)
        #expect(try FileSystem.text(of: precious) == "untouched", sourceLocation: sourceLocation)
    }

    /// Each way to open a path, in the quick form and in the one for kernels without openat2(2).
    private func expectRefused(
        _ path: String, _ flags: OpenFlags = [.readOnly], code: Int32 = ELOOP,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        for isQuick in [true, false] {
            do {
                let opened =
                    try isQuick
                    ? OwnedDescriptor.openGuarded(path, flags, mode: 0o600)
                    : OwnedDescriptor.walk(path, flags, mode: 0o600, creatingDirectories: nil)
                Issue.record("\(path) was opened as \(try opened.resolvedPath())", sourceLocation: sourceLocation)
            } catch {
                #expect(error.code == code && error.subject == path, "\(error)", sourceLocation: sourceLocation)
            }
        }
    }

    @Test("a link of another user's is followed nowhere on a path, and the error says whose it is")
    func linksOfOthers() throws {
        link("file", to: precious)
        link("folder", to: folder.path)
        link("up", to: "..")
        try expectRefused(theirs + "/file")
        try expectRefused(theirs + "/file", [.writeOnly, .create, .truncate])
        try expectRefused(theirs + "/folder/precious")
        try expectRefused(theirs + "/up/precious", [.writeOnly, .truncate])
        try expectRefused(theirs + "/folder", [.readOnly, .directory])
        let error = #expect(throws: SystemError.self) { try FileSystem.guardedContents(of: theirs + "/file") }
        #expect("\(try #require(error))".contains("the link file, which is nobody's: root does not follow it"))
        try expectUntouched()
    }

    @Test("directories that are missing are made, but not through such a link")
    func makesDirectories() throws {
        let made = try GuardedDirectory(path: theirs + "/a/b", creating: 0o750)
        #expect(try FileSystem.status(of: theirs + "/a/b").permissions == 0o750)
        #expect(made.ownerIdentifier == 0)
        link("elsewhere", to: folder.path)
        #expect(throws: SystemError.self) { try GuardedDirectory(path: theirs + "/elsewhere/new", creating: 0o755) }
        #expect(!FileSystem.exists(folder.path + "/new"))
    }

    @Test("root's own links are followed, relative and absolute, and a chain that bites its tail is an error")
    func ownLinks() throws {
        #expect(symlink("../precious", theirs + "/relative") == 0)
        #expect(symlink(folder.path, folder.path + "/absolute") == 0)
        #expect(symlink("loop", folder.path + "/loop") == 0)
        #expect(try FileSystem.guardedContents(of: theirs + "/relative") == Array("untouched".utf8))
        #expect(try FileSystem.guardedContents(of: folder.path + "/absolute/precious") == Array("untouched".utf8))
        try expectRefused(folder.path + "/loop")
        try expectRefused(theirs + "/relative", [.readOnly, .doNotFollow])
    }

    @Test(
        "a FIFO, a device and a directory are no files, and none is waited for",
        arguments: ["fifo", "device", "directory"])
    func noFiles(_ kind: String) throws {
        let path = theirs + "/" + kind
        switch kind {
        case "fifo": #expect(mkfifo(path, 0o666) == 0)
        case "device": try #require(mknod(path, S_IFCHR | 0o666, 0x103) == 0)  // /dev/null
        default: #expect(mkdir(path, 0o777) == 0)
        }
        #expect(throws: SystemError.self) { try FileSystem.guardedContents(of: path) }
        let directory = try GuardedDirectory(path: theirs)
        #expect(throws: SystemError.self) { try directory.contents(of: kind) }
        #expect(throws: SystemError.self) { _ = try directory.open(kind, [.readWrite, .create], mode: 0o600).raw }
    }

    @Test(
        "in a directory no link is followed, root's own neither, and what was linked there under a second name is not opened"
    )
    func entries() throws {
        let directory = try GuardedDirectory(path: theirs)
        link("link", to: precious)
        #expect(symlink(precious, theirs + "/own") == 0)
        #expect(Glibc.link(precious, theirs + "/hard") == 0)
        for name in ["link", "own", "hard"] {
            #expect(throws: SystemError.self) { try directory.contents(of: name) }
            #expect(throws: SystemError.self) {
                _ = try directory.open(name, [.readWrite, .create, .truncate], mode: 0o600).raw
            }
        }
        for name in ["../precious", "..", "", "a/b"] {
            #expect(throws: SystemError.self, "\(name)") { try directory.contents(of: name) }
        }
        try expectUntouched()
    }

    @Test("what is made anew takes the place of whatever had its name, and belongs to whom the directory does")
    func makesAnew() throws {
        let directory = try GuardedDirectory(path: theirs)
        link("log", to: precious)
        link("file.new", to: precious)
        link("file", to: precious)
        try directory.create("log", mode: 0o644).writeAll(Array("log".utf8), subject: "log")
        try directory.replace("file", with: Array("file".utf8), mode: 0o600)
        _ = try directory.open("lock", [.readWrite, .create], mode: 0o600).raw
        for name in ["log", "file", "lock"] {
            let status = try FileSystem.status(of: theirs + "/" + name)
            #expect(status.ownerIdentifier == identifier && status.isRegular, "\(name)")
        }
        #expect(try directory.contents(of: "file") == Array("file".utf8))
        try expectUntouched()
    }

    @Test("a directory is given to another user only while it is empty")
    func given() throws {
        let mine = try GuardedDirectory(path: folder.path + "/mine", creating: 0o755)
        #expect(try mine.given(toUser: identifier, group: identifier).ownerIdentifier == identifier)
        let full = try GuardedDirectory(path: folder.path + "/full", creating: 0o755)
        try full.replace("file", with: [], mode: 0o600)
        #expect(throws: SystemError.self) { try full.given(toUser: identifier, group: identifier) }
        #expect(try FileSystem.status(of: folder.path + "/full").ownerIdentifier == 0)
    }

    @Test("a directory that is swapped for another after it was opened stays the one that is worked in")
    func swapped() throws {
        let directory = try GuardedDirectory(path: theirs)
        #expect(rename(theirs, folder.path + "/moved") == 0)
        #expect(symlink("/", theirs) == 0)
        try directory.replace("file", with: [], mode: 0o600)
        #expect(FileSystem.exists(folder.path + "/moved/file"))
    }

    @Test("results, reports and secrets are not looked for through such a link either")
    func users() throws {
        link("results", to: folder.path)
        #expect(throws: SystemError.self) { try OutputDirectory(path: theirs + "/results", account: nobody) }
        #expect(throws: SystemError.self) { try SpoolDirectory(path: theirs + "/results/reports") }
        try folder.file("secret", "word".utf8, mode: 0o600)
        #expect(throws: SystemError.self) { try SecretFile.contents(of: theirs + "/results/secret") }
        #expect(throws: SystemError.self) { try SecretFile.create(theirs + "/results/key", [1]) }
        #expect(!FileSystem.exists(folder.path + "/reports") && !FileSystem.exists(folder.path + "/key"))
    }
}
