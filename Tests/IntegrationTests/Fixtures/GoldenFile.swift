// What a program should print, kept in a file under Golden/, so that a change of it is seen by whoever reviews the change.

import LinuxSystem
import Testing

enum GoldenFile {
    private static let directory: String = {
        let here = #filePath
        return here.prefix(here.count - "Fixtures/GoldenFile.swift".count) + "Golden"
    }()

    /// Whether files are written rather than compared with.
    private static let isUpdating = Host.environment("DISTCOMP_UPDATE_GOLDEN") != nil

    /// Expects `text` to be what the file says, line by line.
    static func expect(_ text: String, toBe name: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let path = "\(directory)/\(name).txt"
        if isUpdating { return try FileSystem.replace(path, with: Array(text.utf8), mode: 0o644) }
        let expected = String(decoding: (try? FileSystem.contents(of: path)) ?? [], as: UTF8.self)
        guard text != expected else { return }
        let difference = difference(of: text, from: expected)
        Issue.record(
            """
            not what Golden/\(name).txt says (if it should be: DISTCOMP_UPDATE_GOLDEN=1 swift test --skip-build --filter Golden, and look at git diff):
            \(difference)
            """, sourceLocation: sourceLocation)
    }

    /// The lines that went (-) and came (+), each with its number.
    private static func difference(of text: String, from expected: String) -> String {
        let new = text.split(separator: "\n", omittingEmptySubsequences: false)
        let old = expected.split(separator: "\n", omittingEmptySubsequences: false)
        let steps = new.difference(from: old).map { step in
            switch step {
            case .remove(let offset, let line, _): (offset, 0, "\(offset + 1) - \(line)")
            case .insert(let offset, let line, _): (offset, 1, "\(offset + 1) + \(line)")
            }
        }
        return steps.sorted { ($0.0, $0.1) < ($1.0, $1.1) }.map(\.2).joined(separator: "\n")
    }
}
