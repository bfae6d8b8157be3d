// One line at the bottom of a terminal that is drawn over again and again, and is gone when what matters is printed.

import LinuxSystem

/// The line of standard error that shows how far something is. On anything but a terminal it does nothing.
final class TransientLine {
    let isShown: Bool
    private var last = ""

    /// - Parameter isQuiet: the person wants to see nothing of it.
    init(isQuiet: Bool) { isShown = !isQuiet && standardError.isTerminal }

    /// How wide the line may be: a full line would wrap.
    var columns: Int { max(1, (standardError.terminalColumns ?? 80) - 1) }

    func show(_ text: String) {
        guard isShown, text != last else { return }
        last = text
        standardError.write("\r\u{1b}[K" + text)
    }

    func clear() {
        guard isShown, !last.isEmpty else { return }
        last = ""
        standardError.write("\r\u{1b}[K")
    }
}
