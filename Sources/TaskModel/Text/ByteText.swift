// Small questions about text that is still bytes. The readers of this module work on spans of UTF-8, which know their
// bounds; these are the few things they all ask.

extension Span<UInt8> {
    func firstOffset(of byte: UInt8, from start: Int) -> Int? {
        for index in start..<count where self[index] == byte { return index }
        return nil
    }

    func firstOffset(where matches: (UInt8) -> Bool) -> Int? {
        for index in 0..<count where matches(self[index]) { return index }
        return nil
    }

    /// `range` without the blanks at its two ends.
    func rangeWithoutBlanks(_ range: Range<Int>) -> Range<Int> {
        var start = range.lowerBound
        var end = range.upperBound
        while start < end, self[start].isBlank { start += 1 }
        while end > start, self[end - 1].isBlank { end -= 1 }
        return start..<end
    }

    func equals(_ text: StaticString) -> Bool {
        guard count == text.utf8CodeUnitCount else { return false }
        for index in 0..<count where self[index] != text.utf8Start[index] { return false }
        return true
    }

    /// The bytes of `range` as a string, what is not UTF-8 repaired.
    func text(_ range: Range<Int>) -> String {
        extracting(range).withUnsafeBufferPointer { String(decoding: $0, as: UTF8.self) }
    }

    /// The bytes of `range` for a message: between backticks, safe to print and short; `nothing` when there are none.
    func shown(_ range: Range<Int>) -> String {
        if range.isEmpty { return "nothing" }
        let bounded = range.prefix(200)  // More than is ever shown, and no more work than that for a line of 1 MB.
        return "`\(TerminalText.shortened(TerminalText.escaped(text(bounded)), to: 40))`"
    }

    /// Where the byte stands, counted from 1 in Unicode scalars, which is how editors count.
    func column(ofByteAt offset: Int) -> Int {
        var column = 1
        for index in 0..<Swift.min(offset, count) where self[index] & 0xC0 != 0x80 { column += 1 }
        return column
    }
}
