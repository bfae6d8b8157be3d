// How a task is started: posix_spawn of distcomp-launch, which joins the control group, drops every privilege and becomes the
// task. See Sources/distcomp-launch/main.c for what it does in which order, and for the descriptors it finds.

import CLinux
import Glibc

/// The steps of a launch that can fail, numbered as `enum step` in distcomp-launch. A number once given stays: an upgrade puts a new
/// distcomp-launch beside a daemon that runs.
public enum LaunchStep: Int32, CaseIterable, Sendable {
    case arguments = 1
    case joinControlGroup
    case setsid
    case signals
    case oomScoreAdjustment
    case nice
    case affinity
    case limits
    case groups
    case groupIdentifier
    case boundingSet
    case userIdentifier
    case capabilities
    case noNewPrivileges
    case workingDirectory
    case descriptors
    case execute
    case ownDirectory
    case standardInput
    case begin
    case checkpointDirectory

    /// The step as an operator knows it: the call it makes.
    public var callName: String {
        switch self {
        case .arguments: "distcomp-launch"
        case .joinControlGroup: "write cgroup.procs"
        case .setsid: "setsid"
        case .signals: "sigprocmask"
        case .oomScoreAdjustment: "write oom_score_adj"
        case .nice: "setpriority"
        case .affinity: "sched_setaffinity"
        case .limits: "setrlimit"
        case .groups: "setgroups"
        case .groupIdentifier: "setresgid"
        case .boundingSet: "capbset_drop"
        case .userIdentifier: "setresuid"
        case .capabilities: "capset"
        case .noNewPrivileges: "prctl PR_SET_NO_NEW_PRIVS"
        case .workingDirectory: "access working directory"
        case .descriptors: "close_range"
        case .execute: "execve"
        case .ownDirectory: "chdir"
        case .standardInput: "open standard input"
        case .begin: "clone"
        case .checkpointDirectory: "mkdir"
        }
    }
}

/// What launches tell.
public enum LaunchNews: Equatable, Sendable {
    /// A launcher that stays has begun the order of this number as this process, a child of ours.
    case begun(process: Int32, order: UInt32)
    /// The same by the launcher's word, which comes after it or before; for a process that has ended before it could say so alone.
    case copied(process: Int32, order: UInt32)
    /// It could not.
    case notBegun(order: UInt32, step: LaunchStep?, code: Int32)
    case failed(LauncherFailure)
}

/// A launch that ended before the task began, as distcomp-launch told it.
public struct LauncherFailure: Equatable, Sendable {
    public let process: Int32
    /// nil when the launcher sent a number this version does not know.
    public let step: LaunchStep?
    public let code: Int32

    public init(process: Int32, step: LaunchStep?, code: Int32) {
        (self.process, self.step, self.code) = (process, step, code)
    }
}

/// Everything that is the same for all tasks of a node.
public struct LaunchSettings: Sendable {
    /// Whom tasks run as; nil leaves the daemon's own user.
    public var account: Account?
    /// The file mode creation mask of a task.
    public var umask: UInt32
    /// RLIMIT_FSIZE: how large a file a task may write, in bytes; nil for no limit.
    public var fileSizeBytesMax: UInt64?
    /// The soft limit of open descriptors a task starts with.
    public var descriptorsMax: UInt64
    /// How much nicer than the daemon tasks are, see nice(1).
    public var nice: Int32
    /// Whether the daemon is shielded from the out-of-memory killer, which a task must not inherit.
    public var resetsOomScore: Bool

    public init(
        account: Account?, umask: UInt32, fileSizeBytesMax: UInt64?, descriptorsMax: UInt64, nice: Int32 = 0,
        resetsOomScore: Bool
    ) {
        self.account = account
        self.umask = umask
        self.fileSizeBytesMax = fileSizeBytesMax
        self.descriptorsMax = descriptorsMax
        self.nice = nice
        self.resetsOomScore = resetsOomScore
    }
}

/// Starts tasks and learns of launches that failed half-way.
public final class ProcessLauncher {
    /// The descriptors below this belong to launches: nothing of the daemon may be opened there, see `reserveDescriptors`.
    public static let reservedDescriptors: Int32 = 16

    private let path: String
    private let fixedArguments: [[UInt8]]
    private let statusReading: OwnedDescriptor
    private let statusWriting: OwnedDescriptor
    private let nothing: OwnedDescriptor
    private let knownFileActions = KnownFileActions()

    /// - Parameters:
    ///   - path: where distcomp-launch is.
    ///   - statusPipe: that of the program before this one, when it handed over running tasks; nil to make one.
    public init(path: String, settings: LaunchSettings, statusPipe: consuming PipeEnds? = nil) throws(SystemError) {
        self.path = path
        fixedArguments = try ProcessLauncher.arguments(for: settings).map { Array($0.utf8) }
        let pipe: PipeEnds
        if let statusPipe { pipe = statusPipe } else { pipe = try OwnedDescriptor.pipe() }
        statusReading = pipe.reading
        statusWriting = pipe.writing
        nothing = try OwnedDescriptor.open("/dev/null", [.readOnly])
    }

