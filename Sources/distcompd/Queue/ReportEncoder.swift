// A task's ending in the form the queue keeps: the old hash's `worker: "stdout"` and our record beside it. Output may be large, and
// a hundred tasks may end at once, so it is read and written in pieces: `step` takes some 100 microseconds, whatever there is to do,
// and the loop goes round between two of them. One output at a time is under way; of the others only the descriptor is held.

import DequeModule
import LinuxSystem
import NodeSupervisor
import TaskModel
import TaskQueue

struct ReportEncoder {
    /// What a result says of its node.
    struct Settings {
        var worker: String
        var attemptsMax: Int
        var retryMilliseconds: Int
    }

    private struct Unfinished {
        let number: TaskNumber
        let record: String
        let memoryBytes: UInt64?
        let startMilliseconds: Int?
        let output: TaskOutput
        /// Up to where it is read, from ``offset`` on, and then from where to the end, if anything is left out.
        var sizeBytes: Int
        var end: Range<Int>?
        var offset = 0
        var value: FinishedValue.Writer
    }

    /// What is read in one step, and becomes six times as much at most.
    static let pieceBytes = 16 << 10
    /// So many small ones go before the next piece of a large one.
    private static let smallInARowMax = 8

    /// For what is encoded from now on.
    var settings: Settings
    private let output: (TaskNumber) -> TaskOutput?
    /// Reports that one step is enough for, oldest first, and the others.
    private var small: Deque<(number: TaskNumber, report: NodeSupervisor.Report, sizeBytes: Int)> = []
    private var large: Deque<(number: TaskNumber, report: NodeSupervisor.Report)> = []
    private var unfinished: Unfinished?
    private var smallInARow = 0

    /// - Parameter output: where a task's output is; nil when it had none.
    init(settings: Settings, output: @escaping (TaskNumber) -> TaskOutput?) {
        self.settings = settings
        self.output = output
    }

    /// Takes a report to be encoded, once for each task.
    mutating func add(_ number: TaskNumber, _ report: NodeSupervisor.Report) {
        guard case .ended(let outcome) = report.result, outcome.succeeded else {
            return small.append((number, report, sizeBytes: 0))  // Its output is not told.
        }
        let size = sizeBytes(of: output(number))
        // The old system takes no more of its lines.
        if size > Self.pieceBytes && (size <= FinishedValue.wholeBytesMax || report.task.line.job != nil) {
            large.append((number, report))
        } else {
            small.append((number, report, sizeBytes: size))
        }
    }

    /// Whether ``step()`` has something to do.
    var hasWork: Bool { unfinished != nil || !small.isEmpty || !large.isEmpty }

    /// Does a little; a result when that was the end of one.
    mutating func step() -> (TaskNumber, ReportTask.Result)? {
        let largeIsDue = smallInARow >= Self.smallInARowMax && (unfinished != nil || !large.isEmpty)
        if !largeIsDue, let (number, report, size) = small.popFirst() {
            smallInARow += 1
            return (number, result(of: report, number, size))
        }
        smallInARow = 0
        if unfinished == nil, let (number, report) = large.popFirst() { begin(number, report) }
        return nextPiece()
    }

    /// Nobody wants this one any more.
    mutating func drop(_ number: TaskNumber) {
        small.removeAll { $0.number == number }
        large.removeAll { $0.number == number }
        if unfinished?.number == number { unfinished = nil }
    }

    // MARK: Small ones

    private func result(of report: NodeSupervisor.Report, _ number: TaskNumber, _ size: Int) -> ReportTask.Result {
        guard case .ended(let outcome) = report.result else { return .returned }
        if outcome.succeeded {
            return .finished(
                value: smallValue(number, size), record: outcome.record,
                memoryBytes: ReportTask.Result.memoryBytes(of: report.task.line, outcome),
                startMilliseconds: ReportTask.Result.startMilliseconds(of: outcome))
        }
        return .failed(
            outcome, of: report.task.line, attemptsMax: settings.attemptsMax,
            retryMilliseconds: settings.retryMilliseconds)
    }

    private func smallValue(_ number: TaskNumber, _ size: Int) -> [UInt8] {
        let output = output(number)
        return FinishedValue.encode(
            worker: settings.worker,
            standardOutput: size > FinishedValue.wholeBytesMax ? nil : piece(of: output, at: 0, size))
    }

    private func sizeBytes(of output: TaskOutput?) -> Int { Int(output?.sizeBytes(.stdout) ?? 0) }

    /// Nil when it cannot be read, empty at the end.
    private func piece(of output: TaskOutput?, at offset: Int, _ count: Int) -> [UInt8]? {
        guard let output else { return [] }
        return try? output.read(.stdout, at: Int64(offset), count: count)
    }

    // MARK: Large ones

    private mutating func begin(_ number: TaskNumber, _ report: NodeSupervisor.Report) {
        guard case .ended(let outcome) = report.result, let output = output(number) else {
            return small.append((number, report, sizeBytes: 0))  // Its output was given up meanwhile.
        }
        // What it writes from now on is not the task's, whose processes are gone.
        let size = sizeBytes(of: output)
        let isWhole = size <= FinishedValue.wholeBytesMax
        let kept = isWhole ? size : 2 * FinishedValue.endBytes
        unfinished = Unfinished(
            number: number, record: outcome.record,
            memoryBytes: ReportTask.Result.memoryBytes(of: report.task.line, outcome),
            startMilliseconds: ReportTask.Result.startMilliseconds(of: outcome), output: output,
            sizeBytes: isWhole ? size : FinishedValue.endBytes,
            end: isWhole ? nil : size - FinishedValue.endBytes..<size,
            value: FinishedValue.Writer(worker: settings.worker, bytesExpected: kept))
    }

    private mutating func nextPiece() -> (TaskNumber, ReportTask.Result)? {
        guard var task = unfinished.take() else { return nil }
        let count = min(Self.pieceBytes, task.sizeBytes - task.offset)
        guard let piece = piece(of: task.output, at: task.offset, count) else {
            let value = FinishedValue.encode(worker: settings.worker, standardOutput: nil)
            return (task.number, result(of: task, value))
        }
        task.value.append(piece)
        task.offset += piece.count
        // A file that became shorter ends where it ends now.
        if piece.count == count && task.offset < task.sizeBytes {
            unfinished = task
            return nil
        }
        if piece.count == count, let end = task.end.take() {
            task.value.omit(byteCount: end.lowerBound - task.offset)
            (task.offset, task.sizeBytes) = (end.lowerBound, end.upperBound)
            unfinished = task
            return nil
        }
        let (number, value) = (task.number, task.value.finish())
        return (number, result(of: task, value))
    }

    private func result(of task: Unfinished, _ value: [UInt8]) -> ReportTask.Result {
        .finished(
            value: value, record: task.record, memoryBytes: task.memoryBytes, startMilliseconds: task.startMilliseconds)
    }
}

extension ReportEncoder.Settings {
    init(_ node: NodeIdentity) {
        self.init(
            worker: node.name, attemptsMax: node.configuration.maxRetryPerTask,
            retryMilliseconds: Int(node.configuration.retryDelaySeconds * 1000))
    }
}
