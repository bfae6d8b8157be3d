// The Redis of one `distcomp run`: a redis-server of its own on a Unix socket in the state directory, with an append-only
// file, so that a run that was interrupted by anything can be resumed.

import LinuxSystem
import RedisClient
import TaskModel

/// A running redis-server that belongs to us.
final class PrivateRedis {
    let endpoint: RedisEndpoint
    private let process: Int32
    private var hasEnded = false

    /// Starts redis-server in `directory` and waits until it answers.
    ///
    /// - Parameter isInterrupted: whether somebody would rather not wait until one that an earlier run left has ended.
    init(in directory: StateDirectory, isInterrupted: () -> Bool = { false }) throws(CommandError) {
        // Valkey is the same for us.
        guard let program = executable(named: "redis-server") ?? executable(named: "valkey-server") else {
            throw .usage(
                "redis-server is not installed: apt-get install redis-server (or valkey-server; or give --redis URL with your own)"
            )
        }
        let files = directory.redisFiles
        let password: String
        let lock: OwnedDescriptor
        do throws(SystemError) {
            password = try directory.redisPassword()
            lock = try files.open(Self.lockName, [.readWrite, .create], mode: 0o600)
        } catch {
            throw Self.cannotStart(error)
        }
        endpoint = RedisEndpoint(
            unixPath: StateDirectory.socketPath(directory.path), credentials: RedisCredentials(password: password))
        try Self.take(lock, from: endpoint, in: files, isInterrupted)
        do throws(SystemError) {
            process = try Self.start(program, in: files, password: password, holding: lock)
        } catch {
            throw Self.cannotStart(error)
        }
        try waitUntilAnswering(directory, program)
    }

    /// Ends it in order, which writes out all it has. One that has not ended after half a minute is left to end when it can: who comes
    /// next waits for that.
    func stop() {
        guard !hasEnded else { return }
        hasEnded = true
        // A signal it looks at ten times a second: that is for one that does not answer.
        Self.shutDown(endpoint, withinSeconds: 1)
        ChildProcesses.signal(.terminate, process: process)
        let begin = SystemClock.bootNanoseconds()
        var isTold = false
        while ChildProcesses.isUnreaped(process), ((try? ChildProcesses.endingIfEnded(process)) ?? nil) == nil {
            let waited = SystemClock.bootNanoseconds() - begin
            if waited > 1_000_000_000, !isTold {
                standardError.write("waiting for the Redis of this run to write what it has\n")
                isTold = true
            }
            guard waited < Self.endNanosecondsMax else {
                return standardError.write(
                    "distcomp: the redis-server of this run, process \(process), has not ended yet; it is left to write what it has\n"
                )
            }
            pause(milliseconds: 1)
        }
    }

    /// How long it may take to write what it has.
    private static let endNanosecondsMax: Int64 = 30_000_000_000

    /// It reads its settings from standard input: what stands in arguments, everybody can read.
    private static func settings(password: String) -> String {
        """
        port 0
        unixsocket sock
        unixsocketperm 700
        requirepass \(password)
        appendonly yes
        appendfsync everysec
        save ""
        maxmemory-policy noeviction
        logfile ""
        loglevel warning
        daemonize no

        """
    }

    private static func cannotStart(_ error: SystemError) -> CommandError {
        .failed("cannot start redis-server: \(error)")
    }

    /// A Redis holds the lock from its start to its end, whatever becomes of the run that started it: two that write the same files
    /// would spoil them. One that a killed run left behind is told to end, and has half a minute to write what it has.
    private static func take(
        _ lock: borrowing OwnedDescriptor, from leftover: RedisEndpoint, in files: GuardedDirectory,
        _ isInterrupted: () -> Bool
    ) throws(CommandError) {
        let begin = SystemClock.bootNanoseconds()
        var isTold = false
        while try !isTaken(lock, in: files) {
            let waited = SystemClock.bootNanoseconds() - begin
            guard waited < endNanosecondsMax else {
                throw .failed(
                    "the redis-server of an earlier run has not ended, and still works in \(files.path): give this command again "
                        + "when it has; \(LockHolder.hint(files.path + "/" + lockName)) tells its process")
            }
            if waited > 1_000_000_000, !isTold {
                standardError.write("waiting for the Redis of an earlier run to write what it has\n")
                isTold = true
            }
            if isInterrupted() { throw .interrupted }
            // Again and again: one that loads its files does not listen to this yet.
            shutDown(leftover, withinSeconds: 1)
            pause(milliseconds: 5)
        }
        // One that 1.0 began holds no lock.
        shutDown(leftover, withinSeconds: 30)
    }

