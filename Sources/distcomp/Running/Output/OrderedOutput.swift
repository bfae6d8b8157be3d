// `run --output ordered`: all that a task wrote when it has ended, one task after the other in the order of the input. What is shown
// stays in the files of the tasks until its turn comes, and the order in a file, so that a first task of hours costs nothing.

import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

final class OrderedOutput: OutputOfRun {
    /// So many tasks are asked about at a time: few while the first of them runs, more while they end faster than they are shown.
    private static let pageMin = 8
    private static let pageMax = 512

    let merger: LineMerger
    let notes: TemporaryFile? = nil
    private let queue: QueueClient
    private let files: OutputFiles
    private let tags: TaskTags
    private let order: WaitingOrder
    private var pageCount = pageMin
    private var shownCount: UInt64 = 0

    init(_ merger: LineMerger, _ tags: TaskTags, _ order: WaitingOrder, _ queue: QueueClient, stateDirectory: String) {
        self.merger = merger
        self.tags = tags
        self.order = order
        self.queue = queue
        files = OutputFiles(queue, stateDirectory: stateDirectory)
    }

    func look() throws(CommandError) -> Bool {
        let lines = try order.coming(pageCount)
        guard !lines.isEmpty else { return false }
        let endedCount = try queue.areEnded(lines).prefix { $0 }.count
        try show(lines[..<endedCount])
        order.skip(endedCount)
        let hasMore = endedCount == lines.count
        pageCount = hasMore ? min(Self.pageMax, pageCount * 2) : Self.pageMin
        return hasMore
    }

    func lookWhileWaiting() {}

    /// What has not ended goes back to todo: it is shown by the run that does it.
    func finish() throws(CommandError) {
        while true {
            let lines = try order.coming(Self.pageMax)
            if lines.isEmpty { return }
            try show(zip(lines, try queue.areEnded(lines)).filter(\.1).map(\.0)[...])
            order.skip(lines.count)
        }
    }

    private func show(_ lines: ArraySlice<String>) throws(CommandError) {
        guard !lines.isEmpty else { return }
        let records = try queue.valuesEach(\.outcomes, of: lines.map { Array($0.utf8) })
        for (line, record) in zip(lines, records) {
            // Without a record it never began, or somebody had it forgotten.
            guard let outcome = queue.parseOutcome(record) else { continue }
            let tag = try tags.tag(of: line)
            shownCount += 1
            for stream in [OutputStream.stdout, .stderr] {
                guard let file = files.file(stream, of: line, outcome) else { continue }
                try copy(file, .init(attempt: shownCount, stream: stream), tag)
            }
        }
        merger.endLine()
        try merger.flush()
    }

    private func copy(_ file: LogFile, _ source: LineMerger.Source, _ tag: [UInt8]) throws(CommandError) {
        while true {
            let bytes: [UInt8]
            do throws(SystemError) {
                bytes = try file.coming(LineMerger.pieceBytes)
            } catch {
                throw .failed("\(error)")
            }
            if bytes.isEmpty { return }
            // Not within a character, unless it never becomes whole.
            let count = bytes.count < LineMerger.pieceBytes ? bytes.count : LogPrinter.endOfWholeCharacters(bytes)
            try merger.add(bytes[..<count], of: source, tag: tag)
            file.skip(count)
        }
    }
}

extension QueueClient {
    /// Which of these tasks neither wait nor run any more.
    fileprivate func areEnded(_ lines: [String]) throws(CommandError) -> [Bool] {
        var requests: [RedisRequest] = []
        for line in lines {
            let keys = keys.of(line: line)
            // One that goes back to todo, or is taken from there, between the first two is seen by the third.
            for key in [keys.inProgress, keys.todo, keys.inProgress] {
                requests.append(
                    .command(RedisCommand(bytes: [Array("HEXISTS".utf8), Array(key.utf8), Array(line.utf8)])))
            }
        }
        let answers = try answers(requests)
        guard answers.count == requests.count else { throw .failed("Redis does not say which tasks have ended") }
        return lines.indices.map { index in answers[(index * 3)..<(index * 3 + 3)].allSatisfy { $0.int == 0 } }
    }
}
