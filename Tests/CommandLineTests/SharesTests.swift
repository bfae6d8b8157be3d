// What a share may be that somebody types.

import Testing

@testable import distcomp

@Suite("a share as it is typed")
struct SharesTests {
    @Test("a share is a number from a thousandth to a million", arguments: ["1", "0.001", "0.5", "1e3", "1000000"])
    func taken(text: String) throws { #expect(try SharesSetCommand.parse(["ann", text]).share == Double(text)) }

    @Test(
        "what would be no share, or none that can be kept apart from others, is refused",
        arguments: ["0", "-1", "-0", "0.0009", "1000001", "nan", "inf", "-inf", "0x", "two", ""])
    func refused(text: String) { #expect(throws: (any Error).self) { try SharesSetCommand.parse(["ann", text]) } }
}
