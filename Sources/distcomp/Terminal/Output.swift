// What goes to standard output: buffered, in colour where somebody sees it, and harmless to a terminal.

import LinuxSystem
import TaskModel

/// Collects what is printed and writes it in larger pieces: in a listing of a million rows a row is not worth a system call.
final class BufferedOutput {
    private var text = ""
    private static let bytesMax = 64 << 10

    func show(_ row: String) throws(CommandError) {
        text += row
        if text.utf8.count >= Self.bytesMax { try flush() }
    }

    /// Writes what has been collected; called whenever the next row may take long.
    func flush() throws(CommandError) {
        guard !text.isEmpty else { return }
        let ready = text
        text = ""
        try distcomp.show(ready)
    }
}

/// Colours text for a terminal; text is measured and cut before it is coloured.
struct Style {
    let isOn: Bool

    /// For what goes to standard output.
    static let standardOutput = Style(isOn: LinuxSystem.standardOutput.takesEscapeCodes && isWanted)

    /// For a program that has the terminal to itself.
    static let screen = Style(isOn: isWanted)

    private static let isWanted = (Host.environment("NO_COLOR") ?? "").isEmpty

    func bold(_ text: String) -> String { wrapped(text, "1") }
    func inverse(_ text: String) -> String { wrapped(text, "7") }
    func red(_ text: String) -> String { wrapped(text, "31") }
    func cyan(_ text: String) -> String { wrapped(text, "36") }

    private func wrapped(_ text: String, _ code: String) -> String { isOn ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text }
}

/// Prints what a task wrote: as it is, or so that a terminal is not disturbed by it.
final class LogPrinter {
    private let isRaw: Bool
    /// The beginning of a character whose rest is still to come.
    private var rest: [UInt8] = []

    init(isRaw: Bool) { self.isRaw = isRaw }

    func print(_ bytes: [UInt8]) throws(CommandError) {
        if isRaw { return try show(bytes: bytes) }
        let all = rest + bytes
        let end = Self.endOfWholeCharacters(all)
        rest = Array(all[end...])
        try show(Self.escaped(String(decoding: all[..<end], as: UTF8.self)))
    }

    /// What is left of a character that never became whole.
    func finish() throws(CommandError) {
        if !rest.isEmpty { try show(Self.escaped(String(decoding: rest, as: UTF8.self))) }
        rest = []
    }

    /// Lines and tabs stay.
    static func escaped(_ text: String) -> String {
        text.unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            line.split(separator: "\t", omittingEmptySubsequences: false)
                .map { TerminalText.escaped(String($0)) }.joined(separator: "\t")
        }.joined(separator: "\n")
    }

    static func endOfWholeCharacters(_ bytes: [UInt8]) -> Int {
        // One of the last three bytes may begin a character of which more bytes are still to come.
        for back in 1...3 where back <= bytes.count {
            let byte = bytes[bytes.count - back]
            if byte & 0xC0 == 0x80 { continue }
            let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC0 ? 2 : 1
            return length > back ? bytes.count - back : bytes.count
        }
        return bytes.count
    }
}
