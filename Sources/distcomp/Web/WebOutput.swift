// What a task wrote, for its page: the beginning of it, and the end where it is long. Its node may have to be asked, and may be slow.

import LinuxSystem
import TaskModel
import TaskQueue
import WebServer

/// A piece of an output.
struct OutputView: Sendable {
    var beginning: [UInt8] = []
    /// Between the two, where there is an end.
    var omittedBytes = 0
    var end: [UInt8] = []
    /// Why there is no more, or nothing at all; nil where this is all.
    var remark: String?

    /// So much is shown of each end.
    static let bytesMax = 64 << 10
}

extension QueueClient {
    /// What the last attempt at a task wrote.
    func output(of line: String, _ stream: OutputStream, _ files: OutputFiles) throws(CommandError) -> OutputView {
        let details = try details(of: line)
        if let file = localFile(details, stream, files) { return try read(file) }
        guard let attempt = details.running ?? details.ended, !files.areHere(of: attempt.node) else {
            return reported(details, stream) ?? OutputView(remark: "It has written nothing that is kept.")
        }
        let isRunning = details.running != nil
        let remote = RemoteOutput(
            of: line, stream, attempt: attempt.number, on: attempt.node,
            packed: isRunning ? nil : details.result?.outcome?.packedOutput, self)
        var view = OutputView()
        switch try remote.next(isRunning: isRunning) {
        case .node(.piece(let bytes, let size)):
            view.beginning = Array(bytes.prefix(OutputView.bytesMax))
            let endOffset = max(Int64(view.beginning.count), size - Int64(OutputView.bytesMax))
            view.omittedBytes = Int(clamping: endOffset - Int64(view.beginning.count))
            remote.offset = endOffset
            while remote.offset < size, view.end.count < OutputView.bytesMax {
                guard case .node(.piece(let more, _)) = try remote.next(isRunning: isRunning), !more.isEmpty else {
                    break
                }
                view.end += more
            }
            return view
        case .node(.notBegun): return OutputView(remark: "It has not begun to write.")
        case .node(.absent), .node(.unreadable): break
        case .none(let why):
            if var view = reported(details, stream) {
                view.remark = "This is what its node reported; more is not to be had: \(why)."
                return view
            }
            return OutputView(remark: "\(why).")
        }
        return reported(details, stream)
            ?? OutputView(remark: "\(attempt.node) does not have it any more.")
    }

    private func localFile(_ details: TaskDetails, _ stream: OutputStream, _ files: OutputFiles) -> LogFile? {
        if let attempt = details.running {
            return files.file(stream, of: details.line, running: attempt.number, on: attempt.node)
        }
        return details.result?.outcome.flatMap { files.file(stream, of: details.line, $0) }
    }

    private func read(_ file: LogFile) throws(CommandError) -> OutputView {
        var view = OutputView()
        do throws(SystemError) {
            view.beginning = try file.next(OutputView.bytesMax)
            let left = file.sizeBytes - Int64(view.beginning.count)
            if left > 0 {
                view.omittedBytes = Int(clamping: max(0, left - Int64(OutputView.bytesMax)))
                file.skip(view.omittedBytes)
                view.end = try file.next(OutputView.bytesMax)
            }
        } catch {
            throw .failed("\(error)")
        }
        return view
    }

    /// What its node reported when it had ended.
    private func reported(_ details: TaskDetails, _ stream: OutputStream) -> OutputView? {
        guard let result = details.result else { return nil }
        if stream == .stderr {
            let tail = result.outcome?.stderrTail ?? ""
            return tail.isEmpty ? nil : OutputView(end: Array(tail.utf8))
        }
        guard let output = result.standardOutputJSON.flatMap({ JSONText.unquoted($0) }) else { return nil }
        var view = OutputView(beginning: Array(output.utf8.prefix(OutputView.bytesMax)))
        view.omittedBytes = output.utf8.count - view.beginning.count
        if let end = result.outputEnd, let text = JSONText.unquoted(end.json) {
            view.omittedBytes += end.omittedBytes
            view.end = Array(text.utf8.suffix(OutputView.bytesMax))
        }
        return view
    }
}

extension OutputView {
    /// For a page: with nothing in it that a page would obey.
    var content: HTML {
        var content = HTML()
        if !beginning.isEmpty {
            content += "<pre class=\"output\">\(String(decoding: beginning, as: UTF8.self))</pre>\n"
        }
        if omittedBytes > 0 { content += "<p>\(grouped(omittedBytes)) bytes are left out here.</p>\n" }
        if !end.isEmpty { content += "<pre class=\"output\">\(String(decoding: end, as: UTF8.self))</pre>\n" }
        if let remark { content += "<p>\(remark)</p>\n" }
        return content == HTML() ? "<p>Nothing.</p>\n" : content
    }
}
