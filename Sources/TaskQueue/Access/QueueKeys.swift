// Every key of the queue and every number that its scripts share with Swift, each said once: the names that Lua has for them are made
// from here. Nothing outside this room knows a key.

import TaskModel

/// The Redis keys of one queue. Several queues share a Redis by different prefixes.
///
/// Scripts are given the prefix alone and make the other names of it, those of classes and incarnations among them, so all keys of a
/// queue must be in one Redis: one server, alone or under Sentinel.
public struct QueueKeys: Hashable, Sendable {
    /// What stands before every key, `key_prefix` of the settings.
    public let prefix: String
    /// Whose lines the hashes hold: the identifier of a job; "" for the lines that are of none, in the hashes of the old system.
    public let job: String

    public init(prefix: String = "", job: String = "") {
        self.prefix = prefix
        self.job = job
    }

    /// The keys of one job of this queue.
    public func of(job: String) -> QueueKeys { QueueKeys(prefix: prefix, job: job) }

    /// The keys of the job that a line is of.
    public func of(line: some StringProtocol) -> QueueKeys { of(job: Job.identifier(ofLine: line)) }

    // The six hashes of the old system. They are the truth; all else can be made again from them.
    public var todo: String { self[.todo] }
    public var inProgress: String { self[.inProgress] }
    public var finished: String { self[.finished] }
    public var failed: String { self[.failed] }
    public var failReason: String { self[.failReason] }
    public var workerStatus: String { self[.workerStatus] }

    /// line -> `token {record}`: how the last attempt ended.
    public var outcomes: String { self[.outcomes] }
    /// line -> ``OwnSettings``, of the tasks of a job that have such.
    public var own: String { self[.own] }
    /// line -> its signature, while it has not finished.
    public var signatures: String { self[.signatures] }
    /// Lines in `failed` that wait for another try, or are having it.
    public var retrying: String { self[.retrying] }
    /// incarnation -> when its lease is over, in milliseconds.
    public var leases: String { self[.leases] }
    /// Which nodes jobs are for, of those that say so: identifier -> the text of a ``LabelExpression``.
    public var jobWheres: String { self[.jobWheres] }
    /// What jobs ask for besides memory and cores, of those that do: identifier -> the text of a ``ResourceRequest``.
    public var jobNeeds: String { self[.jobNeeds] }
    /// Who adds tasks to jobs at present, of those that are not complete yet: by identifier.
    public var jobLoads: String { self[.jobLoads] }
    /// What `distcomp scale --exec` notes of nodes and of shapes of nodes.
    public var scaling: String { self[.scaling] }
    /// Until when, in the queue's time, somebody looks through todo for lines without an index.
    public var sweeper: String { self[.sweeper] }
    /// Lines that were taken away from an incarnation by hand; gone as soon as it has been told.
    public func revoked(from incarnation: Incarnation) -> String { self[.revoked, incarnation.text] }
    /// The channel that wakes idle nodes.
    public var wakeChannel: String { self[.wake] }

    /// What SCAN matches the keys with that the old system does not have.
    public var ownPattern: String { RedisPattern.escaped(prefix + QueueKey.ownPrefix) + "*" }

    subscript(_ key: QueueKey) -> String {
        guard !job.isEmpty else { return prefix + key.rawValue }
        if key == .delayed { return self[.jobsDelayed] }
        return key.isOfJob ? prefix + QueueKeyFamily.job.rawValue + job + ":" + key.ownName : prefix + key.rawValue
    }
    subscript(_ family: QueueKeyFamily, _ member: String) -> String { prefix + family.rawValue + member }
}

/// A key, by what stands behind the prefix. docs/REDIS.md says what each holds.
enum QueueKey: String, CaseIterable {
    static let ownPrefix = "distcomp:"

    case todo = "todo_tasks"
    case inProgress = "in_progress_tasks"
    case finished = "finished_tasks"
    case failed = "failed_tasks"
    case failReason = "task_fail_reason"
    case workerStatus = "worker_status"

