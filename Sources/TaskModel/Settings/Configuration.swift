// Every setting there is, with its meaning, unit and default: this file is the reference. How conf.json is read and
// what a value may be is in ConfigurationReading.swift.
//
// The first thirteen are those of the old system, with their old names and meanings; all others have a default, so that
// an old conf.json loads as it is.

import Notation

/// The settings of a node and of the command line: the defaults, or what `parse` made of a conf.json and found good.
public struct Configuration: Hashable, Sendable {
    public enum MemoryCaps: String, CaseIterable, Sendable {
        /// A node that cannot cap the memory of its tasks refuses to start.
        case required
        /// It says so and goes on without caps.
        case bestEffort = "best-effort"
    }

    public enum CPULimit: String, CaseIterable, Sendable {
        /// Cores are shares: a task may use what others leave.
        case weight
        /// A task never gets more than its cores.
        case hard
        /// Whole cores are one task's alone, on one NUMA node where one has room; parts of cores share the others.
        case pin
    }

    public enum RestartMode: String, CaseIterable, Sendable {
        /// Tasks are finished or returned before the daemon goes.
        case drain
        /// Tasks go on and the next daemon takes them over.
        case keep
    }

    public enum WhenCutOff: String, CaseIterable, Sendable {
        /// Tasks go on. Whether they are still this node's is asked when the queue answers again; those that another node
        /// took over meanwhile are killed then, and only one result counts.
        case keep
        /// Tasks are killed when the lease is over, so that no line ever runs on two nodes at once. A Redis that is away for
        /// longer than a lease then costs all that runs.
        case kill
    }

    public enum OutputStore: String, CaseIterable, Sendable {
        /// Small outputs stand one behind the other in few files.
        case packed
        /// Each task has a folder with two files.
        case files
    }

    public enum LogLevel: String, CaseIterable, Sendable { case debug, info, warning, error }

    public enum LogFormat: String, CaseIterable, Sendable {
        /// `journal` where the journal reads standard error, else `text`.
        case auto
        case text, json, journal
    }

    // MARK: Taking tasks

    /// `min_dram_gb_accept_new_task`: with less memory available than this the node takes no task. GB, or a share of
    /// the machine such as `"10%"`.
    public var minDramAcceptNewTask = MemoryThreshold.share(partsPerMillion: 100_000)
    /// `min_dram_gb_trigger_return`: with less memory available than this the newest task goes back to the queue. GB,
    /// or a share; less than `min_dram_gb_accept_new_task`.
    public var minDramTriggerReturn = MemoryThreshold.share(partsPerMillion: 50_000)
    /// `sleep_sec_between_accepting_task`: the longest an idle node waits before it looks for lines that were added
    /// without our wake-up, as old managers do.
    public var sleepBetweenAcceptingTaskSeconds = 5.0
    /// `health_report_interval`: how often a node writes its line of `worker_status`.
    public var healthReportIntervalSeconds = 10.0
    /// `max_task_per_worker`: tasks at once; nil (`null`): one per core.
    public var maxTaskPerWorker: Int?
    /// `max_retry_per_task`: a task is tried until it has failed this often, on other nodes while there are any.
    public var maxRetryPerTask = 3
    /// `default_task_timeout_seconds`: for lines that name none; 0: no limit.
    public var defaultTaskTimeoutSeconds = 3600.0
    /// `task_timeout_check_interval`: how often everything running is checked again, beside the exact timers.
    public var taskTimeoutCheckIntervalSeconds = 30.0
    /// `result_dir`: where the output of tasks is kept; made when it is not there.
    public var resultDirectory = "./result"
    /// `output_store`: how.
    public var outputStore = OutputStore.packed

    /// `results_keep_days`: an output leaves Redis, and the disk of its node, this long after its task ended, and the
    /// records of a job leave Redis when all of it ended that long ago; 0: never.
    public var resultsKeepDays = 0.0
    /// `results_keep_count`: so many of the newest results stay, older ones leave in the same way; 0: all.
    public var resultsKeepCount = 0
    /// `results_redis_bytes_max`: as much of Redis as results may take: the oldest outputs leave, and if that is not enough the
    /// records of the jobs that ended first; 0: any.
    public var resultsRedisBytesMax = 0

    // MARK: Redis

    /// `redis_host`: name or address.
    public var redisHost = "127.0.0.1"
    /// `redis_port`: 1 to 65535.
    public var redisPort = 6379
    /// `redis_pass`: nil (`null` or an empty string): none.
    public var redisPassword: String?
    /// `redis_db`: the number of the database.
    public var redisDatabase = 0
    /// `redis_url`: `redis://`, `rediss://` (TLS) or `unix://`, instead of host, port and database. User and password may stand
    /// in it, or be given by `redis_user` and `redis_pass` or `redis_pass_file`.
    public var redisURL: String?
    /// `redis_user`: the ACL user; nil: `default`.
    public var redisUser: String?
    /// `redis_pass_file`: a file whose first line is the password, instead of `redis_pass`.
    public var redisPasswordFile: String?
    /// `redis_sentinels`: `host:port` of each sentinel, the port 26379 where none is said; needs `redis_master_name`, and
    /// takes the place of host, port and URL. Empty (`null`): none.
    public var redisSentinels: [ServerAddress] = []
    /// `redis_master_name`: what the sentinels call our Redis.
    public var redisMasterName: String?
    /// `redis_sentinel_user`: the user at the sentinels; nil: `default`.
    public var redisSentinelUser: String?
    /// `redis_sentinel_pass_file`: a file whose first line is the sentinels' password; nil: they want none.
    public var redisSentinelPasswordFile: String?
    /// `redis_tls`: speak TLS to Redis, and to sentinels, where they are reached over the network.
    public var redisTLS = false
    /// `redis_tls_ca_file`: PEM file of the authorities trusted; nil: those this system trusts.
    public var redisTLSAuthorityFile: String?
    /// `redis_tls_cert_file`: PEM file of our own certificate, for a Redis that wants one.
    public var redisTLSCertificateFile: String?
    /// `redis_tls_key_file`: PEM file of its key.
    public var redisTLSKeyFile: String?
    /// `redis_tls_server_name`: the name or address that the server's certificate must be for; nil: that by which
    /// it is looked for.
    public var redisTLSServerName: String?
    /// `allow_insecure_redis`: use a Redis that anyone on the network could use too.
    public var allowInsecureRedis = false
    /// `key_prefix`: put before every key, so that several queues can share a Redis.
    public var keyPrefix = ""

