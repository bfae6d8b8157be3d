// Plain rules that the queue's own is measured beside: who may go first, and what fits. Each knows a workload and the fleet, and is told what
// comes, ends, and is free.

/// So many cores and so much memory: of a node, what is free of it, or what a task asks for.
struct Room: Hashable, Sendable {
    /// What a node has of memory for each of its cores.
    static let gigabytesOfCore = 4

    var cores: Int
    var gigabytes: Int

    static func ofNode(cores: Int) -> Room { Room(cores: cores, gigabytes: cores * gigabytesOfCore) }

    func holds(_ other: Room) -> Bool { other.cores <= cores && other.gigabytes <= gigabytes }

    /// The larger of its parts of something.
    func share(of all: Room) -> Double {
        max(Double(cores) / Double(all.cores), Double(gigabytes) / Double(all.gigabytes))
    }

    static func += (one: inout Room, other: Room) {
        one.cores += other.cores
        one.gigabytes += other.gigabytes
    }

    static func -= (one: inout Room, other: Room) {
        one.cores -= other.cores
        one.gigabytes -= other.gigabytes
    }
}

/// Decides what a node runs next.
protocol SchedulingRule {
    var name: String { get }

    /// From now on it waits; its number is its place in the workload.
    mutating func add(_ number: Int) throws

    /// What a node with so much that is free begins now, in this order.
    mutating func take(node: Int, free: Room) throws -> [Int]

    /// It is so late now, in seconds.
    mutating func pass(to now: Double) throws

    /// What has ended is known, and what is new; nothing has been given yet.
    mutating func look() throws

    /// It has ended there.
    mutating func end(_ number: Int, node: Int) throws
}

extension SchedulingRule {
    mutating func pass(to now: Double) {}
    mutating func look() {}
}

/// Whoever came first is served first, and holds up all others until there is room.
struct FirstComeFirstServed: SchedulingRule {
    let name = "first come first served"
    private let workload: [WorkloadTask]
    private var waiting: [Int] = []
    private var served = 0

    init(_ workload: [WorkloadTask]) { self.workload = workload }

    mutating func add(_ number: Int) { waiting.append(number) }

    mutating func take(node: Int, free: Room) -> [Int] {
        var taken: [Int] = []
        var free = free
        while served < waiting.count, free.holds(workload[waiting[served]].room) {
            taken.append(waiting[served])
            free -= workload[waiting[served]].room
            served += 1
        }
        return taken
    }

    func end(_ number: Int, node: Int) {}
}

/// Users have ranks, and whoever has the highest is served first; among equals the first to come. Nobody passes either.
struct StrictPriority: SchedulingRule {
    let name = "strict priority"
    private let workload: [WorkloadTask]
    private var waiting: [Int: [Int]] = [:]

    init(_ workload: [WorkloadTask]) { self.workload = workload }

    mutating func add(_ number: Int) { waiting[workload[number].user % 4, default: []].insert(number, at: 0) }

    mutating func take(node: Int, free: Room) -> [Int] {
        var taken: [Int] = []
        var free = free
        while let rank = waiting.keys.filter({ waiting[$0]?.isEmpty == false }).min(),
            let next = waiting[rank]?.last, free.holds(workload[next].room)
        {
            taken.append(next)
            free -= workload[next].room
            waiting[rank]?.removeLast()
        }
        return taken
    }

    func end(_ number: Int, node: Int) {}
}

/// Whatever fits is begun: of that the first to come, or what takes the largest part of a node. Nobody holds up anybody, and nothing is kept
/// for who wants much.
struct FirstFit: SchedulingRule {
    enum Order: Sendable {
        /// The first to come.
        case age
        /// What takes the largest part of a node, by its cores or its memory; of the same the first to come.
        case largest
    }

    let name: String
    private let workload: [WorkloadTask]
    private let order: Order
    private let isFair: Bool
    private let node: Room
    private let fleet: Room
    /// By user, and by what they ask for; all are user 0 where users do not matter.
    private var waiting: [Int: [Room: Line]] = [:]
    /// What runs for each user, and the how manyth they were given last.
    private var uses: [Int: (room: Room, turn: Int)] = [:]
    private var turn = 0

    private struct Line {
        var numbers: [Int] = []
        var served = 0
        var first: Int? { served < numbers.count ? numbers[served] : nil }
    }

    /// - Parameter isFair: whether the next is of whom the least runs, as it is in the queue.
    init(_ workload: [WorkloadTask], by order: Order, isFair: Bool, nodes: Int, cores: Int) {
        name = (isFair ? "fair, " : "") + "first fit by " + (order == .age ? "age" : "size")
        (self.workload, self.order, self.isFair) = (workload, order, isFair)
        node = Room.ofNode(cores: cores)
        fleet = Room.ofNode(cores: nodes * cores)
    }

    private func user(_ number: Int) -> Int { isFair ? workload[number].user : 0 }

    mutating func add(_ number: Int) {
        waiting[user(number), default: [:]][workload[number].room, default: Line()].numbers.append(number)
    }

    mutating func take(node: Int, free: Room) -> [Int] {
        var taken: [Int] = []
        var free = free
        while let next = next(within: free) {
            let (user, room) = (user(next), workload[next].room)
            taken.append(next)
            free -= room
            waiting[user]?[room]?.served += 1
            turn += 1
            uses[user, default: (Room(cores: 0, gigabytes: 0), 0)].room += room
            uses[user]?.turn = turn
        }
        return taken
    }

    private func next(within free: Room) -> Int? {
        let places = waiting.keys.map { user in
            let use = uses[user] ?? (Room(cores: 0, gigabytes: 0), 0)
            return (user: user, share: use.room.share(of: fleet), turn: use.turn)
        }
        for place in places.sorted(by: { ($0.share, $0.turn, $0.user) < ($1.share, $1.turn, $1.user) }) {
            let heads = (waiting[place.user] ?? [:]).filter { free.holds($0.key) }.compactMap(\.value.first)
            if let first = heads.min(by: isBefore) { return first }
        }
        return nil
    }

    private func isBefore(_ one: Int, _ other: Int) -> Bool {
        guard order == .largest else { return one < other }
        let (large, small) = (workload[one].room.share(of: node), workload[other].room.share(of: node))
        return large == small ? one < other : large > small
    }

    mutating func end(_ number: Int, node: Int) { uses[user(number)]?.room -= workload[number].room }
}
