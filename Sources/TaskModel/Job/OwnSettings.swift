// What a single task of a job may use where that is not what the job says: it failed for want of it, and was given more.

/// What `retry` gave some tasks of a job.
public struct OwnSettings: Hashable, Sendable {
    /// As of ``TaskLine``.
    public var memoryBytes: UInt64
    /// As of ``TaskLine``.
    public var millicores: Int
    public var timeout: TimeoutRequest

    public init(memoryBytes: UInt64, millicores: Int, timeout: TimeoutRequest) {
        (self.memoryBytes, self.millicores, self.timeout) = (memoryBytes, millicores, timeout)
    }

    /// As the queue notes it: `memory:millicores timeout`, the last in seconds, `none`, or `default`.
    public var text: String {
        let timeoutText =
            switch timeout {
            case .byDefault: "default"
            case .none: "none"
            case .seconds(let seconds): "\(seconds)"
            }
        return "\(memoryBytes):\(millicores) \(timeoutText)"
    }

    /// nil for what ``text`` never is.
    public init?(text: some StringProtocol) {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 2 else { return nil }
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
    }
}

extension TaskLine {
    /// The same task with settings of its own.
    public func taking(_ own: OwnSettings) -> TaskLine {
        var line = self
        (line.memoryBytes, line.millicores, line.timeout) = (own.memoryBytes, own.millicores, own.timeout)
        return line
    }

    /// What it has that its job has not; nil for nothing, and for a line of no job.
    public var own: OwnSettings? {
        guard let settings = job?.settings,
            (settings.memoryBytes, settings.millicores) != (memoryBytes, millicores) || settings.timeout != timeout
        else { return nil }
        return OwnSettings(memoryBytes: memoryBytes, millicores: millicores, timeout: timeout)
    }
}
