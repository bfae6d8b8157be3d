// What one image of the daemon hands to the next, in a file in memory: see ReExec.swift for when. It is written and read within
// a second, by programs that may be of two versions, so it begins with the version of its form.

import LinuxSystem
import NodeSupervisor
import TaskModel

struct ReExecRecord {
    /// What the kernel has of a running task.
    struct Running: Equatable {
        var number: TaskNumber
        var group: String
        var process: Int32
        var standardOutput: Int32
        var standardError: Int32
        var folderPath: String
        /// What it has used of GPUs, see ``DeviceUse/text``; "" for one that has none.
        var deviceUse = ""
    }

    var reExecState: NodeSupervisor.ReExecState
    /// One for each task of the state.
    var running: [Running]
    var incarnation: String
    var lock: Int32
    var statusReading: Int32
    var statusWriting: Int32
    /// The soft limit of descriptors that tasks start with; ours has been raised.
    var taskDescriptorsMax: UInt64
    var doneCount: Int
    var failedCount: Int

    /// The descriptors the next image must find open.
    var descriptors: [Int32] {
        [lock, statusReading, statusWriting] + running.flatMap { [$0.standardOutput, $0.standardError] }
    }

    // MARK: As bytes

    private static let form = "distcompd-handover-5"
    /// How many facts of a task the forms hold: the first knows of no jobs.
    private static let factCounts = [
        "distcompd-handover-1": 12, "distcompd-handover-2": 14, "distcompd-handover-3": 15, "distcompd-handover-4": 16,
        form: 17,
    ]

