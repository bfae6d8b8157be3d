// The scripts on a real Redis beside the plain model of them: the same random requests to both, under the same clock, and after each
// the same answer and the same state. The simulation stands on the model, so where the two differ it proves nothing.

import QueueModel
import RedisClient
import RedisServerFixture
import TaskModel
import TaskQueue
import Testing

/// splitmix64: the same numbers from the same seed on every machine.
struct SeededNumbers: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

@Suite("Random operations")
struct RandomOperationsTests {
    @Test(
        "whatever nodes and people ask, under any clock, of jobs or of none, the queue does what the plain model does",
        arguments: 1...6)
    func model(group: Int) throws {
        let server = try RedisServerFixture()
        let client = try server.client()
        for _ in 1...8 {
            let seed = UInt64.random(in: 1...1_000_000_000)
            var run = RandomRun(
                seed: seed, client: client, hasJobs: group > 2, hasOwners: group > 4, hasCopies: group.isMultiple(of: 2)
            )
            do {
                try run.putJobs()
                for _ in 0..<250 where run.difference == nil { try run.step() }
            } catch {
                run.difference = "\(error)"
            }
            if let difference = run.difference { Issue.record("seed \(seed): \(difference)") }
        }
    }
}

/// One random history.
private struct RandomRun {
    private let client: BlockingRedisClient
    private let keys: QueueKeys
    private let seed: UInt64
    private var random: SeededNumbers
    private var model: QueueModel
    private var snapshot: (model: QueueModel, dump: [(key: [UInt8], payload: [UInt8])])?
    /// Every life there was, the lease it has, and what it was last told of silences.
    private var lives: [(incarnation: Incarnation, lease: Int, silence: Int)] = []
    /// Every attempt there was.
    private var attempts: [(incarnation: Incarnation, task: ClaimTasks.Claimed)] = []
    private var life: Int64 = 0
    /// What the server's process is said to be.
    private var run = ""
    private var scripts: [String: RedisScript] = [:]
    private var history: [String] = []
    /// By their identifiers; a size of tasks has one.
    private let jobs: [String: Job]
    private let hasCopies: Bool
    var difference: String?

    /// - Parameters:
    ///   - hasJobs: whether most lines are of jobs. The model knows nothing of these: to it they are lines as any others.
    ///   - hasOwners: whether these are of several owners.
    ///   - hasCopies: whether these are idempotent, and few of them there, so that sometimes none waits.
    init(seed: UInt64, client: BlockingRedisClient, hasJobs: Bool, hasOwners: Bool, hasCopies: Bool) {
        self.hasCopies = hasJobs && hasCopies
        let sizes = hasJobs ? (0..<12).map { ($0 % 4, $0 / 4) } : []
        jobs = Dictionary(
            uniqueKeysWithValues: sizes.map { memory, cores in
                var settings = Job.Settings()
                settings.memoryBytes = [0, 1, 8, 24][memory] << 30
                settings.millicores = cores * 1000
                settings.priority = cores
                settings.timeout = [.byDefault, .none, .seconds(0.25), .seconds(4)][(memory + cores) % 4]
                settings.learnsMemory = Self.isLearning(memory)
                settings.isIdempotent = hasCopies
                settings.nodeLabels = ["1x2": "ssd", "2x0": "!(ssd & big) | tape"]["\(memory)x\(cores)"].flatMap {
                    LabelExpression(text: $0)
                }
                settings.resources =
                    [
                        "1x1": "gpu=0.5", "1x0": "gpu=0.2", "0x1": "gpu=0.3,licence=1", "3x0": "gpu=1",
                        "0x2": "gpu=2,licence=0.5",
                    ]["\(memory)x\(cores)"].flatMap { ResourceRequest(typed: $0) } ?? ResourceRequest()
                let identifier = "j\(memory)x\(cores)"
                return (
                    identifier, Job(identifier: identifier, name: identifier, settings: settings, definition: .init())
                )
            })
        self.client = client
        self.seed = seed
        keys = QueueKeys(prefix: "seed\(seed):")
        random = SeededNumbers(state: seed)
        model = QueueModel(keys: keys)
        model.jobSizes = jobs.mapValues { ($0.settings.memoryBytes, $0.settings.millicores) }
        model.jobTimeouts = jobs.mapValues(\.settings.timeout)
        model.jobPriorities = jobs.mapValues(\.settings.priority)
        if hasOwners {
            for identifier in jobs.keys {
                // The first owner has jobs too, and lines of none.
                model.jobOwners[identifier] = ["", "ann", "bob", "zoe"][identifier.utf8.reduce(0) { $0 + Int($1) } % 4]
            }
            model.jobOwners = model.jobOwners.filter { !$0.value.isEmpty }
        }
        model.jobNodeLabels = jobs.compactMapValues(\.settings.nodeLabels)
        model.jobsIdempotent = Set(jobs.values.filter(\.settings.isIdempotent).map(\.identifier))
        model.durations = durations
        model.jobNeeds = needs
        model.jobsLearning = jobs.filter { $0.value.settings.learnsMemory }.mapValues { _ in 0 }
    }

    /// None that a task may have an amount of its own in common with, see `given`.
    private static func isLearning(_ memory: Int) -> Bool { memory == 1 || memory == 2 }

