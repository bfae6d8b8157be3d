// Processes as /proc shows them, and what they hold of memory.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Process table")
struct ProcessTableTests {
    @Test(
        "a program's name may hold brackets, spaces and line breaks",
        arguments: ["sh", "a) S 1 (b", "((", "))", "x\ny", ") Z 7 7 7 7"])
    func names(name: String) throws {
        let rest = (4...52).map { String($0) }.joined(separator: " ")
        let entry = try #require(ProcessEntry(parsing: Array("42 (\(name)) S \(rest)\n".utf8)))
        #expect(entry == ProcessEntry(process: 42, parent: 4, session: 6, startTicks: 22))
    }

    @Test(
        "text of another kind is no process, and no trap",
        arguments: ["", "1", "1 (", "1 (a)", "1 (a) S", "x (a) S 1 2 3", "1 (a) S -9999999999 1 1", "1 )a( S 4 5 6"])
    func malformed(text: String) { #expect(ProcessEntry(parsing: Array(text.utf8)) == nil) }

    @Test("this process is in the table, with its parent, session and environment")
    func ourselves() throws {
        let entry = try #require(try ProcessEntry.all().first { $0.process == getpid() })
        #expect(entry.parent == getppid())
        #expect(entry.session == getsid(0))
        #expect(entry.environment("PATH") == Host.environment("PATH"))
        #expect(entry.environment("PAT") == nil)
    }

    @Test("a signal is for the process that was seen, not for another that has its number now")
    func recycled() throws {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let process = try ChildProcesses.start("/bin/sleep", ["1000"], descriptors: [null.raw, null.raw, null.raw])
        let entry = try #require(try ProcessEntry.read(process))
        let earlier = ProcessEntry(
            process: process, parent: entry.parent, session: entry.session, startTicks: entry.startTicks - 1)
        #expect(!earlier.send(SIGKILL))
        #expect(try ChildProcesses.endingIfEnded(process) == nil)
        entry.kill()
        #expect(try endOf(process) == .signal(SIGKILL))
        #expect(try ProcessEntry.read(process) == nil)
    }

    @Test("a child is below its parent and itself, and not below its child")
    func ancestry() throws {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let process = try ChildProcesses.start("/bin/sleep", ["1000"], descriptors: [null.raw, null.raw, null.raw])
        #expect(ChildProcesses.is(process, below: getpid()))
        #expect(ChildProcesses.is(process, below: process))
        #expect(!ChildProcesses.is(getpid(), below: process))
        ChildProcesses.kill(process: process)
        _ = try endOf(process)
    }

    @Test("lines of kilobytes are summed, whatever else there is")
    func sums() {
        let text = "RssAnon:\t     100 kB\nRssFile:\t  7 kB\nVmSwap:\t 3 kB\nRssAnonymous: x kB\nRssShmem:\n"
        let names = ["RssAnon:", "RssShmem:", "VmSwap:"]
        #expect(ResidentMemory.sum(of: names, in: Array(text.utf8)) == 103 << 10)
        #expect(ResidentMemory.sum(of: names, in: []) == nil)
    }

    @Test("memory that several processes share is counted once where it matters, and files are not counted")
    func shared() throws {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let ends = try OwnedDescriptor.pipe()
        let program = [
            "import mmap, os, time", "private = bytearray(40 << 20)", "shared = mmap.mmap(-1, 40 << 20)",
            "shared.write(bytes(40 << 20))", "if os.fork() == 0: shared.find(b'x', 0); private.count(1)",
            "os.write(1, b'.')", "time.sleep(1000)",
        ].joined(separator: "\n")
        let process = try ChildProcesses.start(
            "/usr/bin/python3", ["-c", program], descriptors: [null.raw, ends.writing.raw, null.raw])
        defer { ChildProcesses.kill(processGroup: process) }
        var count = 0
        try waitUntil("both have looked at all of it") {
            var byte: UInt8 = 0
            while read(ends.reading.raw, &byte, 1) == 1 { count += 1 }
            return count == 2
        }
        let both = try ProcessEntry.all().filter { $0.session == process }.map(\.process)
        #expect(both.count == 2)
        let megabyte: UInt64 = 1 << 20
        #expect(ResidentMemory.total(of: both, exactlyAbove: 1000 * megabyte) > 150 * megabyte, "no less than it is")
        let exact = ResidentMemory.total(of: both, exactlyAbove: 100 * megabyte)
        #expect((80 * megabyte...110 * megabyte).contains(exact), "\(exact)")
        ChildProcesses.kill(processGroup: process)
        _ = try endOf(process)
    }
}
