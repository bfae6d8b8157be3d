import Foundation
import TaskModel
import Testing

@testable import distcomp

@Suite("the screen of top")
struct TopTests {
    private func model(running: Int = 3, nodes: Int = 2, endings: Int = 2) -> TopModel {
        var model = TopModel()
        model.nowSeconds = 1000
        model.snapshot.fleet = Fleet(
            nodes: (0..<nodes).map { number in
                var node = FleetNode(name: "node\(number)")
                node.leaseSecondsLeft = number == 1 ? -1 : 10
                node.report = NodeReport(
                    unixSeconds: 1_700_000_000, usedCores: 1, totalCores: 8, usedMemoryGB: 2, totalMemoryGB: 16)
                node.runningCount = running
                return node
            }, nowUnixSeconds: 1_700_000_005)
        model.snapshot.progress = Progress(waiting: 10, running: running, finished: 5, failed: 2)
        model.snapshot.running = (0..<running).map { number in
            let line = "shell:1:\(number + 1):\(running - number):sim --seed \(number) \u{1b}[2J"
            return RunningTask(
                line: line, task: try? TaskLine(parsing: line), node: number == 0 ? "node1" : "node0",
                seenSinceSeconds: 990 - Double(number) * 100)
        }
        model.snapshot.endings = (0..<endings).map {
            result(
                "shell:1:0:0:done \($0)", $0 == 0 ? .oom : .exit(code: 0), peakBytes: 1 << 30, finishedAt: 1_700_000_001
            )
        }
        return model
    }

    private func lines(_ model: TopModel, rows: Int = 24, columns: Int = 80, color: Bool = false) -> [String] {
        let bar = ProgressBar(startedSeconds: 990, endedAtStart: 5)
        return TopView(rows: rows, columns: columns, style: Style(isOn: color)).render(model, bar: bar)
    }

    @Test(
        "every size of screen is filled and nowhere overrun",
        arguments: [(24, 80), (16, 40), (1, 10), (3, 20), (60, 200)])
    func sizes(rows: Int, columns: Int) {
        for (running, nodes, endings) in [(0, 0, 0), (3, 2, 2), (500, 300, 100)] {
            let all = lines(model(running: running, nodes: nodes, endings: endings), rows: rows, columns: columns)
            #expect(all.count == rows)
            #expect(all.allSatisfy { TerminalText.columnCount($0) <= columns })
            #expect(all.last?.hasPrefix("q quit".prefix(columns - 1)) == true)
            #expect(all.allSatisfy { !$0.contains("\u{1b}") }, "text of tasks may not act on the terminal")
        }
    }

    @Test("nodes, running tasks and endings are there, also on 40 columns")
    func parts() {
        for columns in [80, 40] {
            let text = lines(model(), columns: columns).joined(separator: "\n")
            for part in [
                "1 node", "node0", "gone, ", "sim --seed 2", "oom", "done 1", "s sort: time", "7/20", "2 failed",
            ] {
                #expect(text.contains(part.replacing("7/20", with: "7/20")), "\(part) in \(columns) columns:\n\(text)")
            }
        }
    }

    @Test("a node in trouble says so in red, with what ails it, and cannot act on the terminal")
    func trouble() {
        var model = model()
        model.snapshot.fleet.nodes[0].trouble = "write \u{1b}[2J: No space left on device"
        let all = lines(model, columns: 120)
        #expect(all[0].contains("1 node  1 in trouble"), "\(all[0])")
        #expect(all[3].contains("in trouble: write \\x1b[2J: No space left on device, 5 s"), "\(all[3])")
        #expect(lines(model, columns: 120, color: true)[3].hasPrefix("\u{1b}[31m"))
    }

    @Test("what a node has of GPUs, and what its tasks ask for, is there where there is room for it")
    func devices() {
        var model = model()
        model.snapshot.fleet.nodes[0].resources = ResourceTotals(text: "gpu:d2 licence:4000")
        model.snapshot.fleet.nodes[0].resourcesAsked = ["gpu": 1500]
        #expect(lines(model, columns: 120)[3].contains("1.5/2 gpu 0/4 licence"), "\(lines(model, columns: 120)[3])")
        #expect(!lines(model, columns: 40).joined().contains("gpu"))
    }

