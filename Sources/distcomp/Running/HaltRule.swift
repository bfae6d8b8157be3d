// `--halt soon,fail=3`: after how many failures a run ends early, as GNU parallel has it. Pure.

import ArgumentParser

/// When a run is to end before all is done, and what becomes of what runs then.
struct HaltRule: Equatable, ExpressibleByArgument {
    enum Manner: String {
        /// Nothing more is begun; what runs may end.
        case soon
        /// What runs is stopped, and waits again.
        case now
    }

    enum Bound: Equatable {
        case count(Int)
        /// Of all tasks of the run.
        case percent(Double)
    }

    let manner: Manner
    let bound: Bound
    /// As it was typed.
    let text: String

    init?(argument text: String) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard parts.count == 2, let manner = Manner(rawValue: String(parts[0])), parts[1].hasPrefix("fail=") else {
            return nil
        }
        let number = parts[1].dropFirst("fail=".count)
        if number.last == "%" {
            guard let percent = Double(number.dropLast()), percent > 0, percent <= 100 else { return nil }
            bound = .percent(percent)
        } else {
            guard let count = Int(number), count > 0 else { return nil }
            bound = .count(count)
        }
        self.manner = manner
        self.text = text
    }

    /// Whether it depends on how many tasks there are.
    var isShare: Bool { if case .percent = bound { true } else { false } }

    /// - Parameter failedBefore: what had failed when the run began, which is none of its failures.
    func isReached(_ progress: Progress, failedBefore: Int) -> Bool {
        let failed = progress.failed - failedBefore
        switch bound {
        case .count(let count): return failed >= count
        case .percent(let percent): return failed > 0 && Double(failed) * 100 >= percent * Double(progress.total)
        }
    }
}
