// Which series there are: the table of docs/MONITORING.md, in its order. Names are a promise to boards and alerts once they are out. Those of the
// queue as a whole begin with `distcomp_queue_`: whoever exports them twice shows the same twice, which is never to be added up.

import TaskModel

extension MetricsSnapshot {
    /// The text for a scraper, or for a file of node_exporter.
    public func render(as format: MetricsFormat) -> String {
        var text = MetricsText(format)
        writeQueue(to: &text)
        writeCounters(to: &text)
        writeHistograms(to: &text)
        writeNodes(to: &text)
        writeRedis(to: &text)
        if !jobs.isEmpty { writeJobs(to: &text) }
        if let readSeconds {
            text.family(
                "distcomp_exporter_read_seconds", .gauge, unit: "seconds",
                "How long it took to read all this from Redis. Each exporter has its own.")
            text.sample(readSeconds)
        }
        return text.finished()
    }

    /// The end of the help of each series that is the same whoever tells it.
    private static let once = " Of the queue as a whole: where several tell it, take max, not sum."

    private func writeQueue(to text: inout MetricsText) {
        text.family("distcomp_queue_tasks", .gauge, "Tasks by state." + Self.once)
        for state in MetricsTaskState.allCases { text.sample(tasks[state] ?? 0, ["state": state.rawValue]) }
        // Where something waits and nobody knows since when, nothing is told.
        if let oldest = oldestWaitingSeconds ?? (tasks[.waiting] == 0 ? 0 : nil) {
            text.family(
                "distcomp_queue_oldest_waiting_seconds", .gauge, unit: "seconds",
                "How long ago that task was added which has waited longest of those that could be given out; 0 where none waits."
                    + Self.once)
            text.sample(oldest)
        }
        text.family("distcomp_queue_paused", .gauge, "1 while nothing is given out, by order." + Self.once)
        text.sample(isPaused ? 1 : 0)
        text.family("distcomp_queue_jobs", .gauge, "Jobs that the queue knows." + Self.once)
        text.sample(jobCount)
        text.family("distcomp_queue_jobs_paused", .gauge, "Of these, those that are paused." + Self.once)
        text.sample(jobsPausedCount)
        text.family(
            "distcomp_queue_jobs_halted", .gauge, "Of these, those that too many failures have paused." + Self.once)
        text.sample(jobsHaltedCount)
    }

    private func writeCounters(to text: inout MetricsText) {
        text.family("distcomp_queue_tasks_ended", .counter, "Tasks that ended for good, by cause." + Self.once)
        text.sample(totals.finished, ["state": "finished", "cause": "exit"])
        for cause in MetricsTally.causes {
            text.sample(totals.failed[cause] ?? 0, ["state": "failed", "cause": cause])
        }
        text.family(
            "distcomp_queue_attempts_repeated", .counter,
            "Attempts that ended by this cause and whose task waits for another." + Self.once)
        for cause in MetricsTally.causes { text.sample(totals.repeated[cause] ?? 0, ["cause": cause]) }
        text.family(
            "distcomp_queue_attempts_returned", .counter,
            "Attempts that went back to the queue without a mark, for their node stopped or was short of something."
                + Self.once)
        text.sample(totals.returned)
        text.family(
            "distcomp_queue_launches_failed", .counter,
            "Attempts that could not be started, by the step that failed." + Self.once)
        for (step, count) in totals.launchFailures.sorted(by: { $0.key < $1.key }) {
            text.sample(count, ["step": step])
        }
        text.family(
            "distcomp_queue_leases_lost", .counter,
            "Nodes that were not heard of for a lease, so that others took over what they held." + Self.once)
        text.sample(totals.leasesLost)
        text.family(
            "distcomp_queue_reports_refused", .counter,
            "Reports that were refused, for others had the task by then." + Self.once)
        text.sample(totals.refused)
    }

    private func writeHistograms(to text: inout MetricsText) {
        text.family(
            "distcomp_queue_task_wait_seconds", .histogram, unit: "seconds",
            "From when a task was added until it was given to a node, the first time." + Self.once)
        text.samples(totals.wait)
        text.family(
            "distcomp_queue_task_start_delay_seconds", .histogram, unit: "seconds",
            "From when a task was given to its node until its command ran." + Self.once)
        text.samples(totals.startDelay)
        text.family(
            "distcomp_queue_task_run_seconds", .histogram, unit: "seconds", "How long attempts ran." + Self.once)
        text.samples(totals.run)
        text.family(
            "distcomp_queue_task_memory_asked_bytes", .histogram, unit: "bytes",
            "Memory that attempts had asked for, 0 for none." + Self.once)
        text.samples(totals.memoryAsked)
        text.family(
            "distcomp_queue_task_memory_peak_bytes", .histogram, unit: "bytes",
            "The most memory that attempts had, files that could have been dropped included." + Self.once)
        text.samples(totals.memoryPeak)
    }

    private func writeNodes(to text: inout MetricsText) {
        text.family("distcomp_queue_nodes", .gauge, "Nodes by state." + Self.once)
        for state in MetricsNodeState.allCases { text.sample(nodes.counts[state] ?? 0, ["state": state.rawValue]) }
        text.family(
            "distcomp_queue_capacity_memory_bytes", .gauge, unit: "bytes",
            "Memory that nodes have for tasks." + Self.once)
        text.sample(nodes.capacityMemoryBytes)
        text.family("distcomp_queue_capacity_cores", .gauge, "Cores that nodes have for tasks." + Self.once)
        text.sample(nodes.capacityCores)
        text.family(
            "distcomp_queue_asked_memory_bytes", .gauge, unit: "bytes",
            "Memory that running tasks have asked for." + Self.once)
        text.sample(nodes.askedMemoryBytes)
        text.family("distcomp_queue_asked_cores", .gauge, "Cores that running tasks have asked for." + Self.once)
        text.sample(nodes.askedCores)
        text.family(
            "distcomp_queue_used_memory_bytes", .gauge, unit: "bytes",
            "Memory in use on the machines of the nodes, whoever uses it." + Self.once)
        text.sample(nodes.usedMemoryBytes)
        text.family(
            "distcomp_queue_used_cores", .gauge,
            "Cores in use on the machines of the nodes, whoever uses them." + Self.once)
        text.sample(nodes.usedCores)
    }

    private func writeRedis(to text: inout MetricsText) {
        guard let redis else { return }
        text.family(
            "distcomp_queue_redis_memory_used_bytes", .gauge, unit: "bytes", "Memory that Redis uses." + Self.once)
        text.sample(Double(redis.usedBytes))
        text.family(
            "distcomp_queue_redis_memory_limit_bytes", .gauge, unit: "bytes",
            "Its maxmemory, beyond which nothing can be added; 0: none." + Self.once)
        text.sample(Double(redis.maxBytes))
    }

    private func writeJobs(to text: inout MetricsText) {
        text.family(
            "distcomp_queue_job_tasks", .gauge,
            "Tasks of the jobs of which most waits and runs, by state." + Self.once)
        for job in jobs {
            for state in MetricsTaskState.allCases where state != .delayed {
                text.sample(
                    job.tasks[state] ?? 0, ["job_id": job.identifier, "job_name": job.name, "state": state.rawValue])
            }
        }
    }
}
