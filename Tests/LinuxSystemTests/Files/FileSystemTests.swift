// Files as the daemon uses them: whole or not at all, bounded, and where it was told.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Files")
struct FileSystemTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func expectRefusal(_ call: String, _ code: Int32, _ body: () throws -> Void) {
        let error = #expect(throws: SystemError.self) { try body() }
        #expect(error?.call == call)
        #expect(error?.code == code)
    }

    @Test("a file longer than its bound is refused, not cut")
    func bounded() throws {
        let path = try folder.file("ten", Array(repeating: 65, count: 10))
        #expect(try FileSystem.contents(of: path, bytesMax: 10).count == 10)
        expectRefusal("read", EFBIG) { _ = try FileSystem.contents(of: path, bytesMax: 9) }
        expectRefusal("read", EFBIG) { _ = try FileSystem.contents(of: "/dev/zero", bytesMax: 100_000) }
    }

    @Test("a directory and a missing file are errors that name them")
    func notReadable() {
        expectRefusal("read", EISDIR) { _ = try FileSystem.contents(of: folder.path) }
        expectRefusal("open", ENOENT) { _ = try FileSystem.text(of: folder.path + "/none") }
    }

    @Test("text comes without the white space at its end, and repaired where it is no UTF-8")
    func text() throws {
        #expect(try FileSystem.text(of: try folder.file("a", " 1 2 \n\n".utf8)) == " 1 2")
        #expect(try FileSystem.text(of: try folder.file("b", [0x41, 0xFF])) == "A\u{FFFD}")
        #expect(try FileSystem.text(of: try folder.file("c")) == "")
    }

    @Test("a replaced file has the new bytes and mode, and no other file is left")
    func replaces() throws {
        let path = try folder.file("state", "old and longer".utf8, mode: 0o644)
        try FileSystem.replace(path, with: Array("new".utf8), mode: 0o600)
        #expect(try FileSystem.text(of: path) == "new")
        #expect(try FileSystem.status(of: path).permissions == 0o600)
        #expect(try FileSystem.entries(of: folder.path) == ["state"])
    }

    @Test("a reader sees the old file or the new one, never a part")
    func replacesAtOnce() async throws {
        let path = folder.path + "/state"
        let pieces = [UInt8(ascii: "a"), UInt8(ascii: "b")].map { Array(repeating: $0, count: 100_000) }
        try FileSystem.replace(path, with: pieces[0], mode: 0o600)
        let writer = Task.detached {
            for round in 0..<40 { try FileSystem.replace(path, with: pieces[round % 2], mode: 0o600) }
        }
        for _ in 0..<200 {
            let seen = try FileSystem.contents(of: path)
            #expect(seen == pieces[0] || seen == pieces[1])
            await Task.yield()
        }
        try await writer.value
    }

    @Test("a replacement that fails leaves the old file and nothing else")
    func replacementFails() throws {
        try FileSystem.createDirectories(folder.path + "/state/inside", mode: 0o755)
        expectRefusal("rename", EISDIR) {
            try FileSystem.replace(folder.path + "/state", with: [1], mode: 0o600)
        }
        #expect(try FileSystem.entries(of: folder.path) == ["state"])
    }

    @Test("a link where the new file is to be written is replaced, not followed")
    func replacementMeetsLink() throws {
        let victim = try folder.file("victim", "untouched".utf8)
        #expect(symlink(victim, folder.path + "/state.new") == 0)
        try FileSystem.replace(folder.path + "/state", with: [1], mode: 0o600)
        #expect(try FileSystem.text(of: victim) == "untouched")
    }

    @Test(
        "directories are created with those above them, and existing ones left alone",
        arguments: ["a/b/c", "a/b/c/", "a"])
    func createsDirectories(below: String) throws {
        let path = folder.path + "/" + below
        try FileSystem.createDirectories(path, mode: 0o700)
        #expect(try FileSystem.status(of: path).isDirectory)
        #expect(chmod(path, 0o755) == 0)
        try FileSystem.createDirectories(path, mode: 0o700)
        #expect(try FileSystem.status(of: path).permissions == 0o755)
    }

    @Test("a directory that cannot be is an error")
    func cannotCreate() throws {
        let file = try folder.file("file")
        expectRefusal("mkdir", ENOTDIR) { try FileSystem.createDirectories(file, mode: 0o755) }
        expectRefusal("mkdir", ENOTDIR) { try FileSystem.createDirectories(file + "/below", mode: 0o755) }
        expectRefusal("mkdir", ENOENT) { try FileSystem.createDirectories("", mode: 0o755) }
        expectRefusal("mkdir", ENAMETOOLONG) {
            try FileSystem.createDirectories(folder.path + "/" + String(repeating: "x", count: 300), mode: 0o755)
        }
        #expect(symlink("/nonexistent/target", folder.path + "/dangling") == 0)
        expectRefusal("stat", ENOENT) { try FileSystem.createDirectories(folder.path + "/dangling", mode: 0o755) }
    }

    @Test("reading at an offset ends where the file ends")
    func readsAt() throws {
        let file = try OwnedDescriptor.open(try folder.file("ten", "0123456789".utf8), [.readOnly])
        let parts = try [(0, 4), (8, 4), (10, 4), (99, 1), (3, 0), (3, -1)].map { offset, count in
            String(decoding: try file.read(at: Int64(offset), count: count, subject: "ten"), as: UTF8.self)
        }
        #expect(parts == ["0123", "89", "", "", "", ""])
        var refusal: SystemError?
        do throws(SystemError) { _ = try file.read(at: -1, count: 1, subject: "ten") } catch { refusal = error }
        #expect(refusal == SystemError(call: "read", subject: "ten", code: EINVAL))
    }

    @Test("a full disk is an error that says so")
    func fullDisk() throws {
        let full = try OwnedDescriptor.open("/dev/full", [.writeOnly])
        var refusal: SystemError?
        do throws(SystemError) { try full.writeAll([1], subject: "output") } catch { refusal = error }
        #expect("\(try #require(refusal))" == "write output: No space left on device")
    }

    @Test("the entries, links and kinds of a directory are told")
    func inspects() throws {
        let file = try folder.file("file")
        #expect(symlink("file", folder.path + "/link") == 0)
        #expect(try FileSystem.entries(of: folder.path).sorted() == ["file", "link"])
        #expect(try FileSystem.destination(ofLink: folder.path + "/link") == "file")
        #expect(try FileSystem.resolved(folder.path + "/./link") == FileSystem.resolved(file))
        #expect(try FileSystem.status(of: file).isRegular)
        #expect(FileSystem.exists(file) && !FileSystem.isExecutable(file) && !FileSystem.exists(file + "x"))
        try FileSystem.remove(file)
        expectRefusal("unlink", ENOENT) { try FileSystem.remove(file) }
        expectRefusal("rmdir", ENOTEMPTY) { try FileSystem.removeDirectory(folder.path) }
        expectRefusal("readlink", EINVAL) { _ = try FileSystem.destination(ofLink: folder.path) }
    }

    @Test("a plain name stays inside its directory")
    func plainNames() {
        #expect(["a", "...", "-", "17.9c3f", "\n", " ", "naïve"].allSatisfy(FileSystem.isPlainName))
        #expect(!["", ".", "..", "/", "a/b", "/a", "a/", "../a", "a\0b"].contains(where: FileSystem.isPlainName))
    }
}
