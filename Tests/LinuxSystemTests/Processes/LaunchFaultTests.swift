// Whose fault a failed launch is: the command's only where no other machine would have done better.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("The fault of a failed launch")
struct LaunchFaultTests {
    private func isOfTheTask(_ step: LaunchStep?, _ code: Int32, cappedAt bytes: UInt64? = nil) -> Bool {
        LauncherFailure(process: 1, step: step, code: code).isOfTheTask(memoryBytesMax: bytes)
    }

    @Test(
        "a program that is not there, or cannot be executed, or has too many words, is the command's",
        arguments: [ENOENT, EACCES, ENOEXEC, ENOTDIR, ELOOP, E2BIG, ENAMETOOLONG, EISDIR, EPERM, ETXTBSY])
    func program(code: Int32) {
        #expect(isOfTheTask(.execute, code))
    }

    @Test(
        "to execute it fails on a machine that is short of something, or cannot read its disk",
        arguments: [ENOMEM, EAGAIN, EMFILE, ENFILE, EIO, ESTALE, ENOSPC, EROFS])
    func machine(code: Int32) {
        #expect(!isOfTheTask(.execute, code))
    }

    @Test(
        "a directory or an input of the task's own that this machine lacks is no trouble of the machine, whatever the errno",
        arguments: [LaunchStep.ownDirectory, .standardInput, .checkpointDirectory])
    func own(step: LaunchStep) {
        for code in [ENOENT, EACCES, ENOTDIR, ELOOP, EISDIR, ENXIO, EIO, ESTALE] { #expect(isOfTheTask(step, code)) }
        for code in [ENOMEM, ENFILE, EMFILE] { #expect(!isOfTheTask(step, code)) }
    }

    @Test("every other step is the machine's, whatever the errno", arguments: LaunchStep.allCases)
    func steps(step: LaunchStep) {
        guard ![.execute, .ownDirectory, .standardInput, .checkpointDirectory].contains(step) else { return }
        for code in [ENOENT, EACCES, EPERM, EINVAL, ENOSPC, ENOMEM] {
            #expect(!isOfTheTask(step, code))
        }
        #expect(!isOfTheTask(nil, ENOENT))
    }

    @Test("so is all that keeps the launcher from starting, but a command that is too long")
    func spawning() {
        func isOfTheTask(_ call: String, _ code: Int32) -> Bool {
            SystemError(call: call, subject: "x", code: code).isOfTheTask(memoryBytesMax: nil)
        }
        #expect(isOfTheTask("posix_spawn", E2BIG))
        for code in [ENOENT, EACCES, EAGAIN, ENOMEM, EINVAL] { #expect(!isOfTheTask("posix_spawn", code)) }
        // Only a task with a text to read needs it.
        #expect(isOfTheTask("memfd_create", EPERM) && !isOfTheTask("memfd_create", EMFILE))
        for call in ["mkdir", "open", "chown", "write below"] { #expect(!isOfTheTask(call, E2BIG)) }
    }

    @Test("no memory is the command's where it asked for less than it takes to start anything")
    func tinyCap() {
        #expect(isOfTheTask(.limits, ENOMEM, cappedAt: 1000))
        #expect(!isOfTheTask(.limits, ENOMEM, cappedAt: 64 << 20))
        #expect(!isOfTheTask(.limits, EAGAIN, cappedAt: 1000))
    }
}
