// The names of signals on Linux (signal(7)), the same on every machine we run on: x86-64 and arm64 number them alike.

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
