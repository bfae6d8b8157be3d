// Who waits how long: a workload of many users on a fleet, by the queue's own scripts and by plain rules. Nothing is run: a task lasts as
// long as the workload says, on a clock that goes from one event to the next.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct ScheduleMeasurement: Measurement {
    static let configuration = CommandConfiguration(
        commandName: "schedule",
        abstract: "How long the tasks of many users wait, beside plain rules: first come first served, and others.")

    @Option(help: "A trace in the Standard Workload Format; without one the workload is made up.")
    var trace: String?

    @Option(help: "How many tasks there are.")
    var tasks = 4000

    @Option(help: "How many users have them, where they are made up.")
    var users = 20

    @Option(help: "How many nodes there are.")
    var nodes = 8

    @Option(help: "How many cores each has.")
    var cores = 16

    @Option(help: "How much of the fleet's time is asked for, in percent, where they are made up.")
    var load = 90

    @Flag(help: "Those that are made up ask for memory too, whatever their cores; a node has 4 GB a core.")
    var memory = false

    @Option(help: "Where tasks are made up, by which numbers: others make another workload.")
    var seed = 20_261_129

    @Option(help: "After how many seconds of waiting a node is reserved, as reserve_after_seconds; 0: never.")
    var reserveAfter = 600.0

    @OptionGroup var output: OutputOptions

    var amounts: [Int] { [tasks, users, nodes, cores, load] }

    func measure(in place: String, _ figures: FigureTable) throws {
        let workload =
            try trace.map { try Workload.read($0, count: tasks, coresMax: cores) }
            ?? Workload.made(
                count: tasks, users: users, nodes: nodes, coresMax: cores, load: Double(load) / 100, hasMemory: memory,
                seed: UInt64(clamping: seed))
        figures.add("tasks", Double(workload.count), "")
        figures.add("users", Double(Set(workload.map(\.user)).count), "")
        let first = try show(FirstComeFirstServed(workload), workload, nil, figures)
        _ = try show(StrictPriority(workload), workload, first, figures)
        for isFair in [false, true] {
            for order in [FirstFit.Order.age, .largest] {
                let rule = FirstFit(workload, by: order, isFair: isFair, nodes: nodes, cores: cores)
                _ = try show(rule, workload, first, figures)
            }
        }
        let queue = try QueueOfTrace(
            workload, in: place, nodes: nodes, cores: cores, reserveAfterSeconds: max(0, reserveAfter))
        _ = try show(queue, workload, first, figures)
        figures.add("claims", Double(queue.claimCount), "")
        figures.add("nodes that were reserved", Double(queue.reservedCount), "")
        figures.add("of them given up, or no more needed", Double(queue.vainCount), "")
        if !queue.secondsKept.isEmpty {
            figures.add("time for which they were", Spread(queue.secondsKept), "s")
            figures.add("the latest began after it had to by", queue.secondsLateMax, "s")
        }
    }

    /// Runs all of it, and says how it went; returns the mean bounded slowdown.
    private func show(
        _ rule: some SchedulingRule, _ workload: [WorkloadTask], _ first: Double?, _ figures: FigureTable
    ) throws -> Double {
        var fleet = SimulatedNodes(count: nodes, cores: cores)
        let begins = try fleet.begins(of: workload, by: rule)
        var slowdowns: [Int: [Double]] = [:]
        var (waits, waitsForNode, waitsOfSmall, waitsOfLarge) = ([Double](), [Double](), [Double](), [Double]())
        var end = 0.0
        for (task, begin) in zip(workload, begins) {
            let wait = begin - task.submittedAtSeconds
            waits.append(wait)
            let share = task.room.share(of: Room.ofNode(cores: cores))
            if share == 1 { waitsForNode.append(wait) }
            if share <= 0.25 { waitsOfSmall.append(wait) } else if share >= 0.5 { waitsOfLarge.append(wait) }
            // Bounded: a task of a second that waits for a minute is not sixty times as badly served as one of a minute.
            slowdowns[task.user, default: []].append(max(1, (wait + task.runSeconds) / max(task.runSeconds, 10)))
            end = max(end, begin + task.runSeconds)
        }
        let means = slowdowns.values.map { Spread($0).mean }
        let mean = Spread(slowdowns.values.flatMap(\.self)).mean
        figures.add("\(rule.name): all have ended after", end / 3600, "h")
        figures.add("\(rule.name): wait", Spread(waits), "s")
        figures.add("\(rule.name): wait of those that want a quarter of a node, or less", Spread(waitsOfSmall), "s")
        figures.add("\(rule.name): wait of those that want half a node, or more", Spread(waitsOfLarge), "s")
        figures.add("\(rule.name): wait of those that want a whole node", Spread(waitsForNode), "s")
        figures.add("\(rule.name): mean bounded slowdown", mean, "")
        if let first { figures.add("\(rule.name): slowdown to that of first come first served", mean / first, "") }
        figures.add("\(rule.name): that of the user who is served worst", means.max() ?? 0, "")
        // 1 where all are served alike, 1 / users where one alone has all the waiting.
        let (sum, squares) = (means.reduce(0, +), means.reduce(0) { $0 + $1 * $1 })
        figures.add("\(rule.name): fairness between users (Jain)", sum * sum / (Double(means.count) * squares), "")
        return mean
    }
}

