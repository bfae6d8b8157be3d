// Reads amounts the way people write them (`8`, `0.5`, `512M`, `90s`), and writes them so (`2 GB`, `300 s`). Task lines, JSON
// fields and settings share these readers, so an amount means the same wherever it stands. Reading is integer arithmetic that
// cannot overflow, and what cannot be represented is rounded up: an amount above zero must never become zero, which means "no
// limit".

enum Amount {
    /// 8 PiB: larger than any machine, and small enough that sums over many tasks and JSON numbers stay exact.
    static let memoryBytesMax: UInt64 = 1 << 53
    static let coresMax: UInt64 = 1_000_000
    /// Some 31 years.
    static let timeoutSecondsMax: UInt64 = 1_000_000_000

    static let memoryExpected = "GB such as 8 or 0.5, or an amount such as 512M, 8G or 1T, at most 8192T"
    static let coresExpected = "a number of cores such as 2 or 0.5, at most 1000000"
    static let timeoutExpected =
        "seconds such as 300, or a time such as 90s, 5m, 2h or 1d, at most 1000000000 s (0: no limit)"

    /// Bytes of memory: GB (2^30) without a unit, else K, M, G or T, each with an optional B or iB, in either case.
    static func memoryBytes(_ text: Span<UInt8>) -> UInt64? {
        let (number, unitStart) = Decimal.prefix(of: text)
        guard let number, let unitBytes = memoryUnitBytes(text.extracting(unitStart..<text.count)) else { return nil }
        return number.scaled(by: unitBytes, max: memoryBytesMax)
    }

    /// Thousandths of a core.
    static func millicores(_ text: Span<UInt8>) -> Int? {
        let (number, end) = Decimal.prefix(of: text)
        guard let number, end == text.count else { return nil }
        return number.scaled(by: 1000, max: coresMax * 1000).map { Int($0) }
    }

    /// Thousandths of a resource, of a part of one the nearest: three thirds are one.
    static func resource(_ text: Span<UInt8>) -> Int? {
        let (number, end) = Decimal.prefix(of: text)
        guard let number, end == text.count else { return nil }
        if number.whole > 0 { return millicores(text) }
        return Int(number.billionths > 0 ? max(1, (number.billionths + 500_000) / 1_000_000) : 0)
    }

    /// A timeout: seconds without a unit, else s, m, h or d. Zero is no limit.
    static func timeout(_ text: Span<UInt8>) -> TimeoutRequest? {
        let (number, unitStart) = Decimal.prefix(of: text)
        guard let number, let unitSeconds = timeUnitSeconds(text.extracting(unitStart..<text.count)) else { return nil }
        guard let milliseconds = number.scaled(by: unitSeconds * 1000, max: timeoutSecondsMax * 1000) else {
            return nil
        }
        return milliseconds == 0 ? TimeoutRequest.none : .seconds(Double(milliseconds) / 1000)
    }

    /// A whole number with an optional sign, within `limits`.
    static func integer(_ text: Span<UInt8>, in limits: ClosedRange<Int>) -> Int? {
        guard !text.isEmpty else { return nil }
        let isSigned = text[0] == UInt8(ascii: "-") || text[0] == UInt8(ascii: "+")
        let start = isSigned ? 1 : 0
        guard start < text.count else { return nil }
        var magnitude = 0
        for index in start..<text.count {
            guard text[index].isDigit else { return nil }
            magnitude = min(magnitude &* 10 &+ Int(text[index] &- 0x30), 1 << 56)  // Held far below overflow.
        }
        let value = text[0] == UInt8(ascii: "-") ? -magnitude : magnitude
        return limits.contains(value) ? value : nil
    }

    private static func memoryUnitBytes(_ unit: Span<UInt8>) -> UInt64? {
        if unit.isEmpty { return 1 << 30 }
        guard isByteSuffix(unit.extracting(1..<unit.count)) else { return nil }
        switch unit[0] | 0x20 {
        case UInt8(ascii: "k"): return 1 << 10
        case UInt8(ascii: "m"): return 1 << 20
        case UInt8(ascii: "g"): return 1 << 30
        case UInt8(ascii: "t"): return 1 << 40
        default: return nil
        }
    }

    private static func isByteSuffix(_ text: Span<UInt8>) -> Bool {
        switch text.count {
        case 0: true
        case 1: text[0] | 0x20 == UInt8(ascii: "b")
        case 2: text[0] | 0x20 == UInt8(ascii: "i") && text[1] | 0x20 == UInt8(ascii: "b")
        default: false
        }
    }

    private static func timeUnitSeconds(_ unit: Span<UInt8>) -> UInt64? {
        if unit.isEmpty { return 1 }
        return unit.count == 1 ? secondsPerTimeUnit(unit[0]) : nil
    }

    /// The seconds in one `s`, `m`, `h` or `d`; nil for every other letter.
    static func secondsPerTimeUnit(_ letter: UInt8) -> UInt64? {
        switch letter {
        case UInt8(ascii: "s"): 1
        case UInt8(ascii: "m"): 60
        case UInt8(ascii: "h"): 3600
        case UInt8(ascii: "d"): 86400
        default: nil
        }
    }
}

extension TimeoutRequest {
    /// Reads `300`, `90s`, `5m`, `2h` or `1d`; nil for anything else.
    public init?(parsing text: String) {
        var text = text
        text.makeContiguousUTF8()
        guard let request = Amount.timeout(text.utf8.span) else { return nil }
        self = request
    }
}

