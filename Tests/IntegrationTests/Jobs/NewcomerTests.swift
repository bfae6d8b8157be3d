// The first ten minutes of somebody who comes from GNU parallel, typed at a real terminal of the usual widths.

import LinuxSystem
import Testing

@Suite("somebody who comes from GNU parallel, at a terminal", .serialized)
struct NewcomerTests {
    /// A terminal in the scratch directory, where `d` is distcomp, and `s` tells the status of what was before.
    private func atTerminal(
        columns: Int, rows: Int = 24, _ body: (Scratch, Terminal) async throws -> Void
    ) async throws {
        try await withScratch { scratch in
            try await withTerminal(scratch, columns: columns, rows: rows) { terminal in
                try await terminal.enter(
                    "cd \(scratch.path); d() { \(Products.distcomp) \"$@\"; echo status $?; }; clear")
                try await body(scratch, terminal)
            }
        }
    }

    private func enter(_ text: String, _ terminal: Terminal) async throws { try await terminal.enter("clear; " + text) }

    @Test("values from a pipe, and a file of commands that parallel runs, are run at once", arguments: [80, 120])
    func firstRuns(columns: Int) async throws {
        try await atTerminal(columns: columns) { scratch, terminal in
            try await enter("seq 3 | d run -- echo {}", terminal)
            try await terminal.until("three tasks") { $0.contains("3 tasks: 3 finished") && $0.contains("status 0") }
            try scratch.write("cmds.txt", "echo one > 1\n# a comment\n\necho two | tr a-z A-Z > 2\n")
            try await enter("chmod 777 .; d run cmds.txt", terminal)
            let screen = try await terminal.until("two tasks") { $0.contains("status ") && $0.contains("finished") }
            #expect(screen.contains("2 tasks: 2 finished") && screen.contains("status 0"), "\(screen)")
            #expect(scratch.lines("1") == ["one"] && scratch.lines("2") == ["TWO"])
        }
    }

    @Test(
        "a sweep of which some die of oom says so in lines that fit, and with more memory it is finished",
        arguments: [80, 120])
    func moreMemory(columns: Int) async throws {
        try await atTerminal(columns: columns, rows: 30) { scratch, terminal in
            let command =
                "'head -c {}M /dev/zero | tail -c {}M | wc -c > /dev/null # of a sweep with a long, long command: size {}'"
            try await enter("d run --memory 60M --attempts 1 -- \(command) ::: 1 2 3 100 120", terminal)
            let first = try await terminal.until("its end") { $0.contains("status 1") }
            #expect(first.contains("5 tasks: 3 finished, 2 failed (2 oom)"), "\(first)")
            // Both ends of the command are there, for it is the end that tells them apart.
            let rows = first.split(separator: "\n").filter { $0.contains(" oom (cap 60 MB") }
            #expect(rows.count == 2 && rows.allSatisfy { $0.count <= columns }, "\(first)")
            #expect(rows.contains { $0.hasSuffix("100") } && rows.contains { $0.hasSuffix("120") }, "\(first)")
            try await enter("d run --memory 224M --attempts 1 -- \(command) ::: 1 2 3 100 120", terminal)
            let second = try await terminal.until("its end") { $0.contains("status 0") }
            #expect(second.contains("5 tasks: 5 finished"), "\(second)")
            _ = scratch
        }
    }

    @Test("after Ctrl-C on one sweep another runs alone, and `run` goes on with the first", arguments: [80, 120])
    func interrupted(columns: Int) async throws {
        try await atTerminal(columns: columns) { scratch, terminal in
            try scratch.write("log", "")
            try await enter(
                "chmod 666 log; d run --slots 1 -- 'echo {} >> \(scratch.path)/log; test -e \(scratch.path)/go || sleep 1000' ::: a b",
                terminal)
            try await eventually("the first runs") { scratch.lines("log") == ["a"] }
            try await terminal.press("C-c")
            try await terminal.until("its end") { $0.contains("status 130") }
            try await enter("d run -- true {} ::: 1 2 3", terminal)
            let other = try await terminal.until("the other") { $0.contains("status 0") }
            #expect(other.contains("3 tasks: 3 finished"), "\(other)")
            #expect(scratch.lines("log") == ["a"], "only the other ran")
            try scratch.write("go", "")
            try await enter("d run --slots 1", terminal)
            let rest = try await terminal.until("the rest") { $0.contains("status 0") }
            #expect(rest.contains("2 tasks: 2 finished"), "\(rest)")
            #expect(scratch.lines("log") == ["a", "a", "b"])
        }
    }

    @Test(
        "listings of long commands that differ at their ends fit the screen and tell them apart", arguments: [80, 120])
    func listings(columns: Int) async throws {
        try await atTerminal(columns: columns) { _, terminal in
            let long = "'exit 3 # --trace /data/traces/block/of/a/deep/directory/w{}.bin --policy lru --size {}G'"
            try await enter("d run --attempts 1 -- \(long) ::: 1 2 3", terminal)
            try await terminal.until("its end") { $0.contains("status 1") }
            for listing in ["tasks", "results", "jobs", "results --summary", "why exit"] {
                try await enter("d \(listing) 2> /dev/null", terminal)
                let screen = try await terminal.until(listing) { $0.contains("status 0") }
                let lines = screen.split(separator: "\n")
                #expect(lines.allSatisfy { $0.count <= columns }, "\(listing)\n\(screen)")
                guard ["tasks", "results"].contains(listing) else { continue }
                for size in 1...3 {
                    #expect(
                        lines.contains { $0.contains("exit 3 #") && $0.contains("size \(size)G") },
                        "\(listing)\n\(screen)")
                }
            }
        }
    }

    @Test("top on 80 columns tells apart tasks that differ at the end")
    func top() async throws {
        try await withFleet { fleet in
            try await withTerminal(fleet.scratch, columns: 80) { terminal in
                let node = try await fleet.startedNode("node-of-a-long-name", ["max_task_per_worker": "3"])
                let start = "sleep 1000 # --trace /data/traces/block/of/a/deep/directory/w.bin --policy lru --size"
                _ = try await fleet.distcomp(["submit", "--", start + " {}G", ":::", "1", "2", "3"])
                try await terminal.enter(
                    "clear; \(Products.distcomp) top --interval 0.1 --redis \(fleet.url(.watcher))")
                let screen = try await terminal.until("all three") {
                    $0.contains("1G") && $0.contains("2G") && $0.contains("3G")
                }
                #expect(screen.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(screen)")
                try await terminal.press("q")
                try await fleet.distcomp(["cancel", "--yes", "sleep"])
                try await node.stop()
            }
        }
    }
}
