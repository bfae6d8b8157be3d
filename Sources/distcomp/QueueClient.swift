// The queue as the command line sees it: calls that wait for their answer and fail with a line for the person.

import RedisClient
import TaskModel
import TaskQueue

final class QueueClient {
    let keys: QueueKeys
    /// What this command is about.
    var selection = JobSelection.all
    let directory = JobDirectory()
    /// The state directory of the run whose queue it is, where that is over, or was ended; nil otherwise.
    var stateOfRun: String?
    /// What conf.json says, where the queue is a fleet's.
    var settings = Configuration()
    /// Whose key tasks are signed with, instead of the settings'. It is read when something is submitted: nobody needs it to look.
    var keyFile: String?
    /// Called before each wait for Redis: what has been collected to be printed is not held up by it.
    var beforeWaiting: () throws(CommandError) -> Void = {}
    /// For how long Redis has worked for this, as far as can be told from here: what its answers took without what the quickest of them
    /// took, which is the way there and back.
    private(set) var workSeconds = 0.0
    private var quickestSeconds = Double.infinity
    /// What the quickest call costs Redis.
    private static let workMinSeconds = 0.000_1
    private let target: RedisTarget
    private var client: BlockingRedisClient

    init(_ target: RedisTarget, prefix: String = "") throws(CommandError) {
        keys = QueueKeys(prefix: prefix)
        self.target = target
        client = try Self.client(target)
    }

    /// Who we are to Redis, where that is somebody in particular.
    var redisUser: String? {
        let user: String?
        switch target {
        case .server(let endpoint): user = endpoint.credentials?.user
        case .master(let group): user = group.credentials?.user
        }
        return user == "default" ? nil : user
    }

    /// Where its Redis is, without a password.
    var address: String { client.address }

    /// Another connection to the same queue.
    func another() throws(CommandError) -> QueueClient {
        let other = try QueueClient(target, prefix: keys.prefix)
        other.settings = settings
        other.stateOfRun = stateOfRun
        return other
    }

    /// Connects anew: after one call has failed, all later ones do.
    func reconnect() throws(CommandError) { client = try Self.client(target) }

    private static func client(_ target: RedisTarget) throws(CommandError) -> BlockingRedisClient {
        var options = RedisConnectionOptions()
        options.session.scripts = QueueScripts.forCommandLine
        // One of this machine is there as soon as its socket is, and only slow: a disk that is busy holds up its first answer as any other.
        if case .server(let endpoint) = target, case .unix = endpoint.location {
            options.connectTimeoutSeconds = options.replyTimeoutSeconds
        }
        do {
            return try BlockingRedisClient(target, options: options)
        } catch {
            throw CommandError(error)
        }
    }

    /// Asks for one thing and waits for its answer.
    func perform<Operation: QueueOperation>(_ operation: Operation) throws(CommandError) -> Operation.Reply {
        let value = try call(operation.request)
        return try parsed { () throws(QueueError) in try Operation.parse(value) }
    }

    /// Adds tasks, a thousand to a call and many calls to a round trip.
    func submit(_ lines: [TaskLine]) throws(CommandError) -> SubmitReply {
        let taskKey = try loadTaskKey(keyFile ?? settings.taskKeyFile, prefix: keys.prefix)
        var requests: [RedisRequest] = []
        for lines in Self.byJob(lines) {
            var rest = lines[...]
            while !rest.isEmpty {
                requests.append(SubmitTasks(rest, keys: keys, taskKey: taskKey).request)
                rest = rest.dropFirst(SubmitTasks.linesMax)
            }
        }
        var total = SubmitReply()
        for value in try pipeline(requests) {
            total.add(try parsed { () throws(QueueError) in try SubmitTasks.parse(value) })
        }
        return total
    }

    /// Adds tasks of one job that wait for others.
    func submit(_ tasks: [DependentTask]) throws(CommandError) -> SubmitReply {
        let taskKey = try loadTaskKey(keyFile ?? settings.taskKeyFile, prefix: keys.prefix)
        let operations = SubmitDependent.operations(tasks, keys: keys, taskKey: taskKey)
        var total = SubmitReply()
        for value in try pipeline(operations.map(\.request)) {
            total.add(try parsed { () throws(QueueError) in try SubmitDependent.parse(value) })
        }
        return total
    }

    /// The lines of each job, in their order: one request is about one job.
    static func byJob(_ lines: [TaskLine]) -> [[TaskLine]] {
        var lists: [[TaskLine]] = []
        var places: [String: Int] = [:]
        for line in lines {
            let identifier = line.job?.identifier ?? ""
            if let place = places[identifier] {
                lists[place].append(line)
            } else {
                places[identifier] = lists.count
                lists.append([line])
            }
        }
        return lists
    }

    func progress() throws(CommandError) -> Progress { Progress(try counts()) }

