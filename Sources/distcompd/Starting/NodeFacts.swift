// What the rest of the daemon needs to know of the node, derived from its identity.

import LinuxSystem
import NodeSupervisor
import TaskModel

extension NodeIdentity {
    /// The value for `worker_status`.
    func statusText() -> String {
        let totalBytes = allowance.memoryBytes
        let availableBytes = (try? MemoryReading.current(in: surroundings))?.availableBytes ?? totalBytes
        let gigabyte = Double(1 << 30)
        return NodeReport(
            unixSeconds: SystemClock.wallSeconds(), usedCores: Host.busyCores,
            totalCores: Double(allowance.millicores) / 1000,
            usedMemoryGB: Double(totalBytes - min(availableBytes, totalBytes)) / gigabyte,
            totalMemoryGB: Double(totalBytes) / gigabyte
        ).text
    }
}

extension NodeSupervisor.Settings {
    init(_ node: NodeIdentity) {
        let configuration = node.configuration
        let total = node.allowance.memoryBytes
        self.init(
            worker: node.name, taskCountMax: configuration.maxTaskPerWorker ?? node.allowance.taskCount,
            memoryBytes: node.memoryBytesForTasks, millicores: node.allowance.millicores,
            pinsProcessors: configuration.cpuLimit == .pin,
            memoryBytesMinToAccept: configuration.minDramAcceptNewTask.bytes(ofTotal: total),
            memoryBytesMinToKeep: configuration.minDramTriggerReturn.bytes(ofTotal: total),
            idlePollSeconds: configuration.sleepBetweenAcceptingTaskSeconds,
            defaultTimeoutSeconds: configuration.defaultTaskTimeoutSeconds,
            sweepSeconds: configuration.taskTimeoutCheckIntervalSeconds,
            heartbeatSeconds: configuration.healthReportIntervalSeconds, leaseSeconds: configuration.leaseSeconds,
            killsWhenCutOff: configuration.whenCutOff == .kill,
            killGraceSeconds: configuration.killGraceSeconds, stopGraceSeconds: configuration.stopGraceSeconds,
            resources: node.resources,
            // A run ends with its tasks, and not before.
            idleExitSeconds: node.servesParent ? 0 : configuration.idleExitSeconds)
    }
}
