// What a node tells the `distcomp run` that started it of each attempt at a task, in a file that both have open: a line each. The queue
// knows as much, but not of what began and ended between two looks, nor when the files of an attempt are whole.

/// Something that became of one attempt.
public enum AttemptEvent: Hashable, Sendable {
    /// It has begun, and its files are there. The number is the node's; the attempt, from 1, and the line are the task's.
    case begun(UInt64, attempt: Int, line: String)
    /// Nothing writes to its files any more, or they are gone: what it wrote stands in a segment.
    case ended(UInt64, PackedOutput?)

    /// As it is noted, with the newline.
    public var note: String {
        switch self {
        case .begun(let number, let attempt, let line): "+\(number) \(attempt) \(JSONText.quoted(line))\n"
        case .ended(let number, let packed): "-\(number)\(packed.map { " \($0.text)" } ?? "")\n"
        }
    }

    /// Reads a note back; nil for what is none.
    ///
    /// - Parameter note: without the newline.
    public init?(note: ArraySlice<UInt8>) {
        let parts = note.dropFirst().split(separator: UInt8(ascii: " "), maxSplits: 2, omittingEmptySubsequences: false)
        guard let digits = parts.first, digits.allSatisfy(\.isDigit),
            let number = UInt64(String(decoding: digits, as: UTF8.self))
        else { return nil }
        switch note.first {
        case UInt8(ascii: "+"):
            guard parts.count == 3, let attempt = Int(String(decoding: parts[1], as: UTF8.self)),
                let line = JSONText.unquoted(Array(parts[2]))
            else { return nil }
            self = .begun(number, attempt: attempt, line: line)
        case UInt8(ascii: "-"):
            guard parts.count <= 2 else { return nil }
            let packed = parts.count == 2 ? PackedOutput(text: String(decoding: parts[1], as: UTF8.self)) : nil
            guard parts.count == 1 || packed != nil else { return nil }
            self = .ended(number, packed)
        default: return nil
        }
    }
}
