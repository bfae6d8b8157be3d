// Feeds libFuzzer's inputs to everything that reads what comes from outside. The first byte says who reads the rest. What must always
// hold is a precondition, so that the fuzzer sees it fail; `make fuzz` and `make fuzz-short` build and run this.

import RedisClient
import TaskModel
import TaskQueue

/// What libFuzzer calls, see "Fuzz Target" in its manual.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzz(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    let input = Array(UnsafeBufferPointer(start: start, count: count))
    guard let choice = input.first else { return 0 }
    let bytes = Array(input.dropFirst())
    switch choice {
    case UInt8(ascii: "r"): readReplies(bytes)
    case UInt8(ascii: "t"): readTaskLine(bytes)
    case UInt8(ascii: "f"): readTaskFile(bytes)
    case UInt8(ascii: "c"): readConfiguration(bytes)
    case UInt8(ascii: "o"): readRecord(bytes)
    case UInt8(ascii: "s"): readStoredReport(bytes)
    case UInt8(ascii: "w"): readValuesOfOldWorkers(bytes)
    case UInt8(ascii: "m"): readMessage(bytes)
    case UInt8(ascii: "u"): _ = try? RedisEndpoint(parsing: String(decoding: bytes, as: UTF8.self))
    default: break
    }
    return 0
}

// MARK: RESP

/// Replies are the same whole and in pieces, whose sizes the first bytes tell.
private func readReplies(_ bytes: [UInt8]) {
    let sizes = bytes.prefix(4).map { Int($0 % 16) + 1 }
    let replies = Array(bytes.dropFirst(4))
    let whole = values(of: replies, inPiecesOf: [replies.count])
    let pieces = values(of: replies, inPiecesOf: sizes)
    // What an error quotes is as much as had come.
    precondition((whole.error == nil) == (pieces.error == nil), "an error in one and not in the other")
    // As text: a NaN is not equal to itself.
    precondition("\(whole.values)" == "\(pieces.values)", "whole and in pieces are not the same")
}

private func values(of bytes: [UInt8], inPiecesOf sizes: [Int]) -> (values: [RESPValue], error: RESPProtocolError?) {
    var limits = RESPLimits()
    limits.bulkBytesMax = 1 << 16
    limits.replyBytesMax = 1 << 17
    var reader = RESPReader(limits: limits)
    var values: [RESPValue] = []
    var rest = bytes[...]
    var turn = 0
    while !rest.isEmpty, !sizes.isEmpty {
        let piece = Array(rest.prefix(sizes[turn % sizes.count]))
        rest = rest.dropFirst(piece.count)
        turn += 1
        do throws(RESPProtocolError) {
            try piece.withUnsafeBufferPointer { buffer throws(RESPProtocolError) in
                var input = UnsafeRawBufferPointer(buffer)
                while let value = try reader.next(from: &input) { values.append(value) }
            }
        } catch {
            return (values, error)
        }
    }
    return (values, nil)
}

// MARK: Tasks

private func readTaskLine(_ bytes: [UInt8]) {
    guard let task = try? TaskLine(parsing: bytes) else { return }
    precondition(!task.text.utf8.contains { $0 == 0 || $0 == 10 }, "a line is one line")
    guard let again = try? TaskLine(parsing: task.text) else { preconditionFailure("its own text is no task") }
    precondition(again.text == task.text && again.command == task.command && again.memoryBytes == task.memoryBytes)
    precondition(TaskLine.priorities.contains(task.priority) && task.millicores >= 0)
    precondition(!task.command.utf8.contains(0), "a NUL would end the command for execve")
    if let form = try? CommandForm(task) {
        precondition(!form.arguments.isEmpty && !form.arguments.contains { $0.utf8.contains(0) })
    }
    _ = CommandShape(task).text
    checkShown(task.text)

    var parts = TaskLine.Parts(command: task.command)
    parts.priority = task.priority
    parts.surroundings = task.surroundings ?? TaskSurroundings()
    if let written = try? TaskLine(of: parts) {
        precondition(written.command == task.command && written.priority == task.priority)
        precondition((written.surroundings ?? TaskSurroundings()) == parts.surroundings)
    }
}

/// Nothing that a terminal would obey is shown.
private func checkShown(_ text: String) {
    let shown = TerminalText.escaped(text)
    precondition(
        !shown.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }, "a control character")
    precondition(TerminalText.columnCount(TerminalText.shortened(shown, to: 20)) <= 20)
}

/// A file is the same whole and in pieces.
private func readTaskFile(_ bytes: [UInt8]) {
    let size = max(1, Int(bytes.first ?? 1))
    let text = Array(bytes.dropFirst())
    precondition(entries(of: text, inPiecesOf: max(1, text.count)) == entries(of: text, inPiecesOf: size))
}

private func entries(of bytes: [UInt8], inPiecesOf size: Int) -> [String] {
    var file = TaskFile(named: "tasks", orCommandsWith: .init(command: ""))
    var found: [String] = []
    func note(_ entry: TaskFile.Entry) {
        switch entry {
        case .form(let form): found.append("\(form)")
        case .task(let line, let number): found.append("\(number) \(line.text)")
        case .problem(let problem): found.append("\(problem)")
        }
    }
    var rest = bytes[...]
    while !rest.isEmpty {
        let piece = Array(rest.prefix(size))
        rest = rest.dropFirst(size)
        piece.withUnsafeBytes { file.read($0, note) }
    }
    file.finish(note)
    return found
}

// MARK: Settings, and what is in Redis and on disk

private func readConfiguration(_ bytes: [UInt8]) {
    guard let loaded = try? Configuration.parse(bytes, file: "conf.json", environment: [bytes]) else { return }
    _ = loaded.configuration.problems(onMachineWithMemoryBytes: 8 << 30, file: "conf.json")
    for warning in loaded.warnings { checkShown("\(warning)") }
}

private func readRecord(_ bytes: [UInt8]) {
    guard let outcome = try? TaskOutcome(record: bytes) else { return }
    let record = outcome.record
    guard let again = try? TaskOutcome(record: record) else {
        preconditionFailure("its own record cannot be read: \(record)")
    }
    precondition(again.record == record, "\(record) became \(again.record)")
}

private func readStoredReport(_ bytes: [UInt8]) {
    guard let report = try? ReportTask(stored: bytes) else { return }
    let stored = report.stored
    guard let again = try? ReportTask(stored: stored) else { preconditionFailure("what it stored cannot be read") }
    precondition(again.stored == stored)
}

private func readMessage(_ bytes: [UInt8]) {
    guard let request = OutputRequest(message: bytes) else { return }
    precondition(OutputRequest.isOne(bytes))
    precondition(OutputRequest(message: Array(request.message.utf8)) == request)
    precondition(request.offset >= 0 && request.offset &+ Int64(OutputRequest.pieceBytesMax) > 0)
    precondition(!request.task.contains("/") && (0..<OutputRequest.placeCount).contains(request.place))
}

private func readValuesOfOldWorkers(_ bytes: [UInt8]) {
    let text = String(decoding: bytes, as: UTF8.self)
    if let report = NodeReport(parsing: text) { precondition(NodeReport(parsing: report.text) != nil) }
    _ = TimeoutRequest(parsing: text)
    _ = OutcomeEntry(parsing: bytes)
    let value = FinishedValue(parsing: bytes)
    let encoded = FinishedValue.encode(worker: "w", standardOutput: bytes)
    precondition(FinishedValue(parsing: encoded).worker == "w")
    precondition(
        value.standardOutputJSON.map { $0.first == UInt8(ascii: "\"") && $0.last == UInt8(ascii: "\"") } ?? true)
}
