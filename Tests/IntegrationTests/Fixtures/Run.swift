// `distcomp run` on a file of a test's own, in a state directory of its own.

import Foundation
import Glibc
import LinuxSystem
import Testing

struct Run {
    let scratch: Scratch
    let file: String
    let state: String

    init(_ scratch: Scratch, _ lines: [String]) throws {
        self.init(scratch, file: try scratch.write("tasks", lines.joined(separator: "\n") + "\n"))
    }

    init(_ scratch: Scratch, file: String) {
        self.scratch = scratch
        self.file = file
        state = scratch.path + "/state"
        scratch.expectGroups(ofNode: Host.shortName, stateDirectory: state + "/node")
    }

    /// Starts it without waiting for anything.
    func launch(_ options: String...) throws -> RunningProgram {
        try RunningProgram(Products.distcomp, ["run", file, "--state", state] + options, in: scratch)
    }

    /// Runs it to its end, with the JSON summary.
    func finished(_ options: String...) async throws -> (result: ProgramResult, summary: [String: Any]) {
        let program = try RunningProgram(
            Products.distcomp, ["run", file, "--state", state, "--json"] + options, in: scratch)
        let result = try await program.result()
        return (result, try jsonObject(result.output))
    }

    /// Another subcommand on the same state.
    func distcomp(_ words: String...) async throws -> ProgramResult {
        try await RunningProgram(Products.distcomp, words + ["--state", state], in: scratch).result()
    }

    /// `distcomp results --format jsonl`, an object a task.
    func results() async throws -> [[String: Any]] {
        try await distcomp("results", "--format", "jsonl").outputLines.map { try jsonObject(String($0)) }
    }

    /// The result of the only task whose line holds `part`.
    func result(of part: String) async throws -> [String: Any] {
        try #require(try await results().first { ($0["task"] as? String)?.contains(part) == true })
    }
}

/// The object that `text` is.
func jsonObject(_ text: String) throws -> [String: Any] {
    let value = try JSONSerialization.jsonObject(with: Data(text.utf8), options: [.fragmentsAllowed])
    return try #require(value as? [String: Any], "no JSON object: \(text.prefix(500))")
}

extension [String: Any] {
    func integer(_ key: String) -> Int? { self[key] as? Int }
    func string(_ key: String) -> String? { self[key] as? String }
    func double(_ key: String) -> Double? { self[key] as? Double }
}