    // Waiting lines in their order.
    case classes = "distcomp:classes"
    case fits = "distcomp:fits"
    case indexed = "distcomp:indexed"
    case sequence = "distcomp:sequence"
    case delayed = "distcomp:delayed"
    case missing = "distcomp:missing"
    case sweeper = "distcomp:sweeper"
    case swept = "distcomp:swept"
    case fed = "distcomp:fed"

    // What is known of a line beside the six hashes.
    case retrying = "distcomp:retrying"
    case failedOn = "distcomp:failed-on"
    case settled = "distcomp:settled"
    case outcomes = "distcomp:outcomes"
    case attempts = "distcomp:attempts"
    case lost = "distcomp:lost"
    /// line -> how often it went back to the queue as it asked; behind that its place, while it waits for the time to be begun again.
    case requeues = "distcomp:requeues"
    case signatures = "distcomp:signatures"
    /// The lines of a job that wait for their first try, each behind its score: a list.
    case fresh = "distcomp:fresh"
    /// line -> ``OwnSettings``.
    case own = "distcomp:own"
    case tokens = "distcomp:tokens"
    /// Score: a token that had been given; member: by when, in milliseconds of the server's clock.
    case tokenTimes = "distcomp:token-times"

    // Jobs.
    /// identifier -> name, settings and definition, a line each.
    case jobs = "distcomp:jobs"
    /// name -> identifier.
    case jobNames = "distcomp:job-names"
    /// What tells that the same is asked for again -> identifier.
    case jobFingerprints = "distcomp:job-fingerprints"
    /// identifier -> `memory:millicores` of its tasks.
    case jobSizes = "distcomp:job-sizes"
    /// identifier -> which nodes it is for, see ``LabelExpression``; of jobs that say so.
    case jobWheres = "distcomp:job-wheres"
    /// identifier -> what its tasks have of a node besides memory and cores, see ``ResourceRequest``; of jobs that say so.
    case jobNeeds = "distcomp:job-needs"
    /// The last identifier given, as a number.
    case jobNumber = "distcomp:job-number"
    /// Counts the changes of jobs.
    case jobRevision = "distcomp:job-revision"
    /// Identifiers.
    case jobsPaused = "distcomp:jobs-paused"
    /// identifier -> `soon` or `now`: jobs that are paused because so many of their tasks have failed.
    case jobsHalted = "distcomp:jobs-halted"
    /// identifier -> how many of its tasks have failed for good since it was begun, or let go on last.
    case jobHalts = "distcomp:job-halts"
    /// identifier -> how many of its tasks had finished and had failed when their records left, and when that was.
    case jobsLeft = "distcomp:jobs-left"
    /// As `delayed`, for the lines of all jobs.
    case jobsDelayed = "distcomp:jobs-delayed"

    // Whose jobs they are: see Owners/owning.lua. The first owner is "" in all but the first of these.
    /// Who that is.
    case owner = "distcomp:owner"
    /// identifier -> owner, of the jobs of others.
    case jobOwners = "distcomp:job-owners"
    /// Owners who have classes, by whose turn it is.
    case owners = "distcomp:owners"
    /// owner -> `memory millicores` of what is held for them, by what the two are divided, the last token that was given, and of each resource
    /// that is held for them ` gpu:3000/8000`.
    case uses = "distcomp:uses"
    /// What is to be taken away from `uses`, since it has ended: lines of `job memory millicores`.
    case usesEnded = "distcomp:uses-ended"
    /// owner, by name -> what their share is to be, where that is not 1.
    case shares = "distcomp:shares"
    /// `memory millicores` of all nodes together, and of each resource that any has ` gpu:8000`.
    case fleet = "distcomp:fleet"
    /// Until when, in the queue's time, that is taken to be so.
    case measured = "distcomp:measured"
    /// Until when no node need count anew what it holds.
    case recounted = "distcomp:recounted"

