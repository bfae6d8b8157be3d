// What systemd is told: that we are ready, and what we log. Both are messages to a Unix socket that a service of this machine
// listens on.

import CLinux
import Glibc

/// A message as such services take it, a datagram of unix(7).
enum LocalDatagram {
    /// Sends `bytes` to the socket at `path`; a path that begins with `@` is a name in the abstract namespace.
    ///
    /// - Parameter milliseconds: how long to wait when the service's queue is full; nil waits for as long as it takes.
    static func send(
        _ bytes: [UInt8], to path: String, waitingAtMostMilliseconds milliseconds: Int? = nil
    ) throws(SystemError) {
        // A socket per message costs microseconds, and none is ever left connected to a service that was restarted.
        let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { throw .last("socket", path) }
        let descriptor = OwnedDescriptor(adopting: raw)
        if let milliseconds {
            var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
            setsockopt(raw, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }

        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        guard !name.isEmpty, name.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemError(call: "sendto", subject: path, code: ENAMETOOLONG)
        }
        if name[0] == UInt8(ascii: "@") { name[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)

        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                retryingInterrupted { sendto(descriptor.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length) }
            }
        }
        guard sent >= 0 else { throw .last("sendto", path) }
    }
}

// MARK: - The service manager
//
// sd_notify(3), written to its socket directly.

/// The service manager that started us, if one did.
public struct ServiceManager: Sendable {
    private let socketPath: String?
    /// What was taken out of the environment, as `NAME=value`: for the program that takes our place.
    public let takenVariables: [[UInt8]]
    /// How often the manager wants a sign of life, in seconds; nil when it does not watch (WATCHDOG_USEC).
    public let watchdogSeconds: Double?

    /// Takes the manager's variables out of the environment, so that no child process can send messages as if it were us.
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

    /// Whether a service manager started us and listens.
    public var isThere: Bool { socketPath != nil }

    /// Sends `lines` such as `READY=1`. Best effort: a manager that does not listen changes nothing for the tasks.
    public func notify(_ lines: String...) {
        guard let socketPath else { return }
        try? LocalDatagram.send(Array(lines.joined(separator: "\n").utf8), to: socketPath)
    }
}

// MARK: - The journal
//
// The journal as a log with fields: entries go to its own socket in its own protocol, so that `journalctl TASK=...` finds what a
// line of text would only mention. See "Native Journal Protocol" in the documentation of systemd.

/// systemd's journal, where there is one.
public struct Journal: Sendable {
    private let socketPath: String

    /// How long a journal that takes nothing may hold up its caller. After that the entry is lost: deadlines matter more.
    private static let patienceMilliseconds = 100

    public init(socketPath: String = "/run/systemd/journal/socket") { self.socketPath = socketPath }

    /// Whether what this process writes to standard error becomes the journal's, as JOURNAL_STREAM says it was set up, and has
    /// not been sent elsewhere since (see systemd.exec(5)).
    public static var readsStandardError: Bool {
        var status = stat()
        guard let stream = Host.environment("JOURNAL_STREAM"), fstat(STDERR_FILENO, &status) == 0 else { return false }
        return stream == "\(status.st_dev):\(status.st_ino)"
    }

    /// Writes one entry.
    ///
    /// - Parameter fields: names as in `MESSAGE` and `TASK`; the value of one may hold anything, newlines and NULs included.
    /// - Returns: false when there is no journal that takes it: the caller should write to standard error instead. An entry for
    ///   which the journal has no room in time is lost; that counts as written.
    public func write(_ fields: [(name: String, value: String)]) -> Bool {
        do throws(SystemError) {
            try LocalDatagram.send(
                Self.encoded(fields), to: socketPath, waitingAtMostMilliseconds: Self.patienceMilliseconds)
            return true
        } catch {
            // Writing to standard error instead would wait for the same journal, and without an end.
            return error.code == EAGAIN
        }
    }

    /// `NAME=value` and a newline where the value has no newline, else `NAME`, newline, its length in 8 bytes, and the value.
    static func encoded(_ fields: [(name: String, value: String)]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (name, value) in fields {
            let newline = UInt8(ascii: "\n")
            bytes += fieldName(name)
            if value.utf8.contains(newline) {
                bytes.append(newline)
                withUnsafeBytes(of: UInt64(value.utf8.count).littleEndian) { bytes += $0 }
            } else {
                bytes.append(UInt8(ascii: "="))
            }
            bytes += value.utf8
            bytes.append(newline)
        }
        return bytes
    }

    /// The journal takes capitals, digits and underscores; an entry with any other name loses that field.
    private static func fieldName(_ name: String) -> [UInt8] {
        name.uppercased().utf8.map { byte in
            let isPlain = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || (48...57).contains(byte)
            return isPlain ? byte : UInt8(ascii: "_")
        }
    }
}
