// Writes amounts the way people read them: `2 GB`, `1.5 GB`, `300 s`. The counterpart of Amount.swift, with its units.

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
    static func decimal(_ number: Double, places: Int) -> String {
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
