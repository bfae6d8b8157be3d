// How one attempt at a task ended, in full, and the sentence that explains it. "Never just failed": whoever reads the
// sentence knows what happened, against which limit, and need not look anywhere else. Kept in Redis as the record of
// TaskRecord.swift.

/// How one attempt at a task ended.
public struct TaskOutcome: Hashable, Sendable {
    public var cause: Cause
    public var usage: Usage
    /// The task's own memory cap; nil when it had none.
    public var memoryCapBytes: UInt64?
    /// The timeout that applied; nil when it had none.
    public var timeoutSeconds: Double?
    /// The last of what it wrote to stderr, repaired to UTF-8.
    public var stderrTail: String
    /// Where its output is on the node; empty when it never got that far, or where ``packedOutput`` says it.
    public var stdoutPath: String
    public var stderrPath: String
    /// Where it stands if it was little; then it has no paths.
    public var packedOutput: PackedOutput?
    /// The node it ran on.
    public var node: String
    /// Counted from 1.
    public var attempt: Int
    /// What else there is to know, a phrase each, such as `childKilledForMemory`. They are part of the reason.
    public var notes: [String]
    /// What it had first, where it ran out of that and was given more; else 0.
    public var grownFromBytes: UInt64 = 0
    /// How often it had gone back to the queue as it asked, this time included.
    public var requeueCount = 0
    /// How long after the queue had given it to its node it began. It is counted there, and not kept with the outcome.
    public var startDelaySeconds: Double?
    /// When it ended, in seconds since 1970; the node's clock knows it, the supervisor does not.
    public var finishedAtUnixSeconds: Double?

    public init(
        cause: Cause, usage: Usage, memoryCapBytes: UInt64? = nil, timeoutSeconds: Double? = nil,
        stderrTail: String = "", stdoutPath: String = "", stderrPath: String = "", packedOutput: PackedOutput? = nil,
        node: String, attempt: Int,
        notes: [String] = [], finishedAtUnixSeconds: Double? = nil
    ) {
        self.cause = cause
        self.usage = usage
        self.memoryCapBytes = memoryCapBytes
        self.timeoutSeconds = timeoutSeconds
        self.stderrTail = stderrTail
        self.stdoutPath = stdoutPath
        self.stderrPath = stderrPath
        self.packedOutput = packedOutput
        self.node = node
        self.attempt = attempt
        self.notes = notes
        self.finishedAtUnixSeconds = finishedAtUnixSeconds
    }

    /// The task did what it was asked to: exit code 0.
    public var succeeded: Bool { cause == .exit(code: 0) }

    /// One sentence that says why it ended: `exit 3`, `signal 11 (SIGSEGV)`, `oom (cap 2 GB, peak 2 GB: 2 GB anonymous)`,
    /// `timeout (300 s)`, `launch failed: execve ./x: No such file or directory`; notes follow after semicolons.
    public var reason: String { ([causeText] + notes + grownNote + requeuedNote).joined(separator: "; ") }

    private var grownNote: [String] {
        guard grownFromBytes > 0, let memoryCapBytes else { return [] }
        return ["given \(AmountText.memory(memoryCapBytes)) after it ran out of \(AmountText.memory(grownFromBytes))"]
    }

    /// The queue counts, and says the same where it tells reasons itself.
    private var requeuedNote: [String] {
        guard requeueCount > 0 else { return [] }
        let most = requeueCount >= RequeueCodes.countMax ? ", the most that is allowed" : ""
        return ["it went back to the queue \(requeueCount) time\(requeueCount == 1 ? "" : "s")\(most)"]
    }

    private var causeText: String {
        switch cause {
        case .exit(let code): "exit \(code)"
        case .signal(let number): "signal \(number)" + (signalName(number).map { " (\($0))" } ?? "")
        case .oom: "oom\(usage.oom?.otherLimit.map { " by \($0)" } ?? "") (\(memoryText))"
        case .timeout: timeoutSeconds.map { "timeout (\(AmountText.seconds($0)))" } ?? "timeout"
        case .cancelled: "cancelled"
        case .memoryPressure: "memory pressure: requires too much memory here" + (peakText.map { " (\($0))" } ?? "")
        case .nodeLost: node.isEmpty ? "node lost" : "node lost (\(node))"
        case .launch(let step, _, let message): "launch failed: \(step): \(message)"
        case .dependency(let parent): "dependency: \(parent) failed"
        }
    }

    private var memoryText: String {
        let parts = usage.oom?.partsText(ofPeak: usage.memoryPeakBytes).map { ": " + $0 } ?? ""
        return ([capText] + [peakText].compactMap(\.self)).joined(separator: ", ") + parts
    }

    private var capText: String { memoryCapBytes.map { "cap \(AmountText.memory($0))" } ?? "no cap of its own" }

    private var peakText: String? { usage.memoryPeakBytes.map { "peak \(AmountText.memory($0))" } }

    /// The note for a task of which the kernel killed a child at the memory cap though the task itself ended otherwise.
    public static func childKilledForMemory(capBytes: UInt64?, peakBytes: UInt64?) -> String {
        let cap = capBytes.map { "cap \(AmountText.memory($0))" }
        let peak = peakBytes.map { "peak \(AmountText.memory($0))" }
        let amounts = [cap, peak].compactMap(\.self).joined(separator: ", ")
        return "a child process was killed for memory" + (amounts.isEmpty ? "" : " (\(amounts))")
    }
}