    /// As if tasks of idempotent jobs had finished that took two seconds.
    private var durations: [String: MemoryPeaks] {
        var times = MemoryPeaks()
        for _ in 1...5 { times.add(2000) }
        return Dictionary(uniqueKeysWithValues: model.jobsIdempotent.map { ($0, times) })
    }

    /// What jobs ask for before anybody changes that.
    private var needs: [String: ResourceRequest] {
        jobs.mapValues(\.settings.resources).filter { !$0.value.isEmpty }
    }

    /// The jobs are there as if somebody had opened them.
    func putJobs() throws {
        for (identifier, job) in jobs {
            _ = try command("HSET", keys.prefix + "distcomp:jobs", identifier, job.record)
            _ = try command("HSET", keys.prefix + "distcomp:job-sizes", identifier, job.settings.size)
            _ = try command("HSET", keys.prefix + "distcomp:job-names", identifier, identifier)
            if let owner = model.jobOwners[identifier] {
                _ = try command("HSET", keys.prefix + "distcomp:job-owners", identifier, owner)
            }
            if let labels = job.settings.nodeLabels {
                _ = try command("HSET", keys.prefix + "distcomp:job-wheres", identifier, labels.text)
            }
            if job.settings.isIdempotent {
                _ = try command("SADD", keys.prefix + "distcomp:jobs-idempotent", identifier)
                _ = try command("HSET", keys.prefix + "distcomp:job:\(identifier):times", "382", "5")
            }
            if !job.settings.resources.isEmpty {
                _ = try command("HSET", keys.jobNeeds, identifier, job.settings.resources.text)
            }
        }
    }

    private mutating func pick(_ below: Int) -> Int { Int.random(in: 0..<below, using: &random) }

    // MARK: - Both sides

    /// Asks both, and compares. Returns the answer.
    @discardableResult
    private mutating func ask(_ request: RedisRequest) throws -> RESPValue {
        try setClock()
        let expected = model.execute(request)
        model.published.removeAll()
        let answer = try client.call(timed(request))
        let what = name(request)
        history.append(what)
        if case .script(let call) = request, call.script.name == "heartbeat" { try takeReservations(after: what) }
        guard plain(answer, of: request) == plain(expected, of: request) else {
            note("\(what) is answered \(plain(answer, of: request)), by the model \(plain(expected, of: request))")
            return answer
        }
        try compareStates(after: what)
        return answer
    }

    /// Which nodes are reserved is for the queue to say; whether they may be is looked at here.
    private mutating func takeReservations(after what: String) throws {
        var real: [String: QueueModel.Reservation] = [:]
        for entry in try command("HGETALL", keys.prefix + "distcomp:reserved").entries ?? [] {
            guard let reservation = QueueModel.Reservation(text: entry.value.string ?? "") else {
                return note("\(what): a node is reserved by \(entry.value)")
            }
            real[entry.key.string ?? ""] = reservation
        }
        for (incarnation, reservation) in model.reserve(real) {
            if let mistake = model.mistake(in: reservation, of: incarnation) {
                note("\(what): \(incarnation) is reserved by \(reservation.text), but \(mistake)")
            }
        }
    }

    private mutating func note(_ text: String) {
        if difference == nil { difference = text + "\nafter " + history.suffix(12).joined(separator: "\n      ") }
    }

    private func name(_ request: RedisRequest) -> String {
        guard case .script(let call) = request else { return "a command" }
        let words = call.arguments.dropFirst().map { String(decoding: $0, as: UTF8.self) }
        return "\(model.serverMilliseconds) \(call.script.name) \(words.joined(separator: "|"))"
    }

    /// The scripts ask the time of a list instead of the server, which has only its own.
    private mutating func timed(_ request: RedisRequest) -> RedisRequest {
        guard case .script(let call) = request else { return request }
        if scripts[call.script.name] == nil {
            let pieces = call.script.source.split(separator: "call('TIME')", omittingEmptySubsequences: false)
            scripts[call.script.name] = RedisScript(
                name: call.script.name, source: pieces.joined(separator: "call('LRANGE', p .. 'time', 0, 1)"))
        }
        return .script(
            RedisScriptCall(scripts[call.script.name] ?? call.script, keys: call.keys, arguments: call.arguments))
    }

    private func command(_ words: String...) throws -> RESPValue {
        try client.call(.command(RedisCommand(words[0], Array(words.dropFirst()))))
    }

    private func setClock() throws {
        _ = try command("DEL", keys.prefix + "time")
        let (seconds, micro) = model.serverMicroseconds.quotientAndRemainder(dividingBy: 1_000_000)
        _ = try command("RPUSH", keys.prefix + "time", "\(seconds)", "\(micro)")
    }

    /// A reply as text; what has no order is sorted.
    private func plain(_ value: RESPValue, of request: RedisRequest) -> String {
        guard case .script(let call) = request, let parts = value.elements else { return text(value) }
        switch call.script.name {
        // Without the records of jobs.
        case "claim": return text(.array(Array(parts.dropLast())))
        case "held":
            return stride(from: 0, to: parts.count - 4, by: 5).map { first in
                text(.array(parts[first...(first + 2)] + [parts[first + 4]]))
            }
            .sorted()
            .joined()
        case "cancellations": return parts.map { text($0) }.sorted().joined()
        default: return text(value)
        }
    }

