// Colour, where somebody sees it: on a terminal that can show it, and not under NO_COLOR (no-color.org).

import LinuxSystem

/// Colours text for a terminal; text is measured and cut before it is coloured.
struct Style {
    let isOn: Bool

    /// For what goes to standard output.
    static let standardOutput = Style(isOn: standardOutputTakesColor)

    private static let standardOutputTakesColor =
        LinuxSystem.standardOutput.isTerminal && (Host.environment("NO_COLOR") ?? "").isEmpty
        && Host.environment("TERM") != "dumb"

    /// For a program that has the terminal to itself.
    static let screen = Style(
        isOn: (Host.environment("NO_COLOR") ?? "").isEmpty && Host.environment("TERM") != "dumb")

    func bold(_ text: String) -> String { wrapped(text, "1") }
    func inverse(_ text: String) -> String { wrapped(text, "7") }
    func red(_ text: String) -> String { wrapped(text, "31") }
    func cyan(_ text: String) -> String { wrapped(text, "36") }

    private func wrapped(_ text: String, _ code: String) -> String { isOn ? "\u{1b}[\(code)m\(text)\u{1b}[0m" : text }
}
