// Carries out the plan: kills, freezes and restarts nodes and Redis when their time has come, and brings them back.

import LinuxSystem

final class TroubleMaker {
    private enum Condition {
        case up(blow: NodeBlow, atNanoseconds: Int64)
        case frozen(untilNanoseconds: Int64)
        case ailing(DiskTrouble, killAtNanoseconds: Int64?, untilNanoseconds: Int64)
        /// Told to leave; without `downSeconds` for good.
        case leaving(downSeconds: Double?, sinceNanoseconds: Int64)
        case dead(untilNanoseconds: Int64)
        case gone
    }

    private struct Victim {
        let node: Node
        var plan: NodePlan
        var condition: Condition
    }

    private enum RedisCondition {
        case up(blow: RedisBlow, atNanoseconds: Int64)
        case down(untilNanoseconds: Int64)
        case frozen(untilNanoseconds: Int64)
    }

    private(set) var journal = Journal()
    private let fleet: Fleet
    private var victims: [Victim]
    private var redisPlan: RedisPlan
    private var redisCondition: RedisCondition
    private var isResting = false

    /// A node told to leave that is still there after so long is stuck: nothing it waits for takes a tenth of it.
    private static let leaveBoundNanoseconds: Int64 = 60_000_000_000

    init(_ fleet: Fleet, seed: UInt64) throws {
        self.fleet = fleet
        redisPlan = RedisPlan(seed: seed, canFreeze: fleet.canFreezeRedis, canStepClock: fleet.canStepClock)
        let now = SystemClock.bootNanoseconds()
        redisCondition = Self.upCondition(&redisPlan, now)
        victims = try fleet.nodes.enumerated().map { index, node in
            var plan = NodePlan(seed: seed, node: index, canHurtDisk: node.disks != nil)
            try node.start()
            return Victim(node: node, plan: plan, condition: Self.upCondition(&plan, now))
        }
    }

    /// From now on nobody is hurt; who is away comes back.
    func rest() { isResting = true }

    /// How many of all kinds of trouble have been made by now, 1 being all: tasks come in step with it, so that even a few meet each.
    var shareMade: Double {
        if isResting { return 1 }
        var made = [Journal.Kind.killed, .frozen, .left].map { journal.count($0) > 0 }
        made.append(journal.countRedis(.killed) > 0)
        if fleet.nodes.contains(where: { $0.disks != nil }) {
            made += DiskTrouble.allCases.map { journal.countDisk($0) > 0 }
        }
        if fleet.canFreezeRedis { made += [1, 2].map { journal.countRedisBeyondLease(.frozen) >= $0 } }
        if fleet.canStepClock {
            let steps = journal.clockSteps.map(\.bySeconds)
            made += [steps.contains { $0 > 0 }, steps.contains { $0 < 0 }]
        }
        return Double(made.count { $0 }) / Double(made.count)
    }

    /// Whether Redis and every node are up.
    var isWhole: Bool {
        guard case .up = redisCondition else { return false }
        return victims.allSatisfy { if case .up = $0.condition { true } else { false } }
    }

    /// Tells every node to leave for good, as an operator would.
    func dismiss() {
        let now = SystemClock.bootNanoseconds()
        for index in victims.indices {
            victims[index].node.leave()
            victims[index].condition = .leaving(downSeconds: nil, sinceNanoseconds: now)
        }
    }

    /// Whether every node has left for good.
    var isDeserted: Bool { victims.allSatisfy { if case .gone = $0.condition { true } else { false } } }

    /// Does what is due.
    func act() throws {
        let now = SystemClock.bootNanoseconds()
        for index in victims.indices { try act(on: &victims[index], now) }
        try actOnRedis(now)
    }

    private func actOnRedis(_ now: Int64) throws {
        switch redisCondition {
        case .up(let blow, let due):
            guard !isResting, now >= due else { return }
            strikeRedis(blow, now)
        case .down(let until):
            guard now >= until else { return }
            try fleet.startRedis()
            journal.endRedis()
            redisCondition = Self.upCondition(&redisPlan, SystemClock.bootNanoseconds())
        case .frozen(let until):
            guard now >= until else { return }
            journal.endRedis()
            fleet.thawRedis()
            redisCondition = Self.upCondition(&redisPlan, now)
        }
    }

