// What a person sees at a terminal, and that the terminal is theirs again afterwards: a real one, kept by tmux.

import Foundation
import Glibc
import LinuxSystem
import TaskModel
import Testing

/// Gives `body` a queue and a terminal.
private func withTerminal(
    columns: Int = 80, rows: Int = 24, _ body: (Fleet, Terminal) async throws -> Void
) async throws {
    try await withFleet { fleet in
        try await withTerminal(fleet.scratch, columns: columns, rows: rows) { try await body(fleet, $0) }
    }
}

@Suite("at a terminal", .aFewAtATime)
struct TerminalTests {
    /// `distcomp` with these words on this queue, for a shell. What it ends with is shown behind it.
    private func command(_ words: String, _ fleet: Fleet) -> String {
        let changes = ["submit", "cancel", "retry"].contains { words.hasPrefix($0) }
        let url = fleet.url(changes ? .submitter : .watcher)
        return "clear; \(Products.distcomp) \(words) --redis \(url); echo status $?"
    }

    @Test("top shows nodes, what runs and what has ended, live, and gives the terminal back", arguments: [80, 40])
    func top(columns: Int) async throws {
        try await withTerminal(columns: columns, rows: 20) { fleet, terminal in
            try await fleet.submit(["shell:5:0.1:0.1:sleep 1000", "shell:4:0:0:echo \u{1b}[2J; exit 3"])
            let node = try await fleet.startedNode("nodeA", ["max_retry_per_task": "1"])
            try await terminal.enter(command("top --interval 0.1", fleet))
            let screen = try await terminal.until("the task and the failure") {
                $0.contains("sleep 1000") && $0.contains("exit ") && $0.contains("1 failed")
            }
            #expect(screen.contains("nodeA") && screen.contains("q quit"), "\(screen)")
            try await fleet.submit(["shell:9:0:0:sleep 2000"])
            try await terminal.until("a task that came later") { $0.contains("sleep 2000") }

            try await terminal.press("/", "2", "0", "0", "0", "Enter")
            try await terminal.until("the filter") { $0.contains("filter: 2000") && !$0.contains("sleep 1000") }
            try await terminal.press("Escape", "s")
            try await terminal.until("another order") { $0.contains("sort: node") && $0.contains("sleep 1000") }
            try await terminal.tmux("resize-window", "-x", "\(columns + 10)", "-y", "10")
            try await terminal.until("the smaller screen") {
                $0.split(separator: "\n").last?.hasPrefix("q quit") == true
            }
            try await terminal.press("q")
            try await terminal.until("its end") { $0.contains("status 0") }
            try await terminal.expectRestored()
            try await node.stop()
        }
    }

    @Test("an order to more than a hundred tasks is asked about, unless it is to be done without a question")
    func asked() async throws {
        try await withTerminal { fleet, terminal in
            let values = (1...101).map { "\($0)" }
            _ = try await fleet.distcomp(["submit", "--name", "j", "--", "echo", "{}", ":::"] + values)
            func waiting() async throws -> Int? {
                let jobs = try await fleet.distcomp("jobs", "--json").output
                return try jsonObject(String(jobs.dropFirst().dropLast(2))).integer("todo")
            }
            try await terminal.enter(command("cancel j", fleet))
            try await terminal.until("the question") { $0.contains("cancel 101 tasks? yes or no:") }
            try await terminal.enter("no")
            try await terminal.until("its end") { $0.contains("nothing was done") && $0.contains("status 2") }
            #expect(try await waiting() == 101)
            try await terminal.enter(command("cancel -q '*echo 1*'", fleet))  // 1, 10 to 19, 100 and 101.
            try await terminal.until("its end without a question") { $0.contains("status 0") }
            #expect(try await waiting() == 88)
            try await terminal.enter(command("retry --all-failed", fleet))
            try await terminal.until("its end without a question") { $0.contains("13 queued again") }
            try await terminal.enter(command("cancel -q j", fleet))
            try await terminal.until("the question") { $0.contains("cancel 101 tasks? yes or no:") }
            try await terminal.enter("yes")
            try await terminal.until("its end") { $0.contains("status 0") }
            #expect(try await waiting() == 0)
            try await terminal.enter(command("retry --yes --all-failed", fleet))
            try await terminal.until("its end without a question") { $0.contains("101 queued again") }
        }
    }

