// The output of a task, from the nearest place that has it: its file on this machine, what its node reported, or the node itself, which
// is asked through the queue.

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
    private static let pauseMilliseconds: UInt32 = 200
    /// Each look at another node is heard by all of them.
    private static let remotePauseMillisecondsMax: UInt32 = 1000

    // MARK: Printing

    /// Prints what there is.
    func print(_ line: String) throws(CommandError) { try print(try queue.details(of: line)) }

    /// Prints what there is of one attempt.
    func print(_ line: String, attempt number: Int) throws(CommandError) {
        let details = try queue.details(of: line)
        guard number <= details.attemptCount else {
            throw .usage(
                details.attemptCount == 0
                    ? "it has not run yet"
                    : "there is no attempt \(number): the last one is attempt \(details.attemptCount)")
        }
        var reasons: [String] = []
        for node in details.nodes(ofAttempt: number) {
            if let file = localFile(details, attempt: number, on: node) {
                try copy(file)
                return try printer.finish()
            }
            let isRunning = details.running == TaskAttempt(node: node, number: number)
            // What has just begun has no file yet: its node is asked, wherever that is.
            if files.areHere(of: node), !isRunning { continue }
            guard let why = try copy(remote(details, TaskAttempt(node: node, number: number)), isRunning: isRunning)
            else {
                return try printer.finish()
            }
            reasons.append(TerminalText.escaped(why))
        }
        let why = reasons.isEmpty ? "" : " (\(reasons.joined(separator: "; ")))"
        throw .failed(
            "what attempt \(number) wrote is not to be had\(why): a node keeps the last \(KeptAttempts.countMax) attempts"
        )
    }

    private func print(_ details: TaskDetails) throws(CommandError) {
        if let file = localFile(details) {
            try copy(file)
            try printer.finish()
        } else if let attempt = details.running {
            if let why = try copy(remote(details, attempt), isRunning: true) {
                throw .failed(
                    "it runs on \(TerminalText.escaped(attempt.node)), which has its output: \(TerminalText.escaped(why))"
                )
            }
            try printer.finish()
        } else {
            try printEnded(details)
        }
        tellFailure(details)
    }

    /// Prints what was reported if that is all, else what the node has.
    private func printEnded(_ details: TaskDetails) throws(CommandError) {
        guard !isReportedWhole(details), let attempt = details.ended, !files.areHere(of: attempt.node) else {
            return try printReported(details)
        }
        let remote = remote(details, attempt)
        guard let why = try copy(remote, isRunning: false) else { return try printer.finish() }
        tell(why)
        try printReported(details, from: remote.offset)
    }

    private func isReportedWhole(_ details: TaskDetails) -> Bool {
        stream == .stdout && details.result?.standardOutputJSON != nil && details.result?.outputEnd == nil
    }

    // MARK: Following

    /// What is followed.
    private enum Source {
        case file(LogFile)
        case remote(RemoteOutput)
    }

    private struct Following {
        var attempt: TaskAttempt?
        var source: Source?
        /// It was said that it waits.
        var isWaitTold = false
        /// It was said that its node does not answer, until it does.
        var isSilenceTold = false
        var pauseMilliseconds = TaskLog.pauseMilliseconds
        /// How often in a row nothing new came from another node.
        var idleCount: UInt32 = 0
        var isOver = false
    }

    /// Prints what there is and what comes, until the task has ended.
    func follow(_ line: String) throws(CommandError) {
        var following = Following()
        var absence = Absence()
        var backSinceSeconds: Double?
        while !following.isOver {
            do throws(CommandError) {
                if try absence.isOver(queue) { backSinceSeconds = bootSeconds() }
                // The state is read before the file: if the task has ended, all of its output is read after that.
                let details = try queue.details(of: line)
                // A Redis that lost its last moment hears from the task's node of what runs there.
                let mayComeBack = backSinceSeconds.map { bootSeconds() - $0 < WatchedQueue.missingSecondsMax } ?? false
                if details.state != nil || !mayComeBack { try goOn(&following, details) }
            } catch .unreachable(let message) {
                if let news = try absence.begins(message) { tell(news) }
            }
            if !following.isOver { pause(milliseconds: following.pauseMilliseconds) }
        }
    }

    private func goOn(_ following: inout Following, _ details: TaskDetails) throws(CommandError) {
        following.pauseMilliseconds = Self.pauseMilliseconds
        switch details.state {
        case .inProgress:
            guard let attempt = details.running else { return }
            // What a look tells is read one after the other, and the attempt may have ended in between.
            if attempt != following.attempt, try queue.details(of: details.line).running != attempt { return }
            try turn(&following, to: attempt, details)
            try readSome(&following, details, attempt)
        case .todo:
            if let attempt = following.attempt, following.source != nil {
                try leave(&following, details)
                let how = details.result.map { ": \($0.explanation)" } ?? ""
                tell("attempt \(attempt.number) on \(attempt.node) is over\(how); it waits for the next")
            } else if !following.isWaitTold, following.attempt == nil {
                tell("it waits; see distcomp why")
            }
            following.isWaitTold = true
        case .finished, .failed, nil:
            following.isOver = true
            try end(&following, details)
        }
    }

    /// Sees to it that this attempt is what is followed.
    private func turn(_ following: inout Following, to attempt: TaskAttempt, _ details: TaskDetails)
        throws(CommandError)
    {
        guard following.attempt != attempt else { return }
        if following.attempt != nil {
            try leave(&following, details)
            tell("attempt \(attempt.number), on \(attempt.node)")
        }
        following.attempt = attempt
        if !files.areHere(of: attempt.node) { following.source = .remote(remote(details, attempt)) }
    }

    /// Prints the rest of what an attempt wrote that is over.
    private func leave(_ following: inout Following, _ details: TaskDetails) throws(CommandError) {
        noteWhereItStands(following, details)
        switch following.source {
        case .file(let file): try copy(file)
        case .remote(let remote): if let why = try copy(remote, isRunning: false) { tell(why) }
        case nil: break
        }
        following.source = nil
        try printer.finish()
    }

    /// What has ended is asked for where its record says it stands.
    private func noteWhereItStands(_ following: Following, _ details: TaskDetails) {
        guard case .remote(let remote) = following.source, details.ended == following.attempt else { return }
        remote.packed = details.result?.outcome?.packedOutput
    }

    private func readSome(
        _ following: inout Following, _ details: TaskDetails, _ attempt: TaskAttempt
    ) throws(CommandError) {
        switch following.source {
        case nil: following.source = localFile(details).map { .file($0) }
        case .file(let file): if !file.isCurrent, let other = localFile(details) { following.source = .file(other) }
        case .remote(let remote):
            return try readSome(&following, remote)
        }
        if case .file(let file) = following.source { try copy(file) }
    }

    private func readSome(_ following: inout Following, _ remote: RemoteOutput) throws(CommandError) {
        switch try remote.next(isRunning: true) {
        case .node(.piece(let bytes, let size)):
            try printer.print(bytes)
            following.idleCount = bytes.isEmpty ? following.idleCount + 1 : 0
            // Where there is more it is asked for at once; where nothing comes, more and more seldom.
            let seldom = Self.pauseMilliseconds * (1 + min(9, following.idleCount))
            following.pauseMilliseconds = remote.offset < size ? 0 : min(Self.remotePauseMillisecondsMax, seldom)
            following.isSilenceTold = false
        case .node(.notBegun), .node(.absent): break  // It is about to begin, or has just ended.
        case .node(.unreadable(let reason)):
            if !following.isSilenceTold { tell("\(remote.node) cannot read it: \(reason)") }
            following.isSilenceTold = true
        case .none(let why):
            if !following.isSilenceTold { tell("\(why); asking again") }
            following.isSilenceTold = true
        }
    }

    private func end(_ following: inout Following, _ details: TaskDetails) throws(CommandError) {
        defer { tellFailure(details) }
        let last = details.ended
        if let attempt = following.attempt, let last, attempt != last {
            try leave(&following, details)
            tell("attempt \(last.number), on \(last.node)")
        }
        noteWhereItStands(following, details)
        switch following.source {
        case .file(let file):
            try copy(file)
            try printer.finish()
        case .remote(let remote):
            if let why = try copy(remote, isRunning: false) {
                tell(why)
                try printReported(details, from: remote.offset)
            }
            try printer.finish()
        case nil:
            if let file = localFile(details) {
                try copy(file)
                try printer.finish()
            } else {
                try printEnded(details)
            }
        }
    }

    // MARK: Steps

    /// Names of nodes are what others wrote into the queue.
    private func tell(_ text: String) { standardError.write("distcomp: \(TerminalText.escaped(text))\n") }

    /// Says behind the output how it failed: the reason is seldom in what it wrote.
    private func tellFailure(_ details: TaskDetails) {
        guard details.state != .inProgress, let result = details.result, !result.succeeded else { return }
        let name = TaskLine.identifier(of: details.line).prefix(8)
        tell("\(name) failed: \(result.explanation)")
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

    /// Prints what there is now, from where it was read to; nil, or why it could not be had.
    private func copy(_ remote: RemoteOutput, isRunning: Bool) throws(CommandError) -> String? {
        var end: Int64?
        while true {
            switch try remote.next(isRunning: isRunning) {
            case .node(.piece(let bytes, let size)):
                try printer.print(bytes)
                // What is written faster than it is read has no end.
                end = isRunning ? end ?? size : size
                if bytes.isEmpty || remote.offset >= end ?? 0 { return nil }
            case .node(.notBegun): return "\(remote.node) has not begun it"
            case .node(.absent): return "\(remote.node) has no output of its attempt \(remote.attempt) any more"
            case .node(.unreadable(let reason)):
                return "\(remote.node) cannot read it: \(reason)"
            case .none(let why): return why
            }
        }
    }

    private func remote(_ details: TaskDetails, _ attempt: TaskAttempt) -> RemoteOutput {
        let packed = details.ended == attempt ? details.result?.outcome?.packedOutput : nil
        return RemoteOutput(
            of: details.line, stream, attempt: attempt.number, on: attempt.node, packed: packed, queue)
    }

    /// What one attempt wrote, on this machine; nil when it is another machine's.
    private func localFile(_ details: TaskDetails, attempt number: Int, on node: String) -> LogFile? {
        let attempt = TaskAttempt(node: node, number: number)
        if details.running == attempt { return files.file(stream, of: details.line, running: number, on: node) }
        if details.ended == attempt, let outcome = details.result?.outcome,
            let file = files.file(stream, of: details.line, outcome)
        {
            return file
        }
        return files.file(stream, of: details.line, earlier: number, on: node)
    }

    /// The file on this machine; nil when it is another machine's.
    private func localFile(_ details: TaskDetails) -> LogFile? {
        if let attempt = details.running {
            return files.file(stream, of: details.line, running: attempt.number, on: attempt.node)
        }
        return details.result?.outcome.flatMap { files.file(stream, of: details.line, $0) }
    }

    /// - Parameter offset: up to where it has been printed.
    private func printReported(_ details: TaskDetails, from offset: Int64 = 0) throws(CommandError) {
        guard let result = details.result else {
            let place = details.standing.worker.map { "it runs on \($0), which has its output" } ?? "it has not run yet"
            throw .usage("nothing was reported: \(place)")
        }
        let path = stream == .stdout ? result.outcome?.stdoutPath : result.outcome?.stderrPath
        let file = path.map { $0.isEmpty ? "" : " (\(result.node): \($0))" } ?? ""
        if stream == .stderr {
            tell("the end of it, as \(result.node) reported\(file)")
            try printer.print(Array((result.outcome?.stderrTail ?? "").utf8))
        } else if let output = result.standardOutputJSON {
            try printReported(output, result.outputEnd, from: offset)
        } else if let left = result.whereItsOutputIs {
            throw .failed(left)
        } else if result.isOutputTruncated == true {
            throw .failed("it wrote more than a node reports: its standard output stays there\(file)")
        } else {
            tellFailure(details)
            throw .failed("the standard output of a task that failed stays on its node\(file)")
        }
        try printer.finish()
    }
}

