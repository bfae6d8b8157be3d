// A task's ending in the form the queue keeps: the old hash's `worker: "stdout"` and our record beside it.

import LinuxSystem
import NodeSupervisor
import TaskModel
import TaskQueue

struct ReportEncoder {
    /// What the old system takes into finished_tasks; more stays in the file only.
    private static let outputBytesMax = 1 << 20

    let node: NodeIdentity
    let runner: TaskRunner
    let keys: QueueKeys

    func encode(_ report: NodeSupervisor.Report, _ incarnation: Incarnation) -> ReportTask {
        ReportTask(
            keys: keys, incarnation: incarnation, line: report.task.line.text, token: report.task.token,
            result: result(of: report))
    }

    /// Lets go of the output of a task whose report was answered.
    func forget(_ number: TaskNumber) { runner.forget(number) }

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
