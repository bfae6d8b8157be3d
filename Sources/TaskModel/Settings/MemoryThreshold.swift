// An amount of memory a setting gives, either outright or as a share of the machine: so that one conf.json is right for
// machines of any size.

/// An amount of memory, or a share of all the machine has.
public enum MemoryThreshold: Hashable, Sendable, CustomStringConvertible {
    case bytes(UInt64)
    /// Of the machine's memory; at most 1,000,000.
    case share(partsPerMillion: UInt64)

    /// The amount on a machine with `total` bytes of memory.
    public func bytes(ofTotal total: UInt64) -> UInt64 {
        switch self {
        case .bytes(let bytes): return bytes
        case .share(let partsPerMillion):
            let product = total.multipliedFullWidth(by: min(partsPerMillion, 1_000_000))
            return UInt64(1_000_000).dividingFullWidth(product).quotient
        }
    }

    public var description: String {
        switch self {
        case .bytes(let bytes): AmountText.memory(bytes)
        case .share(let partsPerMillion): "\(AmountText.decimal(Double(partsPerMillion) / 10_000, places: 4))%"
        }
    }
}