    private func text(_ value: RESPValue) -> String {
        switch value {
        case .integer(let number): "\(number)"
        case .null: "-"
        case .error(let error): "\(error)"
        case .array(let values): "[" + values.map { text($0) }.joined(separator: ",") + "]"
        default: value.string ?? "?"
        }
    }

    // MARK: - States

    private mutating func compareStates(after what: String) throws {
        let real = try realState()
        let expected = modelState()
        for name in Set(real.keys).union(expected.keys).sorted() where difference == nil {
            let (one, other) = (real[name] ?? [:], expected[name] ?? [:])
            guard one != other else { continue }
            for key in Set(one.keys).union(other.keys).sorted() where one[key] != other[key] {
                note(
                    "\(what): \(name) of \(key) is \(one[key] ?? "nothing"), in the model \(other[key] ?? "nothing")")
            }
        }
    }

    private func modelState() -> [String: [String: String]] {
        var state: [String: [String: String]] = [:]
        state["todo_tasks"] = Dictionary(
            uniqueKeysWithValues: model.todo.map { line in
                (line, model.isAside(line) ? "~" + String(model.aside[line] ?? 0, radix: 16) : "")
            })
        state["distcomp:jobs-gated"] = model.gates
        state["distcomp:job-times"] = model.times
        state["in_progress_tasks"] = model.doing
        state["finished_tasks"] = model.done.mapValues { String(decoding: $0, as: UTF8.self) }
        state["failed_tasks"] = model.failed
        state["task_fail_reason"] = model.reasons
        state["worker_status"] = model.status
        state["distcomp:outcomes"] = model.outcomes
        state["distcomp:attempts"] = model.attempts.mapValues { "\($0)" }
        state["distcomp:own"] = model.owns
        state["distcomp:lost"] = model.lost.mapValues { "\($0)" }
        state["distcomp:requeues"] = model.requeues.mapValues { "\($0.count)" + ($0.place.map { " \($0)" } ?? "") }
        state["distcomp:retrying"] = Dictionary(uniqueKeysWithValues: model.retrying.map { ($0, "") })
        state["distcomp:leases"] = model.leases.mapValues { "\($0)" }
        state["distcomp:nodes"] = model.nodes.mapValues { "\($0.memory) \($0.millicores) \($0.version) \($0.address)" }
        state["distcomp:troubles"] = model.troubles
        state["distcomp:reserved"] = model.reservations.mapValues(\.text)
        state["distcomp:timeouts"] = model.timeouts.mapValues { "\($0.timeout) \($0.grace)" }
        state["distcomp:labels"] = model.labels.mapValues { $0.joined(separator: " ") }
        state["distcomp:resources"] = model.resources.mapValues(\.text)
        state["distcomp:device-use"] = model.deviceUse
        state["distcomp:jobs-paused"] = Dictionary(uniqueKeysWithValues: model.jobsPaused.map { ($0, "") })
        state["distcomp:drained"] = Dictionary(uniqueKeysWithValues: model.drained.map { ($0, "") })
        for (line, delay) in model.delayed {
            let isOfJob = line.hasPrefix("@")
            let size = isOfJob ? "0 0 0" : "\(delay.memory) \(delay.millicores) \(delay.band)"
            state[isOfJob ? "distcomp:jobs-delayed" : "distcomp:delayed", default: [:]]["\(size)\n\(line)"] =
                "\(delay.due)"
        }
        for (incarnation, rows) in model.held where !rows.isEmpty {
            state["distcomp:held:" + incarnation] = rows.mapValues {
                "\($0.token) \($0.memory) \($0.millicores) \($0.score) \($0.attempt)"
            }
        }
        for (incarnation, rows) in model.cancelled where !rows.isEmpty {
            state["distcomp:cancel:" + incarnation] = rows.mapValues { "\($0)" }
        }
        for (incarnation, rows) in model.revoked where !rows.isEmpty {
            state["distcomp:revoked:" + incarnation] = rows.mapValues { "\($0)" }
        }
        for (line, place) in model.waiting {
            let job = Job.identifier(ofLine: line)
            let key =
                "distcomp:class:" + (job.isEmpty ? "" : "@\(job) ")
                + "\(place.memory):\(place.millicores):\(model.failed[line] ?? "")"
            state[key, default: [:]][line] = "\(place.score)"
        }
        if let clock = model.clock {
            let numbers = "\(clock.server) \(clock.queue) \(clock.quiet) \(clock.silence) \(clock.gap)"
            state["distcomp:clock"] = ["": numbers]
        }
        if model.token > 0 { state["distcomp:tokens"] = ["": "\(model.token)"] }
        if model.sequence > 0 { state["distcomp:sequence"] = ["": "\(model.sequence)"] }
        if model.sweptUntil > 0 { state["distcomp:swept"] = ["": "\(model.sweptUntil)"] }
        if model.sweeperUntil > 0 { state["distcomp:sweeper"] = ["": "\(model.sweeperUntil)"] }
        if model.fedUntil > 0 { state["distcomp:fed"] = ["": "\(model.fedUntil)"] }
        state["distcomp:jobs-left"] = model.jobsLeft
        for incarnation in model.counted { state["distcomp:counted:" + incarnation] = ["": "1"] }
        for (owner, last) in model.lastGiven {
            let (use, units) = (model.uses[owner] ?? .init(), model.units(of: owner))
            let resources = use.resources.sorted { $0.key < $1.key }.map { name, amount in
                " \(name):\(amount)/\(units.resources[name] ?? 0)"
            }
            state["distcomp:uses", default: [:]][owner] =
                "\(use.memory) \(use.millicores) \(units.memory) \(units.millicores) \(last)" + resources.joined()
        }
        if let fleet = model.fleet {
            let resources = fleet.resources.sorted { $0.key < $1.key }.map { name, amount in " \(name):\(amount)" }
            state["distcomp:fleet"] = ["": "\(fleet.memory) \(fleet.millicores)" + resources.joined()]
        }
        if model.measuredUntil > 0 { state["distcomp:measured"] = ["": "\(model.measuredUntil)"] }
        if let until = model.recountedUntil { state["distcomp:recounted"] = ["": "\(until)"] }
        state["distcomp:copies"] = model.copies.mapValues { "\($0.incarnation) \($0.token)" }
        state["distcomp:copied"] = model.copiedUntil.mapValues { "\($0)" }
        state["distcomp:token-times"] = Dictionary(
            uniqueKeysWithValues: model.tokenTimes.map { ("\($0)", "\($1)") })
        if model.isPaused { state["distcomp:paused"] = ["": "1"] }
        var queue: [String: String] = [:]
        if let identity = model.identity { queue["id"] = identity }
        if model.restoredCount > 0 { queue["restored"] = "\(model.restoredCount)" }
        queue["run"] = model.serverRun
        state["distcomp:queue"] = queue
        return state.filter { !$0.value.isEmpty }
    }

