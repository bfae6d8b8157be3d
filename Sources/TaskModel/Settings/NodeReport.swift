// What a node says about itself in `worker_status`. The old workers write this line and the old tools read it, so its
// five fields stay as they are: unix:used_core:total_core:used_mem_gb:total_mem_gb.

/// What a node has and uses, at a moment.
public struct NodeReport: Hashable, Sendable {
    /// When it was written, in seconds since 1970.
    public var unixSeconds: Int64
    public var usedCores: Double
    public var totalCores: Double
    /// In GB of 2^30 bytes.
    public var usedMemoryGB: Double
    public var totalMemoryGB: Double

    public init(
        unixSeconds: Int64, usedCores: Double, totalCores: Double, usedMemoryGB: Double, totalMemoryGB: Double
    ) {
        self.unixSeconds = unixSeconds
        self.usedCores = usedCores
        self.totalCores = totalCores
        self.usedMemoryGB = usedMemoryGB
        self.totalMemoryGB = totalMemoryGB
    }

    /// The value for `worker_status`, such as `1732368000:2:8:3.5:15.62`.
    public var text: String {
        let amounts = [usedCores, totalCores, usedMemoryGB, totalMemoryGB]
        return ([String(unixSeconds)] + amounts.map { AmountText.decimal($0, places: 2) }).joined(separator: ":")
    }

    /// Reads a value of `worker_status`, ours or an old worker's; nil when it is not one. Old workers may write the
    /// time with a fraction, and any number may be a decimal.
    public init?(parsing text: String) {
        let fields = text.split(separator: ":", omittingEmptySubsequences: false)
        guard fields.count == 5 else { return nil }
        var numbers: [Double] = []
        for field in fields {
            // The first test keeps out what Double would take as well: `inf`, `nan`, hexadecimal.
            let isPlain = field.utf8.allSatisfy { $0.isDigit || $0 == UInt8(ascii: ".") }
            guard isPlain, let number = Double(field), number < 1e15 else { return nil }
            numbers.append(number)
        }
        // An exabyte: beyond it no number of bytes can be told.
        guard numbers[3] < 1e9, numbers[4] < 1e9 else { return nil }
        self.init(
            unixSeconds: Int64(numbers[0]), usedCores: numbers[1], totalCores: numbers[2], usedMemoryGB: numbers[3],
            totalMemoryGB: numbers[4])
    }
}
