// Why a task is where it is, in one sentence, with what to do about it. Pure: what is known goes in, the sentence comes out.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp why TASK`: why a task, or a job as a whole, is where it is.
struct WhyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "why",
        abstract: "Say in a sentence why a task waits, runs or failed, and what to do about it.",
        discussion: """
            Of a job: how its tasks stand, what one of those that wait waits for, and of each cause by which some failed an example and what \
            to do about it.

            Examples:
              distcomp why 4f2a
              distcomp why cachesim
              distcomp why '*cachesim lru*'
            """)

    @OptionGroup var connection: ConnectionOptions

    @Argument(
        help: .init(
            "A job's name, or the task's line, the first digits of its id (four or more), its name, or a glob such as '*lru*'.",
            valueName: "task"))
    var tasks: [String]

    @Flag(help: "Print one JSON object a task or job.")
    var json = false

    func run() throws {
        try connection.withQueue { queue in
            let fleet = try queue.fleet()
            for task in tasks {
                if let job = try queue.job(named: task) {
                    queue.selection = .one(job.identifier)
                    try print(try queue.diagnosis(of: job, fleet), of: job)
                    queue.selection = .all
                    continue
                }
                try queue.forEachLine(named: task) { line throws(CommandError) in
                    let details = try queue.details(of: line)
                    let diagnosis = Diagnosis(
                        details.task, details.standing, result: details.result, awaited: details.awaited, fleet)
                    try print(diagnosis, of: line)
                    return true
                }
            }
        }
    }

    private func print(_ diagnosis: JobDiagnosis, of job: Job) throws(CommandError) {
        guard json else {
            return try show(diagnosis.sentences.map { TerminalText.escaped($0) + "\n" }.joined())
        }
        var writer = JSONObjectWriter()
        writer.field("job", job.name)
        writer.field("because", diagnosis.because)
        writer.field("explanation", diagnosis.sentences.joined(separator: " "))
        try show(ResultFormat.shown(writer.text) + "\n")
    }

    private func print(_ diagnosis: Diagnosis, of line: String) throws(CommandError) {
        let identifier = TaskLine.identifier(of: line)
        guard json else {
            return try show("\(identifier.prefix(8))  \(TerminalText.escaped(diagnosis.sentence))\n")
        }
        var writer = JSONObjectWriter()
        writer.field("task", line)
        writer.field("id", identifier)
        writer.field("because", diagnosis.because)
        writer.field("explanation", diagnosis.sentence)
        try show(ResultFormat.shown(writer.text) + "\n")
    }
}

/// The answer of `distcomp why`.
struct Diagnosis: Equatable {
    /// A word for scripts.
    let because: String
    let sentence: String

    /// - Parameters:
    ///   - line: nil for a line that is no task.
    ///   - result: how it ended, where it has.
    ///   - awaited: what it waits for besides its turn.
    init(
        _ line: TaskLine?, _ standing: TaskStanding, result: TaskResult?, awaited: AwaitedText? = nil, _ fleet: Fleet
    ) {
        if standing.worker == nil, standing.isWaiting, let awaited {
            because = awaited.isOnlyEarly ? "not-before" : "dependency"
            sentence = (awaited.isBroken ? "It is about to fail: it " : "It ") + awaited.text + "."
        } else {
            (because, sentence) = Self.explain(line, standing, result, fleet)
        }
    }

    private typealias Answer = (String, String)

    private static func explain(
        _ line: TaskLine?, _ standing: TaskStanding, _ result: TaskResult?, _ fleet: Fleet
    ) -> Answer {
        if let name = standing.worker {
            let (because, sentence) = running(on: name, standing, fleet)
            return (because, sentence + earlier(line?.identifier, standing.attempts))
        }
        if standing.isWaiting { return waiting(line, standing, result, fleet) }
        guard let result else { return ("unknown", "The queue does not know it.") }
        let (because, sentence) = ended(result, standing)
        let attempt = result.succeeded ? 1 : result.outcome?.attempt ?? 1
        return (because, sentence + earlier(TaskLine.identifier(of: result.line), attempt - 1))
    }

