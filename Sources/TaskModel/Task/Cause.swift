// Why a task ended.

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
    /// It never ran: what it was to wait for, a task or a job, did not finish.
    case dependency(on: String)

    /// The word of every cause.
    public static let words = [
        "exit", "signal", "oom", "timeout", "cancelled", "memory-pressure", "node-lost", "launch", "dependency",
    ]

    /// The word for it in records and results: `exit`, `signal`, `oom`, `timeout`, `cancelled`, `memory-pressure`,
    /// `node-lost`, `launch`, `dependency`.
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
        case .dependency: "dependency"
        }
    }
}

// MARK: - Signals by name

/// The names of signals on Linux (signal(7)), the same on every machine we run on: x86-64 and arm64 number them alike.
private let signalNames = [
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV",
    "SIGUSR2", "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN",
    "SIGTTOU", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
]

/// 11 for `SIGSEGV`, `segv` and `11`, 37 for `RTMIN+3`; nil for what names no signal.
public func signalNumber(_ text: some StringProtocol) -> Int32? {
    if let number = Int32(text) { return signalName(number) == nil ? nil : number }
    let name = text.uppercased()
    let whole = name.hasPrefix("SIG") ? name : "SIG" + name
    return (1...64).first { signalName($0) == whole }
}

/// `SIGSEGV` for 11, `SIGRTMIN+3` for 37; nil for a number that has no name (32 and 33 belong to glibc).
public func signalName(_ number: Int32) -> String? {
    switch number {
    case 1...31: signalNames[Int(number) - 1]
    case 34: "SIGRTMIN"
    case 35...64: "SIGRTMIN+\(number - 34)"
    default: nil
    }
}
