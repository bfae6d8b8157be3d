// Makes text that others wrote safe to show. A task line may hold anything: escape sequences that repaint the screen,
// carriage returns that overwrite a line, marks that turn the direction of writing and hide what a command does.

import Notation

public enum TerminalText {
    /// `text` with everything a terminal would obey rather than show written out: controls as `\n`, `\t`, `\x1b`, and
    /// invisible formatting (such as bidirectional overrides) as `\u{202e}`. Joiners stay, since scripts and emoji need
    /// them, and so does the backslash: this is for reading, not for reading back.
    public static func escaped(_ text: String) -> String {
        // Most text is plain: 0x20...0x7E needs nothing, and looking costs less than copying.
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 < 0x7F }) { return text }
        var result = ""
        for scalar in text.unicodeScalars {
            if isShown(scalar) { result.unicodeScalars.append(scalar) } else { result += escape(scalar) }
        }
        return result
    }

    /// `text`, at most `columns` terminal columns wide; what is cut away is replaced by an ellipsis.
    public static func shortened(_ text: String, to columns: Int) -> String {
        if text.utf8.count <= columns { return text }  // No character is wider than its UTF-8 is long.
        guard columns > 0 else { return "" }
        var width = 0
        var endOfRoom = text.startIndex  // Where the ellipsis goes if it is needed.
        for index in text.indices {
            let columnCount = self.columnCount(of: text[index])
            if width + columnCount > columns { return text[..<endOfRoom] + "…" }
            width += columnCount
            if width < columns { endOfRoom = text.index(after: index) }
        }
        return text
    }

    /// `text`, at most `columns` terminal columns wide; what is cut away from its middle is replaced by an ellipsis, and its last
    /// `endColumns` columns stay.
    public static func shortened(_ text: String, to columns: Int, keepingEnd endColumns: Int) -> String {
        guard columns > 0, columnCount(text) > columns else { return shortened(text, to: columns) }
        let endColumns = max(0, min(endColumns, columns - 1))
        var end = text.endIndex
        var width = 0
        while end > text.startIndex {
            let previous = text.index(before: end)
            width += columnCount(of: text[previous])
            if width > endColumns { break }
            end = previous
        }
        // Its own ellipsis, since more follows it than fits.
        return shortened(text, to: columns - columnCount(String(text[end...]))) + text[end...]
    }

    /// How many columns of a terminal `text` takes.
    public static func columnCount(_ text: String) -> Int {
        if text.utf8.allSatisfy({ $0 < 0x80 }) { return text.utf8.count }
        return text.reduce(0) { $0 + columnCount(of: $1) }
    }

    private static func isShown(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value != 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator: return false
        case .format: return scalar.value == 0x200C || scalar.value == 0x200D
        default: return true
        }
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String {
        switch scalar {
        case "\n": return "\\n"
        case "\r": return "\\r"
        case "\t": return "\\t"
        default:
            return scalar.isASCII
                ? "\\x" + Hexadecimal.text(UInt8(ascii: scalar)) : "\\u{\(String(scalar.value, radix: 16))}"
        }
    }

    /// Zero for marks that stand alone, two for East Asian wide characters and emoji, one for all others.
    private static func columnCount(of character: Character) -> Int {
        guard let first = character.unicodeScalars.first else { return 0 }
        if first.value < 0x300 { return 1 }
        switch first.properties.generalCategory {
        case .nonspacingMark, .enclosingMark, .format: return 0
        default: break
        }
        let showsAsEmoji = character.unicodeScalars.contains { $0.value == 0xFE0F }
        return showsAsEmoji || isWide(first) ? 2 : 1
    }

    /// East Asian wide and full width (Unicode Standard Annex 11), by block, and what is shown as emoji by default.
    private static func isWide(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0x1100...0x115F, 0x2E80...0x303E, 0x3041...0x33FF, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xA000...0xA4CF,
            0xA960...0xA97F, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F, 0xFF00...0xFF60, 0xFFE0...0xFFE6,
            0x17000...0x18CFF, 0x1B000...0x1B2FF, 0x20000...0x3FFFD:
            true
        default: scalar.properties.isEmojiPresentation
        }
    }
}