    /// Where to see what the attempt before wrote.
    private static func earlier(_ identifier: String?, _ attempt: Int) -> String {
        guard attempt > 0, let identifier else { return "" }
        return " `distcomp logs --attempt \(attempt) \(identifier.prefix(8))` shows what it wrote before."
    }

    // MARK: Ended

    private static func ended(_ result: TaskResult, _ standing: TaskStanding) -> Answer {
        let time = result.outcome?.finishedAtUnixSeconds.map { " at \(LocalTime(unixSeconds: Int64($0)).text)" } ?? ""
        if result.succeeded {
            let wall = result.outcome.map { " after \(AmountText.roundedSeconds($0.usage.wallSeconds))" } ?? ""
            return ("finished", "It has finished on \(result.node)\(time)\(wall).")
        }
        let nodes = standing.failedOn.isEmpty ? "" : " on " + list(unique(standing.failedOn))
        return ("failed", "It has failed for good\(nodes)\(time): \(sentence(result.explanation)) \(remedy(result))")
    }

    private static func remedy(_ result: TaskResult) -> String {
        switch result.outcome?.cause {
        case .oom where result.outcome?.usage.oom?.otherLimit != nil:
            "That limit has to be larger, or all that is below it has to need less together."
        case .oom where result.taskOfJob.map { $0.memoryMaxBytes > 0 } ?? false:
            "It had all that it may come to have: `distcomp retry \(identifier(result)) --memory AMOUNT` tries it again with more."
        case .oom where result.taskOfJob != nil:
            "`distcomp retry \(identifier(result)) --memory AMOUNT` tries it again with more."
        case .oom: "Its line has to ask for more memory, or it has to need less."
        case .timeout where result.taskOfJob != nil:
            "`distcomp retry \(identifier(result)) --timeout TIME` tries it again with more."
        case .timeout: "Its line has to give it more time, or it has to take less."
        case .launch: "What it runs has to be there; then submit it again."
        case .memoryPressure: "Submit it again when nodes have more memory free, or let its line ask for what it needs."
        case .dependency: "It waits again as soon as that is tried again (distcomp retry)."
        case .nodeLost: "Look at what it does to its node before you submit it again."
        case .exit where result.outcome?.requeueCount ?? 0 >= RequeueCodes.countMax && result.taskOfJob != nil:
            "`distcomp retry \(identifier(result))` lets it go back as often again; `--requeue-exit-codes none` of its job makes it fail at once."
        case .exit, .signal, .cancelled, nil: "Submitted again, it is tried anew."
        }
    }

    private static func rule(of line: TaskLine) -> String {
        guard let halt = line.job?.settings.halt, !halt.isEmpty else { return "" }
        return " (--halt \(halt))"
    }

    private static func identifier(_ result: TaskResult) -> Substring {
        TaskLine.identifier(of: result.line).prefix(8)
    }

    // MARK: Running

    private static func running(on name: String, _ standing: TaskStanding, _ fleet: Fleet) -> Answer {
        guard let node = fleet.nodes.first(where: { $0.name == name }),
            node.isAlive(nowUnixSeconds: fleet.nowUnixSeconds)
        else {
            let heard = fleet.nodes.first { $0.name == name }?.heardSecondsAgo(nowUnixSeconds: fleet.nowUnixSeconds)
            let since = heard.map { " for \(duration($0))" } ?? ""
            let remedy =
                fleet.alive.isEmpty
                ? "it goes back to todo when a node is alive, or by distcomp cleanup"
                : "another node puts it back to todo; distcomp cleanup does it at once"
            return ("node-lost", "It ran on \(name), which has not been heard of\(since): \(remedy).")
        }
        let attempt = standing.attempts > 0 ? ", for the \(ordinal(standing.attempts + 1)) time" : ""
        let second =
            standing.copyingWorker.map {
                " It takes far longer than most of its job did, so \($0) runs a second copy of it: the first to finish counts."
            } ?? ""
        return ("running", "It runs on \(name)\(attempt).\(second)")
    }

