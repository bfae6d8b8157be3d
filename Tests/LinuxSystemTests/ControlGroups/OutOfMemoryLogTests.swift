// What the kernel wrote of kills for memory, as kernels of either version did, and what others may write beside it.

import Testing

@testable import LinuxSystem

@Suite("The kernel's log of kills for memory")
struct OutOfMemoryLogTests {
    private func reports(_ lines: [String], priority: Int = 6) -> [OutOfMemoryReport] {
        var parser = OutOfMemoryParser()
        for line in lines { parser.take(record: "\(priority),1234,567890,-;\(line)\n SUBSYSTEM=x\n"[...]) }
        return parser.reports
    }

    private let task = "/user.slice/distcomp.n/tasks/a.1.b"
    private func end(limit: String?, victim: String, name: String = "tail") -> String {
        "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
            + (limit.map { "oom_memcg=\($0)" } ?? "global_oom") + ",task_memcg=\(victim),task=\(name),pid=1,uid=0"
    }

    @Test("v2: a line each, or all statistics in one message")
    func unified() {
        let statistics = ["anon 20971520", "file 4096", "kernel 1048576", "shmem 46137344"]
        let expected = OutOfMemoryReport(
            limitGroup: task, victimGroup: task, anonymousBytes: 20_971_520, tmpfsBytes: 46_137_344,
            kernelBytes: 1_048_576)
        for lines in [statistics, [statistics.joined(separator: "\\x0a")]] {
            let all =
                ["tail invoked oom-killer: order=0", "Memory cgroup stats for \(task):"] + lines
                + ["Tasks state (memory values in pages):", end(limit: task, victim: task)]
            #expect(reports(all) == [expected])
        }
    }

    @Test("v1: the sums with the groups below, and what the kernel took on a line of its own before them")
    func legacy() {
        let lines = [
            "memory: usage 65536kB, limit 65536kB, failcnt 0", "kmem: usage 100kB, limit 9007199254740988kB, failcnt 0",
            "Memory cgroup stats for \(task):", "cache 1", "rss 1", "shmem 1", "total_cache 46137344",
            "total_rss 20971520", "total_shmem 46137344", end(limit: task, victim: task),
        ]
        let report = reports(lines).first
        #expect(report?.anonymousBytes == 20_971_520 && report?.tmpfsBytes == 46_137_344)
        #expect(report?.kernelBytes == 102_400)
    }

    @Test("a limit above is named; its memory is not the task's, and neither is that of another kill")
    func above() {
        let lines = [
            "Memory cgroup stats for /a:", "anon 1000", end(limit: "/a", victim: "/a/b"),
            end(limit: "/a/b", victim: "/a/b"), end(limit: nil, victim: "/a/b"),
        ]
        #expect(reports(lines).map(\.limitGroup) == ["/a", "/a/b", nil])
        #expect(reports(lines).map(\.anonymousBytes) == [1000, nil, nil])
        #expect(reports(lines).map(\.victimGroup) == ["/a/b", "/a/b", "/a/b"])
    }

    @Test("a process may be called anything, and only the kernel is believed")
    func hostile() {
        let forged = end(limit: "/f", victim: "/f")
        #expect(reports([forged], priority: 14).isEmpty)
        #expect(reports(["\(forged) invoked oom-killer"].map { "x" + $0 }).isEmpty)
        let named = end(limit: task, victim: task, name: ",task_memcg=/f")
        #expect(reports([named]).map(\.victimGroup) == [task])
        let odd = [
            "", ";", "6,1", "Memory cgroup stats for ", "Memory cgroup stats for /a:", "anon 99999999999999999999999",
            "kmem: usage 99999999999999999999kB", "kmem: usage 18446744073709551615kB", "oom-kill:constraint=",
        ]
        #expect(reports(odd).isEmpty)
        var parser = OutOfMemoryParser()
        for record in odd { parser.take(record: record[...]) }
        for _ in 0..<1000 { parser.take(line: end(limit: "/a", victim: "/b")[...]) }
        #expect(parser.reports.count == OutOfMemoryParser.reportsMax)
    }
}
