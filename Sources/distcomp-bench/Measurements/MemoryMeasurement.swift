// What `--memory auto` wastes and how many attempts it costs, beside other ways to say how much memory tasks get: on tasks of generated
// shapes, one job after the other, without running anything. The rule is the one that the queue follows (MemoryPeaks).

import ArgumentParser
import TaskModel

struct MemoryMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "memory", abstract: "What ways of asking for memory waste, on tasks of generated shapes.")

    @Option(help: "How many tasks there are of each shape.")
    var tasks = 2455

    @Option(help: "How many of them run at a time: what they needed is known when they have ended.")
    var atOnce = 16

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [tasks, atOnce] }

    /// How much memory the tasks of a job need, as a share of what is usual.
    private enum Shape: String, CaseIterable {
        // As most steps of workflows are: nearly alike, but for a few.
        case alike = "alike to 1 %"
        case nearlyAlike = "alike to 2 %"
        case normal = "normal, 5 %"
        case skewed = "log-normal, 10 %"
        case someMore = "alike to 2 %, one in fifty half as much again"
        case someTwice = "alike to 2 %, one in thirty twice as much"
        // Where one amount for all is a poor answer.
        case wide = "wide: normal, 20 %"
        case even = "wide: evenly from 0.7 to 1.3"
        case twoKinds = "wide: one in ten half as much again"

        var isWide: Bool {
            switch self {
            case .alike, .nearlyAlike, .normal, .skewed, .someMore, .someTwice: false
            case .wide, .even, .twoKinds: true
            }
        }

        func need(_ random: inout SplitMix) -> Double {
            switch self {
            case .alike: 1 + 0.01 * random.normal()
            case .nearlyAlike: 1 + 0.02 * random.normal()
            case .normal: 1 + 0.05 * random.normal()
            case .skewed: random.skewed(0.1)
            case .someMore: (random.share() < 0.02 ? 1.5 : 1) * (1 + 0.02 * random.normal())
            case .someTwice: (random.share() < 1.0 / 30 ? 2 : 1) * (1 + 0.02 * random.normal())
            case .wide: max(0.1, 1 + 0.2 * random.normal())
            case .twoKinds: (random.share() < 0.1 ? 1.5 : 1) * (1 + 0.02 * random.normal())
            case .even: 0.7 + 0.6 * random.share()
            }
        }
    }

    /// Who says how much.
    private enum Way: String, CaseIterable {
        case asked = "what people ask for, 2.5 times the usual"
        case auto = "--memory auto"
        case largest = "the largest so far and a fifth"
        case ladder = "half the usual, doubled on oom"
    }

    private struct Tally {
        var (asked, used) = (0.0, 0.0)
        var (attempts, failures) = (0, 0)
        var wasted: Double { 1 - used / asked }
        var failed: Double { Double(failures) / Double(attempts) }

        mutating func add(_ other: Tally) {
            (asked, used) = (asked + other.asked, used + other.used)
            (attempts, failures) = (attempts + other.attempts, failures + other.failures)
        }
    }

    func measure(in place: String, _ figures: FigureTable) throws {
        var totals: [Way: Tally] = [:]
        for (number, shape) in Shape.allCases.enumerated() {
            var random = SplitMix(state: UInt64(number + 1))
            let needs = (0..<tasks).map { _ in UInt64(shape.need(&random) * Double(800 << 20)) }
            for way in Way.allCases where way == .auto || !shape.isWide {
                let tally = run(needs, way)
                if !shape.isWide { totals[way, default: Tally()].add(tally) }
                guard way == .auto else { continue }
                figures.add("\(shape.rawValue): wasted by auto", tally.wasted * 100, "%")
                figures.add("- failed attempts", tally.failed * 100, "%")
            }
        }
        for way in Way.allCases {
            let tally = totals[way] ?? Tally()
            figures.add("all six that are not wide: wasted by \(way.rawValue)", tally.wasted * 100, "%")
            figures.add("- failed attempts", tally.failed * 100, "%")
        }
    }

    /// One job, so many at a time.
    private func run(_ needs: [UInt64], _ way: Way) -> Tally {
        let usual: UInt64 = 800 << 20
        var peaks = MemoryPeaks()
        var first = way == .ladder ? usual / 2 : usual * 5 / 2
        var tally = Tally()
        var start = 0
        while start < needs.count {
            let running = needs[start..<min(start + atOnce, needs.count)]
            for need in running {
                var amount = first
                while true {
                    tally.attempts += 1
                    tally.asked += Double(amount)
                    if amount >= need { break }
                    tally.failures += 1
                    let learned = way == .auto && amount == first ? peaks.bytesAfterOom(of: amount) : nil
                    amount = learned ?? amount * 2
                }
                tally.used += Double(need)
            }
            for need in running {
                peaks.add(need)
                guard way == .auto || way == .largest, peaks.isDue, let learned = peaks.bytesToAskFor else { continue }
                let wanted = way == .auto ? learned : UInt64(Double(peaks.largestBytes) * 1.2)
                if max(wanted, first) - min(wanted, first) >= first / 20 { first = wanted }
            }
            start += atOnce
        }
        return tally
    }
}
