// Where an actor does work that waits: for Redis, for a node. The threads that Swift runs tasks on are as many as there are processors, and
// none of them may stand still.

import Dispatch

/// Runs the jobs of one actor, one after the other, on threads of its own.
public final class WorkQueue: SerialExecutor {
    private let queue: DispatchQueue

    /// - Parameter label: what a debugger shows.
    public init(label: String) { queue = DispatchQueue(label: label) }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedSerialExecutor()) }
    }
}