    /// Keys that the model does without.
    private static let ignored: Set = [
        "time", "distcomp:classes", "distcomp:fits", "distcomp:indexed", "distcomp:sizes", "distcomp:failed-on",
        "distcomp:settled", "distcomp:failed_on", "distcomp:jobs", "distcomp:job-sizes", "distcomp:job-wheres",
        "distcomp:job-needs",
        "distcomp:job-names",
        "distcomp:job-revision", "distcomp:job-halts", "distcomp:numbers", "distcomp:lines", "distcomp:children",
        "distcomp:needs", "distcomp:broken", "distcomp:dependent", "distcomp:waiters", "distcomp:aside",
        "distcomp:peaks", "distcomp:times", "distcomp:jobs-idempotent", "distcomp:job-owners", "distcomp:owners",
        "distcomp:shares", "distcomp:owner:ann",
        "distcomp:owner:bob", "distcomp:owner:zoe",
        "distcomp:jobs-awaited", "distcomp:job-after", "distcomp:told", "distcomp:forgotten",
        "distcomp:standing", "distcomp:arrivals", "distcomp:looked", "distcomp:reserved-in-vain",
        "distcomp:retention", "distcomp:retention-ages", "distcomp:retention-jobs",
    ]

    /// What a key is called where there are no jobs: what is known of their lines is compared with the rest.
    private func withoutJob(_ name: String) -> String {
        guard name.hasPrefix("distcomp:job:"), let colon = name.dropFirst(13).firstIndex(of: ":") else { return name }
        let own = String(name[name.index(after: colon)...])
        return own.hasSuffix("_tasks") || own == "task_fail_reason" ? own : "distcomp:" + own
    }

    private func realState() throws -> [String: [String: String]] {
        var state: [String: [String: String]] = [:]
        let names = (try command("KEYS", keys.prefix + "*").elements ?? []).compactMap(\.string)
        for full in names {
            let name = withoutJob(String(full.dropFirst(keys.prefix.count)))
            if Self.ignored.contains(name) || name.hasPrefix("distcomp:metrics") { continue }
            var fields: [String: String] = [:]
            switch try command("TYPE", full).string {
            case "hash":
                for entry in try command("HGETALL", full).entries ?? [] {
                    fields[entry.key.string ?? ""] = entry.value.string ?? ""
                }
            case "set": for member in try command("SMEMBERS", full).elements ?? [] { fields[member.string ?? ""] = "" }
            case "zset":
                for pair in try command("ZRANGE", full, "0", "-1", "WITHSCORES").elements ?? [] {
                    guard let parts = pair.elements, parts.count == 2 else { continue }
                    fields[parts[0].string ?? ""] = number(parts[1])
                }
            case "list": continue
            default: fields[""] = try command("GET", full).string
            }
            state[name, default: [:]].merge(fields) { $1 }
        }
        // Without the number of one that waits for others.
        for (line, value) in state["todo_tasks"] ?? [:] where value.hasPrefix("~") {
            state["todo_tasks"]?[line] = "~" + (value.split(separator: " ").last ?? "")
        }
        settleUses(in: &state)
        let fresh = try fresh(of: &state)
        return state.merging(fresh) { $0.merging($1) { $1 } }
    }

