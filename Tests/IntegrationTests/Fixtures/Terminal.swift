// A real terminal for a test, kept by tmux.

import LinuxSystem
import Testing

/// A terminal with a shell in it.
final class Terminal {
    private let scratch: Scratch
    private let socket: String

    init(_ scratch: Scratch, columns: Int, rows: Int) async throws {
        self.scratch = scratch
        socket = scratch.path + "/tmux.sock"
        // The shell's own prompt and history would only be in the way.
        let shell = "env -u NO_COLOR PS1='$ ' sh"
        try await tmux("-f", "/dev/null", "new-session", "-d", "-x", "\(columns)", "-y", "\(rows)", shell)
    }

    @discardableResult
    func tmux(_ words: String...) async throws -> String {
        let program = try RunningProgram(
            "/usr/bin/env", ["LC_ALL=C.UTF-8", "tmux", "-u", "-S", socket] + words, in: scratch)
        let result = try await program.result()
        try #require(result.status == 0, "tmux \(words): \(result.errors)")
        return result.output
    }

    /// What is on the screen.
    func screen() async throws -> String { try await tmux("capture-pane", "-p") }

    /// Types a line and Enter. What was on the screen is not there any more when this returns, where the line is to clear it: a test that waits
    /// for words must not find those of the command before.
    func enter(_ text: String) async throws {
        if text.hasPrefix("clear; ") { try await tmux("send-keys", "-R") }
        try await type(text)
    }

    private func type(_ text: String) async throws { try await tmux("send-keys", text, "Enter") }

    func press(_ keys: String...) async throws { for key in keys { try await tmux("send-keys", key) } }

    /// Waits until the screen is as wanted, and returns it.
    @discardableResult
    func until(_ what: String, _ condition: (String) -> Bool) async throws -> String {
        var last = ""
        let deadline = ContinuousClock.now + .seconds(900)
        while ContinuousClock.now < deadline {
            last = try await screen()
            if condition(last) { return last }
        }
        throw NeverHappened(description: "waited in vain: \(what)\n\(last)")
    }

    /// The shell has the terminal as it gave it: the first screen, a cursor, echo, whole lines.
    func expectRestored(sourceLocation: SourceLocation = #_sourceLocation) async throws {
        // Nothing is cleared from outside, which would put right what is to be looked at.
        try await type("clear; stty -a > \(scratch.path)/stty; echo settled")
        try await until("the shell's answer") { $0.contains("settled\n") && !$0.contains("echo settled") }
        let flags = try await tmux("display-message", "-p", "#{alternate_on} #{cursor_flag}")
        #expect(flags == "0 1\n", sourceLocation: sourceLocation)
        let settings = Set(text(of: scratch.path + "/stty").split { " ;\n".contains($0) })
        for setting in ["icanon", "echo", "iexten", "ixon", "icrnl"] {
            #expect(settings.contains(Substring(setting)), "\(setting)", sourceLocation: sourceLocation)
        }
    }

    func close() async throws { try await tmux("kill-server") }
}

/// Gives `body` a terminal.
func withTerminal(
    _ scratch: Scratch, columns: Int = 80, rows: Int = 24, _ body: (Terminal) async throws -> Void
) async throws {
    let terminal = try await Terminal(scratch, columns: columns, rows: rows)
    do {
        try await body(terminal)
    } catch {
        try? await terminal.close()
        throw error
    }
    try await terminal.close()
}
