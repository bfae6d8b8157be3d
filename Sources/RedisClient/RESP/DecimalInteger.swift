// Integers as RESP spells them. Strict, so that two readers of the same bytes cannot disagree, and total: whatever
// arrives yields a number or nil, never a trap.

enum DecimalInteger {
    /// `-?[0-9]+` within Int64: no `+`, no spaces, no empty text, no overflow. Leading zeros are let through.
    static func parse(_ digits: some Collection<UInt8>) -> Int64? {
        let isNegative = digits.first == UInt8(ascii: "-")
        let magnitude = isNegative ? digits.dropFirst() : digits[...]
        guard !magnitude.isEmpty else { return nil }
        // Summed on the negative side, which is the longer one, so that Int64.min needs no case of its own.
        var sum: Int64 = 0
        for byte in magnitude {
            let digit = byte &- UInt8(ascii: "0")
            guard digit <= 9 else { return nil }
            let (tens, tensOverflow) = sum.multipliedReportingOverflow(by: 10)
            let (next, nextOverflow) = tens.subtractingReportingOverflow(Int64(digit))
            guard !tensOverflow, !nextOverflow else { return nil }
            sum = next
        }
        if isNegative { return sum }
        return sum == .min ? nil : 0 &- sum
    }
}
