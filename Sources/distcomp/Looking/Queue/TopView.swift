// How `distcomp top` looks: lines for a screen of any size, plain text made first and coloured last.

import LinuxSystem
import TaskModel

struct TopView {
    let rows: Int
    let columns: Int
    let style: Style

    /// On a narrow screen the least important columns are left out.
    private var isNarrow: Bool { columns < 64 }

    /// Exactly `rows` lines, none wider than `columns`.
    func render(_ model: TopModel, bar: ProgressBar) -> [String] {
        let nodes = model.snapshot.fleet.nodes
        let endings = model.endings
        let running = model.running
        // Two lines above, one below, and a heading for each part. Nodes and endings may have a quarter each; endings also get
        // whatever is left over.
        let room = max(0, rows - 6)
        let nodeRows = min(nodes.count, max(1, room / 4))
        let runningRows = min(running.count, room - nodeRows - min(endings.count, max(1, room / 4)))
        let endingRows = max(0, room - nodeRows - max(0, runningRows))

        var lines = [
            title(model), cut(bar.line(model.snapshot.progress, nowSeconds: model.nowSeconds, columns: columns)),
        ]
        lines.append(style.bold(cut(nodeHeading(shown: nodeRows, of: nodes.count))))
        lines += nodes.prefix(nodeRows).map { nodeRow($0, model.snapshot.fleet) }
        lines.append(style.bold(cut(runningHeading(model, count: running.count))))
        let firstRow = min(model.offset, max(0, running.count - runningRows))
        lines += self.runningRows(running.dropFirst(firstRow).prefix(max(0, runningRows)), model)
        lines.append(style.bold(cut(endingCells("ID", "ENDED", "CAUSE", "WALL", "PEAK") + "TASK")))
        lines += self.endingRows(endings.prefix(endingRows), model.snapshot.fleet.nowUnixSeconds)
        // On a screen too small for all parts the footer, which names the keys, stays.
        lines = lines.prefix(max(0, rows - 1)) + Array(repeating: "", count: max(0, rows - 1 - lines.count))
        return Array((lines + [footer(model)]).suffix(rows))
    }

    private func title(_ model: TopModel) -> String {
        let clock = LocalTime(unixSeconds: model.snapshot.fleet.nowUnixSeconds).clockText
        let alive = model.snapshot.fleet.alive.count
        var text = "distcomp  \(clock)  \(alive) node\(alive == 1 ? "" : "s")"
        let inTrouble = model.snapshot.fleet.inTrouble.count
        if inTrouble > 0 { text += "  \(inTrouble) in trouble" }
        if model.snapshot.fleet.isPaused { text += "  paused" }
        if model.snapshot.fleet.isClosing { text += "  closing" }
        return style.bold(cut(text))
    }

    private func footer(_ model: TopModel) -> String {
        if model.isTyping {
            return style.inverse(cut("/\(TerminalText.escaped(model.filter))_  enter: keep  esc: all"))
        }
        let filter = model.filter.isEmpty ? "filter" : "filter: \(TerminalText.escaped(model.filter))"
        return style.inverse(cut("q quit  s sort: \(model.sorting.rawValue)  / \(filter)"))
    }

    private func cut(_ text: String) -> String { TerminalText.shortened(text, to: columns) }

    // MARK: Nodes

    private func nodeHeading(shown: Int, of count: Int) -> String {
        let name = shown < count ? "NODE (\(shown) of \(count))" : "NODE"
        return isNarrow
            ? nodeCells(name, "TASKS", "", "GB ASKED/ALL", "HEARD")
            : nodeCells(name, "TASKS", "CORES", "GB ASKED/USED/ALL", "HEARD")
    }

    private func nodeRow(_ node: FleetNode, _ fleet: Fleet) -> String {
        let asked = oneDecimal(Double(node.memoryBytesAsked) / 1_073_741_824)
        let used = node.report.map { oneDecimal($0.usedMemoryGB) } ?? "?"
        let all = node.report.map { oneDecimal($0.totalMemoryGB) } ?? "?"
        let cores =
            "\(oneDecimal(Double(node.millicoresAsked) / 1000))/\(oneDecimal(Double(node.millicoresTotal) / 1000))"
        let heard = node.heardSecondsAgo(nowUnixSeconds: fleet.nowUnixSeconds).map { duration($0) } ?? "?"
        let isAlive = node.isAlive(nowUnixSeconds: fleet.nowUnixSeconds)
        let row = nodeCells(
            TerminalText.escaped(node.name), grouped(node.runningCount), cores,
            isNarrow ? "\(asked)/\(all)" : "\(asked)/\(used)/\(all)",
            condition(node, fleet) + heard
                + (isNarrow || node.resources.isEmpty ? "" : "  " + node.resourcesText))
        return isAlive && node.trouble == nil ? cut(row) : style.red(cut(row))
    }

