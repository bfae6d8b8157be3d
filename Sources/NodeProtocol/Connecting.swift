// From a connection that stands to one that is used. Three things come first, in this order: whether the server is fit to hold a
// queue, and whether it is the one we knew; what earlier lives of this node could not deliver; and, where the server is another
// process than before, whether it still knows what we run. A server that was restarted or took over from another may have lost
// the last seconds, or everything.

import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

extension NodeProtocol {
    struct Connection: Sendable {
        enum Phase: Sendable {
            case none
            /// INFO is awaited.
            case inspecting
            /// Reports of earlier lives go first: registering would put back what they had finished.
            case deliveringEarlier
            /// What we hold is compared with what the server remembers.
            case restoring
            /// The supervisor knows of it.
            case open
        }

        var phase = Phase.none
        var since = Instant(nanoseconds: 0)
        /// Our end of the present connection, `-` while it is not known.
        var localAddress = "-"
        /// Names the server's process: after a restart or a failover it is another.
        var serverRun: String?
        /// Whether the queue has been told of it, by a lease: where the server lost a moment, no token is given again from then on.
        var serverIsTold = false
        /// Names the queue, so that one that was emptied is not taken for the one we knew.
        var queue: QueueIdentity?
        var earlierReportsAreDelivered = false
        /// How many reports of earlier lives are under way.
        var earlierReportCount = 0
    }

    mutating func connected(_ localAddress: String, at now: Instant, into actions: inout [Action]) {
        guard connection.phase == .none else { return }  // Told twice.
        connection.phase = .inspecting
        connection.since = now
        knownJobs = KnownJobs()  // It may be another queue.
        connection.localAddress = localAddress.isEmpty || localAddress.contains(" ") ? "-" : localAddress
        let request = RedisRequest.command(RedisCommand("INFO", "server", "memory"))
        send(request, for: .inspection, into: &actions)
    }

    /// Requests under way have no answer any more. Tasks go on.
    mutating func disconnected(into actions: inout [Action]) {
        guard connection.phase != .none else { return }  // Told twice.
        let wasOpen = connection.phase == .open
        connection.phase = .none
        connection.earlierReportCount = 0
        outstanding.removeAll()
        restoration = nil
        registering.isUnderWay = false
        registering.isWanted = false  // The supervisor asks again once there is a connection.
        reports.disconnected()
        retaining.disconnected()
        outputs.forget()  // Who wants to see them asks again.
        if wasOpen { actions.append(.tell(.disconnected)) }
    }

    /// The reply to INFO: the policy that decides whether tasks are safe there, and which process it is.
    mutating func inspected(_ value: RESPValue, into actions: inout [Action]) {
        let lines = (value.string ?? "").split(whereSeparator: \.isNewline)
        func field(_ name: String) -> String? {
            lines.first { $0.hasPrefix(name + ":") }.map { String($0.dropFirst(name.utf8.count + 1)) }
        }
        if let policy = field("maxmemory_policy"), policy != "noeviction" {
            let reason = "it may throw tasks away (maxmemory-policy \(policy)): set it to noeviction"
            return actions.append(.giveUp(reason))
        }
        // One that does not say which process it is may be another each time.
        let run = field("run_id")
        let isSame = run != nil && run == connection.serverRun
        connection.serverRun = run
        if !isSame { connection.serverIsTold = false }
        registering.mustRestore = registering.mustRestore || !isSame
        connection.phase = .deliveringEarlier
        deliverEarlierReports(into: &actions)
    }

    // MARK: - Earlier lives

    private mutating func deliverEarlierReports(into actions: inout [Action]) {
        if connection.earlierReportsAreDelivered { return compareWithServer(into: &actions) }
        actions.append(.readEarlierReports)
    }

    /// Sends some of the reports that earlier lives left, in their name; none: there are no more.
    mutating func deliver(_ earlier: [EarlierReport], into actions: inout [Action]) {
        guard connection.phase == .deliveringEarlier, connection.earlierReportCount == 0 else { return }
        if earlier.isEmpty {
            connection.earlierReportsAreDelivered = true
            return compareWithServer(into: &actions)
        }
        connection.earlierReportCount = earlier.count
        for one in earlier {
            send(one.report.request, for: .earlierReport(one), into: &actions)
        }
    }

    /// - Parameter reply: nil when the queue could not answer. This life goes on without.
    mutating func earlierReport(
        _ earlier: EarlierReport, answered reply: ReportTask.Reply?, into actions: inout [Action]
    ) {
        switch reply {
        case .accepted?, .duplicate?:
            actions.append(.releaseEarlierReport(name: earlier.name))
            actions.append(.log(.earlierReport(line: earlier.report.line, reply ?? .duplicate)))
        case .stale?:
            // Others have it, or the queue has forgotten it. Once this life is registered it asks which.
            if !reports.adopt(earlier) { lose(earlier, into: &actions) }
        case nil: actions.append(.leaveEarlierReport(name: earlier.name))
        }
        guard connection.phase == .deliveringEarlier else { return }
        connection.earlierReportCount = max(0, connection.earlierReportCount - 1)
        if connection.earlierReportCount == 0 { deliverEarlierReports(into: &actions) }
    }

    // MARK: - The same server?

    private mutating func compareWithServer(into actions: inout [Action]) {
        guard registering.hasIncarnation, registering.mustRestore, !reports.isEmpty || registering.keepsEarlier else {
            registering.mustRestore = false
            return open(into: &actions)
        }
        connection.phase = .restoring
        restore(into: &actions)
    }

    /// From here on the supervisor asks for what it wants.
    mutating func open(into actions: inout [Action]) {
        guard connection.phase != .none, connection.phase != .open else { return }
        connection.phase = .open
        actions.append(.tell(.connected))
    }
}
