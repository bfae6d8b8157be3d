// The nodes of a queue, ours and old workers alike: what each has, what it runs, and when it last reported.

import LinuxSystem
import TaskModel
import TaskQueue

/// One node.
struct FleetNode {
    let name: String
    /// Its line of worker_status; nil where there is none we can read.
    var report: NodeReport?
    /// Whether its lease holds; nil for an old worker, which has none.
    var leaseSecondsLeft: Double?
    /// What it has for all tasks together, where it said so.
    var memoryBytes: UInt64?
    var millicores: Int?
    /// Of its distcompd; nil for an old worker.
    var version: String?
    /// Whether `distcomp drain` keeps tasks from it.
    var isDrained = false
    /// Why it takes no tasks at present, or none of its size: none can be launched there, or ended ones left its memory full; nil
    /// when all is well.
    var trouble: String?
    /// Where it is: the host and port of its end of the connection; nil where that is not known.
    var address: String?
    /// Of its conf.json.
    var labels: Set<String> = []
    /// A task that has waited for long, for which it is kept; nil for none.
    var reservation: ReadNodes.Reservation?
    /// What it has besides memory and cores.
    var resources = ResourceTotals()
    /// What is used of its devices, where tasks have some and their driver tells.
    var devices: [DeviceReading] = []
    /// What it runs, and what those tasks ask for together.
    var runningCount = 0
    var memoryBytesAsked: UInt64 = 0
    var millicoresAsked = 0
    /// In thousandths, by name.
    var resourcesAsked: [String: Int] = [:]
    /// Of that, what asks for no whole number: of devices each such task has a part of one.
    var partsAsked: [String: DeviceParts] = [:]

    /// How long ago it reported, by this machine's clock.
    func heardSecondsAgo(nowUnixSeconds: Int64) -> Double? {
        report.map { Double(max(0, nowUnixSeconds - $0.unixSeconds)) }
    }

    /// An old worker reports every few seconds; this long without a word is what the old cleanup takes for dead.
    static let oldWorkerSilenceSecondsMax = 200.0

    func isAlive(nowUnixSeconds: Int64, silenceSecondsMax: Double = oldWorkerSilenceSecondsMax) -> Bool {
        if let left = leaseSecondsLeft { return left > 0 }
        return heardSecondsAgo(nowUnixSeconds: nowUnixSeconds).map { $0 <= silenceSecondsMax } ?? false
    }

    /// What a task can have here at most.
    var memoryBytesTotal: UInt64 {
        memoryBytes ?? UInt64(clamping: Int64(exactly: ((report?.totalMemoryGB ?? 0) * 1_073_741_824).rounded()) ?? 0)
    }

    var millicoresTotal: Int { millicores ?? Int(((report?.totalCores ?? 0) * 1000).rounded()) }

    /// What is unusual about it; nil when nothing is.
    func condition(nowUnixSeconds: Int64) -> String? {
        if !isAlive(nowUnixSeconds: nowUnixSeconds) { return "gone" }
        if let trouble { return "in trouble: \(trouble)" }
        if isDrained { return runningCount > 0 ? "draining" : "drained" }
        guard let reservation else { return nil }
        let time = reservation.time(nowUnixSeconds).map { ", by \($0) at the latest" } ?? ""
        return "reserved for a task of \(reservation.size)\(time)"
    }

    /// Whether a task of this size can ever run here.
    func isLargeEnough(memoryBytes: UInt64, millicores: Int) -> Bool {
        memoryBytes <= memoryBytesTotal && millicores <= millicoresTotal
    }

    /// Whether tasks of this job are for such a node; nil: of no job.
    func isMeant(by job: Job?) -> Bool { job?.settings.nodeLabels?.matches(labels) ?? true }
}

extension ReadNodes.Reservation {
    /// What the task asks for: `8 GB and 16 cores`, or `16 cores`.
    var size: String { memoryBytes > 0 ? sizeText(memoryBytes, millicores) : coresText(millicores) }

    /// When it has room at the latest, in seconds since 1970; nil where nobody knows.
    func latestUnixSeconds(_ nowUnixSeconds: Int64) -> Int64? {
        latestMilliseconds.map { nowUnixSeconds + Int64(($0 + 999) / 1000) }
    }

    /// The same by the clock on the wall.
    func time(_ nowUnixSeconds: Int64) -> String? {
        latestUnixSeconds(nowUnixSeconds).map { LocalTime(unixSeconds: $0).clockText }
    }

    /// Whether it is for the first of those of this one's job and size.
    func isFor(_ line: TaskLine) -> Bool {
        (job, memoryBytes, millicores) == (line.job?.identifier ?? "", line.memoryBytes, line.millicores)
    }
}

/// What a task asks for, as people say it: `8 GB and 1 core`.
func sizeText(_ memoryBytes: UInt64, _ millicores: Int) -> String {
    "\(AmountText.memory(memoryBytes)) and \(coresText(millicores))"
}

private func coresText(_ millicores: Int) -> String {
    let cores = fixed(Double(millicores) / 1000, places: millicores % 1000 == 0 ? 0 : 3)
    return "\(cores) core\(cores == "1" ? "" : "s")"
}

