import Testing

@testable import TaskModel

@Suite("Text for a terminal")
struct TerminalTextTests {
    @Test(
        "what a terminal would obey is written out",
        arguments: [
            ("plain text", "plain text"), ("\u{1b}[2J", "\\x1b[2J"), ("a\rb\nc\td", "a\\rb\\nc\\td"),
            ("\u{0}\u{7f}", "\\x00\\x7f"),
            ("\u{9b}31m", "\\u{9b}31m"), ("\u{202e}txt.exe", "\\u{202e}txt.exe"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("\u{2028}", "\\u{2028}"), ("\u{feff}", "\\u{feff}"), ("\u{e0041}", "\\u{e0041}"), ("é 日本 😀", "é 日本 😀"),
            ("👨‍👩‍👧 \u{200c}", "👨‍👩‍👧 \u{200c}"), ("a\\b", "a\\b"), ("", ""),
        ])
    func escaping(text: String, shown: String) {
        #expect(TerminalText.escaped(text) == shown)
    }

    @Test(
        "text is cut to the columns there are, with an ellipsis for what is gone",
        arguments: [
            ("hello", 5, "hello"), ("hello!", 5, "hell…"), ("hello", 1, "…"), ("hello", 0, ""), ("hello", -1, ""),
            ("", 0, ""),
            ("日本語", 6, "日本語"), ("日本語", 5, "日本…"), ("日本語", 4, "日…"), ("日本語", 3, "日…"), ("日本語", 2, "…"),
            ("éééé", 4, "éééé"), ("ééééé", 4, "ééé…"), ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("👨‍👩‍👧👨‍👩‍👧", 4, "👨‍👩‍👧👨‍👩‍👧"),
            ("👨‍👩‍👧👨‍👩‍👧", 3, "👨‍👩‍👧…"),
        ])
    func shortening(text: String, columns: Int, shown: String) {
        #expect(TerminalText.shortened(text, to: columns) == shown)
    }

    @Test(
        "what is cut from the middle leaves both ends, and an ellipsis between them",
        arguments: [
            ("0123456789", 10, 4, "0123456789"), ("0123456789", 7, 3, "012…789"), ("0123456789", 3, 9, "…89"),
            ("0123456789", 1, 1, "…"), ("0123456789", 0, 3, ""), ("0123456789", 5, 0, "0123…"),
            ("日本語日本語", 7, 3, "日本…語"), ("aaaae\u{301}", 4, 1, "aa…e\u{301}"),
        ])
    func shorteningTheMiddle(text: String, columns: Int, endColumns: Int, shown: String) {
        #expect(TerminalText.shortened(text, to: columns, keepingEnd: endColumns) == shown)
    }

    @Test(
        "columns are counted as a terminal shows them",
        arguments: [
            ("abc", 3), ("é", 1), ("e\u{301}", 1), ("日本", 4),
            ("😀", 2), ("🇩🇪", 2), ("❤️", 2), ("…", 1), ("ｱ", 1), ("", 0),
        ])
    func columnCounts(text: String, count: Int) {
        #expect(TerminalText.columnCount(text) == count)
    }

    @Test("whatever the text, the escaped and shortened one has no control in it and is not too wide")
    func randomText() {
        var random = SeededGenerator(seed: 3)
        let alphabet = Array("ab \u{1b}\u{7f}\n\u{9b}\u{202e}é日😀\u{301}".utf8)
        for _ in 0..<500 {
            let text = String(decoding: random.bytes(countMax: 60, alphabet: alphabet), as: UTF8.self)
            let columns = Int.random(in: 0...30, using: &random)
            let shown = TerminalText.shortened(TerminalText.escaped(text), to: columns)
            #expect(TerminalText.columnCount(shown) <= columns)
            let middle = TerminalText.shortened(
                TerminalText.escaped(text), to: columns, keepingEnd: Int.random(in: -1...30, using: &random))
            #expect(TerminalText.columnCount(middle) <= columns)
            #expect(!shown.unicodeScalars.contains { $0.properties.generalCategory == .control })
        }
    }
}