    // MARK: The node

    /// `node_name`: 1 to 64 letters, digits, dots, underscores and hyphens; nil: the host name up to the first dot.
    public var nodeName: String?
    /// `state_dir`: what the daemon keeps for itself.
    public var stateDirectory = "/var/lib/distcomp"
    /// `labels`: what tasks may be submitted for, by `--where`.
    public var labels: [String] = []
    /// `resources`: what the node has besides memory and cores, by names of the administrator's choice.
    public var resources: [String: ResourceSetting] = [:]
    /// `stop_grace_seconds`: how long running tasks have to finish when the daemon is stopped.
    public var stopGraceSeconds = 20.0
    /// `lease_seconds`: a node not heard of for this long has lost its tasks to others.
    public var leaseSeconds = 30.0
    /// `when_cut_off`: what becomes of running tasks when the queue has not answered for `lease_seconds`.
    public var whenCutOff = WhenCutOff.keep
    /// `retry_delay_seconds`: before a failed task is offered again.
    public var retryDelaySeconds = 1.0
    /// `reserve_after_seconds`: a task that waits for so long, though an empty node would hold it and others pass it, gets a node
    /// reserved; 0: never.
    public var reserveAfterSeconds = 600.0
    /// `idle_exit_seconds`: a node that has had no task for so long leaves the queue and ends; 0: never.
    public var idleExitSeconds = 0.0
    /// `restart_mode`: with `keep`, SIGHUP (`systemctl reload`) also replaces the program by the one installed now, in
    /// place, while tasks go on.
    public var restartMode = RestartMode.drain
    /// `log_level`: the least serious of what is logged.
    public var logLevel = LogLevel.info
    /// `log_format`: fields in the journal, or lines on standard error, readable or JSON; `auto` is the journal where that
    /// reads standard error, else readable lines.
    public var logFormat = LogFormat.auto
    /// `metrics_textfile`: a file that the node writes its metrics to, for node_exporter; nil: none.
    public var metricsTextfile: String?

    // MARK: Running a task

    /// `task_user`: the user tasks of a root daemon run as; nil: `distcomp` where that user exists, else `nobody`. Only the
    /// word `root` makes a task run as root. Another daemon's tasks run as itself.
    public var taskUser: String?
    /// `memory_caps`: whether a node that cannot cap the memory of its tasks refuses to start, or says so and goes on.
    public var memoryCaps = MemoryCaps.required
    /// `cpu_limit`: cores are shares, so that a task may use what others leave (`weight`), or a task never gets more than
    /// its own (`hard`).
    public var cpuLimit = CPULimit.weight
    /// `max_processes_per_task`: processes and threads at once (pids.max).
    public var maxProcessesPerTask = 4096
    /// `max_output_bytes`: the longest file a task may write, its output included (RLIMIT_FSIZE).
    public var maxOutputBytes = 107_374_182_400
    /// `task_umask`: in conf.json a string of octal digits, `"022"`.
    public var taskUmask: UInt32 = 0o022
    /// `kill_grace_seconds`: between TERM and KILL.
    public var killGraceSeconds = 5.0
    /// `task_key_file`: with it, nodes run only lines signed with this key, and submitters sign.
    public var taskKeyFile: String?

    /// The defaults.
    public init() {}

    /// Whether `name` may be the name of a node: it is a field and part of values in Redis, between commas and colons.
    public static func isNodeName(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && name.utf8.allSatisfy(isNameByte)
    }

    /// The most labels a node has.
    public static let labelsMax = 64
    /// The most resources a node has.
    public static let resourcesMax = 32

    /// Whether this may be a label of a node: it stands in expressions. By `any` people mean every node.
    public static func isLabel(_ label: String) -> Bool { isNodeName(label) && label != "any" }

    /// Whether names of nodes, and their labels, may hold it.
    static func isNameByte(_ byte: UInt8) -> Bool {
        byte.isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            || byte == UInt8(ascii: ".") || byte == UInt8(ascii: "_") || byte == UInt8(ascii: "-")
    }
}

// MARK: - Amounts of memory

/// An amount of memory, or a share of all the machine has, so that one conf.json is right for machines of any size.
public enum MemoryThreshold: Hashable, Sendable, CustomStringConvertible {
    case bytes(UInt64)
    /// Of the machine's memory; at most 1,000,000.
    case share(partsPerMillion: UInt64)

    /// The amount on a machine with `total` bytes of memory.
    public func bytes(ofTotal total: UInt64) -> UInt64 {
        switch self {
        case .bytes(let bytes): return bytes
        case .share(let partsPerMillion):
            let product = total.multipliedFullWidth(by: min(partsPerMillion, 1_000_000))
            return UInt64(1_000_000).dividingFullWidth(product).quotient
        }
    }

    public var description: String {
        switch self {
        case .bytes(let bytes): AmountText.memory(bytes)
        case .share(let partsPerMillion): "\(AmountText.decimal(Double(partsPerMillion) / 10_000, places: 4))%"
        }
    }
}
