// What one image of the daemon tells the next, which may be of another version.

import NodeSupervisor
import TaskModel
import Testing

@testable import distcompd

@Suite("The record from one image to the next")
struct ReExecRecordTests {
    /// - Parameter share: what the first of them has of the node's resources.
    private func record(
        _ lines: [TaskLine], _ share: ResourceShare = ResourceShare(), deviceUse: String = ""
    ) -> ReExecRecord {
        let tasks = lines.enumerated().map { index, line in
            var task = NodeSupervisor.ClaimedTask(line: line, token: "\(index)", attempt: 2)
            if index == 0 { task.share = share }
            return NodeSupervisor.ReExecState.RunningTask(
                number: TaskNumber(UInt64(index + 1)), task: task, timeoutSeconds: 5, begunAt: Instant(nanoseconds: 7),
                deadline: Instant(nanoseconds: 9))
        }
        let running = lines.indices.map { index in
            ReExecRecord.Running(
                number: TaskNumber(UInt64(index + 1)), group: "a.\(index).b", process: Int32(100 + index),
                standardOutput: 5, standardError: 6, folderPath: "/r/\(index)",
                deviceUse: index == 0 ? deviceUse : "")
        }
        return ReExecRecord(
            reExecState: .init(tasks: tasks, nextTaskNumber: 10, leaseUntil: Instant(nanoseconds: 11)),
            running: running,
            incarnation: "a/m/1", lock: 3, statusPipe: (reading: 4, writing: 8), taskDescriptorsMax: 1024,
            doneCount: 12,
            failedCount: 13)
    }

    private func expectSame(_ record: ReExecRecord, _ other: ReExecRecord?) {
        #expect(other?.reExecState == record.reExecState && other?.running == record.running)
        #expect(other?.incarnation == record.incarnation && other?.descriptors == record.descriptors)
    }

    @Test("tasks of jobs are handed on with what their jobs say, and tasks of none as they were")
    func roundTrip() throws {
        var settings = Job.Settings()
        (settings.memoryBytes, settings.timeout) = (1 << 30, .seconds(9))
        let job = Job(identifier: "k2x", name: "sim", settings: settings, definition: Job.Definition())
        let more = OwnSettings(memoryBytes: 4 << 30, millicores: 0, timeout: .none)
        let share = try #require(ResourceShare(text: "gpu=2000=GPU-0a,GPU-1b licence=500"))
        let lines = [
            try TaskLine(command: "{ a\nb; }", of: job), try TaskLine(parsing: "shell:1:2:0:echo :,"),
            try TaskLine(command: "c", of: job).taking(more),
        ]
        let record = record(lines, share, deviceUse: "processes 5 0.5 1")
        let read = ReExecRecord(record.bytes)
        expectSame(record, read)
        #expect(read?.reExecState.tasks.first?.task.line.job == job)
        #expect(read?.reExecState.tasks.map(\.task.line.own) == [nil, nil, more])
        #expect(read?.reExecState.tasks.map(\.task.line.memoryBytes) == [1 << 30, 2 << 30, 4 << 30])
    }

    @Test(
        "the record of an earlier version is understood: its tasks go on",
        arguments: [("1", "0:,0:,2:-1,0:,0:,"), ("2", "2:-1,0:,0:,"), ("3", "0:,0:,"), ("4", "0:,")])
    func earlier(form: String, without lastFacts: String) throws {
        let record = record([try TaskLine(parsing: "shell:1:2:0:sleep 60")])
        // The first had no record of a job and no settings beside that, and neither had a word before the timeout; the third had no devices, and the
        // fourth said nothing of their use: the last facts of a task.
        let bytes = record.bytes.dropLast(lastFacts.utf8.count)
        let old = String(decoding: bytes, as: UTF8.self).replacing("handover-5", with: "handover-\(form)")
        expectSame(record, ReExecRecord(Array(old.utf8)))
        let unknown = old.replacing("handover-\(form)", with: "handover-9")
        #expect(ReExecRecord(Array(bytes)) == nil && ReExecRecord(Array(unknown.utf8)) == nil)
    }
}
