import LinuxSystem
import Testing

@testable import distcomp

@Suite("what a run says of itself")
struct RunRecordTests {
    private func withDirectory(_ body: (GuardedDirectory) throws -> Void) throws {
        let path = try FileSystem.makeTemporaryDirectory("/tmp/distcomp-test-")
        defer { try? FileSystem.removeTree(path) }
        try body(try GuardedDirectory(path: path))
    }

    @Test("it is read back as it was noted; what is none is read as none")
    func record() throws {
        try withDirectory { files in
            #expect(RunRecord(in: files) == nil)
            var record = RunRecord()
            record.job = "abc"
            record.write(in: files)
            #expect(RunRecord(in: files)?.exitStatus == nil && RunRecord(in: files)?.identifier == record.identifier)
            (record.exitStatus, record.summary, record.summaryJSON, record.message) = (3, "a\nb", "{\"x\":1}", "no")
            record.write(in: files)
            #expect(RunRecord(in: files) == record)
            try files.replace("run.json", with: Array("[]".utf8), mode: 0o644)
            #expect(RunRecord(in: files) == nil)
        }
    }

    @Test("an order to stop is for the run that was meant, and is taken once")
    func stop() throws {
        try withDirectory { files in
            let (record, other) = (RunRecord(), RunRecord())
            #expect(!record.takeStopOrder(in: files))
            try record.orderStop(in: files)
            #expect(record.takeStopOrder(in: files) && !record.takeStopOrder(in: files))
            try record.orderStop(in: files)
            #expect(!other.takeStopOrder(in: files) && !record.takeStopOrder(in: files))
        }
    }
}
