// The Redis of one `distcomp run`: a redis-server of its own on a Unix socket in the state directory, with an append-only
// file, so that a run that was interrupted by anything can be resumed.

import LinuxSystem
import RedisClient

/// A directory that holds one run: its Redis, its node, its output. One program at a time owns it.
final class StateDirectory {
    let path: String
    private let lock: OwnedDescriptor

    /// Where the run's Redis listens. Relative when the directory was given so: a Unix socket's path has 107 bytes at most.
    var socketPath: String { path + "/redis.sock" }

    /// Opens the directory and takes its lock; nil when another program holds it.
    static func tryOpen(_ path: String, create: Bool) throws(CommandError) -> StateDirectory? {
        guard (path + "/redis.sock").utf8.count < 108 else {
            throw .usage(
                "--state \(path) is too long for a Unix socket in it (108 bytes): give a relative or a shorter path")
        }
        do throws(SystemError) {
            if create { try FileSystem.createDirectories(path, mode: 0o755) }
            let lock = try OwnedDescriptor.open(path + "/lock", [.readWrite, .create], mode: 0o600)
            return lock.tryLock() ? StateDirectory(path, lock) : nil
        } catch  where error.code == ErrorCode.notFound {
            throw .usage("no run has been started in \(path): `distcomp run FILE --state \(path)` starts one")
        } catch {
            throw .usage("cannot use \(path) as the state directory: \(error)")
        }
    }

    private init(_ path: String, _ lock: consuming OwnedDescriptor) {
        self.path = path
        self.lock = lock
    }
}

/// A running redis-server that belongs to us.
final class PrivateRedis {
    let endpoint: RedisEndpoint
    private let process: Int32
    private var hasEnded = false

    /// Starts redis-server in `directory` and waits until it answers.
    init(in directory: StateDirectory) throws(CommandError) {
        guard let program = executable(named: "redis-server") else {
            throw .usage(
                "redis-server is not installed: apt-get install redis-server (or give --redis URL with your own)")
        }
        endpoint = RedisEndpoint(unixPath: directory.socketPath)
        Self.endLeftover(at: endpoint)
        do throws(SystemError) {
            let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
            let (path, arguments) = Self.command(program, in: directory)
            process = try ChildProcesses.start(path, arguments, descriptors: [null.raw, null.raw, null.raw])
        } catch {
            throw .failed("cannot start redis-server: \(error)")
        }
        try waitUntilAnswering(log: directory.path + "/redis.log")
    }

    /// Ends it in order, which writes out all it has.
    func stop() {
        guard !hasEnded else { return }
        hasEnded = true
        ChildProcesses.signal(.terminate, process: process)
        _ = try? ChildProcesses.wait(for: process)
    }

    /// setpriv makes it end with us however we end; where there is none, the next run ends what was left.
    private static func command(_ program: String, in directory: StateDirectory) -> (String, [String]) {
        let settings = [
            "--port", "0", "--dir", directory.path, "--unixsocket", "redis.sock", "--unixsocketperm", "700",
            "--appendonly", "yes", "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction",
            "--logfile", "redis.log", "--loglevel", "warning", "--daemonize", "no",
        ]
        if let wrapper = executable(named: "setpriv") {
            return (wrapper, ["--pdeathsig", "TERM", program] + settings)
        }
        return (program, settings)
    }

    /// A redis-server that an earlier, killed run left behind holds our socket and our file.
    private static func endLeftover(at endpoint: RedisEndpoint) {
        guard let client = try? BlockingRedisClient(endpoint) else { return }
        _ = try? client.call(.command(RedisCommand("SHUTDOWN")))
    }

    private func waitUntilAnswering(log: String) throws(CommandError) {
        let deadline = SystemClock.bootNanoseconds() + 60_000_000_000
        while SystemClock.bootNanoseconds() < deadline {
            if (try? BlockingRedisClient(endpoint)) != nil { return }
            if let ending = try? ChildProcesses.endingIfEnded(process) {
                hasEnded = true
                let lines = (try? FileSystem.text(of: log))?.split(separator: "\n") ?? []
                throw .failed("redis-server ended at once (\(ending)): \(lines.last ?? "see \(log)")")
            }
            pause(milliseconds: 5)
        }
        stop()
        throw .unreachable("redis-server did not answer within 60 s; see \(log)")
    }
}

/// The program of that name in PATH.
func executable(named name: String) -> String? {
    let directories = (Host.environment("PATH") ?? "/usr/local/bin:/usr/bin:/bin").split(separator: ":")
    return directories.lazy.map { "\($0)/\(name)" }.first { FileSystem.isExecutable($0) }
}
