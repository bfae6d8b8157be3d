// Random numbers that a seed determines.

/// splitmix64. Each thing that chance decides has a series of its own, so that a scenario with less in it goes the same way as
/// far as it can.
struct Numbers: Sendable {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 &+ 0x1234_5678 }

    /// The series of one thing of many.
    init(seed: UInt64, of name: String, _ index: Int = 0) {
        // FNV-1a: Hasher has another seed in each process.
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        self.init(seed: seed ^ hash &+ UInt64(index) &* 0xd1b5_4a32_d192_ed03)
        _ = next()
    }

    mutating func next() -> UInt64 {
        state = state &+ 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// 0 to `bound` - 1.
    mutating func below(_ bound: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(bound)).high) }

    mutating func oneIn(_ count: Int) -> Bool { below(count) == 0 }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

    /// From `low` to `high`, each order of magnitude as likely as the others.
    mutating func seconds(_ low: Double, _ high: Double) -> Double {
        var top = max(low, 1e-6)
        while top < high, !oneIn(3) { top *= 4 }
        let share = Double(next() >> 11) / Double(UInt64(1) << 53)
        let seconds = low + share * (min(top, high) - low)
        return (seconds * 1e6).rounded() / 1e6
    }

    mutating func nanoseconds(_ low: Double, _ high: Double) -> Int64 { Int64(seconds(low, high) * 1e9) }
}
