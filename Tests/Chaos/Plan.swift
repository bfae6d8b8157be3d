// Who is hurt when, and how: drawn from one seed, so that a run can be made again. What the processes make of it differs from
// run to run, for the kernel schedules them, but the same blows fall on the same nodes at the same times.

/// Random numbers that are the same for the same seed (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// A stream of its own for one of many that share a seed, so that what one draws does not shift the others.
    init(seed: UInt64, stream: UInt64) {
        var mixer = SeededGenerator(seed: seed ^ (stream &* 0xD6E8_FEB8_6659_FD93))
        state = mixer.next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// True so many times in a hundred.
    mutating func percent(_ share: Int) -> Bool { Int.random(in: 0..<100, using: &self) < share }

    mutating func seconds(_ range: ClosedRange<Double>) -> Double { Double.random(in: range, using: &self) }
}

/// What can be left out, to find out which of them something is due to.
enum Trouble: String, CaseIterable {
    case disk
    case redisFreeze = "redis-freeze"
    case redisClock = "redis-clock"
}

/// What is done to a node.
enum NodeBlow: Equatable {
    /// kill -9, and a new life after a pause.
    case kill(downSeconds: Double)
    /// SIGSTOP, and SIGCONT after a pause: it may be longer than the lease.
    case freeze(seconds: Double)
    /// SIGTERM, as an operator restarts a node, and a new life after a pause.
    case leave(downSeconds: Double)
    /// Its disk takes nothing for a while, in which it may be killed and started as well.
    case disk(DiskTrouble, seconds: Double, killAfterSeconds: Double?)
}

/// Draws from a bag until it is empty, and fills it again: whatever is in it comes, and soon.
struct Bag<Element> {
    private let elements: [Element]
    private var rest: [Element] = []

    init(_ elements: [Element]) { self.elements = elements }

    mutating func draw(using random: inout SeededGenerator) -> Element {
        if rest.isEmpty { rest = elements.shuffled(using: &random) }
        return rest.removeLast()
    }
}

/// The blows that fall on one node, one after the other without end.
struct NodePlan {
    private enum Kind { case kill, freeze, leave, disk }

    private var random: SeededGenerator
    private var bag: Bag<Kind>
    private var nextDiskTrouble: Int
    /// What comes before the draws: with each node another, so that three nodes soon have seen all there is.
    private var first: [Kind]

    /// - Parameter canHurtDisk: whether the node's results stand on a disk of their own.
    init(seed: UInt64, node: Int, canHurtDisk: Bool) {
        random = SeededGenerator(seed: seed, stream: UInt64(node) + 1)
        bag = Bag([.kill, .kill, .kill, .freeze, .freeze, .freeze, .leave] + (canHurtDisk ? [.disk] : []))
        nextDiskTrouble = node
        let other: Kind = [.kill, .freeze, .leave][node % 3]
        first = canHurtDisk ? [.disk, other, .disk] : [other]
    }

    /// How long the node is left in peace, and what comes then.
    mutating func next() -> (peaceSeconds: Double, blow: NodeBlow) {
        let peace = random.seconds(1...9)
        // A node that is away for longer than its lease is given up by the others; a shorter absence is its own affair.
        let isLong = random.percent(40)
        let away =
            isLong ? random.seconds((Fleet.leaseSeconds * 1.2)...(Fleet.leaseSeconds * 3)) : random.seconds(0.05...1.5)
        switch first.isEmpty ? bag.draw(using: &random) : first.removeFirst() {
        case .kill: return (peace, .kill(downSeconds: away))
        case .freeze: return (peace, .freeze(seconds: away))
        case .leave: return (peace, .leave(downSeconds: away))
        case .disk:
            nextDiskTrouble += 1
            let trouble = DiskTrouble.allCases[nextDiskTrouble % DiskTrouble.allCases.count]
            let seconds = max(1, away)
            // A life that cannot note anything of itself is no life to begin.
            let isKilled = random.percent(40) && trouble != .noStateInodes
            return (
                peace,
                .disk(trouble, seconds: seconds, killAfterSeconds: isKilled ? random.seconds(0.2...seconds) : nil)
            )
        }
    }
}

/// What is done to Redis.
struct RedisBlow {
    enum Kind {
        /// kill -9, and a new process after a pause.
        case kill
        /// SIGSTOP, and SIGCONT after a pause: what it was sent meanwhile it answers then.
        case freeze
        /// Its clock alone.
        case none
    }

    let kind: Kind
    var awaySeconds = 0.0
    /// By how much its time of day is stepped while it is away, or as it runs.
    var clockStepSeconds: Double?
}

