// What a node has of named resources: so much of something, or devices, each of which is given to one task at a time, or in parts to
// several. Its settings say it, or where to look (`"auto"`).

/// What `resources` of the settings says of one.
public enum ResourceSetting: Hashable, Sendable {
    /// So many thousandths.
    case amount(Int)
    /// The names of devices, as programs are told them.
    case devices([String])
    /// `"auto"`: what GPUs are found when the node starts.
    case found
}

/// What a node has, each device by its name.
public struct NodeResources: Hashable, Sendable {
    public enum Kind: Hashable, Sendable {
        case amount(Int)
        case devices([String])
    }

    public var kinds: [String: Kind]

    public init(_ kinds: [String: Kind] = [:]) { self.kinds = kinds }

    /// - Parameter found: the devices that `"auto"` stands for.
    public init(_ settings: [String: ResourceSetting], found: [String] = []) {
        kinds = settings.mapValues { setting in
            switch setting {
            case .amount(let thousandths): .amount(thousandths)
            case .devices(let names): .devices(names)
            case .found: .devices(found)
            }
        }
    }

    public var isEmpty: Bool { kinds.isEmpty }

    /// Whether tasks are given GPUs of their own.
    public var hasDevices: Bool { if case .devices = kinds[ResourceRequest.gpu] { true } else { false } }

    /// As the queue is told.
    public var totals: ResourceTotals {
        ResourceTotals(
            kinds.mapValues { kind in
                switch kind {
                case .amount(let thousandths): .amount(thousandths)
                case .devices(let names): .devices(names.count)
                }
            })
    }

    /// The most devices of one resource: a claim names what is free of each.
    public static let devicesMax = 128

    /// Whether a device may be called so: it stands between commas in variables that programs read, and between blanks in ours.
    public static func isDevice(_ name: String) -> Bool {
        (1...96).contains(name.utf8.count)
            && name.utf8.allSatisfy { Configuration.isNameByte($0) || $0 == UInt8(ascii: "/") }
    }
}

/// How much a node has of each resource, without the names of devices.
public struct ResourceTotals: Hashable, Sendable {
    public enum Total: Hashable, Sendable {
        case amount(Int)
        case devices(Int)

        /// In thousandths.
        public var thousandths: Int {
            switch self {
            case .amount(let thousandths): thousandths
            case .devices(let count): count * 1000
            }
        }

        /// Whether a task could have so much of it, were all of it free.
        func canHold(_ thousandths: Int) -> Bool {
            switch self {
            case .amount(let all): thousandths <= all
            case .devices(let count):
                thousandths <= count * 1000 && (thousandths < 1000 || thousandths.isMultiple(of: 1000))
            }
        }
    }

    public private(set) var byName: [String: Total]

    public init(_ totals: [String: Total] = [:]) { byName = totals }

    public var isEmpty: Bool { byName.isEmpty }

    /// In the order of their names.
    public var sorted: [(name: String, total: Total)] {
        byName.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// Whether a node that has this could hold such a task, if it held no other.
    public func canHold(_ request: ResourceRequest) -> Bool {
        request.thousandths.allSatisfy { byName[$0.key]?.canHold($0.value) ?? false }
    }

    /// Adds what another node has.
    public mutating func add(_ other: ResourceTotals) {
        for (name, total) in other.byName {
            switch (byName[name], total) {
            case (.devices(let own)?, .devices(let more)): byName[name] = .devices(own + more)
            case (let own?, _): byName[name] = .amount(own.thousandths + total.thousandths)
            case (nil, _): byName[name] = total
            }
        }
    }

    /// `8 gpu and 4 licence`; "" for nothing.
    public var words: String {
        ResourceRequest.list(sorted.map { "\(ResourceRequest.amountText($0.total.thousandths)) \($0.name)" })
    }

    /// As the queue keeps it: `gpu:d8 licence:4000`.
    public var text: String {
        sorted.map { name, total in
            switch total {
            case .amount(let thousandths): "\(name):\(thousandths)"
            case .devices(let count): "\(name):d\(count)"
            }
        }.joined(separator: " ")
    }

    /// Reads ``text``; what cannot be read comes from another version, and is not there.
    public init(text: some StringProtocol) {
        byName = [:]
        for part in text.split(separator: " ") {
            let sides = part.split(separator: ":", omittingEmptySubsequences: false)
            guard sides.count == 2, ResourceRequest.isName(sides[0]) else { continue }
            let isOfDevices = sides[1].hasPrefix("d")
            guard let number = Int(isOfDevices ? sides[1].dropFirst() : sides[1]), number >= 0,
                number <= ResourceRequest.amountMax * 1000
            else { continue }
            byName[String(sides[0])] = isOfDevices ? .devices(min(number, 1 << 20)) : .amount(number)
        }
    }
}
