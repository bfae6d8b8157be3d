// What this machine is, as its own files tell it.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Host")
struct HostTests {
    @Test("memory is what MemTotal and MemAvailable say, in bytes")
    func memory() throws {
        let text = """
            MemTotal:       24684084 kB
            MemFree:        20000000 kB
            MemAvailable:   22000001 kB
            Buffers:          100000 kB
            """
        let reading = try #require(MemoryReading(parsing: Array(text.utf8)))
        #expect(reading == MemoryReading(totalBytes: 24_684_084 * 1024, availableBytes: 22_000_001 * 1024))
    }

    @Test(
        "memory that is not told is no reading",
        arguments: [
            "", "MemTotal: 5 kB\n", "MemAvailable: 5 kB\n", "MemTotal: x kB\nMemAvailable: 5 kB\n",
            "MemTotal:\nMemAvailable:\n",
            "XMemTotal: 5 kB\nMemAvailable: 5 kB\n", "MemTotal: -5 kB\nMemAvailable: 5 kB\n",
            "MemTotal: 99999999999999999999999 kB\nMemAvailable: 5 kB\n",
        ])
    func noMemory(text: String) {
        #expect(MemoryReading(parsing: Array(text.utf8)) == nil)
    }

    @Test("figures too large for bytes do not trap")
    func hugeMemory() {
        #expect(
            MemoryReading(parsing: Array("MemTotal: \(UInt64.max) kB\nMemAvailable: \(UInt64.max) kB\n".utf8)) != nil)
    }

    @Test("this machine's memory can be read")
    func currentMemory() throws {
        let reading = try MemoryReading.current()
        #expect(reading.availableBytes > 0)
        #expect(reading.totalBytes >= reading.availableBytes)
    }

    @Test("an account is found by its name and by its number")
    func account() throws {
        let root = try #require(Account(named: "root"))
        #expect(root.userIdentifier == 0)
        #expect(root.groupIdentifier == 0)
        #expect(root.groupIdentifiers.contains(0))
        #expect(root.homeDirectory == "/root")
        #expect(Account(userIdentifier: 0) == root)
    }

    @Test("a user without a name is its numbers, where numbers are allowed")
    func namelessAccount() throws {
        let account = try #require(Account(named: "4242:4343", orNumbers: true))
        #expect(account.userIdentifier == 4242 && account.groupIdentifier == 4343)
        #expect(account.groupIdentifiers == [4343] && account.name == "4242:4343")
        #expect(try #require(Account(named: "root", orNumbers: true)).userIdentifier == 0)
        for text in ["4242", "4242:", ":0", "-1:0", "1:2:3", "x:1", "4294967296:1"] {
            #expect(Account(named: text, orNumbers: true) == nil, "\(text)")
        }
        #expect(Account(named: "4242:4343", orNumbers: false) == nil)
    }

    @Test(
        "who may enter a directory or open a socket is told by the permissions of all that is above it",
        .enabled(if: Host.isRoot && nobody != nil))
    func mayEnter() throws {
        let folder = try TemporaryFolder()
        let account = try #require(nobody)
        let inner = folder.path + "/inner"
        #expect(mkdir(inner, 0o711) == 0)
        let socket = try folder.file("inner/socket", mode: 0o666)
        #expect(account.mayEnter(inner) && account.mayConnect(toSocket: socket) && account.mayEnter("/"))
        #expect(chmod(socket, 0o664) == 0)
        #expect(!account.mayConnect(toSocket: socket))
        #expect(chown(socket, account.userIdentifier, 0) == 0 && account.mayConnect(toSocket: socket))
        #expect(chmod(folder.path, 0o750) == 0)
        #expect(!account.mayEnter(inner) && !account.mayConnect(toSocket: socket))
        #expect(chown(folder.path, 0, account.groupIdentifier) == 0 && account.mayEnter(inner))
        #expect(!account.mayEnter(folder.path + "/missing"))
        #expect(try #require(Account(userIdentifier: 0)).mayEnter(inner))
    }

    @Test("the processes of a user are found, with their environment and their control group")
    func processes() throws {
        #expect(Host.processes(ofUser: Host.userIdentifier).contains(Host.processIdentifier))
        let environment = try Host.environment(ofProcess: Host.processIdentifier)
        #expect(environment.contains { $0.starts(with: "PATH=".utf8) })
        #expect(throws: SystemError.self) { try Host.environment(ofProcess: 0) }
    }

    @Test(
        "a user that does not exist has no account",
        arguments: ["", "no-such-user", "root\nroot", String(repeating: "x", count: 1 << 20)])
    func noAccount(name: String) {
        #expect(Account(named: name) == nil)
        #expect(Account(userIdentifier: 4_294_967_294) == nil)
    }

    @Test("the host has a name without dots, a kernel and processors")
    func facts() throws {
        #expect(!Host.shortName.isEmpty && !Host.shortName.contains("."))
        #expect(try FileSystem.text(of: "/proc/sys/kernel/osrelease") == Host.kernelRelease)
        #expect(Host.coreCount >= 1)
        #expect(Host.processIdentifier == getpid())
    }

    @Test("the environment is told byte for byte")
    func environment() {
        let path = Host.environment.first { $0.starts(with: "PATH=".utf8) }
        #expect(path.map { String(decoding: $0.dropFirst(5), as: UTF8.self) } == Host.environment("PATH"))
        #expect(Host.environment("DISTCOMP_NO_SUCH_VARIABLE") == nil)
    }

    @Test("the descriptor limit is raised to what is allowed, and the limit from before is told")
    func descriptorLimit() async {
        await #expect(processExitsWith: .success) {
            var limit = rlimit()
            #expect(getrlimit(__rlimit_resource_t(7), &limit) == 0)
            limit.rlim_cur = min(100, limit.rlim_max)
            #expect(setrlimit(__rlimit_resource_t(7), &limit) == 0)
            #expect(Host.raiseDescriptorLimit() == limit.rlim_cur)
            var raised = rlimit()
            #expect(getrlimit(__rlimit_resource_t(7), &raised) == 0)
            #expect(raised.rlim_cur == limit.rlim_max)
        }
    }

    @Test("the clock since boot goes forward, and the wall clock is past 2024")
    func clocks() {
        let first = SystemClock.bootNanoseconds()
        #expect(SystemClock.bootNanoseconds() >= first)
        #expect(SystemClock.wallSeconds() > 1_700_000_000)
    }
}
