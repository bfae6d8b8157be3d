// Results in a file, apart from any queue: `results --archive FILE` writes them and `results --from FILE` reads them. What kind of file is
// said by the end of its name: a database of SQLite, which other programs ask questions of, or lines of JSON, compressed, which
// they read as they come.

import LinuxSystem
import TaskModel

/// What an archive is.
enum ArchiveKind: CaseIterable {
    case sqlite
    case lines

    /// The ends of names of it; the first is what people are told.
    var suffixes: [String] {
        switch self {
        case .sqlite: [".sqlite", ".sqlite3", ".db"]
        case .lines: [".jsonl.zst"]
        }
    }

    /// nil where the name says nothing.
    init?(path: String) {
        guard let kind = Self.allCases.first(where: { $0.suffixes.contains { path.hasSuffix($0) } }) else { return nil }
        self = kind
    }

    /// To stand behind the name of an option.
    static let allowed = "its name ends in " + allCases.map { $0.suffixes[0] }.joined(separator: " or ")
}

/// Where results are written to, one after the other.
protocol ResultArchiveWriter {
    /// How many results were given.
    var resultCount: Int { get }
    /// How many of them were not there before.
    var newCount: Int { get }
    func add(_ result: TaskResult) throws(CommandError)
    func add(_ job: ListedJob) throws(CommandError)
    /// All is written but not yet for good: no more comes.
    func finish() throws(CommandError)
}

/// What there is in an archive, in the order in which it was added.
protocol ResultArchiveReader {
    /// For as long as `use` wants more.
    func forEachResult(_ use: (TaskResult) throws(CommandError) -> Bool) throws(CommandError)
}

enum ResultArchive {
    /// A rollback journal that is to be played back. Those that are kept for the next time are empty, or begin with zeros, see "Hot
    /// Rollback Journals" in SQLite's "File Locking And Concurrency".
    private static func hotJournal(of file: String) throws(CommandError) -> String? {
        let journal = file + "-journal"
        guard FileSystem.exists(journal) else { return nil }
        let first = try system { () throws(SystemError) in
            try OwnedDescriptor.open(journal, [.readOnly]).read(at: 0, count: 1, subject: journal).first
        }
        return first ?? 0 == 0 ? nil : journal
    }

    /// Adds to the file, or makes it; there is the old one or the new one, never half of one.
    ///
    /// - Parameter write: gives all that is to be written.
    /// - Returns: how many results were given, and how many of them were not there before.
    static func write(
        _ path: String, _ write: (any ResultArchiveWriter) throws(CommandError) -> Void
    ) throws(CommandError) -> (count: Int, newCount: Int) {
        guard let kind = ArchiveKind(path: path) else { throw .usage("--archive \(path): \(ArchiveKind.allowed)") }
        if kind == .sqlite {
            // They stand beside the file itself, whatever link leads to it. What they hold belongs to the old file.
            let file =
                FileSystem.exists(path) ? try system { () throws(SystemError) in try FileSystem.resolved(path) } : path
            if let other = FileSystem.exists(file + "-wal") ? file + "-wal" : try hotJournal(of: file) {
                throw .usage("\(path): another program has it open, or had it when it ended (there is \(other))")
            }
        }
        let file = try begin(path)
        let written: (count: Int, newCount: Int)
        do throws(CommandError) {
            let hasOld = try system { () throws(SystemError) in try file.copyOld() }
            let writer: any ResultArchiveWriter =
                switch kind {
                case .sqlite: try SQLiteArchiveWriter(file.partPath, named: path, isNew: !hasOld)
                case .lines: try LineArchiveWriter(file.descriptor, named: path, old: hasOld ? path : nil)
                }
            try write(writer)
            try writer.finish()
            written = (writer.resultCount, writer.newCount)
        } catch {
            file.abandon()
            throw error
        }
        do throws(SystemError) {
            try file.commit()
        } catch {
            throw .failed("\(error)")
        }
        return written
    }

    private static func begin(_ path: String) throws(CommandError) -> FileReplacement {
        do throws(SystemError) {
            return try FileReplacement(of: path)
        } catch  where error.call == "flock" {
            throw .failed("\(path): another command is writing it (\(error))")
        } catch {
            throw .usage("--archive: \(error)")
        }
    }

    static func read(_ path: String) throws(CommandError) -> any ResultArchiveReader {
        guard FileSystem.exists(path) else { throw .usage("--from: there is no \(path)") }
        switch ArchiveKind(path: path) {
        case .sqlite: return SQLiteArchiveReader(path: path)
        case .lines: return LineArchiveReader(path: path)
        case nil: throw .usage("--from \(path): \(ArchiveKind.allowed)")
        }
    }

    static func system<Result>(_ body: () throws(SystemError) -> Result) throws(CommandError) -> Result {
        do throws(SystemError) {
            return try body()
        } catch {
            throw .failed("\(error)")
        }
    }
}