    @Test("on 80 columns tasks that differ only at the end, or in the middle, are told apart, and named")
    func longCommands() {
        let words = String(repeating: "/data/archive", count: 8)
        let kinds: [(Int) -> String] = [
            { "./cachesim --trace \(words)/trace --seed \($0)" }, { "./cachesim --seed \($0) --trace \(words)" },
            { "./cachesim --trace \(words) --seed \($0) --out \(words)" },
        ]
        for command in kinds {
            var model = model(running: 0, endings: 0)
            let tasks = (0..<6).map { "shell:1:0:0:" + command($0) }
            model.snapshot.running = tasks.map {
                RunningTask(line: $0, task: try? TaskLine(parsing: $0), node: "node0", seenSinceSeconds: 990)
            }
            model.snapshot.endings = tasks.map { result($0, .exit(code: 1)) }
            let rows = lines(model).filter { $0.contains("./c") }
            #expect(rows.count == 12 && rows.allSatisfy { TerminalText.columnCount($0) <= 80 })
            for part in [rows.prefix(6), rows.suffix(6)] {
                let commands = part.compactMap { row in row.range(of: "./c").map { row[$0.lowerBound...] } }
                #expect(Set(commands).count == 6, "\(rows.joined(separator: "\n"))")
            }
            for task in tasks { #expect(rows.count { $0.hasPrefix(TaskLine.identifier(of: task).prefix(8)) } == 2) }
        }
    }

    @Test("s goes through the columns to sort by")
    func sorting() {
        var model = model()
        func seeds() -> [Character] { model.running.compactMap { $0.line.dropLast(5).last } }
        var orders: [[Character]] = [seeds()]
        for _ in 0..<4 {
            #expect(model.handle(.character("s")) == .goOn)
            orders.append(seeds())
        }
        // The longest first; by node; the largest first; the most cores first; by text.
        #expect(orders == [["2", "1", "0"], ["1", "2", "0"], ["2", "1", "0"], ["0", "1", "2"], ["0", "1", "2"]])
    }

    @Test("what is typed after / filters; enter keeps it, escape drops it, and its q does not quit")
    func filtering() {
        var model = model()
        for key in TopKey.parse(Array("/SEED 1qx".utf8)) { #expect(model.handle(key) == .goOn) }
        #expect(model.running.isEmpty && model.isTyping)
        _ = model.handle(.backspace)
        _ = model.handle(.backspace)
        #expect(model.running.count == 1)
        _ = model.handle(.enter)
        #expect(!model.isTyping && model.filter == "SEED 1" && model.running.count == 1)
        #expect(lines(model).last?.contains("filter: SEED 1") == true)
        _ = model.handle(.escape)
        #expect(model.running.count == 3)
        #expect(model.handle(.character("q")) == .quit)
    }

    @Test("the arrows scroll, no further than there is something")
    func scrolling() {
        var model = model(running: 100)
        for _ in 0..<200 { _ = model.handle(.down) }
        #expect(model.offset == 99)
        #expect(lines(model).contains { $0.contains("sim --seed 0 ") }, "the last page is a full one")
        for _ in 0..<200 { _ = model.handle(.up) }
        #expect(model.offset == 0)
    }

    @Test("keys are told from the sequences a terminal sends")
    func keys() {
        #expect(
            TopKey.parse(Array("s\u{1b}[A\u{1b}[B\u{1b}OA\r\u{7f}".utf8)) == [
                .character("s"), .up, .down, .up, .enter, .backspace,
            ])
        #expect(TopKey.parse(Array("\u{1b}".utf8)) == [.escape])
        #expect(TopKey.parse(Array("\u{1b}[1;5A\u{1b}[15~ä\u{1}".utf8)) == [.up, .character("ä")])
        #expect(TopKey.parse([0xFF, 0x1B]).last == .escape)
    }

    @Test("colour comes from the style alone")
    func color() {
        #expect(lines(model(), color: true).contains { $0.contains("\u{1b}[31m") })
        #expect(!lines(model()).joined().contains("\u{1b}"))
    }
}

@Suite("rates")
struct RateTests {
    @Test("a sample of the ends gives the rate of late, however many tasks there were")
    func sampled() throws {
        // 100,000 tasks, ten a second, of which every hundredth is known.
        let ends = (0..<1000).map { Double($0 * 10) }.shuffled()
        let rate = try #require(recentRate(ends: ends, totalCount: 100_000, nowUnixSeconds: 10_000))
        #expect(abs(rate - 10) < 0.5)
    }

    @Test("what was fast long ago does not count once it is slow")
    func recent() throws {
        let ends = (0..<1000).map { Double($0) / 1000 } + (0..<60).map { 100 + Double($0) * 10 }
        let rate = try #require(recentRate(ends: ends, totalCount: ends.count, nowUnixSeconds: 700))
        #expect(abs(rate - 0.1) < 0.01)
    }

    @Test("few ends give a rate, none gives none, and ends at this moment no infinite one")
    func edges() throws {
        #expect(recentRate(ends: [], totalCount: 5, nowUnixSeconds: 1) == nil)
        #expect(recentRate(ends: [10], totalCount: 1, nowUnixSeconds: 12) == 0.5)
        #expect(try #require(recentRate(ends: [10], totalCount: 1, nowUnixSeconds: 10)) <= 10)
    }
}
