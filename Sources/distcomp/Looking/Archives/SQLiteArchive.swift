// An archive as a database: a table of tasks with a column for each field of a result and for each value of a sweep, and a table of their
// jobs. A file of SQLite is read by everything: sqlite3, Python, R, DuckDB, pandas.

import GRDB
import LinuxSystem
import TaskModel

/// What a database of ours is made of.
private enum ArchiveSchema {
    /// Marks a file as ours: `DCar`.
    static let applicationIdentifier = 0x4443_6172
    static let version = 1

    static let jobColumns: [(name: String, type: String)] = [
        ("id", "TEXT PRIMARY KEY"), ("name", "TEXT"), ("owner", "TEXT"), ("host", "TEXT"), ("command", "TEXT"),
        ("submitted", "REAL"), ("state", "TEXT"), ("todo", "INTEGER"), ("in_progress", "INTEGER"),
        ("finished", "INTEGER"), ("failed", "INTEGER"), ("memory_bytes", "INTEGER"), ("cores", "REAL"),
        ("priority", "INTEGER"),
    ]

    /// One result is known by its task and when it ended.
    static let key = "id, ifnull(\"end\", 0)"

    static func quoted(_ name: String) -> String { "\"" + name.replacing("\"", with: "\"\"") + "\"" }

    /// Runs what SQLite may refuse; `path` is what people know the file by.
    static func perform<Result>(_ path: String, _ body: () throws -> Result) throws(CommandError) -> Result {
        do {
            return try body()
        } catch let error as CommandError {
            throw error
        } catch let error as DatabaseError {
            throw .failed("\(path): SQLite: \(error.message ?? "error \(error.resultCode.rawValue)")")
        } catch {
            throw .failed("\(path): \(error)")
        }
    }
}

extension ResultValue {
    /// What a column of such values is declared as.
    fileprivate var columnType: String {
        switch self {
        case .text, .textJSON, .object: "TEXT"
        case .integer, .flag: "INTEGER"
        case .number, .numberText: "REAL"
        }
    }

    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .text(let text): text.map { Self.text($0) } ?? .null
        case .integer(let number): number.map { Int64($0).databaseValue } ?? .null
        case .number(let number): number.map { $0.databaseValue } ?? .null
        case .numberText(let text): text.flatMap { Double($0) }.map { $0.databaseValue } ?? .null
        case .flag(let flag): flag.map { Int64($0 ? 1 : 0).databaseValue } ?? .null
        case .textJSON(let json): json.flatMap { JSONText.unquoted($0) }.map { Self.text($0) } ?? .null
        case .object: cell.map { Self.text($0) } ?? .null
        }
    }

    /// A text of SQLite ends at its first NUL.
    private static func text(_ text: String) -> DatabaseValue {
        text.utf8.contains(0) ? text.replacing("\0", with: "\u{FFFD}").databaseValue : text.databaseValue
    }
}

final class SQLiteArchiveWriter: ResultArchiveWriter {
    /// A batch is a transaction.
    private static let batchCountMax = 1000
    private static let batchBytesMax = 8 << 20

    private let database: DatabaseQueue
    private let path: String
    /// Of the table of tasks, with their types.
    private var columns: [String: String] = [:]
    /// By the names and types of the values of a sweep, how a row with such values is put in: a text of a kilobyte.
    private var insertions: [[String]: String] = [:]
    private var batch: [(sql: String, values: [DatabaseValue])] = []
    private var batchBytes = 0
    private(set) var resultCount = 0
    private(set) var newCount = 0

