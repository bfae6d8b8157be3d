// What finished_tasks holds of a task: who ran it, and what it wrote to standard output, as far as Redis keeps that. The old system's
// forms stay for its lines. An output that is too large is kept by its ends where the task is of a job, which no old worker sees; and one
// that has been there long enough leaves, which the value says.
//
//     node7: "a JSON string"                        all of it
//     node7: "its beginning" 7340032 "its end"      so many bytes between them are left out
//     node7: stdout is too large                    none of it was taken
//     node7: stdout left Redis at 1764430000        it was there; seconds since 1970

import TaskModel

/// A value of finished_tasks.
public struct FinishedValue: Equatable, Sendable {
    /// What is known of the output.
    public enum Content: Equatable, Sendable {
        /// A JSON string, quotes included.
        case whole([UInt8])
        /// Two such strings, and how many bytes are missing between them.
        case ends(head: [UInt8], omittedBytes: Int, tail: [UInt8])
        case tooLarge
        case left(atUnixSeconds: Int)
    }

    public let worker: String
    public let content: Content

    /// What Redis takes as a whole.
    public static let wholeBytesMax = 1 << 20
    /// Of a larger output of a task of a job: so much of its beginning, and of its end.
    public static let endBytes = 64 << 10
    /// A value this short stays when outputs leave: what would stand in its place is no shorter.
    static let bytesKept = 100

    private static let tooLarge = "stdout is too large"
    private static let left = "stdout left Redis at "

    /// All of it, or else its beginning: a JSON string; nil where none of it is there.
    public var standardOutputJSON: [UInt8]? {
        switch content {
        case .whole(let json), .ends(let json, _, _): json
        case .tooLarge, .left: nil
        }
    }

    // MARK: - Writing

    /// The value of a task of `worker` that wrote `standardOutput`; nil stands for more than the queue takes.
    public static func encode(worker: String, standardOutput: [UInt8]?) -> [UInt8] {
        guard let standardOutput else { return Array("\(worker): \(tooLarge)".utf8) }
        var writer = Writer(worker: worker, bytesExpected: standardOutput.count)
        writer.append(standardOutput)
        return writer.finish()
    }

    /// The same for output that comes in pieces, so that nobody need wait for all of it.
    public struct Writer: Sendable {
        private var text: JSONStringWriter

        /// - Parameter bytesExpected: how much output there will be. Room is taken for the worst it may become, of which only what is
        ///   used costs memory: to grow would be to copy it all at once.
        public init(worker: String, bytesExpected: Int) {
            text = JSONStringWriter(after: Array("\(worker): ".utf8))
            let growth = bytesExpected < 64 << 10 ? 1 : JSONStringWriter.growthMax
            text.reserveCapacity(worker.utf8.count + 4 + bytesExpected * growth)
        }

        public mutating func append(_ piece: [UInt8]) { text.append(piece) }

        /// What has come is the beginning, and what comes is the end.
        public mutating func omit(byteCount: Int) {
            text = JSONStringWriter(after: text.finish() + Array(" \(byteCount) ".utf8))
        }

        /// Nothing more comes: the value.
        public mutating func finish() -> [UInt8] { text.finish() }
    }

    // MARK: - Reading

    /// Reads a value, ours or an old worker's. Text of no form that we know is made a JSON string, so that it can be printed as one.
    public init(parsing value: [UInt8]) {
        let colon = value.firstIndex(of: UInt8(ascii: ":")) ?? value.startIndex
        worker = String(decoding: value[..<colon], as: UTF8.self)
        let rest = value[colon...].dropFirst().drop { $0 == UInt8(ascii: " ") }
        content = Self.content(rest)
    }

    private static func content(_ text: ArraySlice<UInt8>) -> Content {
        guard let head = jsonString(at: text) else { return words(text) ?? .whole(JSONText.quoted(bytes: Array(text))) }
        if head.endIndex == text.endIndex { return .whole(Array(head)) }
        let parts = text[head.endIndex...].split(
            separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].isEmpty, let omitted = Int(String(decoding: parts[1], as: UTF8.self)),
            omitted > 0,
            let tail = jsonString(at: parts[2]), tail.endIndex == text.endIndex
        else { return .whole(JSONText.quoted(bytes: Array(text))) }
        return .ends(head: Array(head), omittedBytes: omitted, tail: Array(tail))
    }

    /// The words that stand for an output are no JSON string: a task that prints the same has one.
    private static func words(_ text: ArraySlice<UInt8>) -> Content? {
        if text.elementsEqual(tooLarge.utf8) { return .tooLarge }
        guard text.starts(with: left.utf8), text.count < 64,
            let at = Int(String(decoding: text.dropFirst(left.utf8.count), as: UTF8.self))
        else { return nil }
        return .left(atUnixSeconds: at)
    }

    /// The JSON string that the text begins with.
    private static func jsonString(at text: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        let quote = UInt8(ascii: "\"")
        guard text.first == quote else { return nil }
        var body = text.dropFirst()
        while let byte = body.popFirst() {
            if byte == quote {
                let string = text[..<body.startIndex]
                return (try? UTF8Span(validating: string.span)) == nil ? nil : string
            }
            if byte < 0x20 { return nil }
            guard byte == UInt8(ascii: "\\") else { continue }
            guard let escaped = body.popFirst(), "\"\\/bfnrtu".utf8.contains(escaped) else { return nil }
            if escaped == UInt8(ascii: "u") {
                let digits = body.prefix(4)
                guard digits.count == 4, UInt16(String(decoding: digits, as: UTF8.self), radix: 16) != nil else {
                    return nil
                }
                body = body.dropFirst(4)
            }
        }
        return nil
    }
}
