// A signal some time before a task's timeout strikes, for a task that can save what it has: `USR1@60s`, as Slurm's --signal has it.

/// What the tasks of a job are told before their time is up.
public struct DeadlineWarning: Hashable, Sendable {
    /// As kill(2) takes it; never one that nobody can handle.
    public let signal: Int32
    /// How long before the timeout.
    public let seconds: Double

    /// How long before where nothing is said.
    public static let secondsByDefault = 60.0

    /// Reads `USR1@60s`, `SIGTERM@5m`, `12@90`, or a signal alone; nil for what is none of these.
    public init?(text: some StringProtocol) {
        let parts = text.split(separator: "@", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let signal = signalNumber(parts[0]), !Self.neverHandled.contains(signal)
        else {
            return nil
        }
        var seconds = Self.secondsByDefault
        if parts.count == 2 {
            guard case .seconds(let given)? = TimeoutRequest(parsing: String(parts[1])) else { return nil }
            seconds = given
        }
        (self.signal, self.seconds) = (signal, seconds)
    }

    /// SIGKILL and SIGSTOP.
    private static let neverHandled: Set<Int32> = [9, 19]

    /// What is wrong with it beside a timeout; nil for nothing. As a task begins it handles no signal yet.
    public func problem(withTimeout timeout: TimeoutRequest) -> String? {
        guard case .seconds(let limit) = timeout, limit <= seconds else { return nil }
        return
            "\(text): that is \(AmountText.seconds(seconds)) before a timeout of \(AmountText.seconds(limit)); give it less time, or the tasks more"
    }

    /// As it is noted and read back.
    public var text: String {
        "\(signalName(signal)?.dropFirst(3) ?? "\(signal)")@\(AmountText.decimal(seconds, places: 3))"
    }

    /// For people: `SIGUSR1 60 s before the timeout`.
    public var words: String {
        "\(signalName(signal) ?? "signal \(signal)") \(AmountText.seconds(seconds)) before the timeout"
    }
}
