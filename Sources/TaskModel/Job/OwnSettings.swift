// What a single task of a job may use where that is not what the job says: it failed for want of it, or ran out of memory, and was given
// more; or its line of a file says so.

/// What some tasks of a job have that the job has not.
public struct OwnSettings: Hashable, Sendable {
    /// As of ``TaskLine``.
    public var memoryBytes: UInt64
    /// As of ``TaskLine``.
    public var millicores: Int
    public var timeout: TimeoutRequest
    /// As of ``TaskLine``; nil: as the job.
    public var memoryMaxBytes: UInt64?
    /// As of ``TaskLine``.
    public var grownFromBytes: UInt64 = 0

    public init(memoryBytes: UInt64, millicores: Int, timeout: TimeoutRequest) {
        (self.memoryBytes, self.millicores, self.timeout) = (memoryBytes, millicores, timeout)
    }

    /// As the queue notes it: `memory:millicores timeout`, the last in seconds, `none`, or `default`; then, where there is such,
    /// `max=BYTES` and `from=BYTES`.
    public var text: String {
        let timeoutText =
            switch timeout {
            case .byDefault: "default"
            case .none: "none"
            case .seconds(let seconds): "\(seconds)"
            }
        let maxText = memoryMaxBytes.map { " max=\($0)" } ?? ""
        return "\(memoryBytes):\(millicores) \(timeoutText)\(maxText)"
            + (grownFromBytes > 0 ? " from=\(grownFromBytes)" : "")
    }

    /// nil for what ``text`` never is.
    public init?(text: some StringProtocol) {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard (2...4).contains(words.count) else { return nil }
        let amounts = words[0].split(separator: ":", omittingEmptySubsequences: false)
        guard amounts.count == 2, let memoryBytes = UInt64(amounts[0]), let millicores = Int(amounts[1]),
            millicores >= 0
        else { return nil }
        switch words[1] {
        case "default": timeout = .byDefault
        case "none": timeout = .none
        default:
            guard let seconds = Double(words[1]), seconds > 0, seconds.isFinite else { return nil }
            timeout = .seconds(seconds)
        }
        (self.memoryBytes, self.millicores) = (memoryBytes, millicores)
        for word in words.dropFirst(2) {
            let parts = word.split(separator: "=", omittingEmptySubsequences: false)
            guard parts.count == 2, let bytes = UInt64(parts[1]) else { return nil }
            switch parts[0] {
            case "max": memoryMaxBytes = bytes
            case "from": grownFromBytes = bytes
            default: return nil
            }
        }
    }
}

extension TaskLine {
    /// The same task with settings of its own.
    public func taking(_ own: OwnSettings) -> TaskLine {
        var line = self
        (line.memoryBytes, line.millicores, line.timeout) = (own.memoryBytes, own.millicores, own.timeout)
        line.memoryMaxBytes = own.memoryMaxBytes ?? memoryMaxBytes
        line.grownFromBytes = own.grownFromBytes
        return line
    }

    /// What it has that its job has not; nil for nothing, and for a line of no job.
    public var own: OwnSettings? {
        guard let settings = job?.settings,
            (settings.memoryBytes, settings.millicores) != (memoryBytes, millicores) || settings.timeout != timeout
                || settings.memoryMaxBytes != memoryMaxBytes || grownFromBytes > 0
        else { return nil }
        var own = OwnSettings(memoryBytes: memoryBytes, millicores: millicores, timeout: timeout)
        own.memoryMaxBytes = settings.memoryMaxBytes == memoryMaxBytes ? nil : memoryMaxBytes
        own.grownFromBytes = grownFromBytes
        return own
    }
}
