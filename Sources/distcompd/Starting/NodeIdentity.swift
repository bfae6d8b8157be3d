// Who this node is: its settings, its name, the user of its tasks, and the lock that keeps it single.

import LinuxSystem
import Logging
import RedisClient
import TaskModel
import TaskQueue

/// The settings a daemon runs by, with everything resolved that depends on the machine.
struct NodeIdentity {
    private(set) var configuration: Configuration
    /// The file the settings are from; nil when there is none.
    let configurationPath: String?
    let name: String
    let redis: RedisTarget
    /// Whom tasks run as; nil is the daemon's own user.
    let account: Account?
    /// What lines must be signed with to be run here; nil: nothing.
    let taskKey: TaskKey?
    /// The control groups above ours: whoever set limits on them set them on us.
    let surroundings: SurroundingGroups
    private(set) var allowance: NodeAllowance
    let servesParent: Bool
    private(set) var log: Logger
    /// Where this node keeps its own files: a directory in `state_dir`.
    let stateFiles: GuardedDirectory
    /// Its path, links resolved.
    let stateDirectory: String
    /// Held for as long as the daemon lives; two of one name would mistake each other's tasks for leftovers.
    let lock: SharedDescriptor
    /// How it was started, and the program it was started from: also where a new version of it will be.
    let arguments: Arguments
    let programPath: String
    /// The soft limit of descriptors that tasks start with; the daemon's own is raised.
    let taskDescriptorsMax: UInt64
    /// Tells this daemon's control groups from those of another on the same machine.
    let groupName: String
    /// Stands in the environment of its tasks. Unlike the name of its groups it also tells it from a node of another container, whose state
    /// directory has the same path.
    let taskMark: String
    /// What this node has besides memory and cores.
    let resources: NodeResources

    /// What all tasks together may use.
    var memoryBytesForTasks: UInt64 {
        allowance.memoryBytesForTasks(keeping: configuration.minDramTriggerReturn)
    }

    /// - Parameters:
    ///   - reExecRecord: what the program before this one left, its lock above all.
    ///   - isToldToEnd: whether somebody would rather not wait for the node of an earlier run.
    init(
        _ arguments: Arguments, _ reExecRecord: ReExecRecord? = nil, isToldToEnd: () -> Bool = { false }
    ) throws(StartFailure) {
        self.arguments = arguments
        programPath = try required { () throws(SystemError) in
            let path = try FileSystem.destination(ofLink: "/proc/self/exe")
            // What the kernel says once another file has been put in its place.
            return path.hasSuffix(" (deleted)") ? String(path.dropLast(" (deleted)".count)) : path
        }
        let descriptorsBefore = Host.raiseDescriptorLimit()
        taskDescriptorsMax = reExecRecord?.taskDescriptorsMax ?? descriptorsBefore
        servesParent = arguments.servesParent
        configurationPath =
            arguments.configurationPath ?? (FileSystem.exists(Configuration.usualPath) ? Configuration.usualPath : nil)
        let checksOnly = arguments.checksOnly
        let (groups, allowance) = try required { () throws(SystemError) in
            let groups = try surroundingGroups(servesParent: arguments.servesParent || checksOnly)
            return (groups, try NodeAllowance.current(groups))
        }
        surroundings = groups
        self.allowance = allowance
        let loaded = try loadConfiguration(
            configurationPath, servesParent: servesParent, memoryBytes: allowance.memoryBytes)
        configuration = loaded.configuration
        // A run has its Redis to itself, and the command that started it looks under the plain names.
        if servesParent { configuration.keyPrefix = "" }
        log = makeLog(configuration)
        for warning in loaded.warnings { log.warning("\(warning)") }

        name = arguments.nodeName ?? configuration.nodeName ?? Host.shortName
        guard Configuration.isNodeName(name) else {
            throw .usage(
                "node_name \"\(TerminalText.escaped(name))\": 1 to 64 letters, digits, dots, hyphens or underscores")
        }
        redis = try makeTarget(arguments, configuration)
        account = try taskAccount(arguments, configuration, log: log)
        taskKey = try loadTaskKey(configuration)

        let directory = (arguments.stateDirectory ?? configuration.stateDirectory) + "/" + name
        do throws(SystemError) {
            stateFiles = try GuardedDirectory(path: directory, creating: 0o750)
            // Resolved: the same words name different places in different working directories.
            stateDirectory = try stateFiles.resolvedPath()
        } catch {
            throw .usage("state_dir: \(error)")
        }
        if let reExecRecord {
            let inherited = reExecRecord.lock
            lock = try required { () throws(SystemError) in SharedDescriptor(try ReExec.kept(inherited)) }
        } else {
            lock = try takeLock(
                in: stateFiles, nodeName: name, ofRun: servesParent && !arguments.clearsOnly, isToldToEnd)
        }
        groupName = name + "." + shortHash(of: stateDirectory)
        let file = lock
        let status = try required { () throws(SystemError) in try file.status(subject: "lock") }
        taskMark = "\(groupName) \(status.device):\(status.inode)"
        let log = log
        resources = NodeResources(configuration, programPath: programPath, arguments) { log.warning("\($0)") }
    }
}

