// What an earlier job needed, and what no node has.

import TaskModel
import TaskQueue

extension QueueClient {
    /// What tasks like those of an earlier job are to ask for.
    func memoryBytes(likeJob name: String) throws(CommandError) -> UInt64 {
        guard let job = try job(named: name) else { throw try noSuchJob(name) }
        var peaks = MemoryPeaks()
        _ = try scanEach(\.outcomes, in: [keys.of(job: job.identifier)]) { _, entries in
            for entry in entries {
                guard let outcome = parseOutcome(entry.value), outcome.succeeded else { continue }
                peaks.add(outcome.usage.memoryNeededBytes ?? outcome.usage.memoryPeakBytes ?? 0)
            }
            return true
        }
        if let bytes = peaks.bytesToAskFor { return bytes }
        throw .usage(
            "--memory-like \(TerminalText.escaped(name)): what \(MemoryPeaks.countMin) of its tasks needed has to be known; it is of "
                + "\(peaks.count). Say --memory auto, or auto:2G, to begin without")
    }

    /// What to say of a job whose tasks are for nodes of which none is alive; nil for nothing.
    func noteOfLabels(_ job: Job) throws(CommandError) -> String? {
        guard let labels = job.settings.nodeLabels else { return nil }
        let alive = try fleet(countingTasks: false).alive
        guard !alive.isEmpty, !alive.contains(where: { $0.isMeant(by: job) }) else { return nil }
        return "\(job.name): no live node is such as it is for (--where '\(labels.text)'): it waits for one"
    }

    /// What to say of a job whose tasks may come to ask for more than any node that is alive has; nil for nothing.
    func noteOfMemory(_ job: Job) throws(CommandError) -> String? {
        let wanted = max(job.settings.memoryBytes, job.settings.memoryMaxBytes)
        guard wanted > 0,
            let largest = try fleet(countingTasks: false).alive.filter({ $0.isMeant(by: job) }).max(by: {
                $0.memoryBytesTotal < $1.memoryBytesTotal
            }), largest.memoryBytesTotal < wanted
        else { return nil }
        let asked =
            job.settings.memoryBytes > largest.memoryBytesTotal ? "its tasks ask for" : "its tasks may come to ask for"
        return
            "\(job.name): \(asked) \(AmountText.memory(wanted)), and no live node has that (the largest, \(largest.name), has "
            + "\(AmountText.memory(largest.memoryBytesTotal))): what needs more waits for a larger one"
    }
}
