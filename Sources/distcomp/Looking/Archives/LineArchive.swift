// An archive of lines: what `results --format jsonl` prints, compressed. DuckDB reads it as it is, and so does pandas.

import LinuxSystem
import TaskModel

final class LineArchiveWriter: ResultArchiveWriter {
    private static let pieceBytes = 1 << 20

    private let stream: ZstdWriter
    private var piece: [UInt8] = []
    /// What is in the file.
    private var known: Set<ArchiveKey> = []
    private(set) var resultCount = 0
    private(set) var newCount = 0

    /// - Parameter old: the archive that is added to; nil where there is none. It is read through, for what it holds is not written again.
    init(_ file: SharedDescriptor, named name: String, old: String?) throws(CommandError) {
        stream = try ZstdWriter(file, named: name)
        guard let old else { return }
        try LineArchiveReader(path: old).forEachResult { result in
            known.insert(result.archiveKey)
            return true
        }
    }

    func add(_ result: TaskResult) throws(CommandError) {
        resultCount += 1
        guard known.insert(result.archiveKey).inserted else { return }
        newCount += 1
        piece += result.json.utf8
        piece.append(UInt8(ascii: "\n"))
        if piece.count >= Self.pieceBytes { try writePiece() }
    }

    /// Lines of another kind would be in the way of whoever reads them as a table: each says its job's name.
    func add(_ job: ListedJob) throws(CommandError) {}

    func finish() throws(CommandError) {
        try writePiece()
        try stream.finish()
    }

    private func writePiece() throws(CommandError) {
        try stream.write(piece)
        piece.removeAll(keepingCapacity: true)
    }
}

struct LineArchiveReader: ResultArchiveReader {
    /// An output of a mebibyte becomes six at most, and what an archive says of it is not much more.
    private static let lineBytesMax = 64 << 20

    let path: String

    func forEachResult(_ use: (TaskResult) throws(CommandError) -> Bool) throws(CommandError) {
        let stream = try ZstdReader(path: path)
        let results = ArchivedResults()
        var line: [UInt8] = []
        var number = 0
        while true {
            let piece = try stream.next()
            if piece.isEmpty {
                guard line.isEmpty else { throw .failed("\(path) is not whole: its last line has no end") }
                return
            }
            var rest = piece[...]
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                line += rest[..<end]
                rest = rest[(end + 1)...]
                number += 1
                guard let result = results.result(line) else {
                    throw .failed(
                        "\(path): line \(number) is no result, as `distcomp results --format jsonl` prints them")
                }
                line.removeAll(keepingCapacity: true)
                guard try use(result) else { return }
            }
            line += rest
            guard line.count <= Self.lineBytesMax else {
                throw .failed("\(path): line \(number + 1) is too long for a result")
            }
        }
    }
}
