// One task from the moment the queue gives it to this node until the queue has answered its report. There is one record for each,
// by the token of the attempt, wherever the report is: still to be made, on the disk, or on its way.

import NodeSupervisor
import TaskModel
import TaskQueue

struct ReportRecord: Sendable {
    enum State: Sendable {
        /// The supervisor has it.
        case running(NodeSupervisor.ClaimedTask)
        /// It ended. What the queue is told is to be made of this.
        case ended(NodeSupervisor.Report)
        case encoding(NodeSupervisor.Report)
        /// What the queue is told is in memory, and waits to be sent or written.
        case made(ReportTask.Result)
        case sent(ReportTask.Result)
        /// Accepted a moment ago: a server that has lost that moment is told again.
        case accepted(ReportTask.Result)
    }

    enum Disk: Sendable {
        case none
        case asked
        case stored
        /// It refused, or is full. What is in memory must do.
        case refused
    }

    /// nil for a line that was refused: it never was a task here.
    let number: NodeSupervisor.TaskNumber?
    let line: String
    /// nil for a line that was refused.
    let task: NodeSupervisor.ClaimedTask?
    let token: String
    /// The report that ``State/made(_:)`` is made of, to be made again once it is on the disk; nil where that costs nothing.
    var report: NodeSupervisor.Report?
    var state: State
    var disk = Disk.none
    /// The file it came in, of a report that an earlier life could not deliver.
    var earlierFile: String?
    /// Somebody ordered its end, by cancelling or requeueing it: it is not to be taken up again.
    var isStoppedByOrder = false
    /// The queue refused it once, and was asked whether it has forgotten the task.
    var isDoubted = false

    /// Bytes in memory beside the record itself.
    var bytes: Int {
        switch state {
        case .running, .ended, .encoding: 0
        case .made(let result), .sent(let result), .accepted(let result): result.bytes
        }
    }

    /// Whether the queue is to hear of it, or to answer.
    var isUnanswered: Bool {
        switch state {
        case .ended, .encoding, .made, .sent: true
        case .running, .accepted: false
        }
    }
}

extension ReportTask.Result {
    /// About what it takes in memory.
    var bytes: Int {
        switch self {
        case .finished(let value, let record): value.count + record.utf8.count
        case .failed(let reason, let record, _, _): reason.utf8.count + record.utf8.count
        case .returned: 0
        }
    }
}
