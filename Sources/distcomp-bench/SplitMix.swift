// Numbers that look as if they were chance.

/// The same numbers each time.
struct SplitMix {
    var state: UInt64

    private mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// From 0 to 1.
    mutating func share() -> Double { Double(next() >> 11) / Double(1 << 53) }

    /// The logarithm of an even one: less than 0, of mean -1, by the sum of a series, since there is no library of mathematics here.
    mutating func logarithm() -> Double {
        // How often half is not reached counts the doublings; what is left is between a half and 1.
        var doublings = 0.0
        while share() < 0.5, doublings < 60 { doublings += 1 }
        let rest = (1 - (0.5 + share() / 2)) / (1 + (0.5 + share() / 2))
        return -0.6931471805599453 * doublings - 2 * rest
    }

    /// Of twelve even ones: near enough, and without a library of mathematics.
    mutating func normal() -> Double { (0..<12).reduce(-6) { sum, _ in sum + share() } }

    /// A product of many small steps is log-normal.
    mutating func skewed(_ spread: Double) -> Double {
        let step = spread / 8
        return (0..<64).reduce(1) { product, _ in product * (share() < 0.5 ? 1 + step : 1 / (1 + step)) }
    }
}
