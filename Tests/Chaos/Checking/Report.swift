// The counts of a run, as a table for people or one object for programs.

import LinuxSystem
import TaskModel

struct Report {
    let tasks: TaskSet
    let nodeCount: Int
    let seconds: Double
    let journal: Journal
    let proxy: ProxyCounts
    let logs: NodeLogs
    let submissions: Int
    let findings: Findings

    /// Name for programs, words for people, and the count.
    private var rows: [(name: String, words: String, count: Int)] {
        [
            ("tasks", "tasks", tasks.count),
            ("nodes", "nodes", nodeCount),
            ("submit_calls", "calls of distcomp submit", submissions),
            ("node_kills", "nodes killed (kill -9)", journal.count(.killed)),
            ("node_kills_beyond_lease", "  and away for longer than a lease", journal.countBeyondLease(.killed)),
            ("node_freezes", "nodes frozen (SIGSTOP)", journal.count(.frozen)),
            ("node_freezes_beyond_lease", "  for longer than a lease", journal.countBeyondLease(.frozen)),
            ("node_leaves", "nodes restarted (SIGTERM)", journal.count(.left)),
        ]
            + DiskTrouble.allCases.map {
                ("disk_\($0.word)", $0.text, journal.countDisk($0))
            } + [
                ("redis_kills", "Redis killed (kill -9) and restarted", journal.countRedis(.killed)),
                ("redis_freezes", "Redis frozen (SIGSTOP)", journal.countRedis(.frozen)),
                ("redis_freezes_beyond_lease", "  for longer than a lease", journal.countRedisBeyondLease(.frozen)),
                ("clock_steps_forward", "Redis's clock stepped forward", journal.clockSteps.count { $0.bySeconds > 0 }),
                ("clock_steps_back", "Redis's clock stepped back", journal.clockSteps.count { $0.bySeconds < 0 }),
                ("connections", "connections through the proxy", proxy.connections),
                ("cuts", "  cut", proxy.cuts),
                ("cuts_inside_reply", "    inside a reply", proxy.cutsInsideReply),
                ("dropped_replies", "    with the reply dropped", proxy.droppedReplies),
                ("silences", "    after silence, all replies dropped", proxy.silences),
                ("lost_requests", "    with the request lost", proxy.lostRequests),
                ("late_requests", "    and the request delivered later", proxy.lateRequests),
                ("refused_connections", "  refused, Redis being dead", proxy.refusedConnections),
                ("delays", "chunks delayed", proxy.delays),
                ("splits", "replies split", proxy.splits),
                ("leases_lost", "leases nodes found lost", logs.leasesLost),
                ("restores", "nodes that took up what had been taken from them", logs.restores),
                ("troubles", "nodes that could start no task, and said so", logs.troubles),
                ("finished", "finished", findings.finished),
                ("failed_as_meant", "failed, as they were meant to", findings.failedAsMeant),
                ("failed_for_lost_nodes", "failed, three nodes lost with them", findings.failedForLostNodes),
                ("failed_for_full_disk", "tries failed as their output met a full disk", findings.failedForFullDisk),
                ("executions", "executions", findings.executions),
                ("repeated", "repeated executions", findings.repeated.total),
            ] + rows(of: findings.repeated, "repeated")
            + [("overlapping", "overlapping executions", findings.overlapping.total)]
            + rows(of: findings.overlapping, "overlapping")
            + [
                ("stale_reports", "reports refused as stale", logs.staleReports),
                ("duplicate_reports", "reports answered as duplicates", logs.duplicateReports),
                ("lost", "lost", findings.lost),
                ("finished_twice", "finished twice", findings.finishedTwice),
                ("failed_unmeant", "failed though they should not", findings.failedUnmeant),
                ("charged_for_node", "tries charged for a node's trouble", findings.chargedForNode),
                ("charged_twice", "tries charged more often than executed", findings.chargedTwice),
                ("taken_from_living_node", "taken from a living node", findings.repeated.unfounded),
                ("wrong_results", "results no execution wrote", findings.wrongResults),
                ("strange_traces", "traces that make no sense", findings.strangeTraces),
                ("queues_believed_lost", "nodes that believed the queue gone", findings.queuesBelievedLost),
                ("stalls", "times without an ending, with work to do", findings.stalls),
                ("crashes", "nodes that ended by themselves", findings.crashes),
                ("leftovers", "processes and control groups left", findings.leftovers),
            ]
    }

    private func rows(of reasons: Reasons, _ name: String) -> [(name: String, words: String, count: Int)] {
        Reason.allCases.compactMap { reason in
            reasons.counts[reason].map { ("\(name)_\(reason.word)", "  \(reason.text)", $0) }
        }
    }

    var table: String {
        var lines = rows.map { row in
            let words = row.words.padded(to: 50)
            return "\(words) \(String(repeating: " ", count: max(0, 8 - "\(row.count)".count)))\(row.count)"
        }
        lines.append("duration \(Int(seconds.rounded())) s, seed \(tasks.seed)")
        return lines.joined(separator: "\n") + "\n"
    }

    var json: String {
        var writer = JSONObjectWriter()
        for row in rows { writer.field(row.name, row.count) }
        writer.field("seconds", seconds)
        writer.field("seed", tasks.seed)
        writer.field("sound", findings.isSound)
        return writer.text + "\n"
    }

    /// What is wrong, in words; empty when nothing is.
    var complaints: [String] {
        findings.examples + findings.repeated.examples + findings.overlapping.examples
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }
}
