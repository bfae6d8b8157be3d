// Why a task ended, and what it used: the two things every report is made of.

/// Why a task ended. Exactly one applies; what else happened is told by the notes of its `TaskOutcome`.
public enum Cause: Hashable, Sendable {
    /// It ended by itself with this exit code; 0 is success.
    case exit(code: Int32)
    /// A signal ended it that neither its cap nor its timeout sent.
    case signal(Int32)
    /// The kernel killed it at its memory cap; said only when the counters of its control group say so.
    case oom
    /// It ran past its timeout and was stopped.
    case timeout
    /// Someone asked for it to be stopped.
    case cancelled
    /// The node ran short of memory with no other task to blame.
    case memoryPressure
    /// Its node disappeared while it ran.
    case nodeLost
    /// It never ran: `step` (as `execve ./x`) failed with `errno`, whose text is `message`.
    case launch(step: String, errno: Int32, message: String)

    /// The word of every cause.
    public static let words = [
        "exit", "signal", "oom", "timeout", "cancelled", "memory-pressure", "node-lost", "launch",
    ]

    /// The word for it in records and results: `exit`, `signal`, `oom`, `timeout`, `cancelled`, `memory-pressure`,
    /// `node-lost`, `launch`.
    public var word: String {
        switch self {
        case .exit: "exit"
        case .signal: "signal"
        case .oom: "oom"
        case .timeout: "timeout"
        case .cancelled: "cancelled"
        case .memoryPressure: "memory-pressure"
        case .nodeLost: "node-lost"
        case .launch: "launch"
        }
    }
}

/// What a task used. Measurements may be missing where the kernel keeps none; only the wall clock is always there.
public struct Usage: Hashable, Sendable {
    public var wallSeconds: Double
    /// CPU time in user mode, of all processes of the task.
    public var userSeconds: Double?
    /// CPU time in the kernel, of all processes of the task.
    public var systemSeconds: Double?
    /// The most memory its control group ever held.
    public var memoryPeakBytes: UInt64?
    /// How many of its processes the kernel killed at a memory cap.
    public var oomKills: UInt64?

    public init(
        wallSeconds: Double, userSeconds: Double? = nil, systemSeconds: Double? = nil, memoryPeakBytes: UInt64? = nil,
        oomKills: UInt64? = nil
    ) {
        self.wallSeconds = wallSeconds
        self.userSeconds = userSeconds
        self.systemSeconds = systemSeconds
        self.memoryPeakBytes = memoryPeakBytes
        self.oomKills = oomKills
    }

    /// User and system time together, when both are known.
    public var cpuSeconds: Double? {
        guard let userSeconds, let systemSeconds else { return nil }
        return userSeconds + systemSeconds
    }
}

// MARK: - Signals by name

/// The names of signals on Linux (signal(7)), the same on every machine we run on: x86-64 and arm64 number them alike.
private let signalNames = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV",
    "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN",
    "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
]

/// `SIGSEGV` for 11, `SIGRTMIN+3` for 37; nil for a number that has no name (32 and 33 belong to glibc).
public func signalName(_ number: Int32) -> String? {
    switch number {
    case 1...31: signalNames[Int(number) - 1]
    case 34: "SIGRTMIN"
    case 35...64: "SIGRTMIN+\(number - 34)"
    default: nil
    }
}