    // MARK: Waiting

    private static func waiting(
        _ line: TaskLine?, _ standing: TaskStanding, _ result: TaskResult?, _ fleet: Fleet
    ) -> Answer {
        guard let line else {
            return ("not-a-task", "It is no task: the next node that looks at it makes it fail with its mistakes.")
        }
        if fleet.isClosing {
            return (
                "closing",
                "WORKER_COMMAND_CLOSE is set, so no node takes a task: distcomp stop-workers --undo removes it."
            )
        }
        if fleet.isPaused { return ("paused", "The queue is paused: distcomp resume lets it go on.") }
        if standing.isJobPaused {
            let name = line.job?.name ?? Job.defaultName
            if standing.isJobHalted {
                return (
                    "job-halted",
                    "So many tasks of the job \(name) have failed that it was halted\(Self.rule(of: line)): distcomp resume \(name) lets it go on."
                )
            }
            return ("job-paused", "The job \(name) is paused: distcomp resume \(name) lets it go on.")
        }
        if let due = standing.dueMilliseconds, due > standing.serverMilliseconds {
            let seconds = Double(due - standing.serverMilliseconds) / 1000
            let time = LocalTime(unixSeconds: Int64(due / 1000)).clockText
            if let requeued = requeued(standing, result), standing.failedOn.isEmpty {
                return (
                    "requeued",
                    "It waits until \(time) (in \(duration(seconds))): it \(requeued), and one that asks soon is begun again later each time."
                )
            }
            return (
                "retry",
                "It waits for its retry until \(time) (in \(duration(seconds)))"
                    + (history(line, standing, result).map { ": it \($0)" } ?? "") + "."
            )
        }
        let alive = fleet.alive
        guard !alive.isEmpty else { return noNode(fleet) }
        let meant = alive.filter { $0.isMeant(by: line.job) }
        guard !meant.isEmpty else { return noSuchLabels(line, alive) }
        let fitting = meant.filter { $0.isLargeEnough(memoryBytes: line.memoryBytes, millicores: line.millicores) }
        guard !fitting.isEmpty else { return tooLarge(line, meant) }
        let equipped = fitting.filter { $0.resources.canHold(line.resources) }
        guard !equipped.isEmpty else { return noSuchResources(line, fitting) }
        let taking = equipped.filter { !$0.isDrained }
        guard !taking.isEmpty else { return drained(equipped) }
        let healthy = taking.filter { $0.trouble == nil }
        guard !healthy.isEmpty else { return inTrouble(taking) }
        // A node where it failed takes it again only when no other node could.
        let fresh = healthy.filter { !standing.failedOn.contains($0.name) }
        return competing(line, standing, result, candidates: fresh.isEmpty ? healthy : fresh, fleet)
    }

    private static func noNode(_ fleet: Fleet) -> Answer {
        if let state = fleet.stateOfRun {
            return (
                "no-run",
                "No run goes on here: `distcomp run\(BackgroundRun.option(ofState: state))` goes on with what waits."
            )
        }
        let last = fleet.nodes.compactMap { node in
            node.heardSecondsAgo(nowUnixSeconds: fleet.nowUnixSeconds).map { (node.name, $0) }
        }.min { $0.1 < $1.1 }
        let heard = last.map { " (\($0.0) was last heard of \(duration($0.1)) ago)" } ?? ""
        return (
            "no-node",
            "No node is alive\(heard): start distcompd on one; distcomp doctor tells whether a machine can be one."
        )
    }

    private static func noSuchLabels(_ line: TaskLine, _ alive: [FleetNode]) -> Answer {
        let labels = Set(alive.flatMap(\.labels)).sorted()
        let known = labels.isEmpty ? "no live node has labels" : "the labels there are: \(list(labels))"
        let job = line.job?.name ?? ""
        return (
            "no-such-node",
            "No live node is such as it is for (--where '\(line.job?.settings.nodeLabels?.text ?? "")'); \(known). A node's labels "
                + "stand in its conf.json; distcomp set \(job) --where says other ones, or any."
        )
    }