    private func strikeRedis(_ blow: RedisBlow, _ now: Int64) {
        let until = Self.moment(blow.awaySeconds, after: now)
        switch blow.kind {
        case .kill:
            journal.beginRedis(.killed)
            fleet.redis.kill9()
            redisCondition = .down(untilNanoseconds: until)
        case .freeze:
            journal.beginRedis(.frozen)
            fleet.freezeRedis()
            redisCondition = .frozen(untilNanoseconds: until)
        case .none:
            redisCondition = Self.upCondition(&redisPlan, now)
        }
        if let seconds = blow.clockStepSeconds {
            journal.noteClockStep(bySeconds: seconds)
            fleet.redis.stepClock(bySeconds: seconds)
        }
    }

    private func act(on victim: inout Victim, _ now: Int64) throws {
        let node = victim.node
        switch victim.condition {
        case .up(let blow, let due):
            if let ending = try node.ending() {
                note(ending, of: node)
                victim.condition = .dead(untilNanoseconds: Self.moment(0.3, after: now))
            } else if !isResting, now >= due {
                try strike(&victim, blow, now)
            }
        case .ailing(let trouble, let kill, let until):
            if let ending = try node.ending() {
                try mend(node, trouble)
                note(ending, of: node)
                victim.condition = .dead(untilNanoseconds: Self.moment(0.3, after: now))
            } else if now >= until {
                try mend(node, trouble)
                victim.condition = Self.upCondition(&victim.plan, now)
            } else if let kill, now >= kill {
                journal.begin(.killed, node.name)
                node.kill9()
                try node.start()
                journal.end(node.name)
                victim.condition = .ailing(trouble, killAtNanoseconds: nil, untilNanoseconds: until)
            }
        case .frozen(let until):
            guard now >= until else { return }
            node.thaw()
            journal.end(node.name)
            victim.condition = Self.upCondition(&victim.plan, now)
        case .leaving(let down, let since):
            if let ending = try node.ending() {
                // A node that is told to leave before it has begun to listen ends by the signal itself, or as it would have anyway.
                if ending == .exit(code: 3) {
                    journal.refusedStarts += 1
                } else if ending != .exit(code: 0), ending != .signal(Signal.terminate.rawValue) {
                    journal.crashes.append("\(node.name) left with \(ending)")
                }
            } else {
                guard now > since + Self.leaveBoundNanoseconds else { return }
                journal.crashes.append("\(node.name) did not leave and was killed")
                node.kill9()
            }
            victim.condition = down.map { .dead(untilNanoseconds: Self.moment($0, after: now)) } ?? .gone
        case .dead(let until):
            guard now >= until else { return }
            try node.start()
            journal.end(node.name)
            victim.condition = Self.upCondition(&victim.plan, now)
        case .gone: return
        }
    }

    private func mend(_ node: Node, _ trouble: DiskTrouble) throws {
        try node.disks?.end(trouble)
        journal.endDisk(node.name)
    }

    private func strike(_ victim: inout Victim, _ blow: NodeBlow, _ now: Int64) throws {
        switch blow {
        case .kill(let down):
            journal.begin(.killed, victim.node.name)
            victim.node.kill9()
            victim.condition = .dead(untilNanoseconds: Self.moment(down, after: now))
        case .freeze(let seconds):
            journal.begin(.frozen, victim.node.name)
            victim.node.freeze()
            victim.condition = .frozen(untilNanoseconds: Self.moment(seconds, after: now))
        case .leave(let down):
            journal.begin(.left, victim.node.name)
            victim.node.leave()
            victim.condition = .leaving(downSeconds: down, sinceNanoseconds: now)
        case .disk(let trouble, let seconds, let kill):
            // Not at this moment: the next step tries again.
            guard try victim.node.disks?.begin(trouble) == true else { return }
            journal.beginDisk(trouble, victim.node.name)
            victim.condition = .ailing(
                trouble, killAtNanoseconds: kill.map { Self.moment($0, after: now) },
                untilNanoseconds: Self.moment(seconds, after: now))
        }
    }

    /// It ended though nobody told it to. That is in order only at its start, when there is no Redis: it says so by its status.
    private func note(_ ending: ProcessEnding, of node: Node) {
        if ending == .exit(code: 3) {
            journal.refusedStarts += 1
        } else {
            journal.crashes.append("\(node.name) ended by itself with \(ending)")
        }
    }

    private static func upCondition(_ plan: inout NodePlan, _ now: Int64) -> Condition {
        let (peace, blow) = plan.next()
        return .up(blow: blow, atNanoseconds: moment(peace, after: now))
    }

    private static func upCondition(_ plan: inout RedisPlan, _ now: Int64) -> RedisCondition {
        let (peace, blow) = plan.next()
        return .up(blow: blow, atNanoseconds: moment(peace, after: now))
    }

    private static func moment(_ seconds: Double, after now: Int64) -> Int64 { now + Int64(seconds * 1e9) }
}
