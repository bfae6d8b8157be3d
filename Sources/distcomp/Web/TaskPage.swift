// One task: how it stands, why, what it took, and what it wrote.

import LinuxSystem
import TaskModel
import WebServer

/// What is known of a task, for its page.
struct TaskView: Sendable {
    let details: Handed<TaskDetails>
    let diagnosis: Diagnosis
}

extension QueueClient {
    /// - Throws: where the queue does not know the line.
    func view(of line: String, _ fleet: Fleet) throws(CommandError) -> TaskView {
        let details = try details(of: line)
        guard details.state != nil else {
            throw .noSuchTask("the queue does not know this task, or not any more")
        }
        let diagnosis = Diagnosis(
            details.task, details.standing, result: details.result, awaited: details.awaited, fleet)
        return TaskView(details: Handed(value: details), diagnosis: diagnosis)
    }
}

struct TaskDetailPage {
    let view: TaskView
    let settings: PageSettings

    private var details: TaskDetails { view.details.value }

    var content: HTML {
        """
        <p class="why">\(Piece.state(details.state?.label ?? "gone")) \(view.diagnosis.sentence)</p>
        <pre class="command">\(details.task?.command ?? TaskLine.command(ofLine: details.line))</pre>
        \(orders)\(facts)\(outputs)
        """
    }

    private var orders: HTML {
        guard settings.allowsOrders else { return HTML() }
        switch details.state {
        case .failed:
            return "<p>\(Piece.order("/api/retry", [("line", details.line)], "Try it again"))</p>\n"
        case .todo, .inProgress:
            return "<p>\(Piece.order("/api/cancel", [("line", details.line)], "Cancel it"))</p>\n"
        case .finished, nil: return HTML()
        }
    }

    private var facts: HTML {
        var facts: [(String, HTML)] = [("id", "<code>\(TaskLine.identifier(of: details.line))</code>")]
        if let task = details.task {
            if let name = task.surroundings?.name { facts.append(("name", "\(name)")) }
            facts.append(
                ("job", Piece.link(Piece.address(ofJob: task.job?.identifier ?? ""), task.job?.name ?? Job.defaultName))
            )
            facts.append(("asks for", "\(details.request(task))"))
        }
        if let worker = details.standing.worker {
            facts.append(("runs on", Piece.link(Piece.address(ofNode: worker), worker)))
        }
        if let count = details.standing.aheadCount { facts.append(("before it", "\(grouped(count))")) }
        if !details.standing.failedOn.isEmpty {
            facts.append(("failed on", "\(details.standing.failedOn.joined(separator: ", "))"))
        }
        if let result = details.result, let outcome = result.outcome {
            facts.append(("attempt", "\(outcome.attempt)"))
            if !result.node.isEmpty {
                facts.append(("node", Piece.link(Piece.address(ofNode: result.node), result.node)))
            }
            facts.append(("began", Piece.time(result.startUnixSeconds)))
            facts.append(("ended", Piece.time(outcome.finishedAtUnixSeconds)))
            facts.append(("took", "\(AmountText.roundedSeconds(outcome.usage.wallSeconds))"))
            if let seconds = outcome.usage.cpuSeconds {
                facts.append(("processor time", "\(AmountText.roundedSeconds(seconds))"))
            }
            if let peak = outcome.usage.memoryPeakBytes {
                facts.append(("memory", memory(peak, of: outcome.memoryCapBytes)))
            }
            if let text = outcome.usage.gpuText { facts.append(("GPU", "\(text)")) }
        }
        facts.append(("line", "<code class=\"line\">\(TerminalText.shortened(details.line, to: 2000))</code>"))
        return Piece.facts(facts)
    }

    private func memory(_ peak: UInt64, of cap: UInt64?) -> HTML {
        guard let cap, cap > 0 else { return "\(AmountText.memory(peak)) at most" }
        return Piece.share(Double(peak), of: Double(cap), "\(AmountText.memory(peak)) of \(AmountText.memory(cap))")
    }

    /// What it wrote is fetched by the browser when the page is there: its node may take a while to answer.
    private var outputs: HTML {
        let end = details.result?.outcome?.stderrTail ?? ""
        let tail: HTML = end.isEmpty ? HTML() : "<pre class=\"output\">\(end)</pre>\n"
        let hint: HTML =
            "<p><code>distcomp logs \(TaskLine.identifier(of: details.line).prefix(8).description)</code> prints it on a terminal.</p>\n"
        guard details.line.utf8.count <= 4000, details.attemptCount > 0 || details.standing.worker != nil else {
            return tail.source.isEmpty ? HTML() : "<section><h2>The end of standard error</h2>\n\(tail)</section>\n"
        }
        func address(_ stream: String) -> String {
            PageAddress.to("/output", [("line", details.line), ("stream", stream)])
        }
        return """
            <section><h2>Standard error</h2>
            <div data-output="\(address("stderr"))">\(tail)</div><p>\(Piece.link(address("stderr"), "All of it"))</p></section>
            <section><h2>Standard output</h2>
            <div data-output="\(address("stdout"))"></div><p>\(Piece.link(address("stdout"), "All of it"))</p></section>
            \(hint)
            """
    }
}
