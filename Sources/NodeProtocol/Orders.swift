// What others want of this node beside running tasks: to stop some, to take nothing new, and to look through lines that an old
// manager added without an index.

import NodeSupervisor
import RedisClient
import TaskModel
import TaskQueue

extension NodeProtocol {
    struct Orders: Sendable {
        var isDrained = false
    }

    mutating func heard(_ payload: [UInt8], at now: Instant, into actions: inout [Action]) {
        guard connection.phase == .open else { return }
        if OutputRequest.isOne(payload) {
            askedForOutput(payload, at: now, into: &actions)
        } else if payload.elementsEqual("cancel".utf8) {
            askForCancellations(into: &actions)
        } else if payload.starts(with: Self.drainWord.utf8) {
            // The answer to a heartbeat says whether that is so.
            if payload.dropFirst(Self.drainWord.utf8.count).elementsEqual(facts.name.utf8), registering.hasIncarnation {
                heartbeat(at: now, into: &actions)
            }
        } else {
            actions.append(.tell(.wake))
        }
    }

    private static let drainWord = "drain "

    mutating func askForCancellations(thenClaim: Bool = false, into actions: inout [Action]) {
        let request = TakeCancellations(keys: keys, incarnation: incarnation).request
        send(request, for: .cancellations(thenClaim: thenClaim), into: &actions)
    }

    mutating func note(isDrained: Bool, into actions: inout [Action]) {
        if isDrained != orders.isDrained { actions.append(.log(isDrained ? .drained(facts.name) : .resumed)) }
        if isDrained, !orders.isDrained { actions.append(.tell(.drained)) }
        orders.isDrained = isDrained
    }

    // MARK: - Lines without an index

    mutating func sweepPage(from cursor: String, into actions: inout [Action]) {
        send(ScanHash(keys.todo, cursor: cursor).request, for: .sweepPage, into: &actions)
    }

    /// Has the lines of a page added, and asks for the next.
    mutating func adopt(_ page: ScanHash.Page, into actions: inout [Action]) {
        let (requests, rejected) = TodoSweep.requests(for: page, keys: keys)
        for line in rejected { actions.append(.log(.noTaskLine(line.field, reason: line.reason))) }
        for request in requests { send(request, for: .nothing, into: &actions) }
        if page.cursor == "0" {
            actions.append(.tell(.wake))
        } else {
            sweepPage(from: page.cursor, into: &actions)
        }
    }
}