/// All nodes at one moment.
struct Fleet {
    var nodes: [FleetNode] = []
    var isPaused = false
    var isClosing = false
    var nowUnixSeconds: Int64 = 0
    /// The state directory of a run on one machine that nobody goes on with at present; nil for a fleet.
    var stateOfRun: String?

    var alive: [FleetNode] { nodes.filter { $0.isAlive(nowUnixSeconds: nowUnixSeconds) } }
    /// Those that are kept for tasks that have waited for long.
    var reserved: [FleetNode] { alive.filter { $0.reservation != nil } }
    /// Those that are alive and yet take nothing.
    var inTrouble: [FleetNode] { alive.filter { $0.trouble != nil } }
}

/// What a node runs.
private struct NodeLoad {
    let name: String
    var count = 0
    var memoryBytes: UInt64 = 0
    var millicores = 0
    var resources: [String: Int] = [:]
    var parts: [String: DeviceParts] = [:]

    init(name: String) { self.name = name }

    /// One task more; the name of the node.
    mutating func add(_ line: TaskLine?) -> String {
        count += 1
        guard let line else { return name }
        let sum = memoryBytes.addingReportingOverflow(line.memoryBytes)
        memoryBytes = sum.overflow ? .max : sum.partialValue
        millicores += line.millicores
        for (resource, amount) in line.resources.thousandths {
            resources[resource, default: 0] += amount
            if !amount.isMultiple(of: 1000) { parts[resource, default: DeviceParts()].add(amount) }
        }
        return name
    }
}

extension QueueClient {
    /// Every node in the order of names. What they run is read from in_progress_tasks of all that this command is about.
    ///
    /// - Parameters:
    ///   - countingTasks: false where it is not needed.
    ///   - use: gets each running task, with its node.
    func fleet(
        countingTasks: Bool = true,
        eachTask use: (_ line: String, _ task: TaskLine?, _ node: String) -> Void = { _, _, _ in }
    ) throws(CommandError) -> Fleet {
        let counts = try counts()
        var nodes: [String: FleetNode] = [:]
        try readLeases(into: &nodes)
        try scan(keys.workerStatus) { entries in
            for (field, value) in entries {
                nodes[text(field), default: FleetNode(name: text(field))].report = NodeReport(parsing: text(value))
            }
        }
        // One that came between the two looks is not to be taken for a worker of the old system, which has no lease.
        if nodes.values.contains(where: { $0.leaseSecondsLeft == nil }) { try readLeases(into: &nodes) }
        if countingTasks { try countTasks(of: &nodes, use) }
        return Fleet(
            nodes: nodes.values.sorted { $0.name < $1.name }, isPaused: counts.isPaused,
            isClosing: counts.closeRequested, nowUnixSeconds: SystemClock.wallSeconds(), stateOfRun: stateOfRun)
    }

    private func readLeases(into nodes: inout [String: FleetNode]) throws(CommandError) {
        for lease in try leases() {
            let left = Double(lease.leaseMilliseconds) / 1000
            // A node may have several incarnations; the one whose lease lasts longest counts.
            if let other = nodes[lease.incarnation.nodeName]?.leaseSecondsLeft, other >= left { continue }
            var node = nodes[lease.incarnation.nodeName] ?? FleetNode(name: lease.incarnation.nodeName)
            node.leaseSecondsLeft = left
            node.memoryBytes = lease.memoryBytes
            node.millicores = lease.millicores
            node.version = lease.version.isEmpty ? nil : lease.version
            node.isDrained = lease.isDrained
            node.trouble = lease.trouble.isEmpty ? nil : lease.trouble
            node.address = lease.address.isEmpty ? nil : lease.address
            node.labels = Set(lease.labels)
            node.reservation = lease.reservation
            node.resources = lease.resources
            node.devices = lease.devices
            nodes[node.name] = node
        }
    }

    /// Every incarnation of a node that has a lease, or had one until a moment ago.
    func leases() throws(CommandError) -> [ReadNodes.Node] {
        var all: [ReadNodes.Node] = []
        while true {
            let page = try perform(ReadNodes(keys: keys, offset: all.count))
            all += page
            if page.count < ReadNodes.pageSize { return all }
        }
    }

    private func countTasks(
        of nodes: inout [String: FleetNode], _ use: (_ line: String, _ task: TaskLine?, _ node: String) -> Void
    ) throws(CommandError) {
        // A thousand nodes may run many thousands; each is added to what is small.
        var loads: [[UInt8]: NodeLoad] = [:]
        _ = try scanEach(\.inProgress) { _, entries throws(CommandError) in
            for (field, value) in entries {
                let text = text(field)
                let line = try parse(text)
                use(text, line, loads[value, default: NodeLoad(name: self.text(value))].add(line))
            }
            return true
        }
        for load in loads.values {
            var node = nodes[load.name] ?? FleetNode(name: load.name)
            node.runningCount += load.count
            node.memoryBytesAsked = load.memoryBytes
            node.millicoresAsked = load.millicores
            (node.resourcesAsked, node.partsAsked) = (load.resources, load.parts)
            nodes[load.name] = node
        }
    }
}