    /// What has ended, and is still to be taken away from what runs for its owner. What was noted twice shows as a number below 0.
    private func settleUses(in state: inout [String: [String: String]]) {
        for line in (state.removeValue(forKey: "distcomp:uses-ended")?[""] ?? "").split(separator: "\n") {
            let parts = line.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
            let (job, ended) = (parts[0], parts.dropFirst().compactMap { Int($0) })
            let owner = model.jobOwners[job] ?? ""
            var use = (state["distcomp:uses"]?[owner] ?? "").split(separator: " ").map(String.init)
            guard use.count >= 5, ended.count == 2 else { continue }
            use[0] = "\((Int(use[0]) ?? 0) - ended[0])"
            use[1] = "\((Int(use[1]) ?? 0) - (ended[1] > 0 ? ended[1] : 1000))"
            for (name, amount) in model.jobNeeds[job]?.thousandths ?? [:] {
                guard let index = use.firstIndex(where: { $0.hasPrefix(name + ":") }) else { continue }
                let had = use[index].dropFirst(name.count + 1).split(separator: "/")
                use[index] = "\(name):\((Int(had[0]) ?? 0) - amount)/\(had[1])"
            }
            use.removeAll { $0.contains(":0/") }
            state["distcomp:uses"]?[owner] = use.joined(separator: " ")
        }
    }

    /// What waits in the lists of jobs, as if it were in the sorted sets; with that their values in todo are gone.
    private func fresh(of state: inout [String: [String: String]]) throws -> [String: [String: String]] {
        var fresh: [String: [String: String]] = [:]
        for identifier in jobs.keys {
            let list = try command(
                "LRANGE", keys.of(job: identifier).todo.replacing("todo_tasks", with: "fresh"), "0", "-1")
            for entry in (list.elements ?? []).compactMap(\.string) {
                let parts = entry.split(separator: " ", maxSplits: 1)
                guard parts.count == 2, state["todo_tasks"]?[String(parts[1])] == String(parts[0]) else { continue }
                let size = model.jobSizes[identifier] ?? (0, 0)
                let key = "distcomp:class:@\(identifier) \(size.memory):\(size.millicores):"
                fresh[key, default: [:]][String(parts[1])] = Int(parts[0], radix: 16).map { "\($0)" }
                state["todo_tasks"]?[String(parts[1])] = ""
            }
        }
        return fresh
    }

    private func number(_ value: RESPValue) -> String {
        if case .double(let score) = value { return "\(Int(score))" }
        return value.string ?? "?"
    }

    // MARK: - One operation

    private mutating func advanceClock() {
        let lease = 3000
        let milliseconds: Int =
            switch pick(40) {
            case 0: [-3_600_000, -60_000, -1000, -10][pick(4)]
            case 1: [60_000, 3_600_000, lease * 2][pick(3)]
            case 2...4: lease / 2 + pick(lease)
            case 5...9: pick(lease / 2)
            default: pick(120)
            }
        model.serverMicroseconds += Int64(milliseconds * 1000 + pick(1000))
    }

    private mutating func someLine(ofJobs: Bool = true) -> TaskLine {
        let number = pick(hasCopies ? 8 : 30)
        if ofJobs, number % 7 > 0, let job = jobs["j\(number % 4)x\(number / 4 % 3)"],
            let line = try? TaskLine(command: "t\(number)", of: job)
        {
            return line
        }
        let memory = ["0", "1", "8", "24"][number % 4]
        let cores = ["0", "1", "2"][number / 4 % 3]
        let timeout = ["", "", "1:", "0:", "5m:"][number % 5]
        guard let line = try? TaskLine(parsing: "shell:\(number % 3):\(memory):\(cores):\(timeout)t\(number)") else {
            preconditionFailure("t\(number)")
        }
        return line
    }

    /// All of one job, as most requests want them.
    private mutating func someLines() -> ArraySlice<TaskLine> {
        var lines = [someLine()]
        for _ in 0..<pick(12) { lines.append(someLine()) }
        return lines.filter { $0.job == lines[0].job }.prefix(7)
    }

    private mutating func candidate() -> QueueIdentity { QueueIdentity(using: &random) }

    private mutating func description() -> NodeDescription {
        NodeDescription(
            memoryBytes: [8, 16, 32][pick(3)] << 30, millicores: [1000, 2000, 4000][pick(3)], version: "1",
            address: ["", "10.0.0.1"][pick(2)], trouble: pick(6) == 0 ? "the disk is full" : "",
            labels: [[], ["ssd"], ["ssd", "big"], ["tape"]][pick(4)],
            resources: ResourceTotals(text: ["", "gpu:d1", "gpu:d3 licence:2000", "gpu:800 licence:500"][pick(4)]),
            devices: pick(3) == 0
                ? [DeviceReading(name: "GPU-0a1b", usedBytes: 1, totalBytes: 2, percent: pick(100))] : [])
    }