    /// Both ends of the pipe through which failed launches are told, to be handed over to the next program.
    public var statusPipe: (reading: Int32, writing: Int32) { (statusReading.raw, statusWriting.raw) }

    /// Starts `arguments` with standard output and error going to the given descriptors, in the groups that `joining` opens.
    ///
    /// Returns once distcomp-launch runs; a failure of its own steps is among `news()` after the process has ended.
    /// - Parameters:
    ///   - cgroupDescriptor: the directory of a v2 group to be born in, see `canSpawnInGroup`; nil to join by `joining` alone.
    ///   - place: the directory and standard input of the task's own, where it has any.
    ///   - processors: the only ones it may run on, see sched_setaffinity(2); empty for all that the daemon may.
    /// - Returns: the process id, to be reaped by the caller.
    public func launch(
        _ arguments: [[UInt8]], environment: [[UInt8]], standardOutput: Int32, standardError: Int32,
        joining groups: [SharedDescriptor], bornIn cgroupDescriptor: SharedDescriptor? = nil,
        place: LaunchPlace? = nil, processors: [Int] = []
    ) throws(SystemError) -> Int32 {
        var options = processors.isEmpty ? [] : ["-a", processors.map { String($0) }.joined(separator: ",")]
        if let directory = place?.directory { options += ["-C", directory] }
        if let path = place?.inputPath { options += ["-i", path] }
        return try start(
            options + ["-c", String(groups.count), "--"], arguments, environment: environment,
            standardInput: place?.inputDescriptor, standardOutput: standardOutput, standardError: standardError,
            also: groups.map(\.raw), bornIn: cgroupDescriptor)
    }

    /// distcomp-launch with these options beside those that all tasks have in common, and descriptors from 4 on.
    func start(
        _ options: [String], _ arguments: [[UInt8]] = [], environment: [[UInt8]] = [],
        standardInput: Int32? = nil, standardOutput: Int32?, standardError: Int32?, also descriptors: [Int32],
        bornIn cgroupDescriptor: SharedDescriptor?
    ) throws(SystemError) -> Int32 {
        let streams = [standardInput ?? nothing.raw, standardOutput ?? nothing.raw, standardError ?? nothing.raw]
        return try spawn(
            path, fixedArguments + options.map { Array($0.utf8) } + arguments, environment: environment,
            handing: streams + [statusWriting.raw] + descriptors, bornIn: cgroupDescriptor, known: knownFileActions)
    }

    /// Whether this C library can have a process born in a group (glibc 2.39 and later), which spares the global lock that
    /// moving one into it takes.
    public static var canSpawnInGroup: Bool { clinux_can_spawn_in_cgroup() }

    /// What launches have told since last asked. It is here before the process that it is about can be reaped, so reap first, then ask;
    /// and keep what comes for a process that is not reaped yet: it comes only once.
    public func news() -> [LaunchNews] {
        var news: [LaunchNews] = []
        // Each is written in one piece, so there are only whole ones; and fewer than there is room for are all.
        let records = UnsafeMutableBufferPointer<(Int32, Int32, Int32)>.allocate(capacity: Self.recordsAtOnce)
        defer { records.deallocate() }
        var count: Int
        repeat {
            let size = retryingInterrupted { read(statusReading.raw, records.baseAddress, Self.recordsAtOnce * 12) }
            count = max(0, size) / 12
            for (process, step, code) in records.prefix(count) { news.append(Self.news(process, step, code)) }
        } while count == Self.recordsAtOnce
        return news
    }

    private static let recordsAtOnce = 64

    private static func news(_ process: Int32, _ step: Int32, _ code: Int32) -> LaunchNews {
        if step == 0 {
            return .begun(process: process, order: UInt32(bitPattern: code))
        } else if step == -1 {
            return .copied(process: process, order: UInt32(bitPattern: code))
        } else if process < 0 {
            let order = UInt32(bitPattern: 0 &- process)
            return .notBegun(order: order, step: LaunchStep(rawValue: step), code: code)
        }
        return .failed(LauncherFailure(process: process, step: LaunchStep(rawValue: step), code: code))
    }

    private static func arguments(for settings: LaunchSettings) throws(SystemError) -> [String] {
        var list = ["distcomp-launch", "-m", String(settings.umask, radix: 8), "-d", String(settings.descriptorsMax)]
        // Changing it takes CAP_SETPCAP; who starts without privileges can gain none through exec anyway.
        if Host.isRoot { list += ["-b", "0" + String(try BoundingSet.current(), radix: 16)] }
        if let bytes = settings.fileSizeBytesMax { list += ["-f", String(bytes)] }
        if settings.nice != 0 { list += ["-n", String(settings.nice)] }
        if settings.resetsOomScore { list.append("-o") }
        if let account = settings.account, Host.isRoot {
            list += ["-u", String(account.userIdentifier), "-g", String(account.groupIdentifier)]
            list += ["-G", account.groupIdentifiers.map { String($0) }.joined(separator: ",")]
        }
        return list
    }
}
