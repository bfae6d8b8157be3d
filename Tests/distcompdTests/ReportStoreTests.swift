// What cannot be delivered is on disk, whatever is in the way; and what lies there is believed only when it is whole.

import Glibc
import LinuxSystem
import Logging
import TaskQueue
import Testing

@testable import distcompd

@Suite("The store of reports")
struct ReportStoreTests {
    private let folder: StoreFolder
    private let log = RecordedLog()

    init() throws { folder = try StoreFolder() }

    /// A store as a life of the daemon opens it.
    private func open(fileCountMax: Int = 10, bytesMax: Int = 1 << 20) -> ReportStore {
        ReportStore(
            path: folder.reports, limits: .init(fileCountMax: fileCountMax, bytesMax: bytesMax), log: log.logger)
    }

    private func report(_ line: String, output: String = "") -> ReportTask {
        ReportTask(
            keys: QueueKeys(prefix: "p:"), incarnation: Incarnation(name: "a", machine: "m", life: 1), line: line,
            token: "7", result: .finished(value: Array("a: \"\(output)\"".utf8), record: #"{"cause":"exit"}"#))
    }

    /// Puts reports on disk, as a life does that then ends.
    private func leave(_ reports: ReportTask...) {
        let store = open()
        for (index, report) in reports.enumerated() { store.add("\(index)", report) }
        writeAll(store)
    }

    private func writeAll(_ store: ReportStore) {
        while store.hasWork { _ = store.step() }
    }

    private var names: [String] { get throws { try FileSystem.entries(of: folder.reports).sorted() } }

    @Test("what one life wrote the next one reads, oldest first, the same until each is dealt with")
    func outlives() throws {
        leave(report("one"), report("two"), report("three"))
        let store = open()
        #expect(store.nextEarlier(countMax: 2).map(\.report) == [report("one"), report("two")])
        let batch = store.nextEarlier(countMax: 2)
        #expect(batch.map(\.report) == [report("one"), report("two")])
        store.removeEarlier(batch[0].name)
        store.leaveEarlier(batch[1].name)
        #expect(store.nextEarlier(countMax: 2).map(\.report) == [report("three")])
        #expect(open().nextEarlier().map(\.report) == [report("two"), report("three")])
        #expect(log.warnings == [])
    }

    @Test("a batch holds about so many bytes, and always one report")
    func batches() throws {
        leave(report("one", output: String(repeating: "x", count: 5000)), report("two"))
        #expect(open().nextEarlier(bytesMax: 1000).map(\.report.line) == ["one"])
    }

    @Test("a report that is answered is gone, whether it was written by then or not")
    func answered() throws {
        let store = open()
        store.add("1", report("one"))
        store.remove("1")
        #expect(!store.hasWork)
        store.add("2", report("two"))
        store.add("2", report("two"))
        writeAll(store)
        store.add("2", report("two"))
        #expect(!store.hasWork)
        #expect(try names.count == 1)
        store.remove("2")
        #expect(try names == [])
    }

    @Test("one is written at a time, a large one in parts, and each is said to be there once it is whole")
    func someAtATime() throws {
        let store = open(bytesMax: 8 << 20)
        let large = report("2", output: String(repeating: "x", count: 1 << 20))
        store.add("1", report("1"))
        store.add("2", large)
        var settled: [String] = []
        var steps = 0
        while store.hasWork {
            if let done = store.step() {
                #expect(done.isStored)
                settled.append(done.token)
            }
            #expect(try names.filter { !$0.hasSuffix(".new") }.count == settled.count)
            steps += 1
        }
        #expect(settled == ["1", "2"])
        #expect(steps > 8)
        #expect(!store.hasWork)
        #expect(open(bytesMax: 8 << 20).nextEarlier().map(\.report) == [report("1"), large])
    }

    @Test("one that is answered while it is written leaves nothing behind")
    func answeredHalfWay() throws {
        let store = open(bytesMax: 8 << 20)
        store.add("1", report("1", output: String(repeating: "x", count: 1 << 20)))
        _ = store.step()
        store.remove("1")
        #expect(!store.hasWork)
        #expect(try names == [])
    }

    @Test("beyond its bounds nothing is written, with one warning; what is answered makes room")
    func bounded() throws {
        let store = open(fileCountMax: 2)
        for index in 1...5 { store.add("\(index)", report("\(index)")) }
        writeAll(store)
        #expect(try names.count == 2)
        #expect(log.warnings.count == 1)
        #expect(log.warnings.first?.contains("is full (2 reports") == true)
        store.remove("1")
        store.add("6", report("6"))
        writeAll(store)
        #expect(try names.count == 2)
        store.add("7", report("7"))
        writeAll(store)
        #expect(log.warnings.count == 2, "it had found room again")
    }

    @Test("the bound on bytes holds, and counts what earlier lives left")
    func boundedBytes() throws {
        leave(report("one", output: String(repeating: "x", count: 5000)))
        let store = open(bytesMax: 6000)
        store.add("1", report("two", output: String(repeating: "y", count: 1000)))
        writeAll(store)
        #expect(try names.count == 1)
        #expect(log.warnings.count == 1)
        for earlier in store.nextEarlier() { store.removeEarlier(earlier.name) }
        store.add("1", report("two", output: String(repeating: "y", count: 1000)))
        writeAll(store)
        #expect(try names.count == 1)
        #expect(open().nextEarlier().map(\.report.line) == ["two"])
    }

    @Test("numbers go on where the last life stopped, so that no file is written over")
    func numbers() throws {
        leave(report("one"))
        let store = open()
        store.add("1", report("two"))
        writeAll(store)
        #expect(open().nextEarlier().map(\.report.line) == ["one", "two"])
    }

    @Test(
        "what is no report is set aside with a warning, and those behind it are delivered",
        arguments: ["", "{", "null", #"{"version":1}"#, #"{"version":2}"#, "\u{0}\u{0}", "[[[[[[[["])
    func damaged(text: String) throws {
        leave(report("one"), report("two"))
        try folder.write("000000000001.report", text)
        #expect(open().nextEarlier().map(\.report.line) == ["two"])
        #expect(try names == ["000000000001.report.damaged", "000000000002.report"])
        #expect(log.warnings.count == 1)
        #expect(log.warnings.first?.contains("holds no report") == true)
        #expect(open().nextEarlier().map(\.report.line) == ["two"])
        #expect(log.warnings.count == 1, "told once")
    }

    @Test("a report cut at any byte is set aside")
    func cut() throws {
        let whole = report("one").stored
        for count in stride(from: 0, to: whole.count, by: 7) {
            try folder.makeReports()
            try FileSystem.replace(folder.reports + "/1.report", with: Array(whole[..<count]), mode: 0o600)
            #expect(open().nextEarlier().isEmpty)
            #expect(try names == ["1.report.damaged"])
        }
    }

    @Test("links, directories and FIFOs in the store are set aside, not followed and not waited for")
    func notFiles() throws {
        leave(report("one"))
        try folder.write("../secret", String(decoding: report("secret").stored, as: UTF8.self))
        #expect(symlink("../secret", folder.reports + "/2.report") == 0)
        #expect(mkdir(folder.reports + "/3.report", 0o700) == 0)
        #expect(mkfifo(folder.reports + "/4.report", 0o600) == 0)
        #expect(open().nextEarlier().map(\.report.line) == ["one"])
        #expect(try names.filter { $0.hasSuffix(".damaged") }.count == 3)
        #expect(log.warnings.count == 3)
    }

    @Test("half a file that a killed life left is removed; what others put there is left alone")
    func leftovers() throws {
        leave(report("one"))
        try folder.write("000000000002.report.new", "{")
        try folder.write("notes", "mine")
        #expect(open().nextEarlier().map(\.report.line) == ["one"])
        #expect(try names == ["000000000001.report", "notes"])
    }

    @Test("a store that is a link is not used: reports stay in memory, with one warning")
    func linkedStore() throws {
        try folder.write("elsewhere", "")
        #expect(symlink("/tmp", folder.reports) == 0)
        let store = open()
        store.add("1", report("one"))
        #expect(store.step()?.isStored == false)
        #expect(store.nextEarlier().isEmpty)
        #expect(log.warnings.count == 1)
        #expect(log.warnings.first?.contains("kept in memory alone") == true)
    }

    @Test("a store that belongs to somebody else is not used", .enabled(if: Host.isRoot))
    func foreignStore() throws {
        try folder.makeReports()
        try folder.write("1.report", String(decoding: report("forged").stored, as: UTF8.self))
        #expect(chown(folder.reports, 65_534, 65_534) == 0)
        #expect(open().nextEarlier().isEmpty)
        #expect(log.warnings.count == 1)
    }

    @Test("the store and what is in it are closed to others")
    func closed() throws {
        leave(report("one"))
        #expect(try FileSystem.status(of: folder.reports).permissions == 0o700)
        #expect(try FileSystem.status(of: folder.reports + "/000000000001.report").permissions == 0o600)
    }
}
