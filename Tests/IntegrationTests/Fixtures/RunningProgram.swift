// A program that a test starts, signals and waits for. posix_spawn, since the threads tests run on block signals and a child
// inherits that: it would never see a SIGTERM.

import Glibc
import LinuxSystem

/// How a program ended and what it printed.
struct ProgramResult {
    let ending: ProcessEnding
    let output: String
    let errors: String

    /// Its exit status; nil when a signal ended it.
    var status: Int32? { if case .exit(let code) = ending { code } else { nil } }
    var outputLines: [Substring] { output.split(separator: "\n") }
    var errorLines: [Substring] { errors.split(separator: "\n") }
}

final class RunningProgram {
    let process: pid_t
    private let outputPath: String
    private let errorsPath: String
    private var ending: ProcessEnding?
    private let guardian: Guardian

    /// Starts `path`; its output goes to files in `scratch`.
    init(_ path: String, _ arguments: [String], in scratch: Scratch, workingDirectory: String? = nil) throws {
        let name = scratch.nextName()
        outputPath = scratch.path + "/\(name).out"
        errorsPath = scratch.path + "/\(name).err"
        process = try spawnProgram(
            // env becomes the program; without it, a conf.json where the tests were started would be read.
            ["/usr/bin/env", "-C", workingDirectory ?? scratch.path, path] + arguments, output: outputPath,
            errors: errorsPath, variables: ["INTEGRATION_SCRATCH=\(scratch.path)"])
        guardian = try Guardian(of: process)
    }

    deinit {
        if !hasEnded {
            kill(process, SIGKILL)
            waitpid(process, nil, 0)
        }
        guardian.dismiss()
    }

    var output: String { text(of: outputPath) }
    var errors: String { text(of: errorsPath) }

    var hasEnded: Bool {
        if ending == nil { ending = (try? ChildProcesses.endingIfEnded(process)) ?? nil }
        return ending != nil
    }

    func send(_ signal: Int32) { if !hasEnded { kill(process, signal) } }

    /// Waits for its end, which closes its output.
    @discardableResult
    func result() async throws -> ProgramResult {
        try await eventually("the end of the program", within: 900, self.errors + self.output) { hasEnded }
        return ProgramResult(ending: ending ?? .exit(code: -1), output: output, errors: errors)
    }
}

/// Ends a program should this process end first, as its input tells: a test run that is killed leaves no daemon behind.
private final class Guardian {
    private let shell: pid_t
    private let ends: PipeEnds

    init(of process: pid_t) throws {
        ends = try OwnedDescriptor.pipe()
        _ = fcntl(ends.reading.raw, F_SETFL, 0)
        shell = try spawnProgram(
            ["/bin/sh", "-c", "read line; kill -CONT \(process); kill \(process); sleep 5; kill -9 \(process)"],
            output: "/dev/null", errors: "/dev/null", standardInputDescriptor: ends.reading.raw)
    }

    func dismiss() {
        kill(shell, SIGKILL)
        waitpid(shell, nil, 0)
    }
}

/// What a file holds, to its last newline; nothing when it is not there.
func text(of path: String) -> String {
    (try? FileSystem.contents(of: path, bytesMax: 64 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
}

private func spawnProgram(
    _ arguments: [String], output: String, errors: String, standardInputDescriptor: Int32? = nil,
    variables: [String] = []
) throws -> pid_t {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let standardInputDescriptor {
        posix_spawn_file_actions_adddup2(&actions, standardInputDescriptor, 0)
    } else {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    }
    posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    posix_spawn_file_actions_addopen(&actions, 2, errors, O_WRONLY | O_CREAT | O_TRUNC, 0o644)

    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var noSignals = sigset_t()
    sigemptyset(&noSignals)
    posix_spawnattr_setsigmask(&attributes, &noSignals)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))

    let inherited = Host.environment.map { String(decoding: $0, as: UTF8.self) }
    return try withCStrings(arguments) { words in
        try withCStrings(inherited.filter { !$0.hasPrefix("DISTCOMP_") } + variables) { environment in
            var child: pid_t = 0
            let code = posix_spawn(&child, arguments[0], &actions, &attributes, words, environment)
            guard code == 0 else { throw SystemError(call: "posix_spawn", subject: arguments[0], code: code) }
            return child
        }
    }
}

private func withCStrings<Result>(
    _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) throws -> Result
) rethrows -> Result {
    var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
    pointers.append(nil)
    defer { for pointer in pointers { free(pointer) } }
    return try body(pointers)
}