/// The groups above this process, and above a `distcomp run` that it serves: a scope of our own may be elsewhere, and is no way round
/// the limits of whoever asked for it.
private func surroundingGroups(servesParent: Bool) throws(SystemError) -> SurroundingGroups {
    var mounts: [ControlGroupMounts] = []
    for process in [nil] + (servesParent ? [Host.parentIdentifier] : []) {
        do throws(SystemError) {
            mounts.append(try ControlGroupMounts.current(of: process))
        } catch  where error.code == ErrorCode.notFound {
            continue  // A kernel without control groups limits nothing by them; a parent that has gone ends us anyway.
        }
    }
    return SurroundingGroups(mounts)
}

/// The settings in `path` and the environment, fit for a node with so much memory.
private func loadConfiguration(
    _ path: String?, servesParent: Bool, memoryBytes: UInt64
) throws(StartFailure) -> LoadedConfiguration {
    // `distcomp run` says what it wants in a file and in arguments; variables for other nodes must not reach into it.
    let environment = servesParent ? [] : Host.environment
    let loaded: LoadedConfiguration
    do {
        loaded = try Configuration.load(path, environment: environment) { path throws(SystemError) in
            try FileSystem.guardedContents(of: path)
        }
    } catch {
        throw .usage(error.problems.map(\.description).joined(separator: "\ndistcompd: "))
    }
    let unfit = loaded.configuration.problems(onMachineWithMemoryBytes: memoryBytes, file: path ?? "defaults")
    guard unfit.isEmpty else { throw .usage(unfit.map(\.description).joined(separator: "\ndistcompd: ")) }
    return loaded
}

extension NodeIdentity {
    /// Reads the settings anew and takes those that a running daemon can.
    ///
    /// - Returns: the keys that changed and were taken, and those that changed and wait for the next start.
    /// - Throws: all that is wrong with them; what runs stays as it is.
    mutating func reloadSettings() throws(StartFailure) -> (taken: [String], waiting: [String]) {
        let loaded = try loadConfiguration(
            configurationPath, servesParent: servesParent, memoryBytes: allowance.memoryBytes)
        for warning in loaded.warnings { log.warning("\(warning)") }
        let change = configuration.takingLiveSettings(of: loaded.configuration)
        configuration = change.configuration
        log.logLevel = logLevel(configuration)
        return (change.taken, change.waiting)
    }
}

extension NodeIdentity {
    /// Looks at what this node has now; true when it is another than before.
    mutating func lookAround() throws(SystemError) -> Bool {
        let now = try NodeAllowance.current(surroundings)
        defer { allowance = now }
        return now != allowance
    }
}

private func makeLog(_ configuration: Configuration) -> Logger {
    let format: LogLines.Format =
        switch configuration.logFormat {
        case .json: .json
        case .journal: .journal(Journal())
        case .text: .text
        case .auto: Journal.readsStandardError ? .journal(Journal()) : .text
        }
    return Logger(label: "distcompd") { _ in LogLines(format: format, logLevel: logLevel(configuration)) }
}

