// Where results come from: the queue, or an archive, of which the same can be asked without Redis.

import TaskModel
import TaskQueue

enum ResultSource {
    /// Results of what the queue is confined to.
    case queue(QueueClient, OutputFiles)
    /// - Parameter job: the name, or the identifier, of the one that is meant; nil: all.
    case archive(any ResultArchiveReader, job: String?)

    /// The files of the tasks, as far as they are here.
    var files: OutputFiles { if case .queue(_, let files) = self { files } else { OutputFiles() } }

    /// Every result that `filter` wants, for as long as `use` wants more.
    func forEach(
        _ filter: TaskFilter, _ use: (TaskResult) throws(CommandError) -> Bool
    ) throws(CommandError) {
        switch self {
        case .queue(let queue, _): try queue.forEachResult(filter, use)
        case .archive(let archive, let job):
            let glob = filter.pattern.map { GlobPattern($0) }
            try archive.forEachResult { result throws(CommandError) in
                guard filter.includes(result), job.map({ result.isOf($0) }) ?? true,
                    glob.map({ result.matches($0) }) ?? true
                else { return true }
                return try use(result)
            }
        }
    }

    /// The names of the values of the one sweep that the results are of; nil where there are more, or none.
    func sweepColumns() throws(CommandError) -> [String]? {
        guard case .archive(_, let job) = self else {
            if case .queue(let queue, _) = self { return try queue.sweepColumns()?.names }
            return nil
        }
        var names: [String]?
        var first: String?
        var isOne = true
        try forEach(TaskFilter()) { result in
            let identifier = Job.identifier(ofLine: result.line)
            if first == nil { first = identifier }
            isOne = identifier == first
            if names == nil { names = result.values?.map(\.name) }
            return isOne && (names == nil || job == nil)
        }
        return isOne ? names : nil
    }

    /// Calls `flush` before each wait for more.
    func beforeWaiting(_ flush: @escaping () throws(CommandError) -> Void) {
        if case .queue(let queue, _) = self { queue.beforeWaiting = flush }
    }
}

extension TaskResult {
    fileprivate func isOf(_ job: String) -> Bool {
        let identifier = Job.identifier(ofLine: line)
        return identifier.isEmpty ? job == Job.defaultName : job == identifier || job == taskOfJob?.job?.name
    }

    /// As the queue matches lines: of a job by what stands behind its identifier too.
    fileprivate func matches(_ glob: GlobPattern) -> Bool {
        let identifier = Job.identifier(ofLine: line)
        return glob.matches(line) || !identifier.isEmpty && glob.matches(line.dropFirst(identifier.count + 2))
    }
}
