// Every child that ends is collected, however many end at once. waitpid(2) for any child would take those of other tests, so
// the tests that use it have a process of their own.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Child processes")
struct ChildProcessesTests {
    @Test("exits and signals are told apart")
    func endings() throws {
        #expect(try run("/bin/sh", ["-c", "exit 0"]) == .exit(code: 0))
        #expect(try run("/bin/sh", ["-c", "exit 255"]) == .exit(code: 255))
        #expect(try run("/bin/sh", ["-c", "kill -SEGV $$"]) == .signal(SIGSEGV))
        #expect(try run("/bin/sh", ["-c", "kill -KILL $$"]) == .signal(SIGKILL))
    }

    @Test("a child that runs has no ending yet, and one that was reaped is no child any more")
    func stillRunning() throws {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let process = try ChildProcesses.start("/bin/sleep", ["1000"], descriptors: [null.raw, null.raw, null.raw])
        #expect(try ChildProcesses.endingIfEnded(process) == nil)
        ChildProcesses.kill(process: process)
        #expect(try ChildProcesses.wait(for: process) == .signal(SIGKILL))
        #expect(throws: SystemError(call: "waitpid", subject: "\(process)", code: ECHILD)) {
            try ChildProcesses.endingIfEnded(process)
        }
    }

    @Test("a process group is killed with its stopped members")
    func processGroup() throws {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let process = try ChildProcesses.start(
            "/bin/sh", ["-c", "sleep 1000 & kill -STOP $$; wait"], descriptors: [null.raw, null.raw, null.raw])
        try waitUntil("the shell is stopped") {
            try FileSystem.text(of: "/proc/\(process)/stat").contains(") T ")
        }
        ChildProcesses.kill(processGroup: process)
        #expect(try endOf(process) == .signal(SIGKILL))
    }

    @Test("no process group means nobody is signalled, not everybody", arguments: [Int32.min, -5, -1, 0, 1])
    func noProcessGroup(leader: Int32) async {
        await #expect(processExitsWith: .success) { [leader] in
            // Were it everybody, this process would be among them, and so would many others: so it gives up its rights first.
            if Host.isRoot { #expect(setuid(65_534) == 0) }
            ChildProcesses.kill(processGroup: leader)
        }
    }

    @Test("five hundred children that end at once are all collected for one SIGCHLD")
    func manyAtOnce() async {
        await #expect(processExitsWith: .success) {
            let queue = try SignalQueue(blocking: [.child])
            var ends: [Int32] = [-1, -1]
            #expect(pipe(&ends) == 0 && fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0)
            let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
            var running: Set<Int32> = []
            for _ in 0..<500 {
                let reader = try ChildProcesses.start("/bin/cat", [], descriptors: [ends[0], null.raw, null.raw])
                running.insert(reader)
            }
            #expect(ChildProcesses.nextEnded() == nil)

            close(ends[1])  // All of them come to the end of their input, and so to their own.
            for process in running {
                var information = siginfo_t()
                #expect(waitid(P_PID, id_t(process), &information, WEXITED | WNOWAIT) == 0)
            }
            // Other threads of a test process may take the kernel's signals; this one is for ours.
            pthread_kill(pthread_self(), SIGCHLD)
            var signals = 0
            while let signal = queue.next() {
                #expect(signal == .child)
                signals += 1
            }
            #expect((1...2).contains(signals))
            while let child = ChildProcesses.nextEnded() {
                #expect(child.ending == .exit(code: 0))
                #expect(running.remove(child.process) != nil)
            }
            #expect(running.isEmpty)
        }
    }

    @Test("what a program prints is read to its end; one that hangs is ended and collected, and its caller goes on")
    func printed() async {
        await #expect(processExitsWith: .success) {
            let (bytes, ending) = try #require(
                try ChildProcesses.output(of: "/bin/sh", ["-c", "echo a; echo b; exit 3"], withinSeconds: 600))
            #expect(String(decoding: bytes, as: UTF8.self) == "a\nb\n" && ending == .exit(code: 3))
            for command in ["echo a; exec sleep 1000", "exec >&-; exec sleep 1000"] {
                let printed = try ChildProcesses.output(
                    of: "/bin/sh", ["-c", command], withinSeconds: 0.05, killedSecondsMax: 600)
                #expect(printed == nil)
            }
            // A child that was not collected would be met for ever by whoever waits for any.
            #expect(waitpid(-1, nil, WNOHANG) == -1 && errno == ECHILD)
        }
    }

    @Test("what a program before this one kept open, for whatever, is closed; our own stays open")
    func closesKept() async {
        await #expect(processExitsWith: .success) {
            let own = try OwnedDescriptor.open("/dev/null", [.readOnly])
            let kept = dup(own.raw)
            #expect(kept > 2 && fcntl(kept, F_GETFD) == 0)
            try ReExec.closeKept()
            #expect(fcntl(kept, F_GETFD) == -1 && errno == EBADF)
            #expect(fcntl(own.raw, F_GETFD) == FD_CLOEXEC && fcntl(2, F_GETFD) >= 0)
        }
    }

    @Test("orphans of a child come to us once we adopt them")
    func orphans() async {
        await #expect(processExitsWith: .success) {
            try Host.adoptOrphans()
            let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
            let parent = try ChildProcesses.start(
                "/bin/sh", ["-c", "(sh -c 'exit 9') & exit 4"], descriptors: [null.raw, null.raw, null.raw])
            var endings: [ProcessEnding] = []
            try waitUntil("both are collected") {
                while let child = ChildProcesses.nextEnded() {
                    endings.append(child.ending)
                    #expect((child.process == parent) == (child.ending == .exit(code: 4)))
                }
                return endings.count == 2
            }
            #expect(endings.contains(.exit(code: 9)))
        }
    }
}