/// Nodes on a clock of their own.
private struct SimulatedNodes {
    private var free: [Room]
    /// What runs, by when it ends.
    private var running: [(end: Double, number: Int, node: Int)] = []

    init(count: Int, cores: Int) { free = Array(repeating: Room.ofNode(cores: cores), count: count) }

    /// When each task begins.
    mutating func begins(of workload: [WorkloadTask], by given: some SchedulingRule) throws -> [Double] {
        var rule = given
        var begins = Array(repeating: -1.0, count: workload.count)
        var submitted = 0
        var now = 0.0
        while submitted < workload.count || !running.isEmpty {
            let next = running.last?.end ?? .infinity
            now = submitted < workload.count ? min(next, workload[submitted].submittedAtSeconds) : next
            try rule.pass(to: now)
            while let ended = running.last, ended.end <= now {
                running.removeLast()
                free[ended.node] += workload[ended.number].room
                try rule.end(ended.number, node: ended.node)
            }
            while submitted < workload.count, workload[submitted].submittedAtSeconds <= now {
                try rule.add(submitted)
                submitted += 1
            }
            try rule.look()
            // The node with the most free cores first, as the one that asks next is nobody's choice.
            for node in free.indices.sorted(by: { (free[$1].cores, $0) < (free[$0].cores, $1) })
            where free[node].cores > 0 {
                for number in try rule.take(node: node, free: free[node]) {
                    begins[number] = now
                    free[node] -= workload[number].room
                    guard free[node].holds(Room(cores: 0, gigabytes: 0)) else {
                        throw BenchError(description: "\(rule.name): a node was given more than it has")
                    }
                    let end = now + workload[number].runSeconds
                    let place = running.partitioned { $0.end > end }
                    running.insert((end, number, node), at: place)
                }
            }
        }
        guard !begins.contains(-1) else { throw BenchError(description: "\(rule.name): a task was never begun") }
        return begins
    }
}

