// Whose fault a failed launch is: the command's only where no other machine would have done better.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("The fault of a failed launch")
struct LaunchFaultTests {
    private func isOfTheCommand(_ step: LaunchStep?, _ code: Int32, cappedAt bytes: UInt64? = nil) -> Bool {
        LauncherFailure(process: 1, step: step, code: code).isOfTheCommand(memoryBytesMax: bytes)
    }

    @Test(
        "a program that is not there, or cannot be executed, or has too many words, is the command's",
        arguments: [ENOENT, EACCES, ENOEXEC, ENOTDIR, ELOOP, E2BIG, ENAMETOOLONG, EISDIR, EPERM, ETXTBSY])
    func program(code: Int32) {
        #expect(isOfTheCommand(.execute, code))
    }

    @Test(
        "to execute it fails on a machine that is short of something, or cannot read its disk",
        arguments: [ENOMEM, EAGAIN, EMFILE, ENFILE, EIO, ESTALE, ENOSPC, EROFS])
    func machine(code: Int32) {
        #expect(!isOfTheCommand(.execute, code))
    }

    @Test("every other step is the machine's, whatever the errno", arguments: LaunchStep.allCases)
    func steps(step: LaunchStep) {
        for code in [ENOENT, EACCES, EPERM, EINVAL, ENOSPC, ENOMEM] where step != .execute {
            #expect(!isOfTheCommand(step, code))
        }
        #expect(!isOfTheCommand(nil, ENOENT))
    }

    @Test("so is all that keeps the launcher from starting, but a command that is too long")
    func spawning() {
        func isOfTheCommand(_ call: String, _ code: Int32) -> Bool {
            SystemError(call: call, subject: "x", code: code).isOfTheCommand(memoryBytesMax: nil)
        }
        #expect(isOfTheCommand("posix_spawn", E2BIG))
        for code in [ENOENT, EACCES, EAGAIN, ENOMEM, EINVAL] { #expect(!isOfTheCommand("posix_spawn", code)) }
        for call in ["mkdir", "open", "chown", "write below"] { #expect(!isOfTheCommand(call, E2BIG)) }
    }

    @Test("no memory is the command's where it asked for less than it takes to start anything")
    func tinyCap() {
        #expect(isOfTheCommand(.limits, ENOMEM, cappedAt: 1000))
        #expect(!isOfTheCommand(.limits, ENOMEM, cappedAt: 64 << 20))
        #expect(!isOfTheCommand(.limits, EAGAIN, cappedAt: 1000))
    }
}
