// A task's ending in the form the queue keeps: the old hash's `worker: "stdout"` and our record beside it.

import LinuxSystem
import NodeSupervisor
import TaskModel
import TaskQueue

struct ReportEncoder {
    /// What the old system takes into finished_tasks; more stays in the file only.
    private static let outputBytesMax = 1 << 20

    var node: NodeIdentity
    let runner: TaskRunner
    private var waiting: [NodeSupervisor.Report] = []

    init(node: NodeIdentity, runner: TaskRunner) {
        self.node = node
        self.runner = runner
    }

    mutating func add(_ number: TaskNumber, _ report: NodeSupervisor.Report) { waiting.append(report) }
    var hasWork: Bool { !waiting.isEmpty }
    mutating func step() -> (TaskNumber, ReportTask.Result)? {
        guard let report = waiting.popLast() else { return nil }
        return (report.number, result(of: report))
    }

    private func result(of report: NodeSupervisor.Report) -> ReportTask.Result {
        guard case .ended(var outcome) = report.result else { return .returned }
        if outcome.succeeded {
            return .finished(value: finishedValue(report.number), record: outcome.record)
        }
        if runner.isOutputDiskFull { outcome.notes.append("the disk under result_dir is full") }
        return .failed(
            reason: outcome.reason, record: outcome.record,
            attemptsMax: outcome.cause == .cancelled ? 0 : node.configuration.maxRetryPerTask,
            retryMilliseconds: Int(node.configuration.retryDelaySeconds * 1000))
    }

    private func finishedValue(_ number: TaskNumber) -> [UInt8] {
        let output = runner.standardOutput(of: number, bytesMax: Self.outputBytesMax)
        return FinishedValue.encode(worker: node.name, standardOutput: output)
    }
}