/// When what is done to Redis.
struct RedisPlan {
    private enum Draw { case kill, killBeyondLease, freeze, freezeBeyondLease, clockForward, clockBack }

    private var random: SeededGenerator
    private var bag: Bag<Draw>
    private let canStepClock: Bool
    private var drawn = 0

    init(seed: UInt64, canFreeze: Bool, canStepClock: Bool) {
        random = SeededGenerator(seed: seed, stream: 0)
        bag = Bag(
            [.kill, .killBeyondLease] + (canFreeze ? [.freeze, .freezeBeyondLease, .freezeBeyondLease] : [])
                + (canStepClock ? [.clockForward, .clockForward, .clockBack, .clockBack] : []))
        self.canStepClock = canStepClock
    }

    mutating func next() -> (peaceSeconds: Double, blow: RedisBlow) {
        drawn += 1
        // A short run is to see all of it, a long one to get on with its work.
        let peace = random.seconds(drawn <= 9 ? 1...4 : 3...12)
        let short = random.seconds(0...1.5)
        let long = random.seconds((Fleet.leaseSeconds * 1.1)...(Fleet.leaseSeconds * 3))
        // Another host took over, or this one was set right: its clock need not go on where it was.
        let step = canStepClock && random.percent(20) ? clockStepSeconds(random.percent(50) ? 1 : -1) : nil
        switch bag.draw(using: &random) {
        case .kill: return (peace, RedisBlow(kind: .kill, awaySeconds: short, clockStepSeconds: step))
        case .killBeyondLease: return (peace, RedisBlow(kind: .kill, awaySeconds: long, clockStepSeconds: step))
        case .freeze: return (peace, RedisBlow(kind: .freeze, awaySeconds: short, clockStepSeconds: step))
        case .freezeBeyondLease: return (peace, RedisBlow(kind: .freeze, awaySeconds: long, clockStepSeconds: step))
        case .clockForward: return (peace, RedisBlow(kind: .none, clockStepSeconds: clockStepSeconds(1)))
        case .clockBack: return (peace, RedisBlow(kind: .none, clockStepSeconds: clockStepSeconds(-1)))
        }
    }

    /// Half a second to an hour: as often below a minute as above.
    private mutating func clockStepSeconds(_ sign: Double) -> Double {
        sign * (random.percent(50) ? random.seconds(0.5...60) : random.seconds(60...3600))
    }
}

/// What befalls one connection through the proxy.
enum ConnectionFault: CaseIterable {
    /// Closed after part of a reply has passed.
    case cutInsideReply
    /// A request reaches Redis, the connection closes, and the reply is never seen.
    case dropReply
    /// Replies vanish while the connection looks alive, until it closes.
    case silence
    /// Closed before a request reaches Redis.
    case loseRequest
    /// Closed for the node, while its request is still on its way and reaches Redis later.
    case delayRequest
}

/// What the proxy does to one connection. Small things may befall every chunk; one fault ends it.
struct ConnectionPlan {
    private(set) var random: SeededGenerator
    let fault: ConnectionFault
    /// When, after it was accepted; the first chunk from then on meets it.
    let faultAfterSeconds: Double
    /// Whether it ends with a reset rather than in an orderly way.
    let endsWithReset: Bool

    init(seed: UInt64, connection: Int) {
        random = SeededGenerator(seed: seed, stream: 1 << 32 + UInt64(connection))
        fault = ConnectionFault.allCases.randomElement(using: &random) ?? .dropReply
        // Some do not live to see their handshake answered.
        faultAfterSeconds = random.percent(10) ? 0 : random.seconds(0.2...12)
        endsWithReset = random.percent(50)
    }

    /// How long one chunk is held up; nil for most.
    mutating func delaySeconds() -> Double? {
        guard random.percent(3) else { return nil }
        return random.percent(10) ? random.seconds(0.2...1.5) : random.seconds(0.002...0.08)
    }

    /// Where one chunk of so many bytes is split into pieces that travel apart; empty for most.
    mutating func cuts(ofBytes count: Int) -> [Int] {
        guard count > 1, random.percent(5) else { return [] }
        return (0..<Int.random(in: 1...5, using: &random)).map { _ in Int.random(in: 1..<count, using: &random) }
            .sorted()
    }

    mutating func pieceGapSeconds() -> Double { random.seconds(0.0005...0.01) }
    mutating func silenceSeconds() -> Double { random.seconds(0.3...6) }
    mutating func lateRequestSeconds() -> Double { random.seconds(0.05...4) }
    mutating func position(in count: Int) -> Int { Int.random(in: 0...max(0, count), using: &random) }
}
