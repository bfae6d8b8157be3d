// A redis-server of a test's own: in a directory of its own, on a Unix socket (or a free port), gone when the test is.

import Glibc
import LinuxSystem
import RedisClient

public struct RedisServerFixtureError: Error, CustomStringConvertible {
    public let description: String
}

/// A running redis-server. It ends with `stop()` or with the object; should the test process die first, a guard process
/// ends it and removes its directory.
///
/// It keeps nothing on disk unless `configuration` says so, for example with `appendonly yes`.
public final class RedisServerFixture {
    public enum Listening {
        case unixSocket
        /// A free port of the loopback device, in addition to the Unix socket.
        case port
        /// The same for TLS alone.
        case tls(CertificateAuthority, CertificateAuthority.Identity, wantsCertificates: Bool)
    }

    /// The directory of the socket, the log and what Redis saves; removed at the end.
    public let directory: String
    public let port: UInt16?
    public let password: String?
    public private(set) var processIdentifier: pid_t?

    private let arguments: [String]
    private let clock: SteppedClock?
    private var watchdog: Watchdog?

    /// Starts a server and waits until it answers.
    ///
    /// - Parameter configuration: further lines of redis.conf, such as `maxmemory 10mb`.
    /// - Parameter options: words for the command line, such as `--sentinel`.
    /// - Parameter hasOwnClock: for `stepClock(bySeconds:)`. Ask `canHaveOwnClock` first.
    public init(
        listening: Listening = .unixSocket, password: String? = nil, configuration: [String] = [],
        options: [String] = [], hasOwnClock: Bool = false
    ) throws {
        let directory = try Self.makeDirectory()
        self.directory = directory
        clock = hasOwnClock ? try SteppedClock(in: directory) : nil
        self.password = password
        var places = ["port 0"]
        switch listening {
        case .unixSocket: port = nil
        case .port:
            let port = try freePort()
            self.port = port
            places = ["port \(port)"]
        case .tls(let authority, let identity, let wantsCertificates):
            let port = try freePort()
            self.port = port
            places += [
                "tls-port \(port)", "tls-cert-file \(identity.certificateFile)", "tls-key-file \(identity.keyFile)",
                "tls-ca-cert-file \(authority.certificateFile)", "tls-auth-clients \(wantsCertificates ? "yes" : "no")",
            ]
        }
        let socketPath = directory + "/redis.sock"
        var lines =
            places + [
                "bind 127.0.0.1", "unixsocket \(socketPath)", "dir \(directory)",
                "logfile \(directory)/redis.log", "save \"\"", "appendonly no", "daemonize no", "loglevel notice",
            ]
        if let password { lines.append("requirepass \"\(password)\"") }
        lines += configuration
        let path = directory + "/redis.conf"
        try FileSystem.replace(path, with: Array((lines.joined(separator: "\n") + "\n").utf8), mode: 0o600)
        arguments = ["redis-server", path] + options
        try start()
    }

    /// A node of a cluster that has no other.
    public static func clusterNode() throws -> RedisServerFixture {
        // Of its own, or it would listen for other nodes where every cluster node without a port does.
        try RedisServerFixture(configuration: ["cluster-enabled yes", "cluster-port \(try freePort())"])
    }

    deinit { stop() }

    public var socketPath: String { directory + "/redis.sock" }
    public var isRunning: Bool { processIdentifier != nil }

    /// The endpoint of the Unix socket, with the password.
    public var endpoint: RedisEndpoint { RedisEndpoint(unixPath: socketPath, credentials: credentials) }

    /// The endpoint of the port; of the Unix socket when there is none.
    public var internetEndpoint: RedisEndpoint {
        port.map { RedisEndpoint(host: "127.0.0.1", port: $0, credentials: credentials) } ?? endpoint
    }

    /// What the server logged.
    public var log: String { (try? FileSystem.text(of: directory + "/redis.log", bytesMax: 16 << 20)) ?? "" }

    /// Starts the server again after `kill9()` or `terminate()`, in the same directory.
    public func start() throws {
        try launch()
        try waitUntilServing()
    }

    /// The same without waiting until it answers.
    public func launch() throws {
        guard processIdentifier == nil else { return }
        let child = try spawn(arguments, standardInput: nil, environment: clock?.environment ?? [])
        processIdentifier = child
        watchdog = try Watchdog(endingProcess: child, removing: directory)
    }

