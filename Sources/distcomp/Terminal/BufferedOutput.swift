// Listings of a million rows: a row each is not worth a system call, yet the first rows are wanted at once.

import LinuxSystem

/// Collects what is printed and writes it in larger pieces.
final class BufferedOutput {
    private var text = ""
    private static let bytesMax = 64 << 10

    func show(_ row: String) throws(CommandError) {
        text += row
        if text.utf8.count >= Self.bytesMax { try flush() }
    }

    /// Writes what has been collected; whoever prints calls it whenever the next row may be long in coming.
    func flush() throws(CommandError) {
        guard !text.isEmpty else { return }
        let ready = text
        text = ""
        try distcomp.show(ready)
    }
}
