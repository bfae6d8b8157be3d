// The jobs, and one of them.

import LinuxSystem
import TaskModel
import WebServer

struct JobsPage {
    let jobs: [ListedJob]

    private static let shownMax = 500

    var content: HTML {
        guard !jobs.isEmpty else { return "<p>There are no jobs.</p>\n" }
        // The newest stand first: they are what is looked for.
        let shown = Array(jobs.reversed().prefix(Self.shownMax))
        let rest = jobs.count - shown.count
        return Self.table(shown) + (rest > 0 ? "<p>\(grouped(rest)) older ones: <code>distcomp jobs</code></p>\n" : "")
    }

    static func table(_ jobs: [ListedJob]) -> HTML {
        let head = [
            ("Job", false), ("State", false), ("Waiting", true), ("Running", true), ("Finished", true),
            ("Failed", true), ("Owner", false), ("Command", false),
        ]
        let rows: [[HTML]] = jobs.map { job in
            [
                Piece.link(Piece.address(ofJob: job.identifier), job.name), Piece.state(job.state),
                "\(grouped(job.todo))", "\(grouped(job.inProgress))", "\(grouped(job.finished))", failed(job),
                "\(job.job?.settings.owner ?? "")", Piece.command(job.job?.settings.command ?? "", max: 80),
            ]
        }
        return Piece.table("Jobs", head, rows)
    }

    private static func failed(_ job: ListedJob) -> HTML {
        guard job.failed > 0 else { return "0" }
        return Piece.link(PageAddress.to("/tasks", [("state", "failed"), ("job", job.name)]), grouped(job.failed))
    }
}

/// What is known of a job, for its page.
struct JobView: Sendable {
    let job: ListedJob
    let sentences: [String]
    /// Of its results, from a sample.
    let failures: FailureGroups
    let timeline: JobTimeline
    /// What those that have ended took, by the shape of their commands.
    let summary: Handed<ResultSummary>
}

struct JobPage {
    let view: JobView
    let settings: PageSettings

    private static let shapesMax = 12

    var content: HTML {
        let job = view.job
        let states: [(String, Int)] = [
            ("todo", job.todo), ("running", job.inProgress), ("finished", job.finished), ("failed", job.failed),
        ]
        let counts = states.map { word, count in
            (
                word,
                Piece.link(
                    PageAddress.to("/tasks", [("state", word), ("job", job.name)]), grouped(count))
            )
        }
        let why = view.sentences.html { "<p>\($0)</p>\n" }
        return Piece.facts([("state", Piece.state(job.state))] + counts) + why + orders + view.timeline.drawing
            + failures + took
            + "<section><h2>All that is known of it</h2>\n"
            + Piece.facts(job.facts.map { ($0.0, "\($0.1)") }) + "</section>\n"
    }

    private var orders: HTML {
        guard settings.allowsOrders, view.job.job != nil else { return HTML() }
        let job = view.job
        let order =
            job.isPaused || job.isHalted
            ? Piece.order("/api/resume", [("job", job.identifier)], "Resume it")
            : Piece.order("/api/pause", [("job", job.identifier)], "Pause it")
        return "<p>\(order)</p>\n"
    }

    /// What its tasks took, and what they could have asked for.
    private var took: HTML {
        let groups = view.summary.value.groups.filter { $0.wallSeconds.count > 0 }.prefix(Self.shapesMax)
        guard !groups.isEmpty else { return HTML() }
        let rows: [[HTML]] = groups.map { group in
            let peak = group.memoryPeakBytes
            let most = memoryText(peak.maximum)
            let memory: HTML =
                peak.count == 0
                ? "-"
                : group.memoryCapBytes.map { cap in
                    Piece.share(peak.maximum, of: Double(cap), "\(most) of \(AmountText.memory(cap))")
                } ?? "\(most), no cap"
            return [
                Piece.command(group.text), "\(grouped(group.taskCount))",
                "\(group.wallSeconds.percentile(0.5).map { AmountText.roundedSeconds($0) } ?? "-")",
                "\(group.wallSeconds.percentile(0.95).map { AmountText.roundedSeconds($0) } ?? "-")",
                "\(AmountText.roundedSeconds(group.wallSeconds.maximum))", memory, "\(group.memoryToAskFor ?? "-")",
            ]
        }
        let head = [
            ("Command", false), ("Tasks", true), ("Half within", true), ("19 of 20", true), ("Longest", true),
            ("Most memory", false), ("Ask for", false),
        ]
        let left: HTML = view.timeline.isSampled ? "<p>From a sample of those that have ended.</p>\n" : ""
        return "<section><h2>What they took</h2>\n" + left + Piece.table("What its tasks took", head, rows)
            + "</section>\n"
    }

    private var failures: HTML {
        guard !view.failures.groups.isEmpty else { return HTML() }
        return "<section><h2>What failed</h2>\n"
            + FailureTable(failures: view.failures, settings: settings, isOfOneJob: true).content + "</section>\n"
    }
}

/// Failures by cause and command, each with a way to all of them and, where orders are taken, to try them again.
struct FailureTable {
    let failures: FailureGroups
    let settings: PageSettings
    var isOfOneJob = false

    private static let groupsMax = 12

