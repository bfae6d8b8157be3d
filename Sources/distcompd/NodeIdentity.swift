// Who this node is: its settings, its name, the user of its tasks, and the lock that keeps it single.

import LinuxSystem
import Logging
import RedisClient
import TaskModel

/// The settings a daemon runs by, with everything resolved that depends on the machine.
struct NodeIdentity {
    let configuration: Configuration
    let name: String
    let endpoint: RedisEndpoint
    /// Whom tasks run as; nil is the daemon's own user.
    let account: Account?
    let memory: MemoryReading
    let coreCount: Int
    let servesParent: Bool
    let log: Logger
    /// Where this node keeps its own files: a directory in `state_dir`, links resolved.
    let stateDirectory: String
    /// Held for as long as the daemon lives; two of one name would mistake each other's tasks for leftovers.
    let lock: SharedDescriptor
    /// Tells this daemon's control groups from those of another on the same machine.
    let groupName: String

    /// What all tasks together may use.
    var memoryBytesForTasks: UInt64 {
        let kept = configuration.minDramTriggerReturn.bytes(ofTotal: memory.totalBytes)
        return memory.totalBytes - min(kept, memory.totalBytes)
    }

    init(_ arguments: Arguments) throws(StartFailure) {
        let loaded = try loadConfiguration(arguments)
        configuration = loaded.configuration
        servesParent = arguments.servesParent
        log = makeLog(configuration)
        for warning in loaded.warnings { log.warning("\(warning)") }

        name = arguments.nodeName ?? configuration.nodeName ?? Host.shortName
        guard Configuration.isNodeName(name) else {
            throw .usage(
                "node_name \"\(TerminalText.escaped(name))\": 1 to 64 letters, digits, dots, hyphens or underscores")
        }
        let unfit = configuration.problems(onMachineWithMemoryBytes: try machineMemory().totalBytes, file: loaded.path)
        guard unfit.isEmpty else { throw .usage(unfit.map(\.description).joined(separator: "\ndistcompd: ")) }
        endpoint = try makeEndpoint(arguments, configuration)
        account = try taskAccount(configuration, servesParent: arguments.servesParent, log: log)
        memory = try machineMemory()
        coreCount = Host.coreCount

        let directory = (arguments.stateDirectory ?? configuration.stateDirectory) + "/" + name
        lock = try takeLock(in: directory, nodeName: name)
        // Resolved: the same words name different places in different working directories.
        stateDirectory = try required { () throws(SystemError) in try FileSystem.resolved(directory) }
        groupName = name + "." + shortHash(of: stateDirectory)
    }
}

private func machineMemory() throws(StartFailure) -> MemoryReading {
    try required { () throws(SystemError) in try MemoryReading.current() }
}

private func loadConfiguration(
    _ arguments: Arguments
) throws(StartFailure) -> (configuration: Configuration, warnings: [String], path: String) {
    let standard = "/etc/distcomp/conf.json"
    guard let path = arguments.configurationPath ?? (FileSystem.exists(standard) ? standard : nil) else {
        return (Configuration(), [], "")
    }
    let bytes: [UInt8]
    do {
        bytes = try FileSystem.contents(of: path)
    } catch {
        throw .usage("\(error)")
    }
    var (configuration, warnings) = (Configuration(), [ConfigurationProblem]())
    do {
        (configuration, warnings) = try Configuration.parse(bytes, file: path)
    } catch {
        throw .usage(error.problems.map(\.description).joined(separator: "\ndistcompd: "))
    }
    if let file = configuration.redisPasswordFile {
        do {
            configuration.redisPassword = try FileSystem.text(of: file, bytesMax: 4096)
        } catch {
            throw .usage("redis_pass_file: \(error)")
        }
    }
    return (configuration, warnings.map(\.description), path)
}

private func makeLog(_ configuration: Configuration) -> Logger {
    let format: LogLines.Format =
        switch configuration.logFormat {
        case .json: .json
        case .journal: .journal
        case .text: .text
        case .auto: Host.environment("JOURNAL_STREAM") == nil ? .text : .journal
        }
    let level = Logger.Level(rawValue: configuration.logLevel.rawValue) ?? .info
    return Logger(label: "distcompd") { _ in LogLines(format: format, logLevel: level) }
}

private func makeEndpoint(
    _ arguments: Arguments, _ configuration: Configuration
) throws(StartFailure) -> RedisEndpoint {
    if let path = arguments.redisSocketPath { return RedisEndpoint(unixPath: path) }
    do {
        return try RedisEndpoint(configuration, urlFromCommandLine: arguments.redisURL)
    } catch {
        throw .usage(error.description)
    }
}

/// Root's daemon gives tasks to an unprivileged user; uid 0 only when the settings say so in words.
private func taskAccount(
    _ configuration: Configuration, servesParent: Bool, log: Logger
) throws(StartFailure) -> Account? {
    if let name = configuration.taskUser {
        guard let account = Account(named: name) else {
            throw .usage("task_user: no user \"\(name)\" on this machine; create it: useradd --system \(name)")
        }
        if !Host.isRoot && account.userIdentifier != Host.userIdentifier {
            throw .usage(
                "task_user: only root's distcompd can run tasks as \"\(name)\"; start it as root or as \(name)")
        }
        return account
    }
    guard Host.isRoot else { return nil }
    if servesParent { return try callingAccount() }
    if let account = Account(named: "distcomp") { return account }
    guard let nobody = Account(named: "nobody") else {
        throw .usage("task_user: this machine has no user \"distcomp\"; create it: useradd --system distcomp")
    }
    log.warning("no user \"distcomp\": tasks run as \"nobody\"; useradd --system distcomp, or set task_user")
    return nobody
}

/// `distcomp run` runs tasks for whoever typed it: through sudo that is not root.
private func callingAccount() throws(StartFailure) -> Account? {
    guard let text = Host.environment("SUDO_UID") else { return Account(userIdentifier: 0) }
    guard let identifier = UInt32(text), let account = Account(userIdentifier: identifier) else {
        throw .usage("SUDO_UID is \"\(TerminalText.escaped(text))\", which is no user of this machine; set task_user")
    }
    return account
}

private func takeLock(in directory: String, nodeName: String) throws(StartFailure) -> SharedDescriptor {
    let path = directory + "/lock"
    do throws(SystemError) {
        try FileSystem.createDirectories(directory, mode: 0o750)
        let lock = try OwnedDescriptor.open(path, [.readWrite, .create, .doNotFollow], mode: 0o600)
        if lock.tryLock() { return SharedDescriptor(lock) }
    } catch {
        throw .usage("state_dir: \(error)")
    }
    throw .usage("another distcompd runs here as node \"\(nodeName)\" (\(path)); give this one another node_name")
}

private func shortHash(of text: String) -> String {
    var hash: UInt32 = 2_166_136_261
    for byte in text.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }  // FNV-1a
    return String(hash, radix: 16)
}
