// The values of a sweep beside what became of its tasks: read back from the commands, each job by its template.

import TaskModel
import TaskQueue

/// The values of one task, by the names of their columns.
typealias NamedValues = [(name: String, value: ResultValue)]

/// Reads values from the commands of any jobs.
final class SweepValues {
    /// nil for a job of which no values are known.
    private var columnsOfJobs: [String: SweepColumns?] = [:]

    /// The result with the values of its task.
    func completed(_ result: TaskResult) -> TaskResult {
        guard result.values == nil, let job = result.taskOfJob?.job else { return result }
        let columns = columnsOfJobs[job.identifier] ?? job.settings.template.flatMap(SweepColumns.init)
        columnsOfJobs.updateValue(columns, forKey: job.identifier)
        var result = result
        result.values = columns?.values(in: TaskLine.command(ofLine: result.line))
        return result
    }
}

/// The columns of the values of one job.
struct SweepColumns {
    /// `value_1` where the source has no name.
    let names: [String]
    private let columns: [JobTemplate.Column]
    private let template: Template

    init?(_ made: JobTemplate) {
        guard let template = Template(made) else { return nil }
        self.template = template
        columns = made.columns
        // Names of other fields are theirs.
        var taken = Set(TaskResult.fieldNames)
        var names: [String] = []
        for (index, column) in columns.enumerated() {
            var name = column.name == "\(index + 1)" ? "value_\(column.name)" : column.name
            while !taken.insert(name).inserted { name = "value_" + name }
            names.append(name)
        }
        self.names = names
    }

    /// nil where the command does not say which they were.
    func values(in command: String) -> NamedValues? {
        guard let values = template.values(in: command, columns) else { return nil }
        return zip(names, zip(columns, values)).map { name, column in (name, Self.value(column.1, column.0.kind)) }
    }

    /// The same as they were typed, without those that the command has not.
    func texts(in command: String) -> [String]? {
        template.values(in: command, columns).map { $0.compactMap(\.self) }
    }

    private static func value(_ text: String?, _ kind: ValueKind) -> ResultValue {
        switch kind {
        case .text: return .text(text)
        case .integer: return .integer(text.flatMap { Int($0) })
        case .number:
            return .numberText(text.map { ValueKind(of: $0) == .integer ? $0 + ".0" : $0 })
        }
    }
}

extension QueueClient {
    /// The columns of the job that is named, or of the only one there is.
    func sweepColumns() throws(CommandError) -> SweepColumns? {
        let job: Job?
        switch selection {
        case .one(let identifier): job = try self.job(identifier)
        case .all:
            let listed = try listedJobs()
            job = listed.count == 1 ? listed[0].job : nil
        }
        return job?.settings.template.flatMap(SweepColumns.init)
    }
}
