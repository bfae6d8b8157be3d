// The plan as people and programs read it.

import LinuxSystem
import Scaling
import TaskModel

extension ScalePlan {
    var json: String {
        var writer = JSONObjectWriter()
        writer.field("shapes", json: list(rows.map(\.json)))
        writer.field("running", runningCount)
        writer.field("due", dueCount)
        writer.field("beyond_max", beyondCount)
        writer.field("unrunnable", json: list(unrunnable.map(\.json)))
        writer.field("other_nodes", otherNodeCount)
        writer.field("paused", isPaused)
        writer.field("complete", isComplete)
        return writer.text
    }

    private func list(_ objects: [[UInt8]]) -> [UInt8] {
        [UInt8(ascii: "[")] + objects.joined(separator: [UInt8(ascii: ",")]) + [UInt8(ascii: "]")]
    }

    func text(columns: Int?) -> String {
        var table = TextTable([
            ("SHAPE", .left), ("MEMORY", .right), ("CORES", .right), ("WANTED", .right), ("HAVE", .right),
            ("STARTING", .right), ("DRAINING", .right), ("REMOVABLE", .left),
        ])
        for row in rows {
            table.append([
                row.shape.name, AmountText.memory(row.shape.memoryBytes),
                ResourceRequest.amountText(row.shape.millicores), grouped(row.wanted), grouped(row.have),
                grouped(row.starting), grouped(row.draining), row.removable.joined(separator: " "),
            ])
        }
        var text =
            rows.isEmpty
            ? "no node is there; --shape NAME=MEMORY,CORES says what could be\n" : table.rendered(columns: columns)
        text += "\n\(grouped(runningCount)) running, \(grouped(dueCount)) due"
        if beyondCount > 0 { text += ", \(grouped(beyondCount)) of them beyond the most nodes there may be" }
        text += "\n"
        if isPaused { text += "nothing is given out at present, so nothing that waits counts\n" }
        if !isComplete { text += "more waits than was looked at\n" }
        if otherNodeCount > 0 {
            text += "\(grouped(otherNodeCount)) \(otherNodeCount == 1 ? "node is" : "nodes are") of no such shape\n"
        }
        if !unrunnable.isEmpty { text += "no node could run:\n" }
        for tasks in unrunnable.prefix(20) {
            let size = TerminalText.escaped(tasks.size.words)
            text +=
                "  \(grouped(tasks.count)) \(tasks.count == 1 ? "task" : "tasks") (\(size)): \(TerminalText.escaped(tasks.why))\n"
        }
        if unrunnable.count > 20 { text += "  and others, of \(unrunnable.count - 20) more sizes\n" }
        return text
    }
}

extension ScalePlan.Row {
    var json: [UInt8] {
        var writer = JSONObjectWriter()
        shape.write(into: &writer)
        writer.field("wanted", wanted)
        writer.field("have", have)
        writer.field("starting", starting)
        writer.field("draining", draining)
        writer.field("to_start", toStart)
        writer.field("to_resume", toResume)
        writer.field("removable", removable)
        return writer.bytes
    }
}

extension NodeShape {
    func write(into writer: inout JSONObjectWriter) {
        writer.field("shape", name)
        writer.field("memory_bytes", memoryBytes)
        writer.field("cores", Double(millicores) / 1000)
        writer.field("slots", taskCountMax)
        writer.field("labels", labels.sorted())
        var amounts = JSONObjectWriter()
        for (name, total) in resources.sorted { amounts.field(name, Double(total.thousandths) / 1000) }
        writer.field("resources", json: amounts.bytes)
        writer.field("min", countMin)
        writer.field("max", countMax)
    }
}

extension ScalePlan.Unrunnable {
    fileprivate var json: [UInt8] {
        var writer = JSONObjectWriter()
        writer.field("tasks", count)
        writer.field("memory_bytes", size.memoryBytes)
        writer.field("cores", Double(size.millicores) / 1000)
        writer.field("resources", json: size.resources.json)
        writer.field("where", size.nodeLabels?.text)
        writer.field("why", why)
        return writer.bytes
    }
}
