// More memory for a task that ran out of it: how much, and how far that goes. The node that ran it reckons what it gets; the queue notes it
// and puts the task back. It is no failure of the task, and only its own cap counts: what ran into the limit of a whole machine would not
// be helped by asking for more.

import Notation

/// What a task is given that ran out of memory.
public enum OomRule: Hashable, Sendable {
    /// So many times what it had.
    case times(Double)
    /// This much, whatever it had.
    case amount(UInt64)

    public static let byDefault = OomRule.times(2)
    public static let expected = "how many times as much, such as x2 or x1.5, or an amount such as 16G"

    /// Reads `x2`, `x1.5`, or an amount of memory.
    public init?(text: some StringProtocol) {
        if text.hasPrefix("x") {
            guard let factor = Double(text.dropFirst()), factor > 1, factor <= 1000 else { return nil }
            self = .times(factor)
        } else {
            guard let bytes = AmountText.memoryBytes(String(text)), bytes > 0 else { return nil }
            self = .amount(bytes)
        }
    }

    /// As it is noted and read back.
    public var text: String {
        switch self {
        case .times(let factor): "x\(AmountText.decimal(factor, places: 3))"
        case .amount(let bytes): "\((bytes + 1023) >> 10)K"
        }
    }

    /// For people: `2 times as much`, `16 GB`.
    public var words: String {
        switch self {
        case .times(let factor): "\(AmountText.decimal(factor, places: 3)) times as much"
        case .amount(let bytes): AmountText.memory(bytes)
        }
    }

    func bytes(after memoryBytes: UInt64) -> UInt64 {
        switch self {
        case .times(let factor):
            let wanted = min(Double(memoryBytes) * factor, Double(Amount.memoryBytesMax))
            return UInt64(roundedUp(wanted / 1_048_576) * 1_048_576)
        case .amount(let bytes): return bytes
        }
    }
}

extension AmountText {
    /// Bytes of what people write, such as `512M`, `8G` or `8`; nil for what is no amount of memory.
    public static func memoryBytes(_ text: String) -> UInt64? {
        var text = text
        text.makeContiguousUTF8()
        return Amount.memoryBytes(text.utf8.span)
    }
}

extension TaskLine {
    /// What it may have after it ran out of what it had; nil where that was all.
    public var nextMemoryBytes: UInt64? {
        guard let settings = job?.settings, memoryBytes > 0 else { return nil }
        let next = min((settings.onOom ?? .byDefault).bytes(after: memoryBytes), memoryBytesBound(settings))
        return next > memoryBytes ? next : nil
    }

    private func memoryBytesBound(_ settings: Job.Settings) -> UInt64 {
        if memoryMaxBytes > 0 { return memoryMaxBytes }
        // Of a job that learns the queue knows the end: what its largest node has.
        if settings.learnsMemory { return Amount.memoryBytesMax }
        if case .amount = settings.onOom { return Amount.memoryBytesMax }
        return 0
    }

    /// What it has of its own in a further attempt after it ended so; nil where there is none for that reason.
    public func withMoreMemory(after outcome: TaskOutcome) -> OwnSettings? {
        guard outcome.cause == .oom, outcome.usage.oom?.otherLimit == nil, let next = nextMemoryBytes else {
            return nil
        }
        var own = OwnSettings(memoryBytes: next, millicores: millicores, timeout: timeout)
        own.memoryMaxBytes = job?.settings.memoryMaxBytes == memoryMaxBytes ? nil : memoryMaxBytes
        own.grownFromBytes = grownFromBytes > 0 ? grownFromBytes : memoryBytes
        return own
    }
}
