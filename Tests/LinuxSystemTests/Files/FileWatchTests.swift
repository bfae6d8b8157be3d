import Foundation
import Testing

@testable import LinuxSystem

/// A file counts as written when the last descriptor of it is closed. A process that another test is starting has a copy of ours
/// until its exec, so that may be a moment after our own close.
@Suite("Watching a file")
struct FileWatchTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "distcomp-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    @Test("a file that is written, and one that is renamed into its place, have changed; each is told once")
    func changes() throws {
        try withFolder { folder in
            // Without opening it, so that nobody can close it later.
            #expect(mknod(folder + "/conf.json", S_IFREG | 0o644, 0) == 0)
            let watch = try FileWatch(path: folder + "/conf.json")
            #expect(!watch.hasChanged())

            try Data("2".utf8).write(to: URL(filePath: folder + "/conf.json"))
            try waitUntil("the last copy of its descriptor is closed") { watch.hasChanged() }
            #expect(!watch.hasChanged())

            try Data("3".utf8).write(to: URL(filePath: folder + "/conf.json.new"))
            #expect(!watch.hasChanged())
            #expect(rename(folder + "/conf.json.new", folder + "/conf.json") == 0)
            #expect(watch.hasChanged())
        }
    }

    @Test("other files of the directory are no concern, and a thousand of them lose nothing")
    func others() throws {
        try withFolder { folder in
            let watch = try FileWatch(path: folder + "/conf.json")
            for number in 0..<1000 { try Data().write(to: URL(filePath: folder + "/other-\(number)")) }
            #expect(!watch.hasChanged())
            try Data("{}".utf8).write(to: URL(filePath: folder + "/conf.json"))
            try waitUntil("the last copy of its descriptor is closed") { watch.hasChanged() }
        }
    }

    @Test(
        "a file behind a chain of links has changed when any link of the chain is replaced, as a Kubernetes ConfigMap is"
    )
    func configMap() throws {
        try withFolder { folder in
            func version(_ number: Int) throws {
                try FileManager.default.createDirectory(
                    atPath: "\(folder)/..\(number)", withIntermediateDirectories: true)
                try Data("\(number)".utf8).write(to: URL(filePath: "\(folder)/..\(number)/conf.json"))
            }
            try version(1)
            try version(2)
            #expect(symlink("..1", folder + "/..data") == 0)
            #expect(symlink("..data/conf.json", folder + "/conf.json") == 0)
            let watch = try FileWatch(path: folder + "/conf.json")
            #expect(!watch.hasChanged())
            for number in [2, 1, 2] {
                #expect(symlink("..\(number)", folder + "/..data_tmp") == 0)
                #expect(!watch.hasChanged(), "a link of another name")
                #expect(rename(folder + "/..data_tmp", folder + "/..data") == 0)
                #expect(watch.hasChanged())
                #expect(!watch.hasChanged())
            }
            // The file at the end of the new chain is watched, the one at the end of the old is not any more.
            try Data("x".utf8).write(to: URL(filePath: folder + "/..2/conf.json"))
            try waitUntil("the last copy of its descriptor is closed") { watch.hasChanged() }
            try Data("x".utf8).write(to: URL(filePath: folder + "/..1/conf.json"))
            #expect(!watch.hasChanged())
            // And so is a link made anew in place of one that was removed.
            #expect(unlink(folder + "/..data") == 0 && symlink("..1", folder + "/..data") == 0)
            #expect(watch.hasChanged())
        }
    }

    @Test("a directory that is not there is an error that names it")
    func missing() {
        #expect(throws: SystemError(call: "inotify_add_watch", subject: "/nonexistent/", code: ENOENT)) {
            _ = try FileWatch(path: "/nonexistent/conf.json")
        }
    }
}