private func logLevel(_ configuration: Configuration) -> Logger.Level {
    Logger.Level(rawValue: configuration.logLevel.rawValue) ?? .info
}

private func makeTarget(
    _ arguments: Arguments, _ configuration: Configuration
) throws(StartFailure) -> RedisTarget {
    if let path = arguments.redisSocketPath {
        return .server(try required { () throws(SystemError) in try RedisEndpoint(privateSocket: path) })
    }
    do {
        return try RedisTarget(configuration, urlFromCommandLine: arguments.redisURL)
    } catch {
        throw .usage(error.description)
    }
}

/// Root's daemon gives tasks to an unprivileged user; uid 0 only when the settings say so in words.
private func taskAccount(
    _ arguments: Arguments, _ configuration: Configuration, log: Logger
) throws(StartFailure) -> Account? {
    if let name = arguments.taskUser ?? configuration.taskUser {
        guard let account = Account(named: name, orNumbers: arguments.taskUser != nil) else {
            throw .usage("task_user: no user \"\(name)\" on this machine; create it: useradd --system \(name)")
        }
        if !Host.isRoot && account.userIdentifier != Host.userIdentifier {
            throw .usage(
                "task_user: only root's distcompd can run tasks as \"\(name)\"; start it as root or as \(name)")
        }
        return account
    }
    guard Host.isRoot else { return nil }
    if let account = Account(named: "distcomp") { return account }
    guard let nobody = Account(named: "nobody") else {
        throw .usage("task_user: this machine has no user \"distcomp\"; create it: useradd --system distcomp")
    }
    log.warning("no user \"distcomp\": tasks run as \"nobody\"; useradd --system distcomp, or set task_user")
    return nobody
}

private func loadTaskKey(_ configuration: Configuration) throws(StartFailure) -> TaskKey? {
    guard let path = configuration.taskKeyFile else { return nil }
    do {
        return try TaskKey(contents: try SecretFile.contents(of: path), prefix: configuration.keyPrefix)
    } catch {
        throw .usage("task_key_file: \(error)")
    }
}

/// The lock of this node. It is waited for: a life that was killed in the middle of a launch leaves its lock to that child, which has a
/// copy of every descriptor until its exec; and the node of a run that was killed has tasks to end, and their reports to deliver.
private func takeLock(
    in directory: GuardedDirectory, nodeName: String, ofRun: Bool, _ isToldToEnd: () -> Bool
) throws(StartFailure) -> SharedDescriptor {
    let path = directory.path + "/lock"
    let begin = SystemClock.bootNanoseconds()
    var isTold = false
    do throws(SystemError) {
        let lock = try directory.open("lock", [.readWrite, .create], mode: 0o600)
        while true {
            if try lock.tryLock(subject: path) { return SharedDescriptor(lock) }
            let waited = SystemClock.bootNanoseconds() - begin
            if waited > (ofRun ? 30_000_000_000 : 2_000_000_000) || isToldToEnd() { break }
            if waited > 1_000_000_000, ofRun, !isTold {
                standardOutput.write("waiting for the node of an earlier run to end its tasks\n")
                isTold = true
            }
            pause(milliseconds: 20)
        }
    } catch {
        throw .usage("state_dir: \(error)\(error.call == "flock" ? "; it has to be on a file system with locks" : "")")
    }
    guard ofRun else {
        throw .usage(
            "another distcompd runs here as node \"\(nodeName)\" (\(path)); give this one another node_name")
    }
    let fuser = "\(Host.isRoot ? "" : "sudo ")fuser \(TerminalText.escaped(ShellWord.quoted(path)))"
    throw StartFailure(
        message:
            "the node of an earlier run has not ended: give this command again when it has; `\(fuser)` tells its process",
        exitStatus: 1)
}

private func shortHash(of text: String) -> String {
    var hash: UInt32 = 2_166_136_261
    for byte in text.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }  // FNV-1a
    return String(hash, radix: 16)
}
