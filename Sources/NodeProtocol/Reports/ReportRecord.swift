// One task from the moment the queue gives it to this node until the queue has answered its report. There is one record for each,
// by the token of the attempt, wherever the report is: still to be made, on the disk, or on its way.

import NodeSupervisor
import TaskModel
import TaskQueue

struct ReportRecord: Sendable {
    /// Indirect: a record is looked at many times, and copied for each, so that it holds a few references and no more.
    indirect enum State: Sendable {
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

    /// What never changes of a record.
    private final class Origin: Sendable {
        let number: NodeSupervisor.TaskNumber?
        let line: String
        let task: NodeSupervisor.ClaimedTask?
        let token: String
        let report: NodeSupervisor.Report?
        let earlierFile: String?

        init(
            _ number: NodeSupervisor.TaskNumber?, _ line: String, _ task: NodeSupervisor.ClaimedTask?, _ token: String,
            _ report: NodeSupervisor.Report?, _ earlierFile: String?
        ) {
            (self.number, self.line, self.task, self.token) = (number, line, task, token)
            (self.report, self.earlierFile) = (report, earlierFile)
        }
    }

    private let origin: Origin
    var state: State
    var disk: Disk
    /// Somebody ordered its end, by cancelling or requeueing it: it is not to be taken up again.
    var isStoppedByOrder: Bool
    /// The queue refused it once, and was asked whether it has forgotten the task.
    var isDoubted: Bool

    init(
        number: NodeSupervisor.TaskNumber?, line: String, task: NodeSupervisor.ClaimedTask?, token: String,
        report: NodeSupervisor.Report? = nil, state: State, disk: Disk = .none, earlierFile: String? = nil,
        isStoppedByOrder: Bool = false, isDoubted: Bool = false
    ) {
        origin = Origin(number, line, task, token, report, earlierFile)
        (self.state, self.disk) = (state, disk)
        (self.isStoppedByOrder, self.isDoubted) = (isStoppedByOrder, isDoubted)
    }

    /// nil for a line that was refused: it never was a task here.
    var number: NodeSupervisor.TaskNumber? { origin.number }
    var line: String { origin.line }
    /// nil for a line that was refused.
    var task: NodeSupervisor.ClaimedTask? { origin.task }
    var token: String { origin.token }
    /// The report that ``State/made(_:)`` is made of, to be made again once it is on the disk; nil where that costs nothing.
    var report: NodeSupervisor.Report? { origin.report }
    /// The file it came in, of a report that an earlier life could not deliver.
    var earlierFile: String? { origin.earlierFile }

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
        case .finished(let value, let record, _, _): value.count + record.utf8.count
        case .failed(let reason, let record, _, _, _, _, _): reason.utf8.count + record.utf8.count
        case .returned: 0
        }
    }
}