extension TaskLog {
    /// - Parameter end: of an output whose middle was left out.
    private func printReported(
        _ output: [UInt8], _ end: TaskResult.OutputEnd?, from offset: Int64
    ) throws(CommandError) {
        let head = Array((JSONText.unquoted(output) ?? "").utf8)
        try printer.print(Array(head.dropFirst(Int(clamping: offset))))
        guard let end, offset <= head.count else { return }
        try printer.finish()
        tell("\(grouped(end.omittedBytes)) bytes are left out here: Redis has the beginning and the end")
        try printer.print(Array((JSONText.unquoted(end.json) ?? "").utf8))
    }
}

extension TaskResult {
    /// Of an output that was in Redis: since when it is not, and who still has it; nil for any other.
    var whereItsOutputIs: String? {
        outputLeftAtUnixSeconds.map { unixSeconds in
            let path = outcome?.stdoutPath ?? ""
            return "its standard output left Redis on \(LocalTime(unixSeconds: Int64(unixSeconds)).text); "
                + "\(node.isEmpty ? "its node" : node) has it, unless it was removed there too\(path.isEmpty ? "" : " (\(path))")"
        }
    }
}

/// One attempt at a task.
struct TaskAttempt: Equatable {
    let node: String
    /// Counted from 1.
    let number: Int
}

extension TaskDetails {
    /// The attempt that is running.
    var running: TaskAttempt? {
        standing.worker.map { TaskAttempt(node: $0, number: standing.attempts + 1) }
    }

    /// The last one that is over, where it has a record.
    var ended: TaskAttempt? {
        result?.outcome.flatMap { $0.node.isEmpty ? nil : TaskAttempt(node: $0.node, number: $0.attempt) }
    }

    /// How often it was tried, the try that is under way among them.
    var attemptCount: Int {
        running?.number ?? max(standing.attempts, ended?.number ?? 0, standing.failedOn.count)
    }

    /// The nodes that may have had an attempt, the likeliest first.
    func nodes(ofAttempt number: Int) -> [String] {
        let failedOn = standing.failedOn
        let known = [running, ended].compactMap { $0?.number == number ? $0?.node : nil }
        // They are noted in their order, but for those that were lost with their nodes.
        let nth = failedOn.indices.contains(number - 1) ? [failedOn[number - 1]] : []
        let others = failedOn + [running, ended].compactMap { $0?.node }
        return (known + nth + others).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}
