// Which task has which of the node's devices, and how much of what else it has by name. The queue's claim reckons in the same way
// (needing.lua), so what it gives fits; what is free when its answer comes decides all the same.

import TaskModel

/// What a task has of the named resources of its node.
public struct ResourceShare: Hashable, Sendable {
    public struct Part: Hashable, Sendable {
        /// Of all of its devices together.
        public let thousandths: Int
        /// Empty for what is an amount.
        public let devices: [String]

        public init(thousandths: Int, devices: [String] = []) {
            self.thousandths = thousandths
            self.devices = devices
        }
    }

    public private(set) var parts: [String: Part] = [:]

    public init() {}

    public var isEmpty: Bool { parts.isEmpty }

    mutating func add(_ name: String, _ part: Part) { parts[name] = part }

    /// For whoever goes on with the task: `gpu=2000=GPU-0a,GPU-1b licence=500`.
    public var text: String {
        parts.sorted { $0.key < $1.key }.map { name, part in
            "\(name)=\(part.thousandths)"
                + (part.devices.isEmpty ? "" : "=" + part.devices.joined(separator: ","))
        }.joined(separator: " ")
    }

    /// Reads ``text``; nil for what is none.
    public init?(text: String) {
        for word in text.split(separator: " ") {
            let fields = word.split(separator: "=", omittingEmptySubsequences: false)
            guard fields.count == 2 || fields.count == 3, ResourceRequest.isName(fields[0]),
                let thousandths = Int(fields[1]), (1...ResourceRequest.amountMax * 1000).contains(thousandths)
            else { return nil }
            let devices = fields.count == 3 ? fields[2].split(separator: ",").map(String.init) : []
            guard devices.allSatisfy({ NodeResources.isDevice($0) }) else { return nil }
            parts[String(fields[0])] = Part(thousandths: thousandths, devices: devices)
        }
    }
}

/// The named resources of a node, and what its tasks have of them.
public struct ResourcePool: Equatable, Sendable {
    /// What there is.
    public var resources: NodeResources
    /// What tasks have, in thousandths, by resource and device; "" is where an amount stands. Devices that the node has no more are among
    /// them while tasks have them.
    private var used: [String: [String: Int]] = [:]

    public init(_ resources: NodeResources = NodeResources()) { self.resources = resources }

    /// What a task gets that asks for this; nil where that is not free.
    public func share(for request: ResourceRequest) -> ResourceShare? {
        var share = ResourceShare()
        for (name, amount) in request.sorted {
            guard let part = part(of: name, amount) else { return nil }
            share.add(name, part)
        }
        return share
    }

    private func part(of name: String, _ amount: Int) -> ResourceShare.Part? {
        let used = used[name] ?? [:]
        switch resources.kinds[name] {
        case nil: return nil
        case .amount(let all): return amount <= all - used["", default: 0] ? .init(thousandths: amount) : nil
        case .devices(let names):
            if amount.isMultiple(of: 1000) {
                let free = names.lazy.filter { used[$0, default: 0] == 0 }.prefix(amount / 1000)
                return free.count == amount / 1000 ? .init(thousandths: amount, devices: Array(free)) : nil
            }
            // The one with the least left that holds it, so that whole ones stay whole.
            let best = names.filter { amount <= 1000 - used[$0, default: 0] }
                .max { used[$0, default: 0] < used[$1, default: 0] }
            return best.map { .init(thousandths: amount, devices: [$0]) }
        }
    }

    public mutating func take(_ share: ResourceShare) { add(share, 1) }

    public mutating func giveBack(_ share: ResourceShare) { add(share, -1) }

    private mutating func add(_ share: ResourceShare, _ sign: Int) {
        for (name, part) in share.parts {
            for device in part.devices.isEmpty ? [""] : part.devices {
                let each = part.thousandths / max(1, part.devices.count)
                let left = (used[name]?[device] ?? 0) + sign * each
                assert(left >= 0, "more given back than was taken")
                used[name, default: [:]][device] = left == 0 ? nil : left
            }
            if used[name]?.isEmpty == true { used[name] = nil }
        }
    }

    /// What is free, as a claim says it: `gpu@1000,500 licence:3000`; "" where the node has nothing.
    public var freeText: String {
        resources.kinds.sorted { $0.key < $1.key }.map { name, kind in
            let used = used[name] ?? [:]
            switch kind {
            case .amount(let all): return "\(name):\(max(0, all - used["", default: 0]))"
            case .devices(let names):
                return "\(name)@" + names.map { "\(max(0, 1000 - used[$0, default: 0]))" }.joined(separator: ",")
            }
        }.joined(separator: " ")
    }
}
