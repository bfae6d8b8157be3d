// Bytes and numbers in digits of base 16.

public enum Hexadecimal {
    /// Two digits for each byte, in lower case.
    public static func digits(_ bytes: some Sequence<UInt8>) -> [UInt8] {
        var digits: [UInt8] = []
        digits.reserveCapacity(bytes.underestimatedCount * 2)
        for byte in bytes {
            digits.append(digit(byte >> 4))
            digits.append(digit(byte & 0xF))
        }
        return digits
    }

    /// Two digits, such as `0a`.
    public static func text(_ byte: UInt8) -> String { text(UInt64(byte), digitCount: 2) }

    /// Sixteen digits, so that texts sort as their numbers do.
    public static func text(_ number: UInt64) -> String { text(number, digitCount: 16) }

    /// The last `digitCount` digits. Listings of a million tasks have one such text each, so nothing but it is allocated.
    private static func text(_ number: UInt64, digitCount: Int) -> String {
        String(unsafeUninitializedCapacity: digitCount) { buffer in
            for place in 0..<digitCount {
                buffer[place] = digit(UInt8(truncatingIfNeeded: number >> (4 * (digitCount - 1 - place))) & 0xF)
            }
            return digitCount
        }
    }

    /// The digit for 0 to 15.
    public static func digit(_ value: UInt8) -> UInt8 {
        precondition(value < 16, "\(value) takes more than one digit")
        return value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + (value - 10)
    }

    /// What a digit stands for, in either case; nil when it is none.
    public static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The bytes that an even number of digits stands for; nil when they are none.
    public static func bytes(_ digits: some Collection<UInt8>) -> [UInt8]? {
        guard digits.count.isMultiple(of: 2) else { return nil }
        var bytes: [UInt8] = []
        var rest = digits[...]
        while let first = rest.popFirst(), let second = rest.popFirst() {
            guard let high = value(of: first), let low = value(of: second) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }
}