    /// Ends the server in an orderly way and starts it again.
    public func restart() throws {
        terminate()
        try start()
    }

    /// SIGKILL, as a crash of the machine would be; returns once it is gone.
    public func kill9() { end(by: SIGKILL) }

    /// SIGTERM: Redis saves what it is configured to save, then ends.
    public func terminate() { end(by: SIGTERM) }

    /// SIGSTOP: the server keeps its connections and answers nothing, until `resume()`.
    public func pause() { if let processIdentifier { kill(processIdentifier, SIGSTOP) } }
    public func resume() { if let processIdentifier { kill(processIdentifier, SIGCONT) } }

    /// Ends the server and removes its directory.
    public func stop() {
        kill9()
        removeTree(directory)
    }

    /// Whether this machine can give a server a clock of its own: a C compiler is needed. For `.enabled(if:)` of a test.
    public static var canHaveOwnClock: Bool { SteppedClock.isAvailable }

    /// What of this server's time of day goes before the machine's.
    public var clockOffsetSeconds: Double { clock?.offsetSeconds ?? 0 }

    /// Steps the server's time of day while it runs, frozen or not; all other clocks go on as they are. It keeps the offset when
    /// it is started again. Only of a server that has its own clock.
    public func stepClock(bySeconds seconds: Double) {
        guard let clock else { preconditionFailure("this redis-server was started without a clock of its own") }
        clock.step(bySeconds: seconds)
    }

    /// A new client, shaken hands.
    public func client(_ change: (inout RedisConnectionOptions) -> Void = { _ in }) throws -> BlockingRedisClient {
        var options = Self.patientOptions
        change(&options)
        return try BlockingRedisClient(endpoint, options: options)
    }

    /// Among all the servers of all tests, one may be slow.
    public static var patientOptions: RedisConnectionOptions {
        var options = RedisConnectionOptions()
        (options.connectTimeoutSeconds, options.replyTimeoutSeconds) = (120, 120)
        return options
    }

    private var credentials: RedisCredentials? { password.map { RedisCredentials(password: $0) } }

    private func end(by signal: Int32) {
        guard let child = processIdentifier else { return }
        // First, or it might act on the number of a process that has been reaped and replaced.
        watchdog?.dismiss()
        watchdog = nil
        kill(child, signal)
        reap(child)
        processIdentifier = nil
    }

    private func waitUntilServing() throws {
        let deadline = SystemClock.bootNanoseconds() + 120_000_000_000
        while true {
            do throws(RedisFailure) {
                _ = try BlockingRedisClient(endpoint)
                return
            } catch {
                // A sentinel or a node of a cluster refuses to be used as a Redis: it serves.
                if error.kind == .unsupported { return }
                let isRefusal = [.authentication, .untrusted, .protocolViolation].contains(error.kind)
                guard !isRefusal, SystemClock.bootNanoseconds() < deadline, !hasExited() else {
                    throw RedisServerFixtureError(description: "redis-server does not serve: \(error)\n\(log)")
                }
                usleep(2_000)
            }
        }
    }

    private func hasExited() -> Bool {
        guard let child = processIdentifier, waitpid(child, nil, WNOHANG) == child else { return false }
        watchdog?.dismiss()
        processIdentifier = nil
        return true
    }

    private static func makeDirectory() throws -> String {
        // Short, since the path of a Unix socket may have 107 bytes.
        var template = Array("/tmp/redis-fixture-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp", "/tmp") }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// A shell that waits for the end of this process, which the end of its input tells, and then cleans up after it.
private final class Watchdog {
    private let processIdentifier: pid_t
    /// Close-on-exec, so that no sibling holds the writing end and hides our end from the shell.
    private let ends: PipeEnds

    init(endingProcess child: pid_t, removing directory: String) throws {
        ends = try OwnedDescriptor.pipe()
        _ = fcntl(ends.reading.raw, F_SETFL, 0)  // The shell's `read` is to block.
        let script = "read line; kill -9 \(child); rm -rf '\(directory)'"
        processIdentifier = try spawn(["sh", "-c", script], standardInput: ends.reading.raw)
    }

    func dismiss() {
        kill(processIdentifier, SIGKILL)
        reap(processIdentifier)
    }
}
