// The first page: what waits, what runs, what failed and why, and which nodes do it.

import LinuxSystem
import TaskModel
import WebServer

struct OverviewPage {
    let look: QueueLook
    let settings: PageSettings

    private static let jobsMax = 10
    private static let troublesMax = 10

    var content: HTML { tiles + notes + failures + Charts(slots: look.slots).content + jobs + nodes }

    // MARK: Counts

    private var tiles: HTML {
        let counts = look.overview.counts
        let waiting = counts.todo
        var details = look.oldestWaitingSeconds.map { ["the oldest for \(duration($0))"] } ?? []
        if counts.dependent > 0 { details.append("\(grouped(counts.dependent)) for others") }
        if counts.delayed > 0 { details.append("\(grouped(counts.delayed)) for another try") }
        if counts.timed > 0 { details.append("\(grouped(counts.timed)) for their time") }
        let rate = look.overview.ratePerSecond.map {
            $0 < 10 ? oneDecimal($0) : grouped(Int(exactly: $0.rounded()) ?? 0)
        }
        let tiles: [(String, String, String, String?)] = [
            ("Waiting", grouped(waiting), details.joined(separator: ", "), "todo"),
            ("Running", grouped(counts.inProgress), "", "running"),
            ("Finished", grouped(counts.finished), "", "finished"),
            ("Failed", grouped(counts.failed), "", "failed"),
            ("Rate", rate.map { "\($0)/s" } ?? "-", "", nil),
            ("All over in about", look.overview.etaSeconds.map { duration($0) } ?? "-", "", nil),
        ]
        return "<ul class=\"tiles\">\n"
            + tiles.html { name, number, detail, state in
                let inner: HTML =
                    "<span class=\"name\">\(name)</span> <span class=\"count\">\(number)</span> <span class=\"detail\">\(detail)</span>"
                guard let state else { return "<li>\(inner)</li>\n" }
                return "<li><a href=\"\(PageAddress.to("/tasks", [("state", state)]))\">\(inner)</a></li>\n"
            } + "</ul>\n"
    }

    private var notes: HTML {
        let overview = look.overview
        var notes: [HTML] = []
        if overview.fleet.isPaused { notes.append("The queue is paused: nothing is given out until it is resumed.") }
        if overview.counts.closeRequested { notes.append("Nodes were told to stop: they finish what they run.") }
        if overview.counts.todo > 0, overview.fleet.alive.isEmpty { notes.append("Tasks wait and no node is alive.") }
        if overview.tooLargeCount > 0 {
            notes.append("\(grouped(overview.tooLargeCount)) waiting tasks ask for what no living node has.")
        }
        for node in overview.fleet.inTrouble.prefix(Self.troublesMax) {
            notes.append(
                "\(Piece.link(Piece.address(ofNode: node.name), node.name)) is in trouble: \(node.trouble ?? "")")
        }
        let rest = overview.fleet.inTrouble.count - Self.troublesMax
        if rest > 0 { notes.append("\(grouped(rest)) more nodes are in trouble.") }
        return notes.isEmpty ? HTML() : "<ul class=\"notes\">\n\(notes.html { "<li>\($0)</li>\n" })</ul>\n"
    }

    // MARK: Failures

    private var failures: HTML {
        guard !look.failures.groups.isEmpty else { return HTML() }
        return "<section><h2>What failed</h2>\n" + FailureTable(failures: look.failures, settings: settings).content
            + "</section>\n"
    }

    // MARK: Jobs and nodes

    private var jobs: HTML {
        guard !look.jobs.isEmpty else {
            return "<p>There are no tasks. <code>distcomp submit FILE</code> adds some.</p>\n"
        }
        // Those that go on come first, and of these the newest.
        let newest = Array(look.jobs.reversed())
        let shown = newest.filter(\.isGoingOn) + newest.filter { !$0.isGoingOn }
        let more: HTML =
            shown.count > Self.jobsMax ? "<p>\(Piece.link("/jobs", "All \(grouped(shown.count)) jobs"))</p>\n" : ""
        return "<section><h2>Jobs</h2>\n" + JobsPage.table(Array(shown.prefix(Self.jobsMax))) + more + "</section>\n"
    }

    private var nodes: HTML {
        let fleet = look.overview.fleet
        let alive = fleet.alive
        let cores = alive.reduce(0.0) { $0 + Double($1.millicoresTotal) / 1000 }
        let used = alive.reduce(0.0) { $0 + ($1.report?.usedCores ?? 0) }
        let memory = alive.reduce(0.0) { $0 + Double($1.memoryBytesTotal) }
        let usedMemory = alive.reduce(0.0) { $0 + ($1.report?.usedMemoryGB ?? 0) * 1_073_741_824 }
        let facts: [(String, HTML)] = [
            ("alive", "\(grouped(alive.count))"),
            ("not heard of", "\(grouped(fleet.nodes.count - alive.count))"),
            ("drained", "\(grouped(alive.count(where: \.isDrained)))"),
            ("kept for large tasks", "\(grouped(fleet.reserved.count))"),
            ("cores used", Piece.share(used, of: cores, "\(oneDecimal(used)) of \(oneDecimal(cores))")),
            (
                "memory used",
                Piece.share(
                    usedMemory, of: memory,
                    "\(memoryText(usedMemory)) of \(memoryText(memory))")
            ),
        ]
        return "<section><h2>\(Piece.link("/nodes", "Nodes"))</h2>\n" + Piece.facts(facts)
            + "</section>\n"
    }
}

extension ListedJob {
    /// Whether something of it waits or runs.
    var isGoingOn: Bool { todo + inProgress > 0 }
}