    mutating func step() throws {
        advanceClock()
        switch pick(jobs.isEmpty ? 36 : 49) {
        case 0...3: try ask(SubmitTasks(someLines(), keys: keys, queueCandidate: candidate()).request)
        case 4...6: try register()
        case 7...11: try heartbeat()
        case 12...17: try claim()
        case 18...21: try report()
        case 22: try ask(CancelTask(someLine().text, keys: keys, jobs: jobs).request)
        case 23: try ask(RequeueTasks(someLines(), keys: keys).request)
        case 24:
            let own = OwnSettings(
                memoryBytes: [0, 4, 16][pick(3)] << 30, millicores: pick(3) * 1000, timeout: .seconds(5))
            try ask(RetryTasks(someLines(), own: pick(2) == 0 ? own : nil, keys: keys).request)
        case 25: try ofSomeLife { HeldTasks(keys: $1, incarnation: $0).request }
        case 26: try ofSomeLife { TakeCancellations(keys: $1, incarnation: $0).request }
        case 27: if pick(4) == 0 { try ofSomeLife { LeaveQueue(keys: $1, incarnation: $0).request } }
        case 28...30: try restore()
        case 31: try orders()
        case 32: try lose()
        case 33, 34: try retain()
        case 35 where !model.jobOwners.isEmpty:
            try ask(SetShare([0.5, 1, 3][pick(3)], of: ["", "ann", "bob"][pick(3)], keys: keys).request)
        case 36...40: try submitDependent()
        case 41...42: try gate()
        case 43: try changeNeeds()
        case 44...46: try giveToJob()
        case 47: try pauseJob()
        default: try byHand()
        }
    }

    /// Tasks of a job that wait for some of any jobs.
    private mutating func submitDependent() throws {
        let tasks = someLines().filter { $0.job != nil }.map { line -> DependentTask in
            let parents = (0..<pick(4)).map { _ in someLine() }.filter { $0.job != nil && $0 != line }
            let own = OwnSettings(
                memoryBytes: [0, 4, 16][pick(3)] << 30, millicores: pick(3) * 1000,
                timeout: [.byDefault, .seconds(5)][pick(2)])
            return DependentTask(pick(3) == 0 ? line.taking(own) : line, after: parents.map(\.text))
        }
        for operation in SubmitDependent.operations(tasks, keys: keys, queueCandidate: candidate()) {
            try ask(operation.request)
        }
    }

    /// The tasks of a job are to have other resources, also while some of them run. Of those that learn what memory they need the record is
    /// the queue's.
    private mutating func changeNeeds() throws {
        let names = jobs.keys.sorted().filter { jobs[$0]?.settings.learnsMemory == false }
        let name = names[pick(names.count)]
        guard var settings = jobs[name]?.settings else { return }
        let typed = ["", "gpu=0.3,licence=1", "gpu=1", "licence=0.2", "gpu=0.5"][pick(5)]
        settings.resources = ResourceRequest(typed: typed) ?? ResourceRequest()
        try ask(ChangeJob(name, settings: settings, keys: keys).request)
    }

    /// The tasks of a job are to have another size or timeout, by order or because it is asked for anew. Not of those that learn, as above.
    private mutating func giveToJob() throws {
        let names = jobs.keys.sorted().filter { jobs[$0]?.settings.learnsMemory == false }
        let name = names[pick(names.count)]
        guard let job = jobs[name] else { return }
        var settings = job.settings
        if pick(2) == 0 { settings.memoryBytes = [0, 4, 16, 24][pick(4)] << 30 }
        if pick(2) == 0 { settings.millicores = pick(3) * 1000 }
        if pick(2) == 0 { settings.timeout = [.byDefault, .none, .seconds(5), .seconds(0.5)][pick(4)] }
        if pick(2) == 0 {
            let open = OpenJob(
                name: name, isNameChosen: true, settings: settings, definition: job.definition, keys: keys)
            try ask(open.request)
        } else {
            let parts = ChangeJob.Part.allCases.filter { _ in pick(2) == 0 }
            try ask(ChangeJob(name, settings: settings, forAll: Set(parts), keys: keys).request)
        }
    }

    private mutating func pauseJob() throws {
        let names = jobs.keys.sorted()
        try ask(PauseJob(names[pick(names.count)], isPaused: pick(3) == 0, keys: keys).request)
    }

    /// A job waits for some of those before it.
    private mutating func gate() throws {
        let names = jobs.keys.sorted()
        let place = 1 + pick(names.count - 1)
        let parents = Set((0...pick(2)).map { _ in names[pick(place)] }).sorted()
        let ways = parents.map { ($0, pick(2) == 0 ? AfterWay.ok : .any) }
        let time = [0, 500, 5000, 100_000][pick(4)]
        let notBefore: NotBefore? =
            switch pick(6) {
            case 0: .atOnce
            case 1: .after(milliseconds: time)
            case 2: .at(unixMilliseconds: model.serverMilliseconds + time - 200)
            default: nil
            }
        let after = notBefore != nil && pick(2) == 0 ? nil : pick(6) == 0 ? [] : ways
        try ask(GateJob(names[place], after: after, notBefore: notBefore, keys: keys).request)
    }

    private mutating func ofSomeLife(_ request: (Incarnation, QueueKeys) -> RedisRequest) throws {
        guard let life = lives.randomElement(using: &random) else { return }
        try ask(request(life.incarnation, keys))
    }

    private mutating func register() throws {
        life += 1
        let name = "n\(pick(4))"
        let incarnation = Incarnation(name: name, machine: pick(20) == 0 ? "other" : "m", life: life)
        let earlier = lives.filter { $0.incarnation.nodeName == name && pick(8) > 0 }.map(\.incarnation)
        let lease = [3000, 3000, 3000, 9000][pick(4)]
        let reply = try ask(
            RegisterNode(
                keys: keys, incarnation: incarnation, leaseMilliseconds: lease, status: "s", node: description(),
                queueCandidate: candidate(), serverRun: run, runsSomething: pick(3) == 0, earlier: earlier
            ).request)
        lives.append((incarnation, lease, reply.elements?[1].int ?? 0))
    }

