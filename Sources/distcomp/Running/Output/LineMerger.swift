// Where what many tasks write comes together on its way to our own two streams: lines stay whole, a terminal is not disturbed, and a
// reader that takes nothing for a while keeps nobody from pressing Ctrl-C.

import LinuxSystem
import TaskModel
import TaskQueue

/// Writes lines of many sources, each marked as its own where that is wanted.
final class LineMerger {
    /// One stream of one attempt.
    struct Source: Equatable {
        let attempt: UInt64
        let stream: OutputStream
    }

    /// Called before something is written: what else is on the terminal makes room.
    var beforeWriting: () -> Void = {}
    /// Called while our reader takes nothing.
    var whileWaiting: () throws(CommandError) -> Void = {}
    /// The longest piece of a line.
    static let pieceBytes = 64 << 10
    private static let waitMilliseconds: Int32 = 200
    /// As much as a pipe takes that is ready at all, see pipe(7).
    private static let bytesAtOnce = 4096

    private let keepsLinesApart: Bool
    private let isTagged: Bool
    private let isEscaped: [OutputStream: Bool]
    /// In the order of writing, no two neighbours of one stream.
    private var ready: [(stream: OutputStream, bytes: [UInt8])] = []
    private var readyCount = 0
    /// Whose line has a beginning and no end yet.
    private var open: Source?

    /// - Parameter keepsLinesApart: whether each line ends before another source's begins, though its task did not end it. On a terminal,
    ///   or where lines are marked, it does in any case.
    init(keepsLinesApart: Bool, isTagged: Bool) {
        self.keepsLinesApart = keepsLinesApart
        self.isTagged = isTagged
        isEscaped = [.stdout: standardOutput.isTerminal, .stderr: standardError.isTerminal]
    }

    /// Takes whole lines, or a piece of one.
    ///
    /// - Parameter tag: what each line begins with.
    func add(_ bytes: ArraySlice<UInt8>, of source: Source, tag: [UInt8]) throws(CommandError) {
        guard !bytes.isEmpty else { return }
        let isTerminal = isEscaped[source.stream] == true
        guard keepsLinesApart || isTagged || isTerminal else { return try append(bytes, to: source.stream) }
        if open != source { endLine() }
        let text = isTerminal ? Self.escaped(bytes)[...] : bytes
        if isTagged {
            for line in text.split(separator: Self.newline, omittingEmptySubsequences: false).dropLast() {
                try append((open == nil ? tag : []) + line + [Self.newline], to: source.stream)
                open = nil
            }
            let last = text[(text.lastIndex(of: Self.newline).map { $0 + 1 } ?? text.startIndex)...]
            if !last.isEmpty { try append((open == nil ? tag : []) + last, to: source.stream) }
        } else {
            try append(text, to: source.stream)
        }
        open = text.last == Self.newline ? nil : source
    }

    /// Ends the line that is unfinished, if one is.
    ///
    /// - Parameter attempt: only one of this.
    func endLine(of attempt: UInt64? = nil) {
        guard let source = open, attempt ?? source.attempt == source.attempt else { return }
        open = nil
        put([Self.newline], to: source.stream)
    }

    /// Writes what has been collected.
    func flush() throws(CommandError) {
        guard !ready.isEmpty else { return }
        // Whatever else draws on the terminal begins at its margin.
        if let open, isEscaped[open.stream] == true { endLine() }
        let pieces = ready
        (ready, readyCount) = ([], 0)
        beforeWriting()
        for (stream, bytes) in pieces { try write(bytes, to: stream) }
    }

    private static let newline = UInt8(ascii: "\n")

    private static func escaped(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        Array(LogPrinter.escaped(String(decoding: bytes, as: UTF8.self)).utf8)
    }

    private func append(_ bytes: some Sequence<UInt8>, to stream: OutputStream) throws(CommandError) {
        put(bytes, to: stream)
        if readyCount >= Self.pieceBytes { try flush() }
    }

    private func put(_ bytes: some Sequence<UInt8>, to stream: OutputStream) {
        if ready.last?.stream != stream { ready.append((stream, [])) }
        let count = ready[ready.count - 1].bytes.count
        ready[ready.count - 1].bytes.append(contentsOf: bytes)
        readyCount += ready[ready.count - 1].bytes.count - count
    }

    private func write(_ bytes: [UInt8], to stream: OutputStream) throws(CommandError) {
        let target = stream == .stdout ? standardOutput : standardError
        let step = target.isFile ? bytes.count : Self.bytesAtOnce
        for start in stride(from: 0, to: bytes.count, by: step) {
            do {
                while !(try target.isReady(withinMilliseconds: Self.waitMilliseconds)) { try whileWaiting() }
            } catch let error as CommandError {
                throw error
            } catch {
                throw .failed("\(error)")
            }
            let piece = Array(bytes[start..<min(start + step, bytes.count)])
            // Standard error is for a person, who may have closed it.
            if stream == .stdout { try show(bytes: piece) } else { _ = try? target.writeAll(bytes: piece) }
        }
    }
}