    // Who waits for whom. Of tasks it is known by their numbers, which each job gives its own.
    /// identifier -> of jobs for which others wait: `j` for it as a whole, `t` for tasks of it, `tj` for both; `f` besides where failed
    /// tasks of it were forgotten.
    case jobsAwaited = "distcomp:jobs-awaited"
    /// identifier -> `waits`, or `broken` and the identifier of the job that ended otherwise than was wanted.
    case jobsGated = "distcomp:jobs-gated"
    /// identifier -> what it waits for, `JOB:ok JOB:any JOB:each`.
    case jobAfter = "distcomp:job-after"
    /// identifier -> when it may begin, `queue TIME` or `server TIME`, while it waits for that.
    case jobTimes = "distcomp:job-times"
    /// identifier -> who adds tasks to it at present.
    case jobLoads = "distcomp:job-loads"
    /// What has changed, and who waits for it has not been told.
    case telling = "distcomp:telling"
    /// Member of `telling` -> how far that has come.
    case told = "distcomp:told"
    /// line -> number.
    case numbers = "distcomp:numbers"
    /// number -> line.
    case lines = "distcomp:lines"
    /// Score: the number of a task; member: that, and the job and number of one that waits for it.
    case children = "distcomp:children"
    /// Score: the number of a task; member: that, and the job and number of one that it waits for and that has not finished.
    case needs = "distcomp:needs"
    /// Of `needs` those that have failed for good.
    case broken = "distcomp:broken"
    /// The numbers of the tasks in todo that wait for others.
    case dependent = "distcomp:dependent"
    /// The jobs that wait for this one.
    case waiters = "distcomp:waiters"
    /// As `classes`, of a job that waits for others.
    case aside = "distcomp:aside"
    /// Of a job that learns what memory its tasks need: see ``MemoryPeaks``; besides, `count` of them.
    case peaks = "distcomp:peaks"

    /// Of tasks that were forgotten since the last were added how many had `finished`, and the `sum` of their ``ForgottenTasks/digest(of:)``; how
    /// many had `failed`.
    case forgotten = "distcomp:forgotten"

    // Second copies of tasks: see Shared/copying.lua.
    /// Identifiers of jobs that were declared idempotent.
    case jobsIdempotent = "distcomp:jobs-idempotent"
    /// line -> `incarnation token` of who runs a second copy of it.
    case copies = "distcomp:copies"
    /// Of an idempotent job how long tasks took that finished, in milliseconds, counted as `peaks`.
    case times = "distcomp:times"
    /// incarnation -> until when, in the queue's time, it does not look for tasks that run for long.
    case copied = "distcomp:copied"

    // Nodes.
    case leases = "distcomp:leases"
    case nodes = "distcomp:nodes"
    case sizes = "distcomp:sizes"
    case drained = "distcomp:drained"
    case troubles = "distcomp:troubles"
    /// Of whoever makes the fleet larger and smaller: name of a node -> of which shape it is, when it was started and drained.
    case scaling = "distcomp:scaling"
    /// incarnation -> its labels, with blanks between; of those that have some.
    case labels = "distcomp:labels"
    /// incarnation -> what it has besides memory and cores, see ``ResourceTotals``; of those that have some.
    case resources = "distcomp:resources"
    /// incarnation -> what is used of its devices, see ``DeviceReading``; of those of which something is known.
    case deviceUse = "distcomp:device-use"

    // Nodes that are reserved: see Reserving/reserving.lua.
    /// incarnation -> `until memory millicores since class`.
    case reserved = "distcomp:reserved"
    /// `incarnation class` -> until when that node is not reserved for it again.
    case reservedInVain = "distcomp:reserved-in-vain"
    /// class -> `score since how`, of those that stand first.
    case standing = "distcomp:standing"
    /// How many had arrived by when.
    case arrivals = "distcomp:arrivals"
    /// Until when, in the queue's time, nobody need look who stands in vain.
    case looked = "distcomp:looked"
    /// incarnation -> the timeout of tasks that have none of their own, and how long one may go on after a timeout, in milliseconds.
    case timeouts = "distcomp:timeouts"

    // Results that leave.
    /// How far the node has come that looks for them.
    case retention = "distcomp:retention"
    /// From when on -> how many ended in that minute, hour or day, and what their outputs and records take.
    case retentionAges = "distcomp:retention-ages"
    /// Identifiers of jobs that are still to be looked at.
    case retentionJobs = "distcomp:retention-jobs"