    /// Every entry of a hash, a page at a time; one that changes meanwhile may come twice or not at all.
    func scan(
        _ key: String, _ use: ([(field: [UInt8], value: [UInt8])]) throws(CommandError) -> Void
    ) throws(CommandError) {
        _ = try scanWhile(key) { page throws(CommandError) in
            try use(page)
            return true
        }
    }

    /// The entries of a hash whose field matches `pattern`, a page at a time, for as long as `use` wants more; whether it did
    /// to the end. A page is small where values are large: what is held here is bounded.
    func scanWhile(
        _ key: String, pattern: String? = nil, _ use: ([(field: [UInt8], value: [UInt8])]) throws(CommandError) -> Bool
    ) throws(CommandError) -> Bool {
        var cursor = "0"
        var countHint = 16  // A value may be a megabyte.
        repeat {
            let page = try perform(ScanHash(key, cursor: cursor, countHint: countHint, pattern: pattern))
            cursor = page.cursor
            let bytes = page.entries.reduce(0) { $0 + $1.field.count + $1.value.count }
            if bytes > 4 << 20 { countHint = max(4, countHint / 4) }
            if bytes < 256 << 10 { countHint = min(2000, countHint * 2) }
            guard try use(page.entries) else { return false }
        } while cursor != "0"
        return true
    }

    /// The values of `fields` in a hash, nil where there is none.
    func values(_ key: String, of fields: [[UInt8]]) throws(CommandError) -> [[UInt8]?] {
        fields.isEmpty ? [] : try perform(ReadFields(key, fields: fields))
    }

    func call(_ request: RedisRequest) throws(CommandError) -> RESPValue {
        try pipeline([request]).first ?? .null
    }

    func pipeline(_ requests: [RedisRequest]) throws(CommandError) -> [RESPValue] {
        try beforeWaiting()
        let begun = bootSeconds()
        defer {
            let waited = bootSeconds() - begun
            quickestSeconds = min(quickestSeconds, waited)
            workSeconds += max(waited - quickestSeconds, Self.workMinSeconds)
        }
        do {
            return try client.pipeline(requests)
        } catch {
            throw CommandError(error)
        }
    }

    /// The answers to requests whose answers may be anything but a refusal.
    func answers(_ requests: [RedisRequest]) throws(CommandError) -> [RESPValue] {
        let values = try pipeline(requests)
        for value in values {
            if let error = value.error { try parsed { () throws(QueueError) in throw QueueError.refused(error) } }
        }
        return values
    }

    func parsed<Result>(_ parse: () throws(QueueError) -> Result) throws(CommandError) -> Result {
        do {
            return try parse()
        } catch {
            let message = "Redis at \(client.address): \(error)"
            if case .refused(let reply) = error {
                if reply.isOfPermission { throw .notPermitted(message) }
                // Not ready, not the master, not for us: as if it could not be reached.
                if reply.remedy != .none { throw .unreachable(message) }
            }
            throw .failed(message)
        }
    }
}

/// Tasks that wait in vain.
struct Misfits {
    var count = 0
    var example = ""
    /// The labels that the example is for and no node has; nil where it asks for too much.
    var labels: LabelExpression?
    /// The same of its resources, and what the nodes have of such.
    var resources: (asked: ResourceRequest, had: String)?
}

extension QueueClient {
    /// The waiting tasks, if there are only such, that ask for more than any node has, or for other labels; nil when some could run.
    func misfits() throws(CommandError) -> Misfits? {
        let nodes = try leases()
        guard nodes.contains(where: { $0.memoryBytes > 0 }) else { return nil }  // None has come yet.
        var misfits = Misfits()
        // What waits for others fits or not, when its turn comes.
        let gated = Set(try jobRows().filter { $0.gate != .open }.map(\.job.identifier))
        var fitting = 0
        _ = try scanEach(\.todo) { keys, entries throws(CommandError) in
            if gated.contains(keys.job) { return true }
            let fields = entries.filter { !TaskStanding.isDependent(todo: $0.value) }.map(\.field)
            for line in try tasks(fields, keys) {
                guard let line else { continue }
                let labels = line.job?.settings.nodeLabels
                let meant = nodes.filter { labels?.matches(Set($0.labels)) ?? true }
                let large = meant.filter { line.memoryBytes <= $0.memoryBytes && line.millicores <= $0.millicores }
                if large.contains(where: { $0.resources.canHold(line.resources) }) {
                    fitting += 1
                } else {
                    misfits.count += 1
                    (misfits.example, misfits.labels) = (line.command, meant.isEmpty ? labels : nil)
                    misfits.resources = large.isEmpty ? nil : (line.resources, large[0].resources.words)
                }
            }
            return true
        }
        return fitting == 0 && misfits.count > 0 ? misfits : nil
    }
}
