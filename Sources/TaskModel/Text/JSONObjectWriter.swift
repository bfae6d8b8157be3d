// Writes a JSON object field by field into one buffer: records and listings are written by the million, and a tree of
// values made only to be printed would cost more than the printing.

public struct JSONObjectWriter: Sendable {
    private var json: [UInt8] = [UInt8(ascii: "{")]

    public init() {}

    /// The object, closed.
    public var bytes: [UInt8] { json + CollectionOfOne(UInt8(ascii: "}")) }

    /// The object, closed.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    public mutating func field(_ name: String, _ value: String?) {
        startField(name)
        if let value { JSONText.appendQuoted(value, to: &json) } else { append("null") }
    }

    public mutating func field(_ name: String, _ value: (some BinaryInteger)?) {
        startField(name)
        append(value.map { String($0) } ?? "null")
    }

    /// A number to six decimals; null for what JSON cannot say (NaN and the infinite).
    public mutating func field(_ name: String, _ value: Double?) {
        startField(name)
        append(value.flatMap { $0.isFinite ? AmountText.decimal($0, places: 6) : nil } ?? "null")
    }

    public mutating func field(_ name: String, _ value: Bool?) {
        startField(name)
        append(value.map { $0 ? "true" : "false" } ?? "null")
    }

    public mutating func field(_ name: String, _ values: [String]) {
        startField(name)
        json.append(UInt8(ascii: "["))
        for (index, value) in values.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            JSONText.appendQuoted(value, to: &json)
        }
        json.append(UInt8(ascii: "]"))
    }

    /// A field whose value is JSON already.
    public mutating func field(_ name: String, json value: [UInt8]) {
        startField(name)
        json += value
    }

    private mutating func startField(_ name: String) {
        if json.count > 1 { json.append(UInt8(ascii: ",")) }
        JSONText.appendQuoted(name, to: &json)
        json.append(UInt8(ascii: ":"))
    }

    private mutating func append(_ text: String) { json += text.utf8 }
}