    private static func isTaken(
        _ lock: borrowing OwnedDescriptor, in files: GuardedDirectory
    ) throws(CommandError) -> Bool {
        do throws(SystemError) {
            return try lock.tryLock(subject: "\(files.path)/\(lockName)")
        } catch {
            throw cannotStart(error)
        }
    }

    /// Begun in its directory, so that whatever the path names by then, it works there; and as the directory's owner, whom alone the
    /// links in it could lead astray.
    private static func start(
        _ program: String, in files: GuardedDirectory, password: String, holding lock: borrowing OwnedDescriptor
    ) throws(SystemError) -> Int32 {
        let input = try OwnedDescriptor.memoryFile("redis.conf", Array(settings(password: password).utf8))
        let log = try files.create(logName, mode: 0o600)
        var words = [program, "-"]
        // It makes Redis end with us however we end; where there is none, the next run ends what was left.
        if let wrapper = executable(named: "setpriv") {
            var options = ["--pdeathsig", "TERM"]
            if files.ownerIdentifier != Host.userIdentifier {
                options += [
                    "--reuid", "\(files.ownerIdentifier)", "--regid", "\(files.groupIdentifier)", "--clear-groups",
                ]
            }
            words = [wrapper] + options + words
        } else if files.ownerIdentifier != Host.userIdentifier {
            throw SystemError(
                call: "setpriv, which is not installed, for", subject: files.path, code: ErrorCode.notFound)
        }
        return try ChildProcesses.start(
            words[0], Array(words.dropFirst()), descriptors: [input.raw, log.raw, log.raw, lock.raw],
            beginningIn: files)
    }

    /// Has it end, and waits for that, as long as it answers in time.
    private static func shutDown(_ endpoint: RedisEndpoint, withinSeconds seconds: Double) {
        var options = RedisConnectionOptions()
        (options.connectTimeoutSeconds, options.replyTimeoutSeconds) = (seconds, seconds)
        guard let client = try? BlockingRedisClient(endpoint, options: options) else { return }
        _ = try? client.call(.command(RedisCommand("SHUTDOWN")))
    }

    private static let logName = "redis.log"
    private static let lockName = "lock"

    private func waitUntilAnswering(_ directory: StateDirectory, _ program: String) throws(CommandError) {
        let log = Self.logName
        let deadline = SystemClock.bootNanoseconds() + 60_000_000_000
        while SystemClock.bootNanoseconds() < deadline {
            do {
                _ = try BlockingRedisClient(endpoint)
                return
            } catch let failure where failure.kind == .unsupported {
                stop()
                throw .failed("\(program) cannot be used: \(failure.detail)")
            } catch {
                // It is not ready yet, or ends.
            }
            if let ending = try? ChildProcesses.endingIfEnded(process) {
                hasEnded = true
                let text = (try? directory.redisFiles.contents(of: log)) ?? []
                let last = String(decoding: text, as: UTF8.self).split(separator: "\n").last.map {
                    TerminalText.escaped(String($0))
                }
                throw .failed(
                    "redis-server ended at once (\(ending)): \(last ?? "see \(directory.redisFiles.path)/\(log)")")
            }
            pause(milliseconds: 5)
        }
        stop()
        throw .unreachable("redis-server did not answer within 60 s; see \(directory.redisFiles.path)/\(log)")
    }
}

/// The program of that name in PATH.
func executable(named name: String) -> String? {
    let directories = (Host.environment("PATH") ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
    return directories.lazy.map { "\($0)/\(name)" }.first { FileSystem.isExecutable($0) }
}
