// `run --output stream`: the lines of all tasks as they come. The node notes in a file what begins and ends; of each attempt the two
// files are read from its begin until they are whole, so that nothing is lost of a task that is over between two looks.

import LinuxSystem
import TaskModel
import TaskQueue

final class StreamedOutput: OutputOfRun {
    /// What one look shows of one stream at most, so that a loud task does not silence the others.
    private static let bytesOfLookMax = 1 << 20
    private static let notesBytesAtOnce = 256 << 10
    private static let newline = UInt8(ascii: "\n")
    /// So many attempts are read at a time, with two descriptors each; of those beyond, what they have written is read when others end.
    private static let openMax = 200
    /// Of attempts that have ended so many may wait to be shown; while our reader takes nothing, the notes wait in their file.
    private static let endedMax = 256

    /// One attempt that has begun and is not shown to its end.
    private final class Attempt {
        let number: UInt64
        /// Of its task, from 1.
        let count: Int
        let line: String
        var streams: [(source: LineMerger.Source, file: LogFile)]?
        var tag: [UInt8]?
        var hasEnded = false
        /// Where what it wrote stands, if that is in no files any more.
        var packed: PackedOutput?

        init(_ number: UInt64, count: Int, line: String) {
            self.number = number
            self.count = count
            self.line = line
        }
    }

    let merger: LineMerger
    let notes: TemporaryFile?
    private let file: TemporaryFile
    private let tags: TaskTags
    private let resultDirectory: String
    private var offset: Int64 = 0
    /// In the order in which they began.
    private var attempts: [Attempt] = []
    /// What has begun since the last look.
    private var newAttempts: [Attempt] = []
    private var numbers: [UInt64: Attempt] = [:]
    private var openCount = 0
    private var endedCount = 0

    /// - Parameter resultDirectory: where the node keeps the output of tasks.
    init(_ merger: LineMerger, _ tags: TaskTags, resultDirectory: String) throws(CommandError) {
        self.merger = merger
        self.tags = tags
        self.resultDirectory = resultDirectory
        file = try TemporaryFile()
        notes = file
    }

    func look() throws(CommandError) -> Bool {
        let hasMoreNotes = try readNotes()
        let hasMore = try copy()
        return hasMore || hasMoreNotes
    }

    func lookWhileWaiting() throws(CommandError) { _ = try readNotes() }

    func finish() throws(CommandError) {
        while try look() {}
        // A node that was killed could not say so, but nothing of it is left.
        for attempt in attempts where !attempt.hasEnded { end(attempt) }
        while try look() {}
    }

    // MARK: Notes

    /// Takes in what has begun and ended; whether there is more.
    private func readNotes() throws(CommandError) -> Bool {
        guard endedCount < Self.endedMax else { return true }
        var wantedCount = Self.notesBytesAtOnce
        var bytes = try file.read(at: offset, count: wantedCount)
        // A line may be longer.
        while bytes.count == wantedCount, !bytes.contains(Self.newline) {
            wantedCount *= 2
            bytes = try file.read(at: offset, count: wantedCount)
        }
        var start = 0
        while endedCount < Self.endedMax, let end = bytes[start...].firstIndex(of: Self.newline) {
            if let event = AttemptEvent(note: bytes[start..<end]) { take(event) }
            start = end + 1
        }
        offset += Int64(start)  // Half a note is read again.
        return bytes.count == wantedCount || endedCount >= Self.endedMax
    }

    private func take(_ event: AttemptEvent) {
        switch event {
        case .begun(let number, let count, let line):
            let attempt = Attempt(number, count: count, line: line)
            newAttempts.append(attempt)
            numbers[number] = attempt
            // At once: only the files of the last attempts are kept.
            if openCount < Self.openMax { open(attempt) }
        case .ended(let number, let packed):
            guard let attempt = numbers[number] else { return }
            attempt.packed = packed
            end(attempt)
        }
    }

    private func end(_ attempt: Attempt) {
        attempt.hasEnded = true
        endedCount += 1
    }

    private func open(_ attempt: Attempt) {
        let folder = resultDirectory + "/" + TaskLine.identifier(of: attempt.line)
        let streams = [OutputStream.stdout, .stderr].compactMap { stream -> (LineMerger.Source, LogFile)? in
            let path = "\(folder)/\(stream.rawValue)"
            let file =
                attempt.packed.map { LogFile(path, in: $0, attempt: attempt.count) }
                ?? LogFile(path, attempt: attempt.count)
            return file.map { (.init(attempt: attempt.number, stream: stream), $0) }
        }
        // What is over and packed by now is told of in a moment.
        guard streams.count == 2 || attempt.hasEnded else { return }
        attempt.streams = streams
        openCount += 1
    }

    // MARK: Lines

    /// Shows what has come of all attempts; whether there may be more at once.
    private func copy() throws(CommandError) -> Bool {
        var hasMore = false
        var left: [Attempt] = []
        attempts += newAttempts
        newAttempts = []
        for attempt in attempts {
            if attempt.streams == nil, openCount < Self.openMax || attempt.hasEnded { open(attempt) }
            var isWhole = attempt.hasEnded && attempt.streams != nil
            for (source, file) in attempt.streams ?? [] where try copy(file, source, of: attempt) {
                hasMore = true
                isWhole = false
            }
            if isWhole { close(attempt) } else { left.append(attempt) }
        }
        attempts = left
        try merger.flush()
        return hasMore
    }

    private func close(_ attempt: Attempt) {
        merger.endLine(of: attempt.number)
        numbers[attempt.number] = nil
        openCount -= 1
        endedCount -= 1
    }

    /// Shows what has come of one stream; whether there may be more.
    private func copy(_ file: LogFile, _ source: LineMerger.Source, of attempt: Attempt) throws(CommandError) -> Bool {
        var count = 0
        while count < Self.bytesOfLookMax {
            let bytes: [UInt8]
            do throws(SystemError) {
                bytes = try file.coming(LineMerger.pieceBytes)
            } catch {
                throw .failed("\(error)")
            }
            var shown = bytes.lastIndex(of: Self.newline).map { $0 + 1 } ?? 0
            if shown == 0 {
                // Less than a line: it waits for the rest of it, unless that is not to come.
                guard bytes.count == LineMerger.pieceBytes || attempt.hasEnded && !bytes.isEmpty else { return false }
                shown = attempt.hasEnded ? bytes.count : LogPrinter.endOfWholeCharacters(bytes)
            }
            if attempt.tag == nil { attempt.tag = try tags.tag(of: attempt.line) }
            try merger.add(bytes[..<shown], of: source, tag: attempt.tag ?? [])
            file.skip(shown)
            count += shown
        }
        return true
    }
}
