// Results that leave Redis. Every node asks beside its heartbeat; the queue lets one of them do it, a small step a request, and tells the
// others to come again later. So it goes on whichever node ends, and costs no more with many.

import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

extension NodeProtocol {
    struct Retaining: Sendable {
        private enum State: Sendable {
            /// With the next heartbeat.
            case idle
            case asked
            case resting(until: Instant)
        }

        private var state = State.idle
        /// After a refusal: a user of Redis who may not do it hears so once a minute, not with every heartbeat.
        static let refusedSeconds = 60.0

        var deadline: Instant? { if case .resting(let until) = state { until } else { nil } }

        /// Whether the next step is to be asked for now; it is taken for asked then.
        mutating func isDue(at now: Instant) -> Bool {
            switch state {
            case .asked: return false
            case .resting(let until) where now < until: return false
            case .idle, .resting:
                state = .asked
                return true
            }
        }

        mutating func answered(pauseSeconds: Double, at now: Instant) {
            state = .resting(until: now.advanced(bySeconds: pauseSeconds))
        }

        mutating func refused(at now: Instant) { answered(pauseSeconds: Self.refusedSeconds, at: now) }

        /// What was asked has no answer any more.
        mutating func disconnected() { state = .idle }
    }

    mutating func goOnRetaining(at now: Instant, into actions: inout [Action]) {
        guard facts.retention.isOn, connection.phase == .open, registering.hasSucceeded, departure == .none else {
            return retaining.disconnected()
        }
        guard retaining.isDue(at: now) else { return }
        send(
            RetainResults(facts.retention, keys: keys, incarnation: incarnation).request, for: .retention,
            into: &actions)
    }

    mutating func retained(_ reply: RetainResults.Reply, at now: Instant, into actions: inout [Action]) {
        retaining.answered(pauseSeconds: Double(reply.pauseMilliseconds) / 1000, at: now)
        if reply.isPassOver, reply.outputsLeft + reply.jobsLeft > 0 {
            actions.append(.log(.resultsLeft(outputCount: reply.outputsLeft, jobCount: reply.jobsLeft)))
        }
    }
}
