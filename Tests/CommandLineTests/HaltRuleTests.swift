import Testing

@testable import distcomp

@Suite("when a run halts")
struct HaltRuleTests {
    @Test("after so many failures, or a share of all tasks, not counting those before the run")
    func bounds() throws {
        let three = try #require(HaltRule(argument: "soon,fail=3"))
        #expect(three.manner == .soon && !three.isReached(Progress(waiting: 9, failed: 2), failedBefore: 0))
        #expect(three.isReached(Progress(waiting: 9, failed: 3), failedBefore: 0))
        #expect(!three.isReached(Progress(waiting: 9, failed: 3), failedBefore: 1))
        let tenth = try #require(HaltRule(argument: "now,fail=10%"))
        #expect(
            tenth.manner == .now && !tenth.isReached(Progress(waiting: 25, finished: 4, failed: 2), failedBefore: 0))
        #expect(tenth.isReached(Progress(waiting: 24, finished: 3, failed: 3), failedBefore: 0))
        #expect(!tenth.isReached(Progress(waiting: 1), failedBefore: 0))
    }

    @Test(
        "what is no rule is refused",
        arguments: [
            "", "soon", "now,fail", "now,fail=0", "now,fail=-1", "later,fail=1", "now,fail=0%", "now,fail=101%",
            "now,success=1", "now,fail=1,2", "now,fail=nan%",
        ])
    func refused(text: String) { #expect(HaltRule(argument: text) == nil) }
}
