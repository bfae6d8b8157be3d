// Fair between owners, said plainly: what runs for each is added up anew whenever somebody wants to know, and each task is given to whose
// turn it is.

import RedisClient
import TaskModel

extension QueueModel {
    /// What nodes hold for an owner.
    public struct Use: Equatable, Sendable {
        public var memory: UInt64 = 0
        public var millicores = 0
        /// In thousandths, by name; none is 0.
        public var resources: [String: Int] = [:]

        public init() {}

        mutating func add(_ request: ResourceRequest) {
            resources.merge(request.thousandths) { $0 + $1 }
        }
    }

    var hasSeveralOwners: Bool { !jobOwners.isEmpty }
    func owner(of line: String) -> String { jobOwners[Self.job(of: line)] ?? "" }

    private static func cores(_ millicores: Int) -> Int { millicores > 0 ? millicores : 1000 }

    /// Of the nodes that have said what they hold.
    public var uses: [String: Use] {
        var uses: [String: Use] = [:]
        for incarnation in counted {
            for (line, entry) in held[incarnation] ?? [:] {
                uses[owner(of: line), default: Use()].memory += entry.memory
                uses[owner(of: line), default: Use()].millicores += Self.cores(entry.millicores)
                uses[owner(of: line), default: Use()].add(needs(of: line))
            }
        }
        return uses
    }

    /// By what a use is divided.
    public func units(of owner: String) -> (memory: Int, millicores: Int, resources: [String: Int]) {
        let weight = shares[owner] ?? 1
        func unit(_ total: Int, _ otherwise: Int) -> Int {
            max(1, Int((Double(total > 0 ? total : otherwise) * weight).rounded(.down)))
        }
        return (
            unit(Int(fleet?.memory ?? 0), 4 << 30), unit(fleet?.millicores ?? 0, 1000),
            (fleet?.resources ?? [:]).filter { $0.value > 0 }.mapValues { unit($0, 0) }
        )
    }

    /// The lower, the sooner it is their turn.
    private func place(_ use: Use, of owner: String, last: Int) -> Int {
        if use.millicores == 0 { return last - (1 << 53) }
        let units = units(of: owner)
        let ofResources = use.resources.compactMap { name, amount in
            // What nobody is known to have does not count.
            units.resources[name].map { Double(amount) / Double($0) }
        }
        let share = max(
            Double(use.memory) / Double(units.memory), Double(use.millicores) / Double(units.millicores),
            ofResources.max() ?? 0)
        return Self.steps(share) * (1 << 29) + (last >> 10) % (1 << 29)
    }

    /// Millionths; below 4096 and from 2^22 on so many of each doubling.
    private static func steps(_ share: Double) -> Int {
        let millionths = share * 1e6
        guard millionths > 0 else { return 0 }
        let doublings = Double(millionths.exponent) + millionths.significand - 1
        let steps =
            millionths < 4096
            ? 128 * (doublings + 20) : millionths >= 4_194_304 ? 131_072 * (doublings + 10) : millionths
        return Int(max(0, min(steps.rounded(.down), 8_388_607)))
    }

    /// A node has said what it holds.
    mutating func count(_ me: String) {
        guard counted.insert(me).inserted else { return }
        for (line, entry) in held[me] ?? [:] { noteTurn(of: line, token: entry.token) }
    }

    mutating func noteTurn(of line: String, token: Int) {
        lastGiven[owner(of: line)] = max(lastGiven[owner(of: line)] ?? 0, token)
    }

    mutating func setShare(_ arguments: Arguments) -> RESPValue {
        let weight = Double(arguments.text(3)) ?? 1
        shares[arguments.text(2)] = weight == 1 ? nil : weight
        return Self.text("OK")
    }

    mutating func lookAfterOwners(_ me: String, _ now: Int) {
        guard hasSeveralOwners else { return }
        if now >= recountedUntil ?? 0 {
            if recountedUntil != nil { counted = [] }
            recountedUntil = now + 3_600_000
        }
        if now >= measuredUntil {
            measuredUntil = now + 60_000
            let totals = resources.values.map { $0.byName.mapValues(\.thousandths) }
            fleet = (
                nodes.values.reduce(0) { $0 + $1.memory }, nodes.values.reduce(0) { $0 + $1.millicores },
                totals.reduce(into: [:]) { $0.merge($1) { $0 + $1 } }
            )
        }
        count(me)
    }

    /// An owner who has tasks, in the order in which they have their turns.
    private struct Turn {
        let owner: String
        var use: Use
        var place: Int
        var waiting: ArraySlice<(line: String, place: Place)>
    }

    /// What a claim gives; `mayTake` says what its node may have at all.
    mutating func shareOut(
        to me: String, count: Int, memory: UInt64, millicores: Int, _ free: inout FreeResources,
        mayTake: (String, Place) -> Bool
    ) -> [(line: String, place: Place)] {
        self.count(me)
        var (want, memory, millicores) = (count, memory, millicores)
        let half = max(1, want / 2)
        let uses = uses
        let lines = waiting.sorted { $0.value.score < $1.value.score }.map { (line: $0.key, place: $0.value) }
        var turns = Dictionary(grouping: lines) { owner(of: $0.line) }.map { owner, lines in
            let use = uses[owner] ?? Use()
            return Turn(
                owner: owner, use: use, place: place(use, of: owner, last: lastGiven[owner] ?? 0), waiting: lines[...])
        }.sorted { one, other in
            if one.place != other.place { return one.place < other.place }
            return one.owner.utf8.lexicographicallyPrecedes(other.owner.utf8)
        }
        var given: [(line: String, place: Place)] = []
        // As `give` makes them.
        var token = max(token, Int(serverMicroseconds))
        while want > 0, !turns.isEmpty {
            var turn = turns.removeFirst()
            var helping = half
            let millicoresMax = turn.use.millicores + max(1, turn.use.millicores)
            let had = turn.use.resources
            /// Whether he has been given as much of something in this turn as he had, or a first task.
            func isServed(_ use: Use) -> Bool {
                use.resources.contains { name, amount in amount >= (had[name] ?? 0) + max(1, had[name] ?? 0) }
            }
            while want > 0, helping > 0, turn.use.millicores < millicoresMax, !isServed(turn.use),
                let (line, place) = turn.waiting.popFirst()
            {
                var left = free
                guard place.memory <= memory, place.millicores <= millicores, left.take(needs(of: line)),
                    mayTake(line, place)
                else { continue }
                free = left
                memory -= place.memory
                millicores -= place.millicores
                (want, helping) = (want - 1, helping - 1)
                turn.use.memory += place.memory
                turn.use.millicores += Self.cores(place.millicores)
                turn.use.add(needs(of: line))
                given.append((line, place))
                token += 1
                noteTurn(of: line, token: token)
            }
            turn.place = self.place(turn.use, of: turn.owner, last: lastGiven[turn.owner] ?? 0)
            if helping == 0 || turn.use.millicores >= millicoresMax || isServed(turn.use) {
                turns.insert(turn, at: turns.firstIndex { $0.place > turn.place } ?? turns.endIndex)
            }
        }
        return given
    }
}
