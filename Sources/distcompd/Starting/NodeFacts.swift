// What the rest of the daemon needs to know of the node, derived from its identity.

import LinuxSystem
import NodeSupervisor
import TaskModel

extension NodeIdentity {
    /// The value for `worker_status`.
    func statusText() -> String {
        let reading = (try? MemoryReading.current()) ?? memory
        let gigabyte = Double(1 << 30)
        return NodeReport(
            unixSeconds: SystemClock.wallSeconds(), usedCores: Host.busyCores, totalCores: Double(coreCount),
            usedMemoryGB: Double(reading.totalBytes - min(reading.availableBytes, reading.totalBytes)) / gigabyte,
            totalMemoryGB: Double(reading.totalBytes) / gigabyte
        ).text
    }
}

extension NodeSupervisor.Settings {
    init(_ node: NodeIdentity) {
        let configuration = node.configuration
        let total = node.memory.totalBytes
        self.init(
            worker: node.name, taskCountMax: configuration.maxTaskPerWorker ?? node.coreCount,
            memoryBytes: node.memoryBytesForTasks, millicores: node.coreCount * 1000,
            memoryBytesMinToAccept: configuration.minDramAcceptNewTask.bytes(ofTotal: total),
            memoryBytesMinToKeep: configuration.minDramTriggerReturn.bytes(ofTotal: total),
            idlePollSeconds: configuration.sleepBetweenAcceptingTaskSeconds,
            defaultTimeoutSeconds: configuration.defaultTaskTimeoutSeconds,
            sweepSeconds: configuration.taskTimeoutCheckIntervalSeconds,
            heartbeatSeconds: configuration.healthReportIntervalSeconds, leaseSeconds: configuration.leaseSeconds,
            killsWhenCutOff: configuration.whenCutOff == .kill,
            killGraceSeconds: configuration.killGraceSeconds, stopGraceSeconds: configuration.stopGraceSeconds)
    }
}
