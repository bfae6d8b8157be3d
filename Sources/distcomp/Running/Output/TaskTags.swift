// `--tag`: what tells whose a line is, as short as it can be.

import TaskModel
import TaskQueue

final class TaskTags {
    private static let columnsMax = 40

    private let queue: QueueClient
    private let isOn: Bool
    /// nil for a job of which no values are known.
    private var columnsOfJobs: [String: SweepColumns?] = [:]

    init(_ queue: QueueClient, isOn: Bool) {
        self.queue = queue
        self.isOn = isOn
    }

    /// The values of the task, else its name, else its command, and a tab; nothing where no tags are wanted.
    func tag(of line: String) throws(CommandError) -> [UInt8] {
        guard isOn else { return [] }
        return Array((TerminalText.escaped(try text(of: line)) + "\t").utf8)
    }

    private func text(of line: String) throws(CommandError) -> String {
        guard let task = try queue.parse(line) else { return TaskLine.command(ofLine: line) }
        if let values = columns(of: task.job)?.texts(in: task.command), !values.isEmpty {
            return values.joined(separator: " ")
        }
        if let name = task.surroundings?.name { return name }
        return TerminalText.shortened(task.command, to: Self.columnsMax, keepingEnd: (Self.columnsMax - 1) / 2)
    }

    private func columns(of job: Job?) -> SweepColumns? {
        guard let job else { return nil }
        if let known = columnsOfJobs[job.identifier] { return known }
        let columns = job.settings.template.flatMap(SweepColumns.init)
        columnsOfJobs.updateValue(columns, forKey: job.identifier)
        return columns
    }
}