    private func condition(_ node: FleetNode, _ fleet: Fleet) -> String {
        node.condition(nowUnixSeconds: fleet.nowUnixSeconds).map { TerminalText.escaped($0) + ", " } ?? ""
    }

    private func nodeCells(_ name: String, _ tasks: String, _ cores: String, _ memory: String, _ heard: String)
        -> String
    {
        if isNarrow {
            return cell(name, 12) + padded(tasks, 6) + padded(memory, 13) + " " + heard
        }
        return cell(name, 18) + padded(tasks, 7) + padded(cores, 11) + padded(memory, 20) + "  " + heard
    }

    // MARK: What runs

    private func runningHeading(_ model: TopModel, count: Int) -> String {
        let all = model.snapshot.progress.running
        let number = count == all ? grouped(all) : "\(grouped(count)) of \(grouped(all))"
        return isNarrow
            ? runningCells("", "RUNNING", "", "", "") + number
            : runningCells("ID", "RUNNING", number, "CORES", "GB") + "TASK"
    }

    private func runningRows(_ tasks: ArraySlice<RunningTask>, _ model: TopModel) -> [String] {
        let heads = tasks.map { task in
            let seconds = max(0, model.nowSeconds - task.seenSinceSeconds)
            return runningCells(
                identifier(task.line), duration(seconds.rounded(.down)), TerminalText.escaped(task.node),
                task.task.map { oneDecimal(Double($0.millicores) / 1000) } ?? "?",
                task.task.map { oneDecimal(Double($0.memoryBytes) / 1_073_741_824) } ?? "?")
        }
        return joined(heads, tasks.map { $0.task?.command ?? $0.line })
    }

    private func runningCells(
        _ identifier: String, _ time: String, _ node: String, _ cores: String, _ memory: String
    ) -> String {
        if isNarrow { return cell(time, 9) }
        return cell(identifier, 10) + cell(time, 9) + cell(node, 12) + padded(cores, 6) + padded(memory, 7) + "  "
    }

    // MARK: What has ended

    private func endingRows(_ results: ArraySlice<TaskResult>, _ nowUnixSeconds: Int64) -> [String] {
        let heads = results.map { result in
            let ago = result.outcome?.finishedAtUnixSeconds.map { duration(max(0, Double(nowUnixSeconds) - $0)) } ?? "?"
            let usage = result.outcome?.usage
            return endingCells(
                identifier(result.line), ago, result.succeeded ? "finished" : result.causeWord,
                usage.map { wallText($0.wallSeconds) } ?? "?",
                usage?.memoryPeakBytes.map { AmountText.memory($0) } ?? "?")
        }
        let rows = joined(heads, results.map { TaskLine.command(ofLine: $0.line) })
        return zip(results, rows).map { $0.succeeded ? $1 : style.red($1) }
    }

    private func endingCells(
        _ identifier: String, _ ago: String, _ cause: String, _ wall: String, _ peak: String
    ) -> String {
        if isNarrow { return cell(ago == "ENDED" ? ago : cause, 9) + padded(wall, 8) + "  " }
        return cell(identifier, 10) + cell(ago, 9) + cell(cause, 10) + padded(wall, 8) + padded(peak, 10) + "  "
    }

    // MARK: Cells

    /// Rows that end with a command each, cut so that they can be told apart.
    private func joined(_ heads: [String], _ commands: [String]) -> [String] {
        let room = heads.map { max(1, columns - TerminalText.columnCount($0)) }
        let shown = ShortenedRows.shortened(commands.map { TerminalText.escaped($0) }, to: room)
        return zip(heads, shown).map { cut($0 + $1) }
    }

    /// As much of it as other commands need.
    private func identifier(_ line: String) -> String { String(TaskLine.identifier(of: line).prefix(8)) }

    /// A cell of `width` columns, at least one of them blank.
    private func cell(_ text: String, _ width: Int) -> String {
        filled(TerminalText.shortened(text, to: width - 1), width)
    }
}
