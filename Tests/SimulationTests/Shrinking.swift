// From a world that fails to the smallest that still does: what is left is what it takes.

import Foundation

enum Shrinking {
    static func explanation(of scenario: Scenario, _ broken: String, secondsMax: Double = 20) -> String {
        let smallest = shrink(scenario, kind(broken), secondsMax: secondsMax)
        let world = World(smallest)
        let outcome = world.run() ?? "(it does not fail any more)"
        return "The shortest that fails: \(outcome)\n\(smallest.asCode)"
    }

    /// The words of a failure that are no names or numbers: another way to fail is another story.
    private static func kind(_ broken: String) -> String {
        let told = broken.split(separator: ":", maxSplits: 1).last.map(String.init) ?? broken
        return told.split(separator: " ").filter { $0.allSatisfy { $0.isLetter } }.prefix(6).joined(separator: " ")
    }

    private static func shrink(_ scenario: Scenario, _ wanted: String, secondsMax: Double) -> Scenario {
        let end = Date().addingTimeInterval(secondsMax)
        var best = scenario
        func fails(_ candidate: Scenario) -> Bool {
            Date() < end && World(candidate).run().map { kind($0) == wanted } ?? false
        }
        func tryOut(_ change: (inout Scenario) -> Void) -> Bool {
            var candidate = best
            change(&candidate)
            guard candidate != best, fails(candidate) else { return false }
            best = candidate
            return true
        }
        var hasShrunk = true
        while hasShrunk, Date() < end {
            hasShrunk = false
            // Troubles: halves first, then one at a time.
            var size = max(1, best.happenings.count / 2)
            while size >= 1, !best.happenings.isEmpty {
                var start = 0
                while start < best.happenings.count, Date() < end {
                    let range = start..<min(start + size, best.happenings.count)
                    if tryOut({ $0.happenings.removeSubrange(range) }) { hasShrunk = true } else { start += size }
                }
                if size == 1 { break }
                size /= 2
            }
            for count in [1, best.lineCount / 2, best.lineCount - 1] where count >= 1 && count < best.lineCount {
                if tryOut({ $0.lineCount = count }) { hasShrunk = true }
            }
            let nodesUsed = (best.happenings.compactMap(\.trouble.node).max() ?? 0) + 1
            for count in [nodesUsed, best.nodeCount - 1] where count >= 1 && count < best.nodeCount {
                if tryOut({ $0.nodeCount = count }) { hasShrunk = true }
            }
            let last = (best.happenings.last?.at ?? 0) + 1
            if last < best.seconds * 0.9, tryOut({ $0.seconds = last }) { hasShrunk = true }
            if best.taskSeconds == nil, tryOut({ $0.taskSeconds = $0.leaseSeconds * 2 }) { hasShrunk = true }
        }
        return best
    }
}
