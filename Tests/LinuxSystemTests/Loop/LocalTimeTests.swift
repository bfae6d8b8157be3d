import LinuxSystem
import Testing

@Suite("local time")
struct LocalTimeTests {
    @Test("a moment comes back from its calendar form, in summer and in winter")
    func roundTrip() {
        for seconds: Int64 in [0, 951_782_400, 1_688_000_000, 1_700_000_000, 4_000_000_000] {
            #expect(LocalTime(unixSeconds: seconds).unixSeconds() == seconds)
        }
    }

    @Test("days and hours that do not exist are none")
    func nonsense() {
        #expect(LocalTime(year: 2023, month: 2, day: 29).unixSeconds() == nil)
        #expect(LocalTime(year: 2023, month: 4, day: 31).unixSeconds() == nil)
        #expect(LocalTime(year: 2023, month: 0, day: 1).unixSeconds() == nil)
        #expect(LocalTime(year: 2023, month: 1, day: 1, hour: 24).unixSeconds() == nil)
        #expect(LocalTime(year: 2024, month: 2, day: 29).unixSeconds(isUniversal: true) == 1_709_164_800)
    }

    @Test("it is written with leading zeros")
    func text() {
        #expect(LocalTime(year: 2026, month: 5, day: 1, hour: 9, minute: 8, second: 7).text == "2026-05-01 09:08:07")
    }
}