    private static func tooLarge(_ line: TaskLine, _ alive: [FleetNode]) -> Answer {
        let largest = alive.max {
            ($0.memoryBytesTotal, $0.millicoresTotal) < ($1.memoryBytesTotal, $1.millicoresTotal)
        }
        let has =
            largest.map { "; the largest, \($0.name), has \(sizeText($0.memoryBytesTotal, $0.millicoresTotal))" } ?? ""
        let kind = line.job?.settings.nodeLabels.map { " of --where '\($0.text)'" } ?? ""
        return (
            "too-large",
            "No live node\(kind) is large enough: it asks for \(sizeText(line.memoryBytes, line.millicores))\(has). "
                + "Submit it with less, or start a larger node." + (growth(line).map { " It \($0)." } ?? "")
        )
    }

    private static func noSuchResources(_ line: TaskLine, _ nodes: [FleetNode]) -> Answer {
        let request = line.resources
        return (
            "no-such-resource",
            "It asks for \(request.words), and no live node that could take it has that: \(nodes.mostOf(request)). A node's resources "
                + "stand in its conf.json; distcomp set \(line.job?.name ?? "") --resources says other ones."
        )
    }

    /// Of nodes that have what it asks for: all of that is in use, or what is left is of no use to it. Nil where one has enough left.
    private static func waitsForResources(_ line: TaskLine, _ candidates: [FleetNode]) -> String? {
        guard !line.resources.isEmpty, !candidates.contains(where: { $0.hasLeft(line.resources) }) else { return nil }
        let inParts = candidates.filter { $0.left(of: line.resources) == .inParts }
        let names = list((inParts.isEmpty ? candidates : inParts).map { "\($0.name) (\($0.resourcesText))" })
        return
            "It waits for a free \(line.resources.sorted.map(\.name).joined(separator: ", ")): it asks for \(line.resources.words), "
            + "and what \(inParts.isEmpty ? "has that is in use" : "is left of that is in parts of several devices"): \(names)"
    }

    private static func drained(_ nodes: [FleetNode]) -> Answer {
        let names = nodes.prefix(3).map(\.name).joined(separator: " ")
        let which = nodes.count == 1 ? "the only node" : "all \(nodes.count) nodes"
        return (
            "drained",
            "It waits because \(which) large enough for it take\(nodes.count == 1 ? "s" : "") nothing new: "
                + "distcomp resume \(names) lets \(nodes.count == 1 ? "it" : "them") take tasks again."
        )
    }

    private static func inTrouble(_ nodes: [FleetNode]) -> Answer {
        let which =
            nodes.count == 1 ? "the only node that could take it is" : "all \(nodes.count) nodes that could take it are"
        let troubles = nodes.prefix(3).map { "\($0.name): \($0.trouble ?? "")" }.joined(separator: "; ")
        let rest = nodes.count > 3 ? " (and \(nodes.count - 3) more: distcomp workers)" : ""
        return (
            "trouble",
            "It waits because \(which) in trouble: \(troubles)\(rest). "
                + "A node takes tasks again by itself as soon as that is over."
        )
    }

    /// Who has the next task before its owner, and how many of this one come then; nil: nobody.
    private static func othersFirst(_ standing: TaskStanding) -> String? {
        guard let owners = standing.owners, let own = owners.owner, case let before = owners.before(own),
            let next = before.first
        else { return nil }
        func described(_ owner: ReadOwners.Owner) -> String {
            "\(owner.shownName) (\(oneDecimal(owners.part(of: owner) * 100)) %, share \(owner.shareText))"
        }
        let more = before.count > 1 ? ", and \(grouped(before.count - 1)) more owners are before it" : ""
        let ahead = standing.aheadCount.map { $0 == 0 ? "" : " Of its own owner \(tasks($0)) before it." } ?? ""
        return "the next is another owner's: by their shares less of the fleet runs for \(described(next)) than for "
            + "\(described(own))\(more) (distcomp shares).\(ahead)"
    }

