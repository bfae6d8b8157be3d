// The directory that holds one run: its Redis, its node, its output. Where root works in a directory of another user's, that user,
// and with it the run's tasks, may put anything there at any moment: so all is done by descriptor, see GuardedDirectory.

import LinuxSystem
import RedisClient
import TaskModel

/// Who has a lock.
enum LockHolder {
    /// What tells that, as one types it. The processes of others only root sees.
    static func hint(_ path: String) -> String {
        let isOurs = (try? FileSystem.status(of: path))?.ownerIdentifier == Host.userIdentifier
        return "`\(isOurs || Host.isRoot ? "" : "sudo ")fuser \(TerminalText.escaped(ShellWord.quoted(path)))`"
    }
}

/// A directory that holds one run. One program at a time owns it.
final class StateDirectory {
    let path: String
    let files: GuardedDirectory
    /// Where its Redis works, for its owner alone.
    let redisFiles: GuardedDirectory
    private let lock: OwnedDescriptor

    /// Where a run's Redis listens. Relative when the directory was given so: a Unix socket's path has 107 bytes at most.
    static func socketPath(_ path: String) -> String { path + "/redis/sock" }

    /// Opens the directory and takes its lock; nil when another program holds it.
    static func tryOpen(_ path: String, create: Bool) throws(CommandError) -> StateDirectory? {
        guard socketPath(path).utf8.count < 108 else {
            throw .usage(
                "--state \(path) is too long for a Unix socket in it (108 bytes): give a relative or a shorter path")
        }
        do throws(SystemError) {
            let files = try directory(path, create: create)
            let lock = try files.open("lock", [.readWrite, .create], mode: 0o600)
            // Whoever looks whether it is free holds it for an instant.
            var isLocked = try lock.tryLock(subject: path + "/lock")
            for _ in 0..<20 where create && !isLocked {
                pause(milliseconds: 10)
                isLocked = try lock.tryLock(subject: path + "/lock")
            }
            guard isLocked else { return nil }
            // Before anybody takes us for a run that goes on.
            RunRecord.noteEndOfKilled(in: files)
            return try StateDirectory(path, files, lock)
        } catch  where error.code == ErrorCode.notFound {
            throw .usage("no run has been started in \(path): `distcomp run FILE --state \(path)` starts one")
        } catch {
            throw .usage("cannot use \(path) as the state directory: \(error)\(hint(error, path))")
        }
    }

    /// Whether no program owns it just now.
    static func isFree(_ files: GuardedDirectory) throws(CommandError) -> Bool {
        do throws(SystemError) {
            return try files.open("lock", [.readWrite]).tryLock(subject: files.path + "/lock")
        } catch {
            throw .failed("\(error)")
        }
    }

    /// A new one belongs to whom the run is for: through sudo that is not root.
    private static func directory(_ path: String, create: Bool) throws(SystemError) -> GuardedDirectory {
        let isNew = create && !FileSystem.exists(path)
        let files = try GuardedDirectory(path: path, creating: create ? 0o755 : nil)
        guard isNew, Host.isRoot, let account = Account.callingSudo else { return files }
        return try files.given(toUser: account.userIdentifier, group: account.groupIdentifier)
    }

    private static func hint(_ error: SystemError, _ path: String) -> String {
        if error.call == "flock" { return "; it has to be on a file system with locks, as a local disk is" }
        guard error.code == ErrorCode.accessDenied, let owner = try? FileSystem.status(of: path).ownerIdentifier else {
            return ""
        }
        // Made through sudo, it belongs to who called it, but what is in it to root.
        if owner == Host.userIdentifier || owner == 0 { return "; root began this run: use sudo" }
        return "; it belongs to \(Account(userIdentifier: owner)?.name ?? "\(owner)")"
    }

    private init(_ path: String, _ files: GuardedDirectory, _ lock: consuming OwnedDescriptor) throws(SystemError) {
        self.path = path
        self.files = files
        self.lock = lock
        var redisFiles = try files.directory("redis", creating: 0o700)
        // A run that an earlier version began kept its queue beside the rest.
        let queue = "appendonlydir"
        if let old = try? files.directory(queue), !redisFiles.has(queue) {
            if Host.isRoot, redisFiles.ownerIdentifier != old.ownerIdentifier {
                redisFiles = try redisFiles.given(toUser: old.ownerIdentifier, group: old.groupIdentifier)
            }
            try files.move(queue, to: queue, in: redisFiles)
        }
        self.redisFiles = redisFiles
    }

    /// The password of its Redis, made where there is none yet.
    func redisPassword() throws(SystemError) -> String {
        let name = RedisEndpoint.privatePasswordFile
        if redisFiles.has(name) { return String(decoding: try redisFiles.contents(of: name), as: UTF8.self) }
        let password = (0..<4).map { _ in String(randomUInt64(), radix: 36) }.joined(separator: ".")
        try redisFiles.replace(name, with: Array(password.utf8), mode: 0o600)
        return password
    }
}