    var content: HTML {
        let rows: [[HTML]] = failures.groups.prefix(Self.groupsMax).map { group in
            let count = failures.isSampled ? "\(grouped(group.count)) of a sample" : grouped(group.count)
            let list = PageAddress.to("/tasks", [("state", "failed"), ("cause", group.cause), ("job", group.jobName)])
            let example = TerminalText.shortened(group.explanation, to: 120)
            return [Piece.link(list, count), "\(group.cause)", Piece.command(group.shape.text)]
                + (isOfOneJob ? [] : [Piece.link(Piece.address(ofJob: group.job), group.jobName)])
                + [Piece.link(Piece.address(ofTask: group.example), example)]
                + (settings.allowsOrders ? [retry(group)] : [])
        }
        let head =
            [("Tasks", true), ("Cause", false), ("Command", false)] + (isOfOneJob ? [] : [("Job", false)])
            + [("For example", false)] + (settings.allowsOrders ? [("Order", false)] : [])
        return Piece.table("Failed tasks by cause and command", head, rows)
    }

    private func retry(_ group: FailureGroup) -> HTML {
        Piece.order(
            "/api/retry", [("job", group.job), ("cause", group.cause), ("like", group.example)],
            failures.isSampled ? "Retry these" : "Retry these \(grouped(group.count))")
    }
}

/// When the tasks of a job ran, by node: a sample of those that have ended.
struct JobTimeline: Sendable {
    /// A task that ran, from when to when, in seconds since 1970.
    struct Bar: Sendable {
        let line: String
        let node: String
        let start: Double
        let end: Double
        let failed: Bool
    }

    var bars: [Bar] = []
    /// Whether more have ended than are shown.
    var isSampled = false

    private static let barsMax = 400
    private static let nodesMax = 30

    /// Takes in a task that has ended, as long as there is room.
    mutating func add(_ result: TaskResult) {
        guard let start = result.startUnixSeconds, let end = result.outcome?.finishedAtUnixSeconds, start.isFinite,
            end.isFinite, !result.node.isEmpty
        else { return }
        guard bars.count < Self.barsMax else {
            isSampled = true
            return
        }
        bars.append(Bar(line: result.line, node: result.node, start: start, end: end, failed: !result.succeeded))
    }

    /// Tasks that ran at the same time on one node stand below each other, in so many lanes; more of them share the last.
    private static let lanesMax = 8
    private static let laneHeight = 7

    var drawing: HTML {
        guard let first = bars.map(\.start).min(), let last = bars.map(\.end).max(), last > first else { return HTML() }
        func place(_ time: Double) -> Int { Int(min(1000, max(0, ((time - first) / (last - first) * 1000).rounded()))) }
        let nodes = Dictionary(grouping: bars, by: \.node).sorted { $0.key < $1.key }.prefix(Self.nodesMax)
        let rows = nodes.html { name, bars in
            var endOfLanes: [Double] = []
            let shapes = bars.sorted { $0.start < $1.start }.html { bar in
                var lane = endOfLanes.firstIndex { $0 <= bar.start } ?? endOfLanes.count
                if lane == endOfLanes.count, lane < Self.lanesMax { endOfLanes.append(bar.end) }
                lane = min(lane, Self.lanesMax - 1)
                endOfLanes[lane] = max(endOfLanes[lane], bar.end)
                let left = place(bar.start)
                let words = TerminalText.shortened(TaskLine.command(ofLine: bar.line), to: 100)
                return """
                    <a href="\(Piece.address(ofTask: bar.line))" tabindex="-1">\
                    <rect class="\(bar.failed ? "failed" : "finished")" x="\(left)" y="\(lane * Self.laneHeight + 1)" \
                    width="\(max(2, place(bar.end) - left))" height="\(Self.laneHeight - 1)">\
                    <title>\(words), \(AmountText.roundedSeconds(bar.end - bar.start))</title></rect></a>

                    """
            }
            let height = max(2, endOfLanes.count) * Self.laneHeight
            return """
                <li>\(Piece.link(Piece.address(ofNode: name), name))
                <svg viewBox="0 0 1000 \(height)" height="\(height)" preserveAspectRatio="none" role="img" aria-label="When tasks ran on \(name)">
                \(shapes)</svg></li>

                """
        }
        let left: HTML = isSampled ? ", a sample of \(grouped(bars.count)) of its tasks" : ""
        return """
            <section><h2>When its tasks ran</h2>
            <p>From \(Piece.time(first)) to \(Piece.time(last))\(left).</p>
            <ol class="timeline">
            \(rows)</ol></section>

            """
    }
}

extension QueueClient {
    /// What the page of a job shows.
    func view(ofJob identifier: String, _ fleet: Fleet) throws(CommandError) -> JobView {
        guard let listed = try listedJobs().first(where: { $0.identifier == identifier }) else {
            throw .noSuchTask("there is no such job, or not any more")
        }
        selection = .one(identifier)
        defer { selection = .all }
        let sentences = try listed.job.map { job throws(CommandError) in try diagnosis(of: job, fleet).sentences } ?? []
        var timeline = JobTimeline()
        var summary = ResultSummary()
        var count = 0
        try forEachResult { result in
            count += 1
            guard count <= FailureGroups.failuresMax else {
                timeline.isSampled = true
                return false
            }
            summary.add(result)
            timeline.add(result)
            return true
        }
        return JobView(
            job: listed, sentences: sentences, failures: try failureGroups(), timeline: timeline,
            summary: Handed(value: summary))
    }
}
