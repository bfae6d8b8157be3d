// Commands of a sweep are long and differ in a word. Whatever is cut away from them for a narrow terminal, what tells one row from
// another stays where that is possible: mostly the end, sometimes a word in the middle.

import TaskModel

enum ShortenedRows {
    /// Each text at most so wide, all cut in the same manner: the first that keeps all of them apart, or else the one that keeps most.
    ///
    /// - Parameter columns: for each text its own.
    static func shortened(_ texts: [String], to columns: [Int]) -> [String] {
        let rooms = Array(zip(texts, columns))
        guard rooms.contains(where: { isTooWide($0, $1) }) else { return texts }
        let wantedCount = Set(texts).count
        var best: (rows: [String], count: Int) = ([], -1)
        for manner in manners(texts) {
            let rows = rooms.map { isTooWide($0, $1) ? manner($0, $1) : $0 }
            let count = Set(rows).count
            if count > best.count { best = (rows, count) }
            if count == wantedCount { break }
        }
        return best.rows
    }

    private static func isTooWide(_ text: String, _ columns: Int) -> Bool { TerminalText.columnCount(text) > columns }

    /// Ways to cut a text that is too long, the most readable first.
    private static func manners(_ texts: [String]) -> [(String, Int) -> String] {
        let differences = differences(texts)
        return [
            { TerminalText.shortened($0, to: $1, keepingEnd: ($1 - 1) / 2) },
            { TerminalText.shortened($0, to: $1, keepingEnd: ($1 - 1) * 3 / 4) },
            { TerminalText.shortened($0, to: $1) },
            { window($0, around: differences[$0] ?? 0, $1) },
        ]
    }

    /// For each text, how many Characters it shares with the one that is most like it from the beginning on.
    private static func differences(_ texts: [String]) -> [String: Int] {
        let sorted = Set(texts).sorted()
        var shared: [String: Int] = [:]
        for (text, next) in zip(sorted, sorted.dropFirst()) {
            let count = zip(text, next).prefix { $0 == $1 }.count
            shared[text] = max(shared[text] ?? 0, count)
            shared[next] = count
        }
        return shared
    }

    /// The beginning, and what stands around the Character at `index`.
    private static func window(_ text: String, around index: Int, _ columns: Int) -> String {
        let head = columns / 4
        // A little of what is shared shows where one is.
        let start = max(0, index - 4)
        guard start >= head else { return TerminalText.shortened(text, to: columns) }
        let rest = TerminalText.shortened(String(text.dropFirst(start)), to: columns - head)
        return TerminalText.shortened(text, to: head) + rest
    }
}
