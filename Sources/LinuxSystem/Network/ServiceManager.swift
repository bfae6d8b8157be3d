// What systemd is told: sd_notify(3), written to its socket directly.

import CLinux
import Glibc

/// The service manager that started us, if one did.
public struct ServiceManager: Sendable {
    private let socketPath: String?
    /// What was taken out of the environment, as `NAME=value`: for the program that takes our place.
    public let takenVariables: [[UInt8]]
    /// How often the manager wants a sign of life, in seconds; nil when it does not watch (WATCHDOG_USEC).
    public let watchdogSeconds: Double?

    /// Takes the manager's variables out of the environment, so that no child of ours can speak in our name.
    public init() {
        socketPath = Host.environment("NOTIFY_SOCKET")
        let watched = Host.environment("WATCHDOG_PID").map { $0 == String(Host.processIdentifier) } ?? true
        let microseconds = Host.environment("WATCHDOG_USEC").flatMap { UInt64($0) }
        watchdogSeconds = watched ? microseconds.map { Double($0) / 1e6 } : nil
        var taken: [[UInt8]] = []
        for name in ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
            if let value = Host.environment(name) { taken.append(Array("\(name)=\(value)".utf8)) }
            unsetenv(name)
        }
        takenVariables = taken
    }

    /// Sends `lines` such as `READY=1`. Best effort: a manager that does not listen changes nothing for the tasks.
    public func notify(_ lines: String...) {
        guard let socketPath else { return }
        try? LocalDatagram.send(Array(lines.joined(separator: "\n").utf8), to: socketPath)
    }
}
