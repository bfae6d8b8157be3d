// Patterns of lines, as Redis matches them: what is asked of an archive means the same as what is asked of the queue.

/// `*` and `?`, `[a-z]` and `[^a-z]`, and a backslash before what is meant as it is.
struct GlobPattern {
    private let pattern: [UInt8]

    init(_ text: String) { pattern = Array(text.utf8) }

    func matches(_ text: some StringProtocol) -> Bool {
        let text = Array(text.utf8)
        var (at, place) = (0, 0)
        /// Behind the last star, and what it has taken so far.
        var star: (at: Int, place: Int)?
        while place < text.count {
            if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
                at += 1
                star = (at, place)
            } else if let next = matched(at, text[place]) {
                (at, place) = (next, place + 1)
            } else if let last = star {
                (at, place) = (last.at, last.place + 1)
                star = (at, place)
            } else {
                return false
            }
        }
        return pattern[at...].allSatisfy { $0 == UInt8(ascii: "*") }
    }

    /// What comes in the pattern behind one character that is this; nil where it is another.
    private func matched(_ at: Int, _ byte: UInt8) -> Int? {
        guard at < pattern.count else { return nil }
        switch pattern[at] {
        case UInt8(ascii: "?"): return at + 1
        case UInt8(ascii: "["): return matchedClass(at + 1, byte)
        case UInt8(ascii: "\\") where at + 1 < pattern.count: return pattern[at + 1] == byte ? at + 2 : nil
        case let own: return own == byte ? at + 1 : nil
        }
    }

    private func matchedClass(_ start: Int, _ byte: UInt8) -> Int? {
        var at = start
        let isNegated = at < pattern.count && pattern[at] == UInt8(ascii: "^")
        if isNegated { at += 1 }
        var isIn = false
        while at < pattern.count, pattern[at] != UInt8(ascii: "]") {
            if pattern[at] == UInt8(ascii: "\\"), at + 1 < pattern.count { at += 1 }
            if at + 2 < pattern.count, pattern[at + 1] == UInt8(ascii: "-") {
                let (low, high) = (min(pattern[at], pattern[at + 2]), max(pattern[at], pattern[at + 2]))
                if (low...high).contains(byte) { isIn = true }
                at += 3
            } else {
                if pattern[at] == byte { isIn = true }
                at += 1
            }
        }
        return isIn != isNegated ? min(at + 1, pattern.count) : nil
    }
}