    /// Some node could run it, but other tasks compete for the same nodes.
    private static func competing(
        _ line: TaskLine, _ standing: TaskStanding, _ result: TaskResult?, candidates: [FleetNode], _ fleet: Fleet
    ) -> Answer {
        let history = history(line, standing, result).map { " It \($0)." } ?? ""
        let ahead = standing.aheadCount.map { $0 == 0 ? "no task is before it" : "\(tasks($0)) before it" }
        if let node = candidates.first(where: { $0.reservation?.isFor(line) ?? false }) {
            return reserved(line, node, standing, fleet, history)
        }
        if let resources = waitsForResources(line, candidates) {
            return ("resources", resources + (ahead.map { "; \($0)" } ?? "") + ".\(history)")
        }
        let roomy = candidates.filter { node in
            node.hasLeft(line.resources)
                && line.memoryBytes <= node.memoryBytesTotal - min(node.memoryBytesTotal, node.memoryBytesAsked)
                && line.millicores <= node.millicoresTotal - min(node.millicoresTotal, node.millicoresAsked)
                && node.runningCount * 1000 < max(1000, node.millicoresTotal)
        }
        let free = roomy.filter { $0.reservation == nil }
        if let node = roomy.first, free.isEmpty { return kept(line, node, fleet, history) }
        if free.isEmpty {
            let names = candidates.count == 1 ? candidates[0].name : "all \(candidates.count) nodes it could run on"
            let running = candidates.reduce(0) { $0 + $1.runningCount }
            let busy =
                "It waits for its turn: \(names) \(candidates.count == 1 ? "is" : "are") busy with \(tasks(running))"
            if let others = othersFirst(standing) { return ("owner", "\(busy), and \(others)\(history)") }
            return ("busy", busy + (ahead.map { ", and \($0)" } ?? "") + ".\(history)")
        }
        if let short = free.first(where: { $0.isShortOfMemory(for: line) }),
            free.allSatisfy({ $0.isShortOfMemory(for: line) })
        {
            let left = AmountText.memory(short.memoryBytesAvailable ?? 0)
            return (
                "memory-short",
                "Memory is short: \(short.name) has only \(left) left, by what its running tasks did not ask for: other programs, "
                    + "or files in memory (/dev/shm, a tmpfs), tasks' own among them. Free some there, or wait for another "
                    + "node.\(history)"
            )
        }
        if standing.aheadCount == nil {
            return ("not-indexed", "Something else put it into todo; nodes notice it within some seconds.\(history)")
        }
        if let others = othersFirst(standing) {
            return ("owner", "It waits for its turn: \(free[0].name) has room, and \(others)\(history)")
        }
        return ("ready", "Nothing hinders it: \(free[0].name) has room, and \(ahead ?? "its turn is near").\(history)")
    }

    /// A node is reserved for it, or for the first of those like it.
    private static func reserved(
        _ line: TaskLine, _ node: FleetNode, _ standing: TaskStanding, _ fleet: Fleet, _ history: String
    ) -> Answer {
        let ahead = standing.aheadCount ?? 0
        let whom = ahead == 0 ? "it" : "the first of its job and size (\(tasks(ahead)) before this one)"
        var when = ", and has room when enough of what runs there has ended, of which some has no timeout"
        if let reservation = node.reservation, let left = reservation.latestMilliseconds,
            let time = reservation.time(fleet.nowUnixSeconds)
        {
            let seconds = duration(Double(left) / 1000)
            when = ", and has room by \(time) at the latest (in \(seconds)), by the timeouts of what runs there"
        }
        return (
            "reserved",
            "It waits for its turn: \(node.name) is reserved for \(whom)\(when). Others pass only if they must have ended by then, or fit beside it.\(history)"
        )
    }

