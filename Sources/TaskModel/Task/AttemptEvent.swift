// What a node tells the `distcomp run` that started it of each attempt at a task, in a file that both have open: a line each. The queue
// knows as much, but not of what began and ended between two looks, nor when the files of an attempt are whole.

/// Something that became of one attempt.
public enum AttemptEvent: Hashable, Sendable {
    /// It has begun, and its files are there. The number is the node's, the line the task's.
    case begun(UInt64, line: String)
    /// Nothing writes to its files any more.
    case ended(UInt64)

    /// As it is noted, with the newline.
    public var note: String {
        switch self {
        case .begun(let number, let line): "+\(number) \(JSONText.quoted(line))\n"
        case .ended(let number): "-\(number)\n"
        }
    }

    /// Reads a note back; nil for what is none.
    ///
    /// - Parameter note: without the newline.
    public init?(note: ArraySlice<UInt8>) {
        let rest = note.dropFirst()
        let digits = rest.prefix { $0.isDigit }
        guard let number = UInt64(String(decoding: digits, as: UTF8.self)) else { return nil }
        let text = rest.dropFirst(digits.count)
        switch note.first {
        case UInt8(ascii: "+"):
            guard text.first == UInt8(ascii: " "), let line = JSONText.unquoted(Array(text.dropFirst())) else {
                return nil
            }
            self = .begun(number, line: line)
        case UInt8(ascii: "-"):
            guard text.isEmpty else { return nil }
            self = .ended(number)
        default: return nil
        }
    }
}