    /// Netstrings (length, colon, bytes, comma) one after the other: a task line may hold any character.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        func add(_ text: String) {
            bytes += Array("\(text.utf8.count):".utf8)
            bytes += Array(text.utf8)
            bytes.append(UInt8(ascii: ","))
        }
        let facts = [
            Self.form, incarnation, "\(reExecState.leaseUntil?.nanoseconds ?? -1)", "\(reExecState.nextTaskNumber)",
            "\(lock)",
            "\(statusReading)", "\(statusWriting)", "\(taskDescriptorsMax)", "\(doneCount)", "\(failedCount)",
        ]
        for fact in facts { add(fact) }
        for (task, run) in zip(reExecState.tasks, running) {
            let facts = [
                "\(task.number.rawValue)", task.task.line.text, task.task.token, "\(task.task.attempt)",
                "\(task.timeoutSeconds ?? -1)", "\(task.begunAt.nanoseconds)", "\(task.deadline?.nanoseconds ?? -1)",
                run.group, "\(run.process)", "\(run.standardOutput)", "\(run.standardError)", run.folderPath,
                task.task.line.job?.record ?? "", task.task.line.own?.text ?? "", "\(task.warnAt?.nanoseconds ?? -1)",
                task.task.share.text, run.deviceUse,
            ]
            for fact in facts { add(fact) }
        }
        return bytes
    }

    /// nil when these are not the bytes of a record of this form.
    init?(_ bytes: [UInt8]) {
        guard var facts = Self.netstrings(bytes)?[...], let count = facts.popFirst().flatMap({ Self.factCounts[$0] }),
            let incarnation = facts.popFirst(), let leaseUntil = facts.popFirst().flatMap({ Int64($0) }),
            let nextTaskNumber = facts.popFirst().flatMap({ UInt64($0) }),
            let lock = facts.popFirst().flatMap({ Int32($0) }),
            let statusReading = facts.popFirst().flatMap({ Int32($0) }),
            let statusWriting = facts.popFirst().flatMap({ Int32($0) }),
            let taskDescriptorsMax = facts.popFirst().flatMap({ UInt64($0) }),
            let doneCount = facts.popFirst().flatMap({ Int($0) }),
            let failedCount = facts.popFirst().flatMap({ Int($0) })
        else { return nil }
        var (tasks, running) = ([NodeSupervisor.ReExecState.RunningTask](), [Running]())
        while !facts.isEmpty {
            guard facts.count >= count, let (task, run) = Self.task(Array(facts.prefix(count))) else { return nil }
            tasks.append(task)
            running.append(run)
            facts = facts.dropFirst(count)
        }
        reExecState = NodeSupervisor.ReExecState(
            tasks: tasks, nextTaskNumber: nextTaskNumber,
            leaseUntil: leaseUntil < 0 ? nil : Instant(nanoseconds: leaseUntil))
        (self.running, self.incarnation, self.lock) = (running, incarnation, lock)
        (self.statusReading, self.statusWriting) = (statusReading, statusWriting)
        (self.taskDescriptorsMax, self.doneCount, self.failedCount) = (taskDescriptorsMax, doneCount, failedCount)
    }

    init(
        reExecState: NodeSupervisor.ReExecState, running: [Running], incarnation: String, lock: Int32,
        statusPipe: (reading: Int32, writing: Int32), taskDescriptorsMax: UInt64, doneCount: Int, failedCount: Int
    ) {
        (self.reExecState, self.running, self.incarnation, self.lock) = (reExecState, running, incarnation, lock)
        (statusReading, statusWriting) = (statusPipe.reading, statusPipe.writing)
        (self.taskDescriptorsMax, self.doneCount, self.failedCount) = (taskDescriptorsMax, doneCount, failedCount)
    }

    private static func task(_ facts: [String]) -> (NodeSupervisor.ReExecState.RunningTask, Running)? {
        let identifier = Job.identifier(ofLine: facts[1])
        let record = facts.count > 12 ? Array(facts[12].utf8) : []
        let job = identifier.isEmpty ? nil : try? Job(identifier: identifier, record: record)
        guard let number = UInt64(facts[0]),
            var line = try? TaskLine(parsing: facts[1], of: job.map { [identifier: $0] } ?? [:]),
            let attempt = Int(facts[3]), let timeoutSeconds = Double(facts[4]), let begunAt = Int64(facts[5]),
            let deadline = Int64(facts[6]), let process = Int32(facts[8]), let standardOutput = Int32(facts[9]),
            let standardError = Int32(facts[10])
        else { return nil }
        if facts.count > 13, let own = OwnSettings(text: facts[13]) { line = line.taking(own) }
        var claimed = NodeSupervisor.ClaimedTask(line: line, token: facts[2], attempt: attempt)
        if facts.count > 15 {
            guard let share = ResourceShare(text: facts[15]) else { return nil }
            claimed.share = share
        }
        let task = NodeSupervisor.ReExecState.RunningTask(
            number: TaskNumber(number), task: claimed,
            timeoutSeconds: timeoutSeconds < 0 ? nil : timeoutSeconds, begunAt: Instant(nanoseconds: begunAt),
            deadline: deadline < 0 ? nil : Instant(nanoseconds: deadline),
            warnAt: facts.count > 14 ? Int64(facts[14]).flatMap { $0 < 0 ? nil : Instant(nanoseconds: $0) } : nil)
        let run = Running(
            number: TaskNumber(number), group: facts[7], process: process, standardOutput: standardOutput,
            standardError: standardError, folderPath: facts[11], deviceUse: facts.count > 16 ? facts[16] : "")
        return (task, run)
    }

    private static func netstrings(_ bytes: [UInt8]) -> [String]? {
        var texts: [String] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            guard let colon = rest.firstIndex(of: UInt8(ascii: ":")),
                let count = Int(String(decoding: rest[..<colon], as: UTF8.self)), count >= 0,
                rest.index(after: colon) + count < rest.endIndex
            else { return nil }
            let start = rest.index(after: colon)
            texts.append(String(decoding: rest[start..<start + count], as: UTF8.self))
            guard rest[start + count] == UInt8(ascii: ",") else { return nil }
            rest = rest[(start + count + 1)...]
        }
        return texts
    }
}
