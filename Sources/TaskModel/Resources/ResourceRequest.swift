// What tasks ask for besides memory and cores, by names that whoever runs the nodes chooses: GPUs, licences, space on a disk. A job says it
// for all of its tasks; the queue's claim (needing.lua reads the same text) and the node decide who gets what.

/// How much of each named resource a task has while it runs.
public struct ResourceRequest: Hashable, Sendable {
    /// By name, in thousandths of one; none is 0.
    public private(set) var thousandths: [String: Int] = [:]

    public static let countMax = 8
    /// Sums over all tasks of a node stay far below what an integer holds.
    public static let amountMax = 1_000_000
    /// By this name devices are looked for, and programs are told which they may use.
    public static let gpu = "gpu"

    public static let expected =
        "names of resources and how much of each, such as gpu=1,scratch_gb=20: at most \(countMax) names of lower case letters, digits "
        + "and _, from 0.001 to \(amountMax), and of gpu a whole number, or a part of one"

    public init() {}

    public var isEmpty: Bool { thousandths.isEmpty }

    /// In the order of their names.
    public var sorted: [(name: String, thousandths: Int)] {
        thousandths.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Whether a node may have a resource of this name: it becomes part of a variable's.
    public static func isName(_ name: some StringProtocol) -> Bool {
        guard let first = name.utf8.first, name.utf8.count <= 32, isLetter(first) else { return false }
        return name.utf8.allSatisfy { isLetter($0) || $0.isDigit || $0 == UInt8(ascii: "_") }
    }

    private static func isLetter(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
    }

    /// Adds a resource; says whether that can be asked for.
    public mutating func add(_ name: String, thousandths amount: Int) -> Bool {
        guard Self.isName(name), thousandths[name] == nil, thousandths.count < Self.countMax, amount > 0,
            amount <= Self.amountMax * 1000
        else { return false }
        // A device is given whole to several tasks only in parts, and several devices only whole.
        if name == Self.gpu, amount > 1000, !amount.isMultiple(of: 1000) { return false }
        thousandths[name] = amount
        return true
    }

    /// Reads `gpu=1,licence=0.5`; nil for what is no such list.
    public init?(typed: some StringProtocol) {
        for part in typed.split(separator: ",", omittingEmptySubsequences: false) {
            guard let equals = part.firstIndex(of: "="),
                let amount = Self.thousandths(part[part.index(after: equals)...]),
                add(String(part[..<equals]), thousandths: amount)
            else { return nil }
        }
    }

    /// The thousandths of an amount such as `2` or `0.5`: of a part of one the nearest, of more rounded up.
    public static func thousandths(_ text: some StringProtocol) -> Int? {
        var text = String(text)
        text.makeContiguousUTF8()
        return Amount.resource(text.utf8.span)
    }

    /// As people type it.
    public var typed: String { sorted.map { "\($0.name)=\(Self.amountText($0.thousandths))" }.joined(separator: ",") }

    /// `2 gpu and 0.5 licence`.
    public var words: String { Self.list(sorted.map { "\(Self.amountText($0.thousandths)) \($0.name)" }) }

    /// As it is noted and read back: `gpu:1000 licence:500`.
    public var text: String { sorted.map { "\($0.name):\($0.thousandths)" }.joined(separator: " ") }

    /// Reads ``text``. What cannot be read of it is left out by nobody: then all of it is nil.
    public init?(text: some StringProtocol) {
        for part in text.split(separator: " ") {
            let sides = part.split(separator: ":", omittingEmptySubsequences: false)
            guard sides.count == 2, let amount = Int(sides[1]), add(String(sides[0]), thousandths: amount) else {
                return nil
            }
        }
    }

    /// Its names and amounts as an object of JSON.
    public var json: [UInt8] {
        var writer = JSONObjectWriter()
        for (name, amount) in sorted { writer.field(name, Double(amount) / 1000) }
        return writer.bytes
    }

    public static func amountText(_ thousandths: Int) -> String {
        AmountText.decimal(Double(thousandths) / 1000, places: 3)
    }

    static func list(_ parts: [String]) -> String {
        parts.count < 2 ? parts.joined() : parts.dropLast().joined(separator: ", ") + " and " + parts[parts.count - 1]
    }
}
