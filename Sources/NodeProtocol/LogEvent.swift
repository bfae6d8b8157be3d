// What the log is told of the conversation with the queue. Values rather than texts, so that tests can ask for them; the text
// says what happens next, because a reader of a log has nobody to ask.

import TaskModel
import TaskQueue

extension NodeProtocol {
    /// What somebody who runs the node may want to know.
    public enum LogEvent: Equatable, Sendable, CustomStringConvertible {
        public enum Level: Sendable { case info, notice, warning }

        /// A request was refused; the same trouble is told once a minute.
        case refused(String)
        case drained(String)
        case resumed
        /// Tasks of dead nodes were put back.
        case reaped(count: Int)
        /// Lines that old workers dropped were put back.
        case recovered(count: Int)
        case notRun(line: String, reason: String)
        case noTaskLine([UInt8], reason: String)
        case reportRefused(line: String, ReportTask.Reply)
        case earlierReport(line: String, ReportTask.Reply)
        /// The queue is not the one that gave us what runs here.
        case queueIsAnother(taskCount: Int)
        /// The queue had forgotten, or given away, what was taken up again.
        case restored(count: Int, takenCount: Int)
        /// A node of this name is alive to the queue.
        case waitingForLease(address: String?, seconds: Double)
        case leftWithout(reportCount: Int)
        /// Results were there for long enough.
        case resultsLeft(outputCount: Int, jobCount: Int)

        public var level: Level {
            switch self {
            case .refused, .reaped, .recovered, .notRun, .noTaskLine, .reportRefused(_, .stale),
                .earlierReport(_, .stale), .queueIsAnother, .restored, .waitingForLease, .leftWithout:
                .warning
            case .drained, .resumed: .notice
            case .reportRefused, .earlierReport, .resultsLeft: .info
            }
        }

        /// Whether the text is about the server, whose name is to stand before it.
        public var isAboutServer: Bool { if case .refused = self { true } else { false } }

        /// The task line it is about, where it is about one; not part of the description, so that a log can keep it as a field.
        public var line: String? {
            switch self {
            case .notRun(let line, _), .reportRefused(let line, _), .earlierReport(let line, _): line
            case .noTaskLine(let field, _): String(decoding: field.prefix(1000), as: UTF8.self)
            case .refused, .drained, .resumed, .reaped, .recovered, .queueIsAnother, .restored, .waitingForLease,
                .leftWithout, .resultsLeft:
                nil
            }
        }

        /// One line: what happened, and what happens next.
        public var description: String {
            switch self {
            case .refused(let reason): "\(reason); asking again, tasks go on"
            case .drained(let name):
                "drained by order: what runs goes on, and nothing new is taken until `distcomp resume \(name)`"
            case .resumed: "resumed by order: tasks are taken again"
            case .reaped(let count): "put back \(count) tasks of nodes that are gone"
            case .recovered(let count): "put back \(count) tasks that old workers dropped"
            case .notRun(_, let reason): "not run: \(reason)"
            case .noTaskLine(_, let reason): "a line in todo is no task: \(reason); it fails"
            case .reportRefused(_, .stale): "the report came too late, another node runs the task"
            case .reportRefused: "the report had been accepted before"
            case .earlierReport(_, .accepted): "delivered the report of an earlier life"
            case .earlierReport(_, .duplicate): "the report of an earlier life had been accepted before"
            case .earlierReport(_, .stale): "the report of an earlier life came too late, another node runs the task"
            case .queueIsAnother(let count):
                "the queue is gone: Redis was emptied, or came back without its data. \(count) tasks of it go on here, "
                    + "and their results are kept in the queue that is there now; what waited in the old one is lost"
            case .restored(let count, let takenCount):
                "Redis had put back or lost \(count) tasks of this node: taken up again"
                    + (takenCount == 0 ? "" : ", and \(takenCount) that others have begun meanwhile are killed here")
            case .waitingForLease(let address, let seconds):
                "a node of this name\(Self.place(address)) is alive to the queue for \(AmountText.seconds(seconds)) more: waiting "
                    + "for its lease to end. Should that be another machine, or a copy of this one, give one of the two "
                    + "another node_name"
            case .leftWithout(let count):
                "leaving with \(count) reports not accepted: they are on the disk, for the next life to deliver"
            case .resultsLeft(let outputCount, let jobCount):
                "\(outputCount) outputs and the records of \(jobCount) jobs have left Redis, by results_keep_days, "
                    + "results_keep_count or results_redis_bytes_max"
            }
        }

        /// Why a node must go whose copy is alive.
        static func twin(name: String, address: String?) -> String {
            "a copy of this node is alive\(place(address)): the same node_name \"\(name)\" on a "
                + "machine with the same /etc/machine-id. Give one of the two another node_name, or make its machine-id "
                + "anew (rm /etc/machine-id; systemd-machine-id-setup), and restart it"
        }

        private static func place(_ address: String?) -> String {
            guard let address, address != "-" else { return "" }
            return " at \(address)"
        }
    }
}