    /// - Parameters:
    ///   - file: what is written.
    ///   - path: what people know it by.
    init(_ file: String, named path: String, isNew: Bool) throws(CommandError) {
        self.path = path
        var configuration = GRDB.Configuration()
        // Nobody sees the file before it is whole, and it is synced then.
        configuration.prepareDatabase { database in
            try database.execute(
                sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
                    + "PRAGMA cache_size = -65536")
        }
        database = try ArchiveSchema.perform(path) { try DatabaseQueue(path: file, configuration: configuration) }
        columns = try ArchiveSchema.perform(path) { [database] in
            try database.write { database in
                if isNew { try Self.create(database) } else { try Self.check(database, path) }
                return try Self.columns(database)
            }
        }
        for field in TaskResult.emptyFields where columns[field.name] == nil {
            try addColumn(field.name, field.value.columnType)
        }
    }

    private static func create(_ database: Database) throws {
        func list(_ columns: [(name: String, type: String)]) -> String {
            columns.map { "\(ArchiveSchema.quoted($0.name)) \($0.type)" }.joined(separator: ", ")
        }
        let fields = TaskResult.emptyFields.map { ($0.name, $0.value.columnType) }
        try database.execute(
            sql: "PRAGMA application_id = \(ArchiveSchema.applicationIdentifier);"
                + "PRAGMA user_version = \(ArchiveSchema.version);"
                + "CREATE TABLE tasks (\(list(fields)));"
                + "CREATE UNIQUE INDEX tasks_by_end ON tasks (\(ArchiveSchema.key));"
                + "CREATE TABLE jobs (\(list(ArchiveSchema.jobColumns)))")
    }

    static func check(_ database: Database, _ path: String) throws {
        let identifier = try Int.fetchOne(database, sql: "PRAGMA application_id")
        guard identifier == ArchiveSchema.applicationIdentifier else {
            throw CommandError.usage("\(path) is no archive of results")
        }
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        guard version == ArchiveSchema.version else {
            throw CommandError.usage("\(path) is an archive of another version of distcomp (\(version))")
        }
    }

    private static func columns(_ database: Database) throws -> [String: String] {
        Dictionary(
            try database.columns(in: "tasks").map { ($0.name.lowercased(), $0.type) }, uniquingKeysWith: { $1 })
    }

    private func addColumn(_ name: String, _ type: String) throws(CommandError) {
        try ArchiveSchema.perform(path) {
            try database.write {
                try $0.execute(sql: "ALTER TABLE tasks ADD COLUMN \(ArchiveSchema.quoted(name)) \(type)")
            }
        }
        columns[name.lowercased()] = type
    }

    func add(_ result: TaskResult) throws(CommandError) {
        resultCount += 1
        let values = result.values ?? []
        let row = result.fields.map(\.value.databaseValue) + values.map(\.value.databaseValue)
        batch.append((try insertion(values), row))
        batchBytes += 1000 + (result.standardOutputJSON?.count ?? 0) + (result.outputEnd?.json.count ?? 0)
        if batch.count >= Self.batchCountMax || batchBytes >= Self.batchBytesMax { try writeBatch() }
    }

    private func insertion(_ values: NamedValues) throws(CommandError) -> String {
        let key = values.map { "\($0.value.columnType) \($0.name)" }
        if let known = insertions[key] { return known }
        let sql = Self.sql(TaskResult.fieldNames + (try columnNames(values)))
        insertions[key] = sql
        return sql
    }

    /// What is there already stays, but that an output may be known now that was not.
    private static func sql(_ names: [String]) -> String {
        let outputs = ["stdout", "stdout_truncated", "stdout_omitted_bytes", "stdout_tail", "stdout_left_at"]
        return "INSERT INTO tasks (\(names.map { ArchiveSchema.quoted($0) }.joined(separator: ", "))) VALUES ("
            + names.map { _ in "?" }.joined(separator: ", ") + ") ON CONFLICT (\(ArchiveSchema.key)) DO UPDATE SET "
            + outputs.map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
            + " WHERE tasks.stdout IS NULL AND excluded.stdout IS NOT NULL"
    }

