// Results come from Redis in the order of its hashes, which is none. Whoever wants another order (GNU parallel's job log is numbered by
// it) gets it here: rows wait in a file without a name until all are there, so that memory does not grow with what tasks wrote.

import LinuxSystem
import TaskModel

/// Where tasks stand in a file that lists them, by their lines or by their commands.
struct PlacesInFile {
    private static let bytesMax = 1 << 31

    /// By the hash of the text, since a file may have ten million lines.
    private var numbersByHash: [Int: Int32] = [:]
    private(set) var lineCount = 0

    init(reading path: String) throws(CommandError) {
        do throws(SystemError) {
            self.init(try FileSystem.contents(of: path, bytesMax: Self.bytesMax))
        } catch {
            throw .usage("--order: \(error)")
        }
    }

    /// Every line counts, blank ones and comments too: so does GNU parallel.
    init(_ text: [UInt8]) {
        for line in text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            lineCount += 1
            let hash = Self.hash(line)
            if numbersByHash[hash] == nil { numbersByHash[hash] = Int32(clamping: lineCount) }
        }
        if text.last == UInt8(ascii: "\n") || text.isEmpty { lineCount -= 1 }
    }

    /// The number of the line, from 1; nil for a task that is not in the file.
    func place(of result: TaskResult) -> Int? {
        if let number = numbersByHash[Self.hash(Array(result.line.utf8)[...])] { return Int(number) }
        let command = TaskLine.command(ofLine: result.line)
        return numbersByHash[Self.hash(Array(command.utf8)[...])].map { Int($0) }
    }

    private static func hash(_ line: ArraySlice<UInt8>) -> Int {
        func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        var rest = line
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        var hasher = Hasher()
        hasher.combine(Array(rest.drop(while: isBlank)))
        return hasher.finalize()
    }
}

/// Numbers tasks in their order: by their places, and what has none behind all that have.
struct ResultNumbering {
    private let lineCount: Int
    private var last = 0

    init(_ places: PlacesInFile?) { lineCount = places?.lineCount ?? 0 }

    mutating func next(_ place: RowSpool.Place) -> Int {
        last = place.number ?? max(last, lineCount) + 1
        return last
    }
}

/// Rows that are printed in another order than they come in.
final class RowSpool {
    /// What rows are sorted by: a number, and among those without one, which come last, when their task began.
    struct Place {
        let number: Int?
        let startUnixSeconds: Double

        static func < (left: Place, right: Place) -> Bool {
            (left.number ?? .max, left.startUnixSeconds) < (right.number ?? .max, right.startUnixSeconds)
        }
    }

    private struct Row {
        let place: Place
        let offset: Int64
        let byteCount: Int
    }

    private static let pieceBytes = 1 << 20

    private let file: TemporaryFile
    private var rows: [Row] = []
    /// What is still to be written.
    private var piece: [UInt8] = []
    private var writtenCount: Int64 = 0

    init() throws(CommandError) { file = try TemporaryFile() }

    func add(_ row: String, at place: Place) throws(CommandError) {
        let bytes = Array(row.utf8)
        rows.append(Row(place: place, offset: writtenCount + Int64(piece.count), byteCount: bytes.count))
        piece += bytes
        if piece.count >= Self.pieceBytes { try writePiece() }
    }

    /// Every row in order, until `use` wants no more.
    func read(_ use: (Place, String) throws(CommandError) -> Bool) throws(CommandError) {
        try writePiece()
        rows.sort { left, right in
            if left.place < right.place { return true }
            return !(right.place < left.place) && left.offset < right.offset
        }
        for row in rows {
            let bytes = try file.read(at: row.offset, count: row.byteCount)
            guard try use(row.place, String(decoding: bytes, as: UTF8.self)) else { return }
        }
    }

    private func writePiece() throws(CommandError) {
        try file.append(piece)
        writtenCount += Int64(piece.count)
        piece.removeAll(keepingCapacity: true)
    }
}
