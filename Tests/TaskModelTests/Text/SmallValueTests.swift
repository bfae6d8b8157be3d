import Testing

@testable import TaskModel

@Suite("Instant")
struct InstantTests {
    @Test("moments are advanced to the nanosecond and compared")
    func arithmetic() {
        let start = Instant(nanoseconds: 1_000_000_000)
        #expect(start.advanced(bySeconds: 1.5).nanoseconds == 2_500_000_000)
        #expect(start.advanced(bySeconds: -2).nanoseconds == -1_000_000_000)
        #expect(start.advanced(byNanoseconds: 1) > start)
        #expect(start.advanced(bySeconds: 300).seconds(since: start) == 300)
        #expect(start.nanoseconds(since: start.advanced(bySeconds: 1)) == -1_000_000_000)
    }

    @Test("what cannot be represented saturates and never traps")
    func saturation() {
        let moments = [Instant(nanoseconds: .min), Instant(nanoseconds: -1), Instant(nanoseconds: 0), .distantFuture]
        let seconds = [
            0, 1e9, 9.3e9, 1e30, .infinity, -.infinity, -1e30, .nan, .greatestFiniteMagnitude, .leastNonzeroMagnitude,
        ]
        for moment in moments {
            for count in seconds {
                let later = moment.advanced(bySeconds: count)
                #expect(count.isNaN || (count < 0 ? later <= moment : later >= moment))
            }
            for other in moments { #expect((moment.nanoseconds(since: other) < 0) == (moment < other)) }
        }
        #expect(Instant(nanoseconds: 5).advanced(bySeconds: .infinity) == .distantFuture)
        #expect(Instant(nanoseconds: 5).advanced(bySeconds: .nan) == Instant(nanoseconds: 5))
        #expect(Instant(nanoseconds: .min).nanoseconds(since: .distantFuture) == .min)
        #expect(Instant.distantFuture.nanoseconds(since: Instant(nanoseconds: .min)) == .max)
    }
}

@Suite("Node report")
struct NodeReportTests {
    @Test("a report is the line the old tools read")
    func format() {
        let report = NodeReport(
            unixSeconds: 1_732_368_000, usedCores: 2, totalCores: 8, usedMemoryGB: 3.456, totalMemoryGB: 15.62)
        #expect(report.text == "1732368000:2:8:3.46:15.62")
    }

    @Test("a line is read back, ours and an old worker's")
    func parse() throws {
        let report = try #require(NodeReport(parsing: "1732368000.123:0.5:8:3.46:15.625"))
        #expect(
            report
                == NodeReport(
                    unixSeconds: 1_732_368_000, usedCores: 0.5, totalCores: 8, usedMemoryGB: 3.46, totalMemoryGB: 15.625
                ))
    }

    @Test(
        "what is no report is none",
        arguments: [
            "", ":", "1:2:3:4", "1:2:3:4:5:6", "1:2:3:4:x", "1:2:3:4:-5", "nan:1:1:1:1", "inf:1:1:1:1", "1e30:1:1:1:1",
            "1::1:1:1",
            "0x10:1:1:1:1", "99999999999999999999:1:1:1:1", "1:1:1:1:1..1", " 1:1:1:1:1",
        ])
    func noReport(text: String) {
        #expect(NodeReport(parsing: text) == nil)
    }
}

@Suite("Nearest name")
struct NearestNameTests {
    @Test(
        "a typing error finds the name that was meant, a stranger finds none",
        arguments: [
            ("comand", "command"), ("tiemout", "timeout"), ("Memory", "memory"), ("cores_", "cores"), ("core", "cores"),
            ("wibble", nil), ("", nil), ("x", nil),
        ])
    func find(typed: String, nearest: String?) {
        #expect(NearestName.find(typed, among: ["command", "timeout", "memory", "cores", "type"]) == nearest)
    }

    @Test(
        "distance counts insertions, deletions, replacements and swaps of neighbours",
        arguments: [
            ("", "", 0), ("a", "", 1), ("", "abc", 3), ("abc", "acb", 1), ("kitten", "sitting", 3), ("ab", "ba", 1),
        ])
    func distance(left: String, right: String, count: Int) {
        #expect(NearestName.distance(Array(left.utf8), Array(right.utf8)) == count)
    }

    @Test("a hostile name of a megabyte costs nothing and finds nothing")
    func huge() {
        #expect(NearestName.find(String(repeating: "memory", count: 170_000), among: ["memory"]) == nil)
    }
}