    // What is counted for monitoring: see Metrics/tallying.lua.
    /// Since ever, without the five minutes that go on.
    case metrics = "distcomp:metrics"
    /// In these.
    case metricsOpen = "distcomp:metrics-open"
    /// Events that are not summed yet.
    case metricsNoted = "distcomp:metrics-noted"
    /// How many lines had come by when.
    case metricsArrivals = "distcomp:metrics-arrivals"

    // The queue as a whole.
    case queue = "distcomp:queue"
    case clock = "distcomp:clock"
    case paused = "distcomp:paused"
    /// A channel.
    case wake = "distcomp:wake"

    /// Whether each job has one of its own: it is of lines.
    var isOfJob: Bool {
        switch self {
        case .todo, .inProgress, .finished, .failed, .failReason, .retrying, .failedOn, .outcomes, .attempts, .lost,
            .requeues, .signatures, .fresh, .own:
            true
        default: isOfFew
        }
    }

    /// Whether few jobs have one, and scripts look into those of several jobs at a time: they make its whole name where they need it, by
    /// `job_key(job .. NEEDS)`.
    var isOfFew: Bool {
        switch self {
        case .numbers, .lines, .children, .needs, .broken, .dependent, .waiters, .aside, .peaks, .copies,
            .times, .forgotten:
            true
        default: false
        }
    }

    /// Whether its name in scripts is that of the present job's.
    var isSwitched: Bool { isOfJob && !isOfFew || self == .delayed }

    /// Its name among the keys of a job.
    var ownName: String {
        rawValue.hasPrefix(Self.ownPrefix) ? String(rawValue.dropFirst(Self.ownPrefix.count)) : rawValue
    }

    /// What the scripts call it.
    var luaName: String {
        switch self {
        case .todo: "TODO"
        case .inProgress: "DOING"
        case .finished: "DONE"
        case .failed: "FAILED"
        case .failReason: "REASON"
        case .workerStatus: "STATUS"
        default: rawValue.dropFirst(Self.ownPrefix.count).uppercased().map { $0 == "-" ? "_" : String($0) }.joined()
        }
    }
}

/// Keys of which there are many, by what stands before the name of what each is of.
enum QueueKeyFamily: String, CaseIterable {
    /// Lines that wait, of one size and the workers they failed on.
    case waiting = "distcomp:class:"
    /// What is known of the lines of one job.
    case job = "distcomp:job:"
    /// As `classes`, of one owner.
    case owner = "distcomp:owner:"
    /// Nothing is ever there: who may read it may submit as this owner.
    case ownerRight = "distcomp-owner:"
    // Of one incarnation.
    case held = "distcomp:held:"
    case cancelled = "distcomp:cancel:"
    case revoked = "distcomp:revoked:"
    /// What it holds is in `uses`.
    case counted = "distcomp:counted:"
    /// What a node was asked for of a task's output, by place.
    case output = "distcomp:output:"
    /// What was counted for monitoring in five minutes of the last day, by their place among these.
    case metricsSlot = "distcomp:metrics:"

    /// The function by which the scripts make one.
    var luaName: String {
        switch self {
        case .waiting: "class_key"
        case .job: "job_key"
        case .owner: "owner_key"
        case .ownerRight: "owner_right_key"
        case .held: "held_key"
        case .cancelled: "cancel_key"
        case .revoked: "revoked_key"
        case .counted: "counted_key"
        case .output: "output_key"
        case .metricsSlot: "metrics_key"
        }
    }
}

/// The order of waiting lines: the bands of their priorities, and within one that of their arrival. 13 bits of band and 40 of
/// arrival fit a score, which is a double, exactly.
enum QueueOrder {
    static let bandMax = 8191
    static let bandOfPriorityZero = 4096
    static let arrivalsOfBand = 1 << 40

    /// Higher priorities get lower bands.
    static func band(ofPriority priority: Int) -> Int {
        max(0, min(bandMax, bandOfPriorityZero.subtractingReportingOverflow(priority).partialValue))
    }
}

