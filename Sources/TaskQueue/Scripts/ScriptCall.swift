// How the operations of this room call their scripts: one declared key, by which Redis knows where the queue is, then the prefix
// from which the script makes the other names.

import RedisClient
import TaskModel

extension RedisScriptCall {
    init(_ script: RedisScript, _ keys: QueueKeys) {
        self.init(script, keys: [keys.todo], arguments: [keys.prefix])
    }

    init(_ script: RedisScript, _ keys: QueueKeys, _ incarnation: Incarnation) {
        self.init(script, keys: [keys.todo], arguments: [keys.prefix, incarnation.text])
    }

    /// The line, and what the index needs to know of it.
    mutating func append(_ line: TaskLine) {
        append(line.text)
        append(line.memoryBytes)
        append(line.millicores)
        append(line.priority)
    }
}

/// Every script, for a connection to load when it is made.
public enum QueueScripts {
    public static let forNodes: [RedisScript] = [
        ScriptsClaim.claim, ScriptsReport.report, ScriptsLease.register, ScriptsLease.heartbeat, ScriptsLease.leave,
        ScriptsLease.held, ScriptsOrders.takeCancellations, ScriptsCare.adopt, ScriptsCare.reject,
    ]
    public static let forCommandLine: [RedisScript] = [
        ScriptsSubmit.submit, ScriptsSubmit.retry, ScriptsReading.counts, ScriptsReading.nodes, ScriptsOrders.cancel,
        ScriptsOrders.requeue, ScriptsOrders.forget, ScriptsOrders.pause, ScriptsOrders.drain,
    ]
    public static let all = forNodes + forCommandLine
}
