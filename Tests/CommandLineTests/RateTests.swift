import Testing

@testable import distcomp

@Suite("rates")
struct RateTests {
    @Test("a sample of the ends gives the rate of late, however many tasks there were")
    func sampled() throws {
        // 100,000 tasks, ten a second, of which every hundredth is known.
        let ends = (0..<1000).map { Double($0 * 10) }.shuffled()
        let rate = try #require(recentRate(ends: ends, totalCount: 100_000, nowUnixSeconds: 10_000))
        #expect(abs(rate - 10) < 0.5)
    }

    @Test("what was fast long ago does not count once it is slow")
    func recent() throws {
        let ends = (0..<1000).map { Double($0) / 1000 } + (0..<60).map { 100 + Double($0) * 10 }
        let rate = try #require(recentRate(ends: ends, totalCount: ends.count, nowUnixSeconds: 700))
        #expect(abs(rate - 0.1) < 0.01)
    }

    @Test("few ends give a rate, none gives none, and ends at this moment no infinite one")
    func edges() throws {
        #expect(recentRate(ends: [], totalCount: 5, nowUnixSeconds: 1) == nil)
        #expect(recentRate(ends: [10], totalCount: 1, nowUnixSeconds: 12) == 0.5)
        #expect(try #require(recentRate(ends: [10], totalCount: 1, nowUnixSeconds: 10)) <= 10)
    }
}