    /// The columns of the values of a sweep. One whose name is a column of another type goes by its type as well: programs that read
    /// tables want one type a column.
    private func columnNames(_ values: NamedValues) throws(CommandError) -> [String] {
        var names: [String] = []
        for (name, value) in values {
            let type = value.columnType
            var column = name
            if let other = columns[name.lowercased()], other != type || Self.fieldNames.contains(name.lowercased()) {
                column = "\(name)_\(type.lowercased())"
            }
            while let other = columns[column.lowercased()], other != type || names.contains(column) { column += "_" }
            if columns[column.lowercased()] == nil { try addColumn(column, type) }
            names.append(column)
        }
        return names
    }

    private static let fieldNames = Set(TaskResult.fieldNames)

    func add(_ job: ListedJob) throws(CommandError) {
        guard let known = job.job else { return }
        let settings = known.settings
        let values: [DatabaseValue] = [
            job.identifier.databaseValue, job.name.databaseValue, settings.owner.databaseValue,
            settings.host.databaseValue, settings.command.databaseValue, settings.submittedAtUnixSeconds.databaseValue,
            job.state.databaseValue, job.todo.databaseValue, job.inProgress.databaseValue, job.finished.databaseValue,
            job.failed.databaseValue, Int64(clamping: settings.memoryBytes).databaseValue,
            (Double(settings.millicores) / 1000).databaseValue, settings.priority.databaseValue,
        ]
        let marks = values.map { _ in "?" }.joined(separator: ", ")
        batch.append(("INSERT OR REPLACE INTO jobs VALUES (\(marks))", values))
    }

    func finish() throws(CommandError) {
        try writeBatch()
        try ArchiveSchema.perform(path) { try database.close() }
    }

    private func writeBatch() throws(CommandError) {
        guard !batch.isEmpty else { return }
        newCount += try ArchiveSchema.perform(path) {
            try database.write { database in
                let before = try Self.rowCount(database)
                for (sql, values) in batch {
                    let statement = try database.cachedStatement(sql: sql)
                    statement.setUncheckedArguments(StatementArguments(values))
                    try statement.execute()
                }
                return try Self.rowCount(database) - before
            }
        }
        batch.removeAll(keepingCapacity: true)
        batchBytes = 0
    }
}

extension SQLiteArchiveWriter {
    /// Rows are numbered as they come: what this grows by is how many are new.
    private static func rowCount(_ database: Database) throws -> Int {
        try Int.fetchOne(database, sql: "SELECT max(rowid) FROM tasks") ?? 0
    }
}

struct SQLiteArchiveReader: ResultArchiveReader {
    let path: String

    func forEachResult(_ use: (TaskResult) throws(CommandError) -> Bool) throws(CommandError) {
        var configuration = GRDB.Configuration()
        configuration.readonly = true
        let results = ArchivedResults()
        let types = Dictionary(
            TaskResult.emptyFields.map { ($0.name, $0.value.columnType) }, uniquingKeysWith: { $1 })
        try ArchiveSchema.perform(path) {
            let database = try DatabaseQueue(path: path, configuration: configuration)
            try database.read { database in
                try SQLiteArchiveWriter.check(database, path)
                let rows = try Row.fetchCursor(database, sql: "SELECT * FROM tasks ORDER BY rowid")
                while let row = try rows.next() {
                    guard let result = results.result(Self.json(row, types)) else { continue }
                    guard try use(result) else { return }
                }
            }
        }
    }

    /// The object that `results --format jsonl` prints.
    private static func json(_ row: Row, _ types: [String: String]) -> [UInt8] {
        var writer = JSONObjectWriter()
        for (name, value) in row where types[name] != nil {
            switch value.storage {
            case .null: writer.field(name, String?.none)
            case .int64(let number) where name == "stdout_truncated": writer.field(name, number != 0)
            case .int64(let number): writer.field(name, number)
            case .double(let number): writer.field(name, number)
            case .string(let text) where name == TaskResult.valuesName: writer.field(name, json: Array(text.utf8))
            case .string(let text): writer.field(name, text)
            case .blob: break
            }
        }
        return writer.bytes
    }
}