    private mutating func heartbeat() throws {
        guard !lives.isEmpty else { return }
        let index = max(lives.count - 1 - pick(8), 0)
        let (incarnation, lease, silence) = lives[index]
        let elapsed = [0, pick(400), 1000, 100_000][pick(4)]
        let reply = try ask(
            Heartbeat(
                keys: keys, incarnation: incarnation, leaseMilliseconds: lease, status: "s", silence: silence,
                elapsedMilliseconds: elapsed, node: description(), queueCandidate: candidate(), serverRun: run,
                reserving: ReservingSettings(
                    afterMilliseconds: [0, 40, 40, 40, 40, 3000][pick(6)],
                    timeoutMilliseconds: [0, 300, 5000][pick(3)],
                    graceMilliseconds: pick(2) * 100)
            ).request)
        if let now = reply.elements?[6].int, pick(8) > 0 { lives[index].silence = now }
    }

    private mutating func claim() throws {
        guard !lives.isEmpty else { return }
        // Few are reserved, and of what these are given there is more to be seen.
        let reserved = lives.lastIndex { model.reservations[$0.incarnation.text] != nil }
        let index = pick(2) == 0 ? reserved ?? lives.count - 1 : max(lives.count - 1 - pick(8), 0)
        let (incarnation, lease, silence) = lives[index]
        if let name = model.reservations[incarnation.text]?.name, model.first(of: name) == nil {
            let classes = ["classes", "owner:ann", "owner:bob", "owner:zoe"]
            let isKnown = try classes.contains {
                let score = try command("ZSCORE", keys.prefix + "distcomp:" + $0, name)
                return score != .null
            }
            // It is kept for nothing, and the queue learns that when there is room for it.
            if isKnown {
                _ = try command("HDEL", keys.prefix + "distcomp:reserved", incarnation.text)
                model.forgetReservation(of: incarnation.text)
            }
        }
        let reply = try ask(
            ClaimTasks(
                keys: keys, incarnation: incarnation, leaseMilliseconds: lease, count: pick(6),
                freeMemoryBytes: [4, 8, 16, 32][pick(4)] << 30, freeMillicores: pick(5) * 1000,
                freeResources: freeResources(), withSignatures: false,
                silence: silence, leavesIfIdle: pick(10) == 0
            ).request)
        guard let understood = try? ClaimTasks.parse(reply) else { return }
        lives[index].silence = understood.silence
        for task in understood.tasks { attempts.append((incarnation, task)) }
    }

    /// Of a node with devices, which tasks have in parts, or with an amount of the same; or of one that has nothing.
    private mutating func freeResources() -> String {
        if pick(4) == 0 { return "" }
        let parts = (0..<pick(6)).map { _ in "\([1000, 1000, 700, 500, 300, 0][pick(6)])" }.joined(separator: ",")
        return (pick(4) == 0 ? "gpu:\(pick(4) * 800)" : "gpu@\(parts)")
            + (pick(3) == 0 ? "" : " licence:\(pick(4) * 700)")
    }

    private mutating func report() throws {
        guard let (incarnation, task) = attempts.suffix(12).randomElement(using: &random) else { return }
        let result: ReportTask.Result =
            switch pick(5) {
            case 0: .returned
            case 1, 2:
                .failed(
                    reason: "exit 1", record: record("failed"), attemptsMax: pick(4),
                    retryMilliseconds: [0, 500, 20_000][pick(3)],
                    more: moreMemory(for: task.line, incarnation),
                    requeueAfterMilliseconds: pick(3) == 0 ? [0, 700, 100_000][pick(3)] : nil)
            default:
                .finished(
                    value: Array("n: \"\(String(repeating: "o", count: pick(2) * (80 + pick(40))))\"".utf8),
                    record: record("finished"), memoryBytes: pick(2) == 0 ? UInt64(1 + pick(3000)) << 20 : nil)
            }
        let reporter = pick(8) == 0 ? lives.randomElement(using: &random)?.incarnation ?? incarnation : incarnation
        try ask(
            ReportTask(
                keys: keys, incarnation: reporter, line: task.line, job: jobs[Job.identifier(ofLine: task.line)],
                token: task.token, result: result
            ).request)
    }

    private mutating func moreMemory(for line: String, _ incarnation: Incarnation) -> ReportTask.MoreMemory? {
        guard let job = jobs[Job.identifier(ofLine: line)], pick(2) == 0 else { return nil }
        let had = model.held[incarnation.text]?[line]?.memory ?? 1 << 30
        // In no class of its job.
        let bytes = pick(4) == 0 ? had / 2 : had * 2 + 4096 * UInt64(1 + pick(100))
        var own = OwnSettings(
            memoryBytes: min(bytes, 64 << 30), millicores: job.settings.millicores, timeout: .byDefault)
        own.grownFromBytes = pick(3) == 0 ? 1 << 30 : had
        return ReportTask.MoreMemory(own, learnedMaxBytes: [nil, 0, 6 << 30][pick(3)])
    }

