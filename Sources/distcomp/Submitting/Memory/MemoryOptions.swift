// What commands may use of memory: an amount, or what their like needed; and what becomes of one that runs out of it.

import ArgumentParser
import TaskModel

extension OomRule: ExpressibleByArgument {
    public init?(argument: String) { self.init(text: argument) }
}

struct MemoryOptions: ParsableArguments {
    @Option(
        name: .customLong("memory"),
        help: .init(
            """
            Of each command: the memory it may use, such as 2G (default: no cap). auto, or auto:2G to begin with: what 19 of 20 of its \
            like needed, and a tenth more, once five have finished.
            """, valueName: "amount|auto[:amount]"))
    var asked: String?

    @Option(
        help: .init(
            "Of each command: one that runs out of memory is tried with twice as much, up to this; that is no failure.",
            valueName: "amount"))
    var memoryMax: String?

    @Option(help: .init("What such a one is tried with instead, such as x1.5, or 16G.", valueName: "xN|amount"))
    var onOom: OomRule?

    @Option(
        help: .init("What --memory auto begins with: what the tasks of this earlier job needed.", valueName: "job"))
    var memoryLike: String?

    private static let auto = "auto"

    /// The amount as a task line takes it; nil where none is given.
    var amount: String? {
        guard let asked, isLearning else { return asked }
        return asked == Self.auto ? nil : String(asked.dropFirst(Self.auto.count + 1))
    }

    var isLearning: Bool { asked == Self.auto || asked?.hasPrefix(Self.auto + ":") == true }

    /// The options and their values as they were typed.
    var typed: [(key: String, value: String?)] {
        [("memory-max", memoryMax), ("on-oom", onOom?.text), ("memory-like", memoryLike)]
    }

    /// What makes no sense together; nil where all does.
    ///
    /// - Parameter isAmountElsewhere: whether a batch script says how much.
    func problem(isAmountElsewhere: Bool) -> String? {
        if memoryLike != nil, !isLearning { return "--memory-like is for --memory auto" }
        let hasAmount = asked != nil || isAmountElsewhere
        if let memoryMax {
            guard let bytes = AmountText.memoryBytes(memoryMax), bytes > 0 else {
                return "--memory-max \(TerminalText.escaped(memoryMax)): expected an amount such as 16G"
            }
            if !hasAmount { return "--memory-max: say --memory too, which it begins with" }
            if let amount, let first = AmountText.memoryBytes(amount), first >= bytes || first == 0 {
                return "--memory-max \(memoryMax) is not more than --memory \(amount), which it begins with"
            }
        }
        guard let onOom else { return nil }
        if !hasAmount { return "--on-oom: say --memory too, which it begins with" }
        if case .times = onOom, memoryMax == nil, !isLearning {
            return "--on-oom \(onOom.text): say --memory-max too, up to which that goes"
        }
        if case .amount(let bytes) = onOom {
            if let amount, let first = AmountText.memoryBytes(amount), bytes <= first {
                return "--on-oom \(onOom.text) is not more than --memory \(amount), which it begins with"
            }
            if let memoryMax, let most = AmountText.memoryBytes(memoryMax), bytes > most {
                return "--on-oom \(onOom.text) is more than --memory-max \(memoryMax)"
            }
        }
        return nil
    }

    var request: MemoryRequest {
        MemoryRequest(
            maxBytes: memoryMax.flatMap { AmountText.memoryBytes($0) } ?? 0, onOom: onOom, isLearning: isLearning,
            like: memoryLike)
    }
}

/// What options say of the memory of a job beside its amount.
struct MemoryRequest {
    var maxBytes: UInt64 = 0
    var onOom: OomRule?
    var isLearning = false
    /// The name of a job of which the amount is to be learned.
    var like: String?
}
