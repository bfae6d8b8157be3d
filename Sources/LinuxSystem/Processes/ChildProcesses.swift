// Ended children are collected here, all that there are at each SIGCHLD: one signal may stand for five hundred exits.

import CLinux
import Glibc

/// How a process ended, as the kernel says it.
public enum ProcessEnding: Equatable, Sendable {
    case exit(code: Int32)
    case signal(Int32)
}

/// A child that has ended.
public struct EndedChild: Equatable, Sendable {
    public let process: Int32
    public let ending: ProcessEnding
    /// The most memory that it, or a process it waited for, ever had resident: a floor for what all of them needed.
    public let residentBytesMax: UInt64
    /// What it, and those it waited for, used of the processors.
    public let userMicroseconds: UInt64
    public let systemMicroseconds: UInt64
}

public enum ChildProcesses {
    /// The next child that has ended, or nil when there is none (wait4(2) with WNOHANG). Orphans that we adopted come too.
    public static func nextEnded() -> EndedChild? {
        var status: Int32 = 0
        var usage = rusage()
        let process = retryingInterrupted { wait4(-1, &status, WNOHANG, &usage) }
        guard process > 0 else { return nil }
        return EndedChild(
            process: process, ending: ending(status), residentBytesMax: UInt64(max(0, usage.ru_maxrss)) &* 1024,
            userMicroseconds: microseconds(usage.ru_utime), systemMicroseconds: microseconds(usage.ru_stime))
    }

    private static func microseconds(_ time: timeval) -> UInt64 {
        UInt64(max(0, time.tv_sec)) &* 1_000_000 &+ UInt64(max(0, time.tv_usec))
    }

    /// Waits for one child to end; for programs with nothing else to do.
    public static func wait(for process: Int32) throws(SystemError) -> ProcessEnding {
        var status: Int32 = 0
        guard retryingInterrupted({ waitpid(process, &status, 0) }) == process else {
            throw .last("waitpid", "\(process)")
        }
        return ending(status)
    }

    /// The ending of `process` if it has ended, nil while it runs.
    public static func endingIfEnded(_ process: Int32) throws(SystemError) -> ProcessEnding? {
        var status: Int32 = 0
        let result = retryingInterrupted { waitpid(process, &status, WNOHANG) }
        if result == 0 { return nil }
        guard result == process else { throw .last("waitpid", "\(process)") }
        return ending(status)
    }

    /// Whether `process` is a child of ours that has not been waited for yet; it may have ended.
    public static func isUnreaped(_ process: Int32) -> Bool {
        var information = siginfo_t()
        return retryingInterrupted {
            waitid(P_PID, id_t(process), &information, WEXITED | WNOHANG | WNOWAIT)
        } == 0
    }

    /// Signals a child of ours that has not been waited for yet, so its number cannot have been given to another.
    public static func signal(_ signal: Signal, process: Int32) { self.signal(signal.rawValue, process: process) }

    /// The same for a signal that is not one of ours.
    public static func signal(_ signal: Int32, process: Int32) { _ = Glibc.kill(process, signal) }

    /// Ends a child of ours that has not been waited for yet.
    public static func kill(process: Int32) { _ = Glibc.kill(process, SIGKILL) }

    /// Whether `process` is `ancestor` or a child of it, at whatever distance.
    static func `is`(_ process: Int32, below ancestor: Int32) -> Bool {
        var current = process
        for _ in 0..<64 where current > 1 {
            if current == ancestor { return true }
            guard let entry = try? ProcessEntry.read(current) else { return false }  // Unseen is not taken for ours.
            current = entry.parent
        }
        return false
    }

    /// Kills every process in the process group that `leader` leads or led.
    public static func kill(processGroup leader: Int32) {
        guard leader > 1 else { return }  // kill(2) takes -1 for everyone and 0 for ourselves.
        _ = Glibc.kill(-leader, SIGKILL)
    }

    /// The children of this process's first thread, which is who orphans are given to; nil where the kernel does not list them.
    public static func ofThisProcess() -> [Int32]? {
        guard let text = try? FileSystem.text(of: "/proc/self/task/\(getpid())/children", bytesMax: 4 << 20) else {
            return nil
        }
        return text.split(separator: " ").compactMap { Int32($0) }
    }

    /// Starts a program that is no task: a private redis-server, a node. Descriptor n of the child is `descriptors[n]`.
    ///
    /// - Parameters:
    ///   - variables: what its environment has beside ours, or instead, as `NAME=value`.
    ///   - inNewSession: whether it has a session of its own, so that a Ctrl-C at the terminal is ours alone to act on.
    ///   - directory: where it begins; nil where we are.
    public static func start(
        _ path: String, _ arguments: [String], variables: [String] = [], descriptors: [Int32],
        inNewSession: Bool = true, beginningIn directory: GuardedDirectory? = nil
    ) throws(SystemError) -> Int32 {
        let words = [path] + arguments
        let added = variables.map { Array($0.utf8) }
        func name(_ variable: [UInt8]) -> ArraySlice<UInt8> { variable.prefix { $0 != UInt8(ascii: "=") } }
        let kept = Host.environment.filter { variable in !added.contains { name($0) == name(variable) } }
        return try spawn(
            path, words.map { Array($0.utf8) }, environment: kept + added, handing: descriptors,
            inNewSession: inNewSession, beginningIn: directory?.descriptor)
    }

    private static func ending(_ status: Int32) -> ProcessEnding {
        clinux_exited(status) ? .exit(code: clinux_exit_code(status)) : .signal(clinux_signal_number(status))
    }
}
