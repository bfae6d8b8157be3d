// A folder for a store, and a log that can be asked.

import Glibc
import LinuxSystem
import Logging
import Synchronization

/// A new folder, removed with all in it. The store is to be `reports` in it.
final class StoreFolder {
    let path: String
    var reports: String { path + "/reports" }

    init() throws { path = try FileSystem.makeTemporaryDirectory("/tmp/distcomp-store-") }

    deinit {
        unlink(reports)  // It may be a link.
        _ = try? FileSystem.removeTree(path)
    }

    func makeReports() throws {
        _ = try? FileSystem.removeTree(reports)
        try FileSystem.createDirectories(reports, mode: 0o700)
    }

    /// Writes a file into the store, or beside it where it is not made yet.
    func write(_ name: String, _ text: String) throws {
        let directory = FileSystem.exists(reports) ? reports : path
        let file = try OwnedDescriptor.open(directory + "/" + name, [.writeOnly, .create, .truncate], mode: 0o600)
        try file.writeAll(Array(text.utf8), subject: name)
    }
}

/// Keeps what is logged at warning and above.
final class RecordedLog: Sendable {
    private let lines = Mutex<[String]>([])

    var warnings: [String] { lines.withLock { $0 } }

    var logger: Logger { Logger(label: "test") { _ in Handler(log: self) } }

    private struct Handler: LogHandler {
        let log: RecordedLog
        var metadata: Logger.Metadata = [:]
        var logLevel: Logger.Level = .warning

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            log.lines.withLock { $0.append("\(event.message)") }
        }
    }
}
