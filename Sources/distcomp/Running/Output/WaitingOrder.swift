// In which order the tasks of a run were given. It may be of ten million, so it is kept in a file, and read from there as they end.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

/// The lines of the tasks that wait when a run begins, each once.
final class WaitingOrder {
    private static let pieceBytes = 1 << 20

    private let queue: QueueClient
    private let file: TemporaryFile
    /// The hashes of the lines that are in it: a task that is named twice is one.
    private var known: Set<Int> = []
    /// What is still to be written.
    private var piece: [UInt8] = []
    /// Where the next one is in the file that has been read.
    private var offset: Int64 = 0
    /// Read, and not skipped.
    private var read: [String] = []

    init(_ queue: QueueClient) throws(CommandError) {
        self.queue = queue
        file = try TemporaryFile()
    }

    /// Takes in those of these lines that wait.
    func add(_ lines: [String]) throws(CommandError) {
        let requests = lines.map { line in
            RedisRequest.command(
                RedisCommand(bytes: [
                    Array("HEXISTS".utf8), Array(queue.keys.of(line: line).todo.utf8), Array(line.utf8),
                ]))
        }
        for (line, answer) in zip(lines, try queue.answers(requests)) where answer.int == 1 { try append(line) }
    }

    /// Takes in all that waits, in the order in which it would begin: of what was given earlier that is all that is known.
    func addAllThatWaits() throws(CommandError) {
        let classes = ReadClasses(keys: queue.keys)
        let spool = try RowSpool()
        _ = try queue.scanEach(\.todo) { keys, entries throws(CommandError) in
            let failedOn = try queue.values(keys.failed, of: entries.map(\.field))
            var others: [(line: String, request: RedisRequest)] = []
            for (entry, failedOn) in zip(entries, failedOn) {
                let line = queue.text(entry.field)
                if let place = TaskStanding.place(ofTodo: entry.value) {
                    try spool.add(line, at: RowSpool.Place(number: nil, startUnixSeconds: place))
                } else if let task = try queue.parse(line) {
                    others.append((line, classes.place(of: task, failedOn: failedOn.map { queue.text($0) } ?? "")))
                }
            }
            for ((line, _), answer) in zip(others, try queue.answers(others.map(\.request))) {
                try spool.add(line, at: RowSpool.Place(number: nil, startUnixSeconds: answer.number ?? .infinity))
            }
            return true
        }
        try spool.read { _, line throws(CommandError) in
            try append(line)
            return true
        }
    }

    /// The next lines, at most so many.
    func coming(_ count: Int) throws(CommandError) -> [String] {
        try writePiece()
        while read.count < count {
            let bytes = try file.read(at: offset, count: Self.pieceBytes)
            var start = 0
            while let length = Self.length(bytes[start...]), start + 4 + length <= bytes.count {
                read.append(String(decoding: bytes[(start + 4)..<(start + 4 + length)], as: UTF8.self))
                start += 4 + length
            }
            if start == 0 {
                // Its end, or a line longer than a piece.
                guard let length = Self.length(bytes[...]) else { break }
                let whole = try file.read(at: offset, count: 4 + length)
                read.append(String(decoding: whole.dropFirst(4), as: UTF8.self))
                start = whole.count
            }
            offset += Int64(start)
        }
        return Array(read.prefix(count))
    }

    func skip(_ count: Int) { read.removeFirst(count) }

    private func append(_ line: String) throws(CommandError) {
        guard known.insert(line.hashValue).inserted else { return }
        let count = UInt32(clamping: line.utf8.count)
        piece += (0..<4).map { UInt8(truncatingIfNeeded: count >> (8 * $0)) }
        piece += line.utf8
        if piece.count >= Self.pieceBytes { try writePiece() }
    }

    private func writePiece() throws(CommandError) {
        guard !piece.isEmpty else { return }
        try file.append(piece)
        piece = []
    }

    private static func length(_ bytes: ArraySlice<UInt8>) -> Int? {
        guard bytes.count >= 4 else { return nil }
        return bytes.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
    }
}
