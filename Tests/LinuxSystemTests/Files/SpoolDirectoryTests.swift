// Small files that are there whole or not at all, in a directory that is the daemon's alone.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Spool directory")
struct SpoolDirectoryTests {
    private let folder: TemporaryFolder
    private let spool: SpoolDirectory

    init() throws {
        folder = try TemporaryFolder()
        spool = try SpoolDirectory(path: folder.path + "/spool")
    }

    @Test("a file has its name when all of it is written, and not before")
    func parts() throws {
        let unfinished = try spool.begin("7")
        try spool.append([1, 2], to: unfinished)
        try spool.append([3], to: unfinished)
        #expect(try spool.files().map(\.name) == ["7" + SpoolDirectory.temporarySuffix])
        try spool.finish(unfinished)
        #expect(try spool.files().map(\.name) == ["7"])
        #expect(try spool.files().map(\.sizeBytes) == [3])
        #expect(try spool.read("7", bytesMax: 3) == [1, 2, 3])
        #expect(throws: SystemError.self) { try spool.read("7", bytesMax: 2) }
    }

    @Test("of a file that was given up nothing is left, and one that a crash left is begun anew")
    func givenUp() throws {
        let unfinished = try spool.begin("7")
        try spool.append([1], to: unfinished)
        spool.abandon(unfinished)
        #expect(try spool.files().isEmpty)
        try folder.file("spool/8" + SpoolDirectory.temporarySuffix, "half".utf8)
        try spool.finish(try spool.begin("8"))
        #expect(try spool.read("8", bytesMax: 10).isEmpty)
    }

    @Test("only plain files are read, and a directory behind a link is refused")
    func links() throws {
        try folder.file("secret", "s".utf8)
        #expect(symlink(folder.path + "/secret", folder.path + "/spool/link") == 0)
        #expect(mkfifo(folder.path + "/spool/fifo", 0o600) == 0)
        #expect(throws: SystemError.self) { try spool.read("link", bytesMax: 10) }
        #expect(throws: SystemError.self) { try spool.read("fifo", bytesMax: 10) }
        #expect(symlink(folder.path + "/spool", folder.path + "/other") == 0)
        #expect(throws: SystemError.self) { try SpoolDirectory(path: folder.path + "/other") }
    }

    @Test("it is for its owner alone, and one that belongs to somebody else is refused")
    func owner() throws {
        #expect(try FileSystem.status(of: spool.path).permissions == 0o700)
        guard Host.isRoot else { return }
        #expect(chown(spool.path, 12345, 12345) == 0)
        let refusal = #expect(throws: SystemError.self) { try SpoolDirectory(path: spool.path) }
        #expect(refusal.map { "\($0)" } == "check the owner of \(spool.path): Operation not permitted")
    }
}
