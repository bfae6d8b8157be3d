// What a node has may change while it runs: `systemctl set-property`, another CPU set, a container that is resized. It is looked at
// with each heartbeat.

import LinuxSystem
import Logging
import NodeSupervisor
import TaskModel

extension Daemon {
    /// Takes what this node has now: for its offers, and for the cap on all tasks together.
    func lookAround() -> [Event] {
        runner.groups?.lookAtLimits(atNanoseconds: SystemClock.bootNanoseconds())
        let hasChanged: Bool
        do throws(SystemError) {
            hasChanged = try node.lookAround()
        } catch {
            log.warning("what this node has cannot be told: \(error); it goes on with what it had")
            return []
        }
        if hasChanged { log.notice("this node has \(node.allowance.text) now") }
        if hasChanged || !capsAreSet { setCaps() }
        guard hasChanged else { return [] }
        queue.take(node)
        runner.settings = TaskSettings(node)
        return [.settingsChanged(NodeSupervisor.Settings(node))]
    }

    private func setCaps() {
        do throws(SystemError) {
            try runner.groups?.setMemoryMax(node.memoryBytesForTasks)
            try runner.groups?.setProcessorTimeMax(millicores: node.allowance.processorLimit?.millicores)
            capsAreSet = true
        } catch {
            // v1 refuses a cap below what is in use.
            log.warning("\(error): all tasks together keep the cap they had; trying again with the next heartbeat")
            capsAreSet = false
        }
    }
}