    @Test(
        "on 80 columns every listing fits, and tells apart tasks that differ at their ends",
        arguments: ["top", "tasks", "results"])
    func longCommands(listing: String) async throws {
        try await withTerminal { fleet, terminal in
            let go = fleet.scratch.path + "/go"
            let words = String(repeating: "/archive", count: 15)
            let lines = (1...4).map {
                "shell:5:0:0:test -e \(go) || sleep 1000; : --trace \(words) --seed \($0); echo why >&2; exit 3"
            }
            try await fleet.submit(lines)
            if listing == "results" { try fleet.scratch.write("go", "") }
            let node = try await fleet.startedNode("nodeA", ["max_retry_per_task": "1", "max_task_per_worker": "4"])
            try await eventually("all of them running, or ended") {
                try fleet.count(listing == "results" ? "failed_tasks" : "in_progress_tasks") == 4
            }
            try await terminal.enter(command(listing, fleet))
            let screen = try await terminal.until("four rows") { screen in
                lines.allSatisfy { screen.contains(TaskLine.identifier(of: $0).prefix(8)) }
                    && screen.contains(listing == "top" ? "q quit" : "status 0")
            }
            let rows = screen.split(separator: "\n").filter { $0.contains("…") }
            let commands = Set(rows.compactMap { row in row.range(of: "test").map { row[$0.lowerBound...] } })
            #expect(commands.count == 4, "\(screen)")
            // None went on in the next line.
            #expect(rows.count == 4 && screen.contains("ID "), "\(screen)")
            if listing == "results" { #expect(rows.allSatisfy { $0.contains("(exit 3: why)") }, "\(screen)") }
            try await node.stop()
        }
    }

    @Test(
        "however top ends, the terminal is as it was",
        arguments: [SIGTERM, SIGHUP, SIGQUIT, SIGINT, SIGSEGV, SIGTRAP, SIGABRT])
    func endOfTop(_ signal: Int32) async throws {
        try await withTerminal { fleet, terminal in
            try await terminal.enter(command("top", fleet))
            try await terminal.until("top") { $0.contains("q quit") }
            let process = try #require(fleet.scratch.processes(with: "distcomp top").first)
            kill(process, signal)
            try await terminal.until("its end") { $0.contains("status 1") }
            try await terminal.expectRestored()
        }
    }

    @Test("top ends with its reason when Redis goes away, and the terminal is as it was")
    func redisGone() async throws {
        try await withTerminal { fleet, terminal in
            try await terminal.enter(command("top --interval 0.1", fleet))
            try await terminal.until("top") { $0.contains("q quit") }
            fleet.redis.kill9()
            let screen = try await terminal.until("its end") { $0.contains("status 3") }
            #expect(screen.contains("distcomp: "), "\(screen)")
            try await terminal.expectRestored()
        }
    }

    @Test("Ctrl-C ends top; Ctrl-Z stops it with the terminal given back, and fg takes it again")
    func stopAndGo() async throws {
        try await withTerminal { fleet, terminal in
            try await terminal.enter("set -m; " + command("top", fleet))
            try await terminal.until("top") { $0.contains("q quit") }
            try await terminal.press("C-z")
            try await terminal.until("the shell") { $0.contains("status ") && !$0.contains("q quit") }
            try await terminal.expectRestored()
            try await terminal.enter("fg")
            try await terminal.until("top again") { $0.contains("q quit") }
            try await terminal.press("C-c")
            try await terminal.until("the shell") { !$0.contains("q quit") }
            try await terminal.expectRestored()
        }
    }

    @Test("top without a terminal says what to use instead")
    func noTerminal() async throws {
        try await withFleet { fleet in
            let result = try await fleet.distcomp("top")
            #expect(result.status == 2 && result.output.isEmpty)
            let said = "top needs a terminal, and TERM to name its kind; status, workers and tasks print the same once"
            #expect(result.errors == "distcomp: \(said)\n")
        }
    }

    @Test("watch draws one line that fits, then says what came of it, and its status tells too", arguments: [80, 40])
    func watch(columns: Int) async throws {
        try await withTerminal(columns: columns) { fleet, terminal in
            let go = fleet.scratch.path + "/go"
            try await fleet.submit((1...9).map { "shell:\($0 == 9 ? 9 : 1):0:0:test -e \(go) || sleep 1000 # \($0)" })
            try await terminal.enter(command("watch", fleet))
            try await terminal.until("why nothing runs") { $0.contains("no node is alive") }
            try fleet.scratch.write("go", "")
            let node = try await fleet.startedNode("a", ["max_task_per_worker": "1", "max_retry_per_task": "1"])
            try await terminal.until("the end") { $0.contains("9 tasks: 9 finished") && $0.contains("status 0") }
            #expect(unlink(go) == 0)
            try await fleet.submit(["shell:9:0:0:exit 4", "shell:8:0:0:sleep 1000"])
            try await terminal.enter(command("watch", fleet))
            let bar = try await terminal.until("the bar") { $0.contains("1 failed") && $0.contains("1 running") }
            let line = try #require(bar.split(separator: "\n").first { $0.contains("1 running") })
            #expect(line.count < columns && line.contains("90%") && line.contains("10/11"), "\(line)")
            #expect(line.hasPrefix("[") == (columns == 80), "\(line)")
            try await terminal.press("C-c")
            try await terminal.until("its end") { $0.contains("status 130") && !$0.contains("running") }
            #expect(try fleet.count("in_progress_tasks") == 1, "Ctrl-C ends the watching, not the task")
            try await fleet.distcomp("cancel", "*sleep 1000")
            try await terminal.enter(command("watch", fleet))
            let end = try await terminal.until("the end") { $0.contains("status 1\n") }
            #expect(end.contains("11 tasks: 9 finished, 2 failed"), "\(end)")
            try await node.stop()
        }
    }

    @Test("many lines load under a bar that fits and is gone when they are loaded", arguments: [80, 40])
    func loading(columns: Int) async throws {
        try await withTerminal(columns: columns) { fleet, terminal in
            let path = try fleet.scratch.write("many", (1...200_000).map { "shell:1:0:0:true \($0)\n" }.joined())
            // Redis is let go until it has answered us, no longer, so that there is time to see the bar whatever the machine.
            fleet.redis.pause()
            try await terminal.enter(command("submit \(path)", fleet))
            var bar = ""
            while !bar.contains("lines") || !bar.contains("%") {
                try #require(!bar.contains("status 0"), "loaded, and no bar was seen")
                fleet.redis.resume()
                _ = try fleet.count("todo_tasks")
                fleet.redis.pause()
                bar = try await terminal.screen()
            }
            fleet.redis.resume()
            let line = try #require(bar.split(separator: "\n").first { $0.contains("lines") })
            #expect(line.count < columns, "\(line)")
            let end = try await terminal.until("the end") { $0.contains("status 0") }
            #expect(end.contains("200,000 tasks added\n") && !end.contains("%"), "\(end)")
        }
    }

    @Test("colour is for terminals, and not under NO_COLOR")
    func color() async throws {
        try await withTerminal { fleet, terminal in
            _ = try fleet.call("HSET", "failed_tasks", "shell:1:0:0:x", "a,")
            try await terminal.enter(command("results", fleet))
            try await terminal.until("the result") { $0.contains("failed") && $0.contains("status 0") }
            #expect(try await terminal.tmux("capture-pane", "-p", "-e").contains("\u{1b}[31m"))
            try await terminal.enter("clear; export NO_COLOR=1; " + command("results", fleet))
            try await terminal.until("the result") { $0.contains("failed") && $0.contains("status 0") }
            #expect(try await !terminal.tmux("capture-pane", "-p", "-e").contains("\u{1b}[31m"))
            #expect(try await !fleet.distcomp("results").output.contains("\u{1b}"))
        }
    }

    @Test("a terminal that is dumb, or of no known kind, gets no escape code", arguments: ["TERM=dumb", "-u TERM"])
    func dumb(term: String) async throws {
        try await withTerminal { fleet, terminal in
            _ = try fleet.call("HSET", "failed_tasks", "shell:1:0:0:x", "a,")
            let log = fleet.scratch.path + "/typescript"
            // What goes to the terminal, byte for byte.
            func record(_ words: String) -> String {
                "env \(term) script -q -e -c '\(command(words, fleet))' \(log); echo \(words) ended: $?"
            }
            for words in ["results", "watch", "top"] {
                try await terminal.enter("clear; " + record(words))
                // That of the one before may still be on the screen.
                try await terminal.until("the end of \(words)") { screen in
                    (0...9).contains { screen.contains("\(words) ended: \($0)") }
                }
                #expect(!text(of: log).contains("\u{1b}"), "\(words)")
            }
            #expect(text(of: log).contains("top needs a terminal"))
        }
    }
}
