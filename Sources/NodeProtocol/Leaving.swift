// The last word. A node whose work is over waits for its last reports to be answered, takes itself out of the queue, and goes. One
// that cannot be answered goes when its time is over; what was not answered is on the disk then, for its next life.

import NodeSupervisor
import TaskModel
import TaskQueue

extension NodeProtocol {
    enum Departure: Equatable, Sendable {
        case none
        /// Reports are to be answered until then.
        case waiting(until: Instant)
        /// The queue is to hear that we leave, until then.
        case saying(until: Instant)
        /// Time is over: what was not answered goes to the disk.
        case storing
        case left

        var deadline: Instant? {
            switch self {
            case .none, .storing, .left: nil
            case .waiting(let until), .saying(let until): until
            }
        }

        /// How long the queue may take over the last request.
        static let lastWordSeconds = 2.0
    }

    mutating func leaveAnywayIfDue(at now: Instant) {
        switch departure {
        case .waiting(let until) where until <= now: departure = .storing
        case .saying(let until) where until <= now: departure = .storing
        case .none, .waiting, .saying, .storing, .left: break  // Not yet, or waiting for no time.
        }
    }

    mutating func leaveIfDone(at now: Instant, into actions: inout [Action]) {
        switch departure {
        case .none, .saying, .left: break
        case .waiting:
            guard reports.unansweredCount == 0, outstanding.isEmpty || connection.phase != .open else { break }
            guard connection.phase == .open, registering.hasIncarnation else {
                // Nobody is there to be told. A lease that nothing is held under ends by itself.
                departure = .left
                return actions.append(.left)
            }
            departure = .saying(until: now.advanced(bySeconds: Departure.lastWordSeconds))
            let request = LeaveQueue(keys: keys, incarnation: incarnation).request
            send(request, for: .leave, into: &actions)
        case .storing:
            storeReports(all: true, into: &actions)
            guard reports.areAllStored else { break }
            if reports.unansweredCount > 0 { actions.append(.log(.leftWithout(reportCount: reports.unansweredCount))) }
            departure = .left
            actions.append(.left)
        }
    }
}
