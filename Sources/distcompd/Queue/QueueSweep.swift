// Lines that an old manager put into todo are not in our index. When a claim notices, one node at a time looks through todo, page by
// page between its other requests, and has them added.

import NodeSupervisor
import TaskQueue

extension QueueLink {
    /// Asks for the right to.
    func beginSweep() { _ = send(TodoSweep.begin(keys: keys, incarnation: incarnation), for: .sweep) }

    func sweep(from cursor: String) -> [Event] {
        send(ScanHash(keys.todo, cursor: cursor).request, for: .sweepPage)
    }

    /// Has the lines of a page added, and asks for the next.
    func adopt(_ page: ScanHash.Page) -> [Event] {
        let (requests, rejected) = TodoSweep.requests(for: page, keys: keys)
        for reason in rejected { log.warning("a line in todo is no task: \(reason)") }
        for request in requests { _ = send(request, for: .nothing) }
        return page.cursor == "0" ? [.wake] : sweep(from: page.cursor)
    }
}
