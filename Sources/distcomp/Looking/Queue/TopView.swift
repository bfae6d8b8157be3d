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
        lines += running.dropFirst(min(model.offset, max(0, running.count - runningRows))).prefix(max(0, runningRows))
            .map { runningRow($0, model) }
        lines.append(style.bold(cut(endingCells("ENDED", "CAUSE", "WALL", "PEAK", "TASK"))))
        lines += endings.prefix(endingRows).map { endingRow($0, model.snapshot.fleet.nowUnixSeconds) }
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
            isNarrow ? "\(asked)/\(all)" : "\(asked)/\(used)/\(all)", condition(node, fleet) + heard)
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
            ? runningCells("RUNNING", "", "", "", number) : runningCells("RUNNING", number, "CORES", "GB", "TASK")
    }

    private func runningRow(_ task: RunningTask, _ model: TopModel) -> String {
        let seconds = max(0, model.nowSeconds - task.seenSinceSeconds)
        return cut(
            runningCells(
                duration(seconds.rounded(.down)), TerminalText.escaped(task.node),
                task.task.map { oneDecimal(Double($0.millicores) / 1000) } ?? "?",
                task.task.map { oneDecimal(Double($0.memoryBytes) / 1_073_741_824) } ?? "?",
                TerminalText.escaped(task.task?.command ?? task.line)))
    }

    private func runningCells(_ time: String, _ node: String, _ cores: String, _ memory: String, _ task: String)
        -> String
    {
        if isNarrow { return cell(time, 9) + task }
        return cell(time, 9) + cell(node, 12) + padded(cores, 8) + padded(memory, 10) + "  " + task
    }

    // MARK: What has ended

    private func endingRow(_ result: TaskResult, _ nowUnixSeconds: Int64) -> String {
        let ago = result.outcome?.finishedAtUnixSeconds.map { duration(max(0, Double(nowUnixSeconds) - $0)) } ?? "?"
        let usage = result.outcome?.usage
        let wall = usage.map {
            $0.wallSeconds < 60 ? AmountText.roundedSeconds($0.wallSeconds) : duration($0.wallSeconds)
        }
        let command = (try? TaskLine(parsing: result.line))?.command ?? result.line
        let row = cut(
            endingCells(
                ago, result.succeeded ? "finished" : result.causeWord, wall ?? "?",
                usage?.memoryPeakBytes.map { AmountText.memory($0) } ?? "?", TerminalText.escaped(command)))
        return result.succeeded ? row : style.red(row)
    }

    private func endingCells(_ ago: String, _ cause: String, _ wall: String, _ peak: String, _ task: String) -> String {
        if isNarrow { return cell(ago == "ENDED" ? ago : cause, 9) + padded(wall, 8) + "  " + task }
        return cell(ago, 9) + cell(cause, 12) + padded(wall, 8) + padded(peak, 10) + "  " + task
    }

    /// A cell of `width` columns, at least one of them blank.
    private func cell(_ text: String, _ width: Int) -> String {
        filled(TerminalText.shortened(text, to: width - 1), width)
    }
}