/// What the scripts know by a name: the keys, and the numbers they share with Swift.
enum QueueNames {
    /// What stands in place of a word of Lua. Not as a name: a script has 200 of these at most, and the longest needs them for other things.
    private static let numbers: [String: String] = [
        "CLOSE": "'\(TaskLine.closeCommand)'",
        "BAND": String(QueueOrder.arrivalsOfBand),
        "BAND_MAX": String(QueueOrder.bandMax),
        "BAND_ZERO": String(QueueOrder.bandOfPriorityZero),
        // Milliseconds that pass before the clock is noted anew: in between, an observation writes nothing.
        "CLOCK_STEP": "50",
        "IDENTITY_DIGITS": String(QueueIdentity.digitCount),
        // Microseconds since 1970 take sixteen digits until the year 2286, and a double holds them exactly.
        "TOKEN_DIGITS_MAX": "16",
        // 2 ^ 32: a server that comes back has lost fewer, or an hour of them.
        "TOKENS_LOST_MAX": "4294967296",
        // A line that was lost with so many nodes has killed them.
        "NODES_LOST_MAX": "3",
        "REQUEUES_MAX": String(RequeueCodes.countMax),
        // Milliseconds between two beginnings of a task that goes back to the queue again and again, at most.
        "REQUEUE_PAUSE_MAX": "60000",
        // Milliseconds for which the right to look through todo is kept without a page of it.
        "SWEEP_PAUSE": "5000",
        // An hour, in milliseconds.
        "RETRY_PAUSE_MAX": "3600000",
        // So many lines gone at once were not dropped by an old worker.
        "MISSING_MAX": "100",
        "RETRIES_COUNTED_MAX": "1000",
        // Of those that wait for others so many are told in one script.
        "TELL_MAX": "200",
        // So many jobs, each waiting for others, are looked at for whether they wait for each other in a circle.
        "CIRCLE_MAX": "10000",
        // What a task counts as for its owner that asks for no cores: it takes a slot of its node.
        "SLOT_MILLICORES": "1000",
        // Beyond all tokens: the places of owners for whom nothing runs are before all others.
        "IDLE_OWNERS": "9007199254740992",
        // So many tasks have finished before it is known what memory their like needs.
        "LEARNED_MIN": String(MemoryPeaks.countMin),
        // Of a task there is no second copy before it has run for so many milliseconds; and so many pass between two looks of a node for such.
        "COPY_AGE_MIN": "10000", "COPY_PAUSE": "3000",
        // So many milliseconds are between two, and so many are kept.
        "TOKEN_TIMES_STEP": "1000", "TOKEN_TIMES_MAX": "2000",
        // Milliseconds for which looking for results that leave is left to the node that does it, when it does not go on.
        "RETENTION_RIGHT": "10000",
        // Milliseconds between two passes, at least.
        "RETENTION_PAUSE": "60000",
        // An output as short as what would stand in its place stays.
        "OUTPUT_BYTES_KEPT": String(FinishedValue.bytesKept),
        // What Redis takes for the two entries of a result beside what they hold.
        "RESULT_BYTES": "160",
        // What is counted for monitoring: how long a slot is in milliseconds, how many there are, and what of it is known by name.
        "METRICS_SLOT": String(QueueMetrics.slotSeconds * 1000), "METRICS_SLOTS": String(QueueMetrics.slotCount),
        "METRICS_MILLISECONDS": QueueMetrics.luaList(QueueMetrics.millisecondBounds),
        "METRICS_BYTES": QueueMetrics.luaList(QueueMetrics.byteBounds),
        "METRICS_CAUSES": QueueMetrics.luaSet(Cause.words),
        "METRICS_STEPS": QueueMetrics.luaSet(QueueMetrics.launchSteps),
        // Some two hundred events.
        "METRICS_NOTED_MAX": "8192",
        // Arrivals are told apart by so many milliseconds, and so many of them are known; a claim looks for so many of them for each class.
        "METRICS_STEP": "20", "METRICS_ARRIVALS_MAX": "4096", "METRICS_LOOKS_MAX": "32",
        // Of the SHA-1 of a line so many hexadecimal digits count, and sums of these modulo a power of two: a double holds them exactly.
        "DIGEST_DIGITS": String(ForgottenTasks.digitCount), "DIGESTS": String(ForgottenTasks.modulus),
        // Some hundred and sixty tasks.
        "USES_ENDED_MAX": "4096",
        "LINES_MAX": String(SubmitTasks.linesMax),
        "NODES_PAGE": String(ReadNodes.pageSize), "SCALE_TURN_MAX": String(TakeScalingTurn.millisecondsMax),
        "DEMAND_PAGE": String(ReadDemand.pageSize), "LOADS_MAX": String(ReadLoads.tasksMax),
        // A claim reads so many classes at a time, passes over so many before it looks for others, and over so many stale entries.
        "PAGE": "32", "PASSED_MAX": "512", "STALE_MAX": "2000",
    ]

