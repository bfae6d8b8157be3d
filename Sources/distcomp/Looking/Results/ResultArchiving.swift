// `results --archive FILE`: results are written to an archive and, with --forget, taken out of Redis once they are safe there.

import LinuxSystem
import TaskModel
import TaskQueue

struct ResultArchiving {
    let path: String
    let forgets: Bool

    /// What came of it.
    struct Outcome {
        var resultCount = 0
        var newCount = 0
        /// Of those, how many lack a part of their standard output.
        var lackingCount = 0
        var forgottenCount = 0
    }

    func archive(_ source: ResultSource, _ filter: TaskFilter) throws(CommandError) -> Outcome {
        var outcome = Outcome()
        let written = forgets ? try WrittenResults() : nil
        (outcome.resultCount, outcome.newCount) = try ResultArchive.write(path) { writer throws(CommandError) in
            let files = source.files
            let values = SweepValues()
            try source.forEach(filter) { result throws(CommandError) in
                let whole = values.completed(files.completed(result))
                try writer.add(whole)
                if whole.isOutputTruncated == true { outcome.lackingCount += 1 }
                try written?.add(result)
                return writer.resultCount < filter.limit ?? .max
            }
            if case .queue(let queue, _) = source {
                for job in try queue.listedJobs()
                where queue.selection == .all || queue.selection == .one(job.identifier) {
                    try writer.add(job)
                }
            }
        }
        // From here on the archive is on the disk under its name.
        if case .queue(let queue, _) = source, let written { outcome.forgottenCount = try forget(written, queue) }
        return outcome
    }

    private func forget(_ written: WrittenResults, _ queue: QueueClient) throws(CommandError) -> Int {
        var count = 0
        var identifiers: Set<String> = []
        try written.forEachBatch { state, identifier, lines, tokens throws(CommandError) in
            let jobs = try queue.job(identifier).map { [identifier: $0] } ?? [:]
            count += try queue.perform(
                ForgetTasks(state, lines[...], keys: queue.keys.of(job: identifier), jobs: jobs, tokens: tokens))
            identifiers.insert(identifier)
        }
        // A job of which nothing is left is over.
        for identifier in identifiers where !identifier.isEmpty {
            let counts = try queue.perform(ReadCounts(keys: queue.keys.of(job: identifier)))
            guard counts.todo + counts.inProgress + counts.finished + counts.failed == 0,
                let job = try queue.job(identifier)
            else { continue }
            _ = try queue.perform(ForgetJob(job, keys: queue.keys))
        }
        return count
    }
}

/// What was written, until it is forgotten: ten million results are not held in memory.
private struct WrittenResults {
    private static let pieceBytes = 1 << 20

    private let file: TemporaryFile
    private let pending = Pending()

    /// A class: results are added while somebody else writes.
    private final class Pending {
        var piece: [UInt8] = []
    }

    init() throws(CommandError) { file = try TemporaryFile() }

    func add(_ result: TaskResult) throws(CommandError) {
        let words = [
            result.succeeded ? "finished" : "failed", result.token ?? ForgetTasks.noRecord, result.line,
        ]
        pending.piece += words.map { JSONText.quoted($0) }.joined(separator: "\t").utf8
        pending.piece.append(UInt8(ascii: "\n"))
        if pending.piece.count >= Self.pieceBytes { try flush() }
    }

    private func flush() throws(CommandError) {
        try file.append(pending.piece)
        pending.piece.removeAll(keepingCapacity: true)
    }

    /// As many of one job and state as one request is about.
    func forEachBatch(
        _ use: (ForgetTasks.State, String, [[UInt8]], [String]) throws(CommandError) -> Void
    ) throws(CommandError) {
        try flush()
        var (offset, rest): (Int64, [UInt8]) = (0, [])
        var (lines, tokens): ([[UInt8]], [String]) = ([], [])
        var current: (state: ForgetTasks.State, identifier: String)?
        func end() throws(CommandError) {
            if let current, !lines.isEmpty { try use(current.state, current.identifier, lines, tokens) }
            (lines, tokens) = ([], [])
        }
        while true {
            let piece = try file.read(at: offset, count: Self.pieceBytes)
            if piece.isEmpty { break }
            offset += Int64(piece.count)
            rest += piece
            let entries = rest.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            for entry in entries.dropLast() {
                let words = entry.split(separator: UInt8(ascii: "\t")).compactMap { JSONText.unquoted(Array($0)) }
                guard words.count == 3, let state = ForgetTasks.State(rawValue: words[0]) else { continue }
                let identifier = Job.identifier(ofLine: words[2])
                if current?.state != state || current?.identifier != identifier || lines.count == SubmitTasks.linesMax {
                    try end()
                    current = (state, identifier)
                }
                lines.append(Array(words[2].utf8))
                tokens.append(words[1])
            }
            rest = entries.last.map { Array($0) } ?? []
        }
        try end()
    }
}