    /// Of an ending of some minutes ago, or of one whose time is not known.
    private mutating func record(_ state: String) -> String {
        if pick(4) == 0 { return "{}" }
        return
            "{\"state\":\"\(state)\",\"cause\":\"exit\",\"worker\":\"n\",\"wall_seconds\":\(pick(8)).\(pick(1000)),"
            + "\"finished_at\":\(model.serverMilliseconds / 1000 - pick(8) * 47).25}"
    }

    /// A pass is one step: all there is fits one. The last one is mostly long ago: without lives the queue's time hardly passes.
    private mutating func retain() throws {
        if pick(4) > 0 {
            _ = try command("DEL", keys.prefix + "distcomp:retention")
            model.forgetLastPass()
        }
        let rules = [
            Retention(keepSeconds: 60), Retention(keepSeconds: 48_000), Retention(keepCount: 1 + pick(3)),
            Retention(bytesMax: 1 + pick(1800)), Retention(keepSeconds: 240, keepCount: 2, bytesMax: 800),
        ]
        let rule = rules[pick(rules.count)]
        try ofSomeLife { RetainResults(rule, keys: $1, incarnation: $0, resultsPerStep: 1_000_000).request }
    }

    private mutating func restore() throws {
        guard let life = lives.suffix(6).randomElement(using: &random) else { return }
        var running: [RestoreTasks.Running] = []
        for (incarnation, task) in attempts.suffix(20)
        where incarnation.nodeName == life.incarnation.nodeName && pick(2) == 0 {
            guard var line = try? TaskLine(parsing: task.line, of: jobs) else { continue }
            if let own = task.own.flatMap({ OwnSettings(text: $0) }) { line = line.taking(own) }
            running.append(.init(line: line, token: task.token, attempt: task.attempt))
        }
        if running.isEmpty, pick(4) > 0 { return }
        let earlier = lives.map(\.incarnation).filter {
            $0.nodeName == life.incarnation.nodeName && $0 != life.incarnation && pick(3) > 0
        }
        let reply = try ask(
            RestoreTasks(
                running[...], keys: keys, incarnation: life.incarnation, earlier: earlier, isLast: pick(2) == 0
            ).request)
        // From here on the tasks are this life's.
        for (task, answer) in zip(running, (try? RestoreTasks.parse(reply)) ?? []) where answer != .taken {
            attempts.append(
                (life.incarnation, .init(line: task.line.text, token: task.token, attempt: task.attempt)))
        }
    }

    private mutating func orders() throws {
        switch pick(4) {
        case 0: try ask(PauseQueue(pick(3) == 0, keys: keys).request)
        case 1: try ask(DrainNodes(["n\(pick(4))"], isDraining: pick(2) == 0, keys: keys).request)
        default:
            let state: ForgetTasks.State = pick(2) == 0 ? .finished : .failed
            let lines = someLines()
            let keys = keys.of(line: lines.first?.text ?? "")
            let tokens = pick(2) == 0 ? [] : lines.map { meantToken($0.text) }
            try ask(
                ForgetTasks(state, lines.map { Array($0.text.utf8) }[...], keys: keys, jobs: jobs, tokens: tokens)
                    .request)
        }
    }

    /// Mostly of the ending that is there.
    private mutating func meantToken(_ line: String) -> String {
        let token = model.outcomes[line].map { String($0.prefix { $0 != " " }) } ?? ForgetTasks.noRecord
        return pick(4) == 0 ? "1" : token
    }

    /// An old manager adds lines, and a node looks for them.
    private mutating func byHand() throws {
        let line = someLine(ofJobs: false)
        guard model.doing[line.text] == nil, model.done[line.text] == nil, model.failed[line.text] == nil,
            !model.todo.contains(line.text)
        else { return }
        try ask(.command(RedisCommand("HSET", keys.todo, line.text, "")))
        if pick(2) == 0 { try ask(AdoptLines([line], keys: keys).request) }
    }

    /// Redis is emptied, or comes back with an older state.
    private mutating func lose() throws {
        if pick(2) == 0 { run = ["", "1", "2"][pick(3)] }
        switch pick(8) {
        case 0:
            model.flush()
            model.jobSizes = jobs.mapValues { ($0.settings.memoryBytes, $0.settings.millicores) }
            model.jobTimeouts = jobs.mapValues(\.settings.timeout)
            (model.durations, model.jobNeeds) = (durations, needs)
            try deleteAll()
            try putJobs()
        case 1...3:
            guard let snapshot else { break }
            model.roll(back: snapshot.model)
            try deleteAll()
            for (key, payload) in snapshot.dump {
                _ = try client.call(
                    .command(RedisCommand(bytes: [Array("RESTORE".utf8), key, Array("0".utf8), payload])))
            }
        default:
            var dump: [(key: [UInt8], payload: [UInt8])] = []
            for key in (try command("KEYS", keys.prefix + "*").elements ?? []).compactMap(\.bytes) {
                let payload = try client.call(.command(RedisCommand(bytes: [Array("DUMP".utf8), key])))
                if let bytes = payload.bytes { dump.append((key, bytes)) }
            }
            snapshot = (model, dump)
        }
        history.append("(loss)")
        try compareStates(after: "a loss")
    }

    private func deleteAll() throws {
        for key in (try command("KEYS", keys.prefix + "*").elements ?? []).compactMap(\.string) {
            _ = try command("DEL", key)
        }
    }
}
