import Foundation
import Testing

@testable import LinuxSystem

/// A file counts as written when the last descriptor of it is closed. A process that another test is starting has a copy of ours
/// until its exec, so that may be a moment after our own close.
@Suite("Watching a file")
struct FileWatchTests {
    /// #expect cannot take a value that cannot be copied.
    private final class Watch {
        private let watch: FileWatch
        init(_ path: String) throws { watch = try FileWatch(path: path) }
        func hasChanged() -> Bool { watch.hasChanged() }
    }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "distcomp-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    @Test("a file that is written, and one that is renamed into its place, have changed; each is told once")
    func changes() throws {
        try withFolder { folder in
            try Data("1".utf8).write(to: URL(filePath: folder + "/conf.json"))
            let watch = try Watch(folder + "/conf.json")
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
            let watch = try Watch(folder + "/conf.json")
            for number in 0..<1000 { try Data().write(to: URL(filePath: folder + "/other-\(number)")) }
            #expect(!watch.hasChanged())
            try Data("{}".utf8).write(to: URL(filePath: folder + "/conf.json"))
            try waitUntil("the last copy of its descriptor is closed") { watch.hasChanged() }
        }
    }

    @Test("a directory that is not there is an error that names it")
    func missing() {
        #expect(throws: SystemError(call: "inotify_add_watch", subject: "/nonexistent/", code: ENOENT)) {
            _ = try Watch("/nonexistent/conf.json")
        }
    }
}