/// A non-negative decimal number: its whole part and its billionths, what lies below them rounded up.
struct Decimal {
    let whole: UInt64
    let billionths: UInt64  // At most 10^9: rounding up may reach one whole.

    /// The number at the start of `text` (`8`, `0.5`, `.5`, `8.`), nil when there is none, and where it ends.
    static func prefix(of text: Span<UInt8>) -> (number: Decimal?, end: Int) {
        var index = 0
        var whole: UInt64 = 0
        while index < text.count, text[index].isDigit {
            whole = min(whole &* 10 &+ UInt64(text[index] &- 0x30), 1 << 60)  // Held: beyond every maximum already.
            index += 1
        }
        var digitCount = index
        var billionths: UInt64 = 0
        if index < text.count, text[index] == UInt8(ascii: ".") {
            let start = index + 1
            (billionths, index) = fraction(of: text, from: start)
            digitCount += index - start
        }
        return (digitCount > 0 ? Decimal(whole: whole, billionths: billionths) : nil, index)
    }

    private static func fraction(of text: Span<UInt8>, from start: Int) -> (billionths: UInt64, end: Int) {
        var index = start
        var billionths: UInt64 = 0
        var place: UInt64 = 100_000_000
        var isInexact = false
        while index < text.count, text[index].isDigit {
            let digit = UInt64(text[index] &- 0x30)
            billionths += digit * place
            if place == 0, digit > 0 { isInexact = true }
            place /= 10
            index += 1
        }
        return (isInexact ? billionths + 1 : billionths, index)
    }

    /// This number of `unit`s, rounded up; nil above `max`. `unit` is at most 2^40.
    func scaled(by unit: UInt64, max: UInt64) -> UInt64? {
        let (wholeUnits, overflow) = whole.multipliedReportingOverflow(by: unit)
        guard !overflow, wholeUnits <= max else { return nil }
        let product = billionths.multipliedFullWidth(by: unit)
        let (quotient, remainder) = UInt64(1_000_000_000).dividingFullWidth(product)
        let total = wholeUnits + quotient + (remainder > 0 ? 1 : 0)
        return total <= max ? total : nil
    }
}

extension UInt8 {
    var isDigit: Bool { self >= 0x30 && self <= 0x39 }

    /// White space as it separates words and surrounds lines: space, tab, and the ASCII line and page controls.
    var isBlank: Bool { self == 0x20 || (self >= 0x09 && self <= 0x0D) }
}

/// Amounts as people type them, for whoever reads such outside of task lines.
public enum TypedAmount {
    /// Bytes of memory, of `8`, `0.5`, `512M`; nil for what is none.
    public static func memoryBytes(_ text: some StringProtocol) -> UInt64? {
        var text = String(text)
        text.makeContiguousUTF8()
        return Amount.memoryBytes(text.utf8.span)
    }

    /// Thousandths of a core, of `2` or `0.5`; nil for what is none.
    public static func millicores(_ text: some StringProtocol) -> Int? {
        var text = String(text)
        text.makeContiguousUTF8()
        return Amount.millicores(text.utf8.span)
    }
}

// MARK: - Writing

/// Amounts as people read them, in the units of `Amount`.
public enum AmountText {
    /// Bytes as `512 MB`, `1.5 GB`: the largest unit (powers of 1024) there is one of, to two decimals.
    public static func memory(_ bytes: UInt64) -> String {
        let units = ["B", "KB", "MB", "GB", "TB"]
        var amount = Double(bytes)
        var unit = 0
        // 1023.995 would be written as 1024 of the smaller unit.
        while amount >= (unit == 0 ? 1024 : 1023.995), unit + 1 < units.count {
            amount /= 1024
            unit += 1
        }
        return "\(decimal(amount, places: 2)) \(units[unit])"
    }

    /// Seconds as `300 s`, `0.5 s`: to three decimals.
    public static func seconds(_ seconds: Double) -> String { "\(decimal(seconds, places: 3)) s" }

    /// Seconds for a glance: `0.042 s`, `3.2 s`, `318 s`.
    public static func roundedSeconds(_ seconds: Double) -> String {
        "\(decimal(seconds, places: seconds < 1 ? 3 : seconds < 100 ? 1 : 0)) s"
    }

    /// A number with at most `places` decimals (at most 6) and no zeros at its end; far from zero, as Swift writes it.
    public static func decimal(_ number: Double, places: Int) -> String {
        var scale: Int64 = 1
        for _ in 0..<places { scale *= 10 }
        let scaled = number * Double(scale)
        guard scaled.magnitude < 4e15 else { return number.description }  // Also what NaN and infinity come to.
        // Not rounded(), which would need the C mathematics library for one call.
        let units = Int64(scaled + (scaled < 0 ? -0.5 : 0.5))
        let (whole, remainder) = units.magnitude.quotientAndRemainder(dividingBy: UInt64(scale))
        var fraction = remainder
        var digits = [UInt8](repeating: 0x30, count: places)
        for place in digits.indices.reversed() {
            digits[place] += UInt8(fraction % 10)
            fraction /= 10
        }
        while digits.last == 0x30 { digits.removeLast() }
        let sign = units < 0 ? "-" : ""
        return digits.isEmpty ? "\(sign)\(whole)" : "\(sign)\(whole).\(String(decoding: digits, as: UTF8.self))"
    }
}