extension Array {
    /// How many stand in front of which this holds, where they are all before the others.
    fileprivate func partitioned(_ holds: (Element) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

/// The queue as it is: a real Redis, the scripts, a job for each sweep, which is of its user.
private final class QueueOfTrace: SchedulingRule {
    let name = "DistComp"
    private(set) var claimCount = 0
    private let workload: [WorkloadTask]
    private let queue: BenchQueue
    private let incarnations: [Incarnation]
    private let room: Room
    private let reserving: ReservingSettings
    private var lookedAt = -1e9
    private var now = 0.0
    /// Nodes that are reserved: for which job, since when, and by when it can begin there.
    private var reserved: [Int: (job: String, since: Double, until: Double)] = [:]
    private(set) var reservedCount = 0
    private(set) var vainCount = 0
    private(set) var secondsKept: [Double] = []
    private(set) var secondsLateMax = 0.0
    private var jobs: [String: Job] = [:]
    private var numbers: [String: Int] = [:]
    private var running: [Int: ClaimTasks.Claimed] = [:]
    private var waitingCount = 0

    init(
        _ workload: [WorkloadTask], in place: String, nodes: Int, cores: Int, reserveAfterSeconds: Double
    ) throws {
        self.workload = workload
        room = Room.ofNode(cores: cores)
        let room = room
        reserving = ReservingSettings(
            afterMilliseconds: Int(min(reserveAfterSeconds, 1e9) * 1000), timeoutMilliseconds: 3_600_000,
            graceMilliseconds: 0)
        // The clock goes from event to event, which may be hours.
        queue = try BenchQueue(in: place, leaseMilliseconds: 1 << 44)
        let queue = queue
        try queue.setClock(Self.begin)
        incarnations = try (0..<nodes).map { try queue.register("n\($0)", cores: cores, gigabytes: room.gigabytes) }
        for node in incarnations.indices { try beat(node) }
    }

    private static let begin = 1_700_000_000.0

    private func beat(_ node: Int) throws {
        let request = queue.heartbeat(
            incarnations[node], cores: room.cores, gigabytes: room.gigabytes, reserving: reserving,
            elapsedMilliseconds: 1 << 45)
        if let error = try queue.call(request).error { throw BenchError(description: "\(error)") }
    }

    func pass(to now: Double) throws {
        self.now = now
        try queue.setClock(Self.begin + now)
    }

    /// Some node's heartbeat comes every few seconds.
    func look() throws {
        guard now >= lookedAt + 5 else { return }
        lookedAt = now
        try beat(0)
        let nodes = try queue.perform(ReadNodes(keys: queue.keys))
        for (node, incarnation) in incarnations.enumerated() {
            let reservation = nodes.first { $0.incarnation == incarnation }?.reservation
            if reservation == nil, reserved.removeValue(forKey: node) != nil { vainCount += 1 }
            guard let reservation, reserved[node] == nil else { continue }
            let until = reservation.latestMilliseconds.map { now + Double($0) / 1000 } ?? .infinity
            reserved[node] = (reservation.job, now, until)
            reservedCount += 1
        }
    }

    /// What was reserved for it has been given to a node.
    private func note(_ task: ClaimTasks.Claimed, on node: Int) {
        guard let reservation = reserved[node], Job.identifier(ofLine: task.line) == reservation.job else { return }
        reserved[node] = nil
        secondsKept.append(now - reservation.since)
        secondsLateMax = max(secondsLateMax, now - reservation.until)
    }

    func add(_ number: Int) throws {
        let task = workload[number]
        let line = try TaskLine(command: "./simulate \(number)", of: job(of: task))
        _ = try queue.perform(SubmitTasks([line][...], keys: queue.keys))
        numbers[line.text] = number
        waitingCount += 1
    }

    private func job(of task: WorkloadTask) throws -> Job {
        let name = "u\(task.user)-\(task.sweep)"
        if let job = jobs[name] { return job }
        var settings = Job.Settings()
        settings.owner = "user\(task.user)"
        settings.millicores = task.room.cores * 1000
        settings.memoryBytes = UInt64(task.room.gigabytes) << 30
        settings.timeout = .seconds(task.timeoutSeconds)
        let open = OpenJob(name: name, isNameChosen: true, settings: settings, definition: .init(), keys: queue.keys)
        guard case .opened(let identifier, _, _) = try queue.perform(open) else {
            throw BenchError(description: "the queue has \(name) already")
        }
        let job = Job(identifier: identifier, name: name, settings: settings, definition: .init())
        jobs[name] = job
        return job
    }

    func take(node: Int, free: Room) throws -> [Int] {
        guard waitingCount > 0 else { return [] }
        claimCount += 1
        let tasks = try queue.taken(
            incarnations[node], count: free.cores, freeCores: free.cores, freeGigabytes: free.gigabytes)
        waitingCount -= tasks.count
        return try tasks.map { task in
            guard let number = numbers[task.line] else {
                throw BenchError(description: "the queue gave what nobody submitted: \(task.line)")
            }
            running[number] = task
            note(task, on: node)
            return number
        }
    }

    func end(_ number: Int, node: Int) throws {
        guard let task = running.removeValue(forKey: number) else { return }
        _ = try queue.call(queue.finished(task, incarnations[node]))
    }
}
