// Guesses what someone meant to type: the known name nearest to an unknown one.

public enum NearestName {
    /// The name among `names` fewest edits away from `typed`, if it is near enough to be worth suggesting: at most a
    /// third of the letters of the longer one. Upper and lower case count as the same.
    public static func find(_ typed: String, among names: [String]) -> String? {
        // Longer than any name we know; also what bounds the work for a hostile one.
        guard typed.utf8.count <= 64 else { return nil }
        let typed = Array(typed.lowercased().utf8)
        let ranked = names.map { (name: $0, distance: distance(typed, Array($0.lowercased().utf8))) }
        guard let nearest = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
        return nearest.distance <= max(3, typed.count, nearest.name.utf8.count) / 3 ? nearest.name : nil
    }

    /// The least number of insertions, deletions, replacements and swaps of neighbours that make one the other
    /// (Damerau and Levenshtein, restricted to swaps of letters not otherwise touched).
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforeLast: [Int] = []
        var last = Array(0...right.count)
        for (row, letter) in left.enumerated() {
            var current = [row + 1]
            for (column, other) in right.enumerated() {
                var best = min(last[column + 1], current[column]) + 1
                best = min(best, last[column] + (letter == other ? 0 : 1))
                if row > 0, column > 0, letter == right[column - 1], left[row - 1] == other {
                    best = min(best, beforeLast[column - 1] + 1)
                }
                current.append(best)
            }
            (beforeLast, last) = (last, current)
        }
        return last[right.count]
    }
}
