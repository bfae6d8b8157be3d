// Which processors a task may run on where `cpu_limit` is "pin". Whole cores are one task's alone, on one NUMA node where one has
// room; parts of cores are packed onto the others. Admission sees to it that all tasks together fit the node; where they fit in
// sum and not in pieces, processors are shared rather than a task refused.

/// The processors of a node, and how much of each is given away.
public struct ProcessorMap: Equatable, Sendable {
    /// The processors a task runs on, and how much of them is its own.
    public struct Share: Equatable, Sendable {
        /// Numbers as the kernel has them; those that are the task's alone first. Empty: all there are.
        public var processors: [Int]
        public var millicores: Int

        public init(processors: [Int], millicores: Int) {
            (self.processors, self.millicores) = (processors, millicores)
        }
    }

    /// The processors of each NUMA node, those of one physical core beside each other. They may change while tasks run, as the
    /// limits of a group do.
    public var nodes: [[Int]]
    /// Thousandths of each processor that tasks have.
    private var given: [Int: Int] = [:]

    public init(nodes: [[Int]]) { self.nodes = nodes }

    /// Gives a task its processors: all, if it asks for none or for as many as there are.
    public mutating func take(millicores: Int) -> Share {
        let all = nodes.flatMap { $0 }
        let (wholeCount, part) = max(0, millicores).quotientAndRemainder(dividingBy: 1000)
        guard millicores > 0, wholeCount + (part > 0 ? 1 : 0) < all.count else {
            return Share(processors: [], millicores: 0)
        }
        var share = Share(processors: whole(wholeCount), millicores: millicores)
        if part > 0, let shared = shared(part, beside: share.processors) { share.processors.append(shared) }
        take(share)
        return share
    }

    /// Notes a share that is given already, as that of a task which runs on while the daemon executes itself anew.
    public mutating func take(_ share: Share) {
        for (processor, amount) in amounts(of: share) { given[processor, default: 0] += amount }
    }

    /// Takes back what ``take(millicores:)`` gave.
    public mutating func giveBack(_ share: Share) {
        for (processor, amount) in amounts(of: share) {
            let left = given[processor, default: 0] - amount
            assert(left >= 0, "more given back than was given")
            given[processor] = left > 0 ? left : nil
        }
    }

    private func amounts(of share: Share) -> [(processor: Int, amount: Int)] {
        share.processors.enumerated().map { ($1, min(1000, share.millicores - $0 * 1000)) }
    }

    private func given(_ processor: Int) -> Int { given[processor, default: 0] }

    /// So many that are nobody's: of the node that they fill best, else of as few as have them, else the least given ones.
    private func whole(_ count: Int) -> [Int] {
        let free = nodes.map { $0.filter { given($0) == 0 } }
        let order = free.sorted { one, other in
            switch (one.count >= count, other.count >= count) {
            case (true, true): one.count < other.count
            case (true, false): true
            case (false, true): false
            case (false, false): one.count > other.count
            }
        }
        let taken = nodes.flatMap { $0 }.filter { given($0) > 0 }.sorted { given($0) < given($1) }
        return Array((order.flatMap { $0 } + taken).prefix(count))
    }

    /// The one for a part of a core: the fullest it fits on, else a free one, else the least given; of the same node if there is a
    /// choice.
    private func shared(_ part: Int, beside chosen: [Int]) -> Int? {
        func rank(_ processor: Int, isNear: Bool) -> (Int, Int, Int) {
            let amount = given(processor)
            let near = isNear ? 0 : 1
            if amount > 0, amount + part <= 1000 { return (0, near, -amount) }
            return amount == 0 ? (1, near, 0) : (2, amount, near)
        }
        var best: (processor: Int, rank: (Int, Int, Int))?
        for node in nodes {
            let isNear = chosen.first.map { node.contains($0) } ?? true
            for processor in node where !chosen.contains(processor) {
                let rank = rank(processor, isNear: isNear)
                if best.map({ rank < $0.rank }) ?? true { best = (processor, rank) }
            }
        }
        return best?.processor
    }
}
