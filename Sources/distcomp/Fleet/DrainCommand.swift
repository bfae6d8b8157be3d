// Taking single nodes out of work, for a repair or a reboot, without disturbing what they run.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp drain`: nodes finish what they run and are given nothing more until `distcomp resume NODE`.
struct DrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Give nodes nothing new until `distcomp resume NODE`; what they run goes on.",
        discussion: """
            Tasks of jobs with `--signal` that run there have that signal at once, so that they can save what they have; with exit 85 they go \
            on elsewhere.

            A drained node stays drained when its distcompd or its machine starts again. Workers of the old system know of no such \
            order: distcomp stop-workers stops them.

            Examples:
              distcomp drain node7
              distcomp drain node7 node8 --wait && ssh node7 reboot
            """)

    @Argument(help: "The nodes, as distcomp workers names them.")
    var nodes: [String]

    @Flag(help: "Return when they run nothing any more.")
    var wait = false

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON object a node.")
    var json = false

    private static let pauseMilliseconds: UInt32 = 500

    func run() throws {
        try connection.withFleetQueue { queue in
            let answers = try queue.drain(nodes, isDraining: true)
            try DrainReport(nodes, answers, isDraining: true).show(asJSON: json)
            guard wait else { return }
            // A node that is resumed meanwhile is no longer waited for: it may never be idle.
            while try queue.leases().contains(where: { nodes.contains($0.incarnation.nodeName) && isDraining($0) }) {
                pause(milliseconds: Self.pauseMilliseconds)
            }
        }
    }

    private func isDraining(_ node: ReadNodes.Node) -> Bool { node.isDrained && node.heldCount > 0 }
}

/// What became of an order to drain or resume nodes.
struct DrainReport {
    private let answers: [(node: String, answer: DrainNodes.Answer)]
    private let isDraining: Bool

    init(_ nodes: [String], _ answers: [DrainNodes.Answer], isDraining: Bool) {
        self.answers = zip(nodes, answers).map { ($0, $1) }
        self.isDraining = isDraining
    }

    /// Reports successes on standard output and failures on standard error.
    ///
    /// - Throws: if there was a failure, once everything has been reported.
    func show(asJSON: Bool) throws(CommandError) {
        var hasErrors = false
        for (node, answer) in answers {
            let name = TerminalText.escaped(node)
            switch answer {
            case .done(let heldCount):
                var writer = JSONObjectWriter()
                writer.field("worker", node)
                writer.field("drained", isDraining)
                writer.field("running", heldCount)
                let running = heldCount == 0 ? "nothing runs" : "\(grouped(heldCount)) running, to their end"
                let text = isDraining ? "\(name): drained, \(running)" : "\(name): takes tasks again"
                try distcomp.show((asJSON ? writer.text : text) + "\n")
            case .unknownNode:
                hasErrors = true
                standardError.write(
                    isDraining
                        ? "distcomp: no node \"\(name)\": distcomp workers lists them\n"
                        : "distcomp: no job or node \"\(name)\": distcomp jobs and distcomp workers list them\n")
            case .oldWorker:
                hasErrors = true
                standardError.write(
                    "distcomp: \(name) is a worker of the old system, which cannot be drained: distcomp stop-workers stops all\n"
                )
            }
        }
        if hasErrors { throw CommandError.reported }
    }
}

extension QueueClient {
    /// Has nodes take nothing new, or take tasks again; an answer for each.
    func drain(_ nodes: [String], isDraining: Bool) throws(CommandError) -> [DrainNodes.Answer] {
        var answers: [DrainNodes.Answer] = []
        while answers.count < nodes.count {
            let page = try perform(DrainNodes(nodes[answers.count...], isDraining: isDraining, keys: keys))
            if page.isEmpty { break }
            answers += page
        }
        return answers
    }
}
