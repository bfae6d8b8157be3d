// The output of a task, from the nearest place that has it: its file on this machine, or what its node reported.

import LinuxSystem
import TaskModel
import TaskQueue

/// Reads and follows one of the two streams of tasks.
struct TaskLog {
    let queue: QueueClient
    let files: OutputFiles
    let stream: OutputStream
    let printer: LogPrinter

    private static let chunkBytes = 64 << 10

    /// Prints what there is.
    func print(_ line: String) throws(CommandError) {
        let details = try queue.details(of: line)
        if let file = localFile(details) {
            try copy(file)
            try printer.finish()
        } else {
            try printReported(details)
        }
        tellFailure(details)
    }

    /// Prints what there is and what comes, until the task has ended.
    func follow(_ line: String) throws(CommandError) {
        var file: LogFile?
        var isTold = false
        var absence = Absence()
        var backSinceSeconds: Double?
        while true {
            // The state is read before the file: if the task has ended, all of its output is read after that.
            let details: TaskDetails
            do throws(CommandError) {
                if try absence.isOver(queue) { backSinceSeconds = bootSeconds() }
                details = try queue.details(of: line)
            } catch .unreachable(let message) {
                if let news = try absence.begins(message) { standardError.write("distcomp: \(news)\n") }
                pause(milliseconds: 200)
                continue
            }
            // A Redis that lost its last moment hears from the task's node of what runs there.
            if details.state == nil, let back = backSinceSeconds,
                bootSeconds() - back < WatchedQueue.missingSecondsMax
            {
                pause(milliseconds: 200)
                continue
            }
            if details.state == .inProgress, isLocal(details) {
                if file.map({ !$0.isCurrent }) ?? true { file = localFile(details) ?? file }
                if let file { try copy(file) }
            } else if details.state == .inProgress {
                throw .usage(
                    "it runs on \(details.standing.worker ?? ""): follow it there, or see what was reported once it has ended"
                )
            } else if details.state == .todo {
                if !isTold { standardError.write("distcomp: it waits; see distcomp why\n") }
                isTold = true
            } else {
                if let last = file ?? localFile(details) {
                    try copy(last)
                    try printer.finish()
                } else {
                    try printReported(details)
                }
                return tellFailure(details)
            }
            pause(milliseconds: 200)
        }
    }

    /// Says behind the output how it failed: the reason is seldom in what it wrote.
    private func tellFailure(_ details: TaskDetails) {
        guard details.state != .inProgress, let result = details.result, !result.succeeded else { return }
        let name = TaskLine.identifier(of: details.line).prefix(8)
        standardError.write("distcomp: \(name) failed: \(TerminalText.escaped(result.explanation))\n")
    }

    private func copy(_ file: LogFile) throws(CommandError) {
        while true {
            let bytes: [UInt8]
            do {
                bytes = try file.next(Self.chunkBytes)
            } catch {
                throw .failed("\(error)")
            }
            if bytes.isEmpty { return }
            try printer.print(bytes)
        }
    }

    private func isLocal(_ details: TaskDetails) -> Bool {
        details.standing.worker.flatMap { files.path(stream, ofTaskRunning: details.line, on: $0) } != nil
    }

    /// The file on this machine; nil when it is another machine's.
    private func localFile(_ details: TaskDetails) -> LogFile? {
        if details.state == .inProgress, let name = details.standing.worker {
            return files.path(stream, ofTaskRunning: details.line, on: name).flatMap { LogFile($0) }
        }
        return details.result?.outcome.flatMap { files.file(stream, of: details.line, $0) }
    }

    private func printReported(_ details: TaskDetails) throws(CommandError) {
        guard let result = details.result else {
            let place = details.standing.worker.map { "it runs on \($0), which has its output" } ?? "it has not run yet"
            throw .usage("nothing was reported: \(place)")
        }
        let path = stream == .stdout ? result.outcome?.stdoutPath : result.outcome?.stderrPath
        let file = path.map { $0.isEmpty ? "" : " (\(result.node): \($0))" } ?? ""
        if stream == .stderr {
            standardError.write("distcomp: the end of it, as \(result.node) reported\(file)\n")
            try printer.print(Array((result.outcome?.stderrTail ?? "").utf8))
        } else if let output = result.standardOutputJSON {
            try printer.print(Array((JSONText.unquoted(output) ?? "").utf8))
        } else if result.isOutputTruncated == true {
            throw .failed("it wrote more than a node reports: its standard output stays there\(file)")
        } else {
            tellFailure(details)
            throw .failed("the standard output of a task that failed stays on its node\(file)")
        }
        try printer.finish()
    }
}