    /// There is room, for another that has waited for longer.
    private static func kept(_ line: TaskLine, _ node: FleetNode, _ fleet: Fleet, _ history: String) -> Answer {
        let reservation = node.reservation
        let time = reservation?.time(fleet.nowUnixSeconds)
        let way =
            time == nil
            ? "It passes where it fits beside that one."
            : "It passes where it fits beside that one, or with a timeout that is over before."
        return (
            "kept",
            "It waits for its turn: \(node.name) has room, but is reserved for a task of \(reservation?.size ?? "") that has waited for long"
                + "\(time.map { ", and begins by \($0) at the latest" } ?? ""). \(way)\(history)"
        )
    }

    /// `failed on node1 (exit 3)`; nil for one that has not.
    private static func failure(_ standing: TaskStanding, _ result: TaskResult?) -> String? {
        guard !standing.failedOn.isEmpty else { return nil }
        return "failed on \(list(unique(standing.failedOn)))" + (result.map { " (\($0.explanation))" } ?? "")
    }

    /// `went back to the queue 3 times, as it asked (exit 85)`; nil for one that has not.
    private static func requeued(_ standing: TaskStanding, _ result: TaskResult?) -> String? {
        let count = standing.requeueCount
        guard count > 0 else { return nil }
        var code = ""
        if case .exit(let number) = result?.outcome?.cause, number != 0 { code = " (exit \(number))" }
        return "went back to the queue \(count) time\(count == 1 ? "" : "s"), as it asked\(code)"
    }

    /// `ran out of memory with 2 GB, and is tried again with 4 GB, of 16 GB that it may come to have`; nil for one that has not.
    private static func growth(_ line: TaskLine) -> String? {
        guard line.grownFromBytes > 0 else { return nil }
        let most =
            line.memoryMaxBytes >= line.memoryBytes
            ? ", of \(AmountText.memory(line.memoryMaxBytes)) that it may come to have" : ""
        return "ran out of memory with \(AmountText.memory(line.grownFromBytes)), and is tried again with "
            + "\(AmountText.memory(line.memoryBytes))\(most)"
    }

    private static func history(_ line: TaskLine, _ standing: TaskStanding, _ result: TaskResult?) -> String? {
        let parts = [failure(standing, result), requeued(standing, result), growth(line)].compactMap(\.self)
        return parts.isEmpty ? nil : parts.joined(separator: ", and ")
    }

    // MARK: Words

    /// A sentence has one full stop, also where a program's own words end with theirs.
    static func sentence(_ text: String) -> String { text.hasSuffix(".") ? text : text + "." }

    private static func tasks(_ count: Int) -> String { count == 1 ? "1 task" : "\(grouped(count)) tasks" }

    private static func list(_ names: [String]) -> String {
        let shown = names.prefix(5).joined(separator: ", ")
        return names.count > 5 ? "\(shown) and \(names.count - 5) more" : shown
    }

    private static func unique(_ names: [String]) -> [String] {
        var seen: Set<String> = []
        return names.filter { seen.insert($0).inserted }
    }

    private static func ordinal(_ number: Int) -> String {
        switch (number % 100, number % 10) {
        case (11...13, _): "\(number)th"
        case (_, 1): "\(number)st"
        case (_, 2): "\(number)nd"
        case (_, 3): "\(number)rd"
        default: "\(number)th"
        }
    }
}

extension FleetNode {
    /// What is left of its memory, whoever uses the rest.
    fileprivate var memoryBytesAvailable: UInt64? {
        report.map { UInt64(max(0, $0.totalMemoryGB - $0.usedMemoryGB) * 1_073_741_824) }
    }

    fileprivate func isShortOfMemory(for line: TaskLine) -> Bool {
        guard let available = memoryBytesAvailable, let report else { return false }
        // A node keeps some for itself, by default a tenth.
        return available < max(line.memoryBytes, UInt64(report.totalMemoryGB * 1_073_741_824 / 10))
    }
}