    /// Every word of a line of Lua, and none of a comment.
    static func words(in line: ArraySlice<UInt8>) -> [String] {
        if line.drop(while: { $0 == UInt8(ascii: " ") }).starts(with: "--".utf8) { return [] }
        return line.split { !isOfWord($0) }.map { String(decoding: $0, as: UTF8.self) }
    }

    private static func isOfWord(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") || byte >= UInt8(ascii: "a") && byte <= UInt8(ascii: "z")
            || byte == UInt8(ascii: "_")
    }

    /// The line with numbers in place of their names.
    static func withNumbers(in line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard words(in: line).contains(where: { numbers[$0] != nil }) else { return line }
        var (written, rest) = ([UInt8](), line)
        while let first = rest.first {
            let word = rest.prefix(while: isOfWord)
            guard !word.isEmpty else {
                written.append(first)
                rest = rest.dropFirst()
                continue
            }
            written += numbers[String(decoding: word, as: UTF8.self)].map { Array($0.utf8) } ?? Array(word)
            rest = rest.dropFirst(word.count)
        }
        return written[...]
    }

    /// What a script begins with: the names that it mentions, but for those that only a part of it makes for itself.
    ///
    /// - Parameter common: what is mentioned outside of such parts.
    static func prelude(forWords words: Set<String>, common: Set<String>) -> String {
        var lines = ["local p, call = ARGV[1], redis.call"]
        for key in QueueKey.allCases where key.isSwitched && words.contains(key.luaName) {
            lines.append("local \(key.luaName) = p .. '\(key.rawValue)'")
        }
        lines += names(forWords: common)
        if words.contains("use_job") || words.contains("use_job_of") {
            lines += jobSwitch(words)
        } else if words.contains("job") {
            lines.append("local job = ''")
        }
        return lines.joined(separator: "\n")
    }

    /// Those of these names that are the same whichever job is the present one, a line of Lua each.
    static func names(forWords words: Set<String>) -> [String] {
        let keys = QueueKey.allCases.filter { !$0.isSwitched && words.contains($0.luaName) }.map { key in
            "local \(key.luaName) = " + (key.isOfFew ? "':\(key.ownName)'" : "p .. '\(key.rawValue)'")
        }
        let families = QueueKeyFamily.allCases.filter { words.contains($0.luaName) }.map { family in
            "local function \(family.luaName)(of) return p .. '\(family.rawValue)' .. of end"
        }
        return keys + families
    }

    /// `use_job(name)`, with which the names of what is known of lines become those of a job, `use_job_of(line)`, the same by one of its
    /// lines, and `job`, which it is. In the beginning it is none: ''.
    private static func jobSwitch(_ words: Set<String>) -> [String] {
        let own = QueueKey.allCases.filter { $0.isOfJob && !$0.isOfFew && words.contains($0.luaName) }
        var lines = [
            "local job = ''", "local function use_job(name)", "  if name == job then return end", "  job = name",
            "  local at = p .. '\(QueueKeyFamily.job.rawValue)' .. name .. ':'",
        ]
        for key in own {
            lines.append("  \(key.luaName) = name == '' and p .. '\(key.rawValue)' or at .. '\(key.ownName)'")
        }
        if words.contains(QueueKey.delayed.luaName) {
            let (own, ofJobs) = (QueueKey.delayed, QueueKey.jobsDelayed)
            lines.append("  \(own.luaName) = name == '' and p .. '\(own.rawValue)' or p .. '\(ofJobs.rawValue)'")
        }
        lines += [
            "end",
            "local function use_job_of(line)",
            "  use_job(string.byte(line) == 64 and string.match(line, '^@([0-9a-z]+) ') or '')",
            "end",
        ]
        return lines
    }
}
