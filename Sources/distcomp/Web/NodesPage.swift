// The nodes: what they have, what their tasks ask for, what is used; and one of them.

import LinuxSystem
import TaskModel
import WebServer

struct NodesPage {
    let fleet: Fleet

    private static let shownMax = 2000

    var content: HTML {
        guard !fleet.nodes.isEmpty else {
            return "<p>No node has come yet: <code>distcompd</code> on a machine is one.</p>\n"
        }
        let rest = fleet.nodes.count - Self.shownMax
        return Self.table(Array(fleet.nodes.prefix(Self.shownMax)), fleet)
            + (rest > 0 ? "<p>\(grouped(rest)) more: <code>distcomp workers</code></p>\n" : "")
    }

    static func table(_ nodes: [FleetNode], _ fleet: Fleet) -> HTML {
        let head = [
            ("Node", false), ("State", false), ("Tasks", true), ("Cores asked", false), ("Cores used", false),
            ("Memory asked", false), ("Memory used", false), ("Others", false), ("Heard", false),
        ]
        let rows: [[HTML]] = nodes.map { node in
            let cores = Double(node.millicoresTotal) / 1000
            let memory = Double(node.memoryBytesTotal)
            let asked = Double(node.millicoresAsked) / 1000
            return [
                Piece.link(Piece.address(ofNode: node.name), node.name), state(node, fleet),
                "\(grouped(node.runningCount))",
                Piece.share(asked, of: cores, "\(oneDecimal(asked)) of \(oneDecimal(cores))"),
                node.report.map {
                    Piece.share(
                        $0.usedCores, of: $0.totalCores, "\(oneDecimal($0.usedCores)) of \(oneDecimal($0.totalCores))")
                } ?? "-",
                Piece.share(
                    Double(node.memoryBytesAsked), of: memory,
                    "\(AmountText.memory(node.memoryBytesAsked)) of \(AmountText.memory(node.memoryBytesTotal))"),
                node.report.map {
                    Piece.share(
                        $0.usedMemoryGB, of: $0.totalMemoryGB,
                        "\(memoryText($0.usedMemoryGB * 1_073_741_824)) of \(memoryText($0.totalMemoryGB * 1_073_741_824))"
                    )
                } ?? "-", "\(node.resourcesText)",
                "\(node.heardSecondsAgo(nowUnixSeconds: fleet.nowUnixSeconds).map { duration($0) + " ago" } ?? "never")",
            ]
        }
        return Piece.table("Nodes", head, rows)
    }

    static func state(_ node: FleetNode, _ fleet: Fleet) -> HTML {
        guard let condition = node.condition(nowUnixSeconds: fleet.nowUnixSeconds) else { return Piece.state("well") }
        let word =
            ["gone", "draining", "drained"].contains(condition)
            ? condition : node.trouble != nil ? "in trouble" : "reserved"
        return word == condition ? Piece.state(word) : "\(Piece.state(word)) \(condition)"
    }
}

struct NodePage {
    let node: FleetNode
    let fleet: Fleet
    let running: TaskPage
    let settings: PageSettings

    var content: HTML {
        var facts: [(String, HTML)] = []
        if let version = node.version { facts.append(("distcompd", "\(version)")) }
        if let address = node.address { facts.append(("address", "\(address)")) }
        if !node.labels.isEmpty { facts.append(("labels", "\(node.labels.sorted().joined(separator: " "))")) }
        if let left = node.leaseSecondsLeft { facts.append(("lease", "\(duration(max(0, left))) left")) }
        let rows: [[HTML]] = running.tasks.map { task in
            [Piece.link(toTask: task.line), Piece.command(TaskLine.command(ofLine: task.line))]
        }
        let tasks: HTML =
            rows.isEmpty
            ? "<p>Nothing.</p>\n" : Piece.table("Running tasks", [("Id", false), ("Command", false)], rows)
        let failed = PageAddress.to("/tasks", [("state", "failed"), ("node", node.name)])
        let all = PageAddress.to("/tasks", [("state", "running"), ("node", node.name)])
        return NodesPage.table([node], fleet) + Piece.facts(facts) + orders
            + "<section><h2>\(Piece.link(all, "What runs there"))</h2>\n\(tasks)</section>\n"
            + "<p>\(Piece.link(failed, "What failed there"))</p>\n"
    }

    private var orders: HTML {
        guard settings.allowsOrders, node.version != nil else { return HTML() }
        return node.isDrained
            ? "<p>\(Piece.order("/api/undrain", [("node", node.name)], "Let it take tasks again"))</p>\n"
            : "<p>\(Piece.order("/api/drain", [("node", node.name)], "Drain it"))</p>\n"
    }
}
