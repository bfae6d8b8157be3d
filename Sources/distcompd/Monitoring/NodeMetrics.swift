// What this node tells of itself, in a file for node_exporter where the settings name one (`metrics_textfile`): what only the node knows. What the
// queue knows of its nodes and tasks is in `distcomp metrics`. So no port is opened, and a daemon that is root reads nothing from a network for it.

import LinuxSystem
import NodeSupervisor
import TaskQueue

/// Counts of this life of the daemon, and when they are next written.
struct NodeMetrics {
    /// By the step that failed.
    private var launchesFailed: [String: Int] = [:]
    private var roundCount = 0
    private var busyNanoseconds: Int64 = 0
    private var roundBegan: Int64?
    /// When the file is written next; nil where there is none.
    private(set) var dueNanoseconds: Int64?
    /// What the last attempt came to, if it failed: it is told once.
    private var problem: String?

    private static let knownSteps = Set(QueueMetrics.launchSteps)

    /// The loop has something to do.
    mutating func roundBegins(at now: Int64) { roundBegan = now }

    /// It waits again.
    mutating func roundEnds(at now: Int64) {
        guard let began = roundBegan else { return }
        roundBegan = nil
        roundCount += 1
        busyNanoseconds += max(0, now - began)
    }

    /// The names that are told are few, whatever failed.
    mutating func noteFailedLaunch(_ step: String) {
        let word = String(step.prefix { $0 != " " })
        launchesFailed[Self.knownSteps.contains(word) ? word : QueueMetrics.otherName, default: 0] += 1
    }

    /// What is told beside these counts.
    struct Standing {
        var node = ""
        var version = ""
        var running = 0
        var finished = 0
        var failed = 0
        var capacityMemoryBytes: UInt64 = 0
        var capacityMillicores = 0
        var askedMemoryBytes: UInt64 = 0
        var askedMillicores = 0
        var availableMemoryBytes: UInt64?
        var hasTrouble = false
        var isDrained = false
        var isConnected = false
        var connectionsLost = 0
        var reportsUnanswered = 0
    }

    func text(_ standing: Standing) -> String {
        var text = MetricsLines(node: standing.node)
        text.add(
            "distcomp_node_info", "gauge", "Always 1; the label says which version runs.",
            [("version", standing.version, "1")])
        text.add("distcomp_node_tasks_running", "gauge", "Tasks that run on this node.", "\(standing.running)")
        text.add(
            "distcomp_node_tasks_ended_total", "counter", "Attempts that ended on this node since its daemon began.",
            [("state", "finished", "\(standing.finished)"), ("state", "failed", "\(standing.failed)")])
        text.add(
            "distcomp_node_launches_failed_total", "counter",
            "Launches that failed, by the step that did; also those that are the node's fault, and whose task went back.",
            (QueueMetrics.launchSteps + [QueueMetrics.otherName]).map { ("step", $0, "\(launchesFailed[$0] ?? 0)") })
        text.add(
            "distcomp_node_capacity_memory_bytes", "gauge", "Memory that this node has for tasks.",
            "\(standing.capacityMemoryBytes)")
        text.add(
            "distcomp_node_capacity_cores", "gauge", "Cores that this node has for tasks.",
            "\(Double(standing.capacityMillicores) / 1000)")
        text.add(
            "distcomp_node_asked_memory_bytes", "gauge", "Memory that its running tasks have asked for.",
            "\(standing.askedMemoryBytes)")
        text.add(
            "distcomp_node_asked_cores", "gauge", "Cores that its running tasks have asked for.",
            "\(Double(standing.askedMillicores) / 1000)")
        if let available = standing.availableMemoryBytes {
            text.add(
                "distcomp_node_available_memory_bytes", "gauge",
                "Memory that is available here, as the daemon reckons it.",
                "\(available)")
        }
        text.add(
            "distcomp_node_trouble", "gauge",
            "1 while the node takes no tasks, or no large ones, since something is wrong.",
            standing.hasTrouble ? "1" : "0")
        text.add(
            "distcomp_node_drained", "gauge", "1 while the node is given nothing new, by order.",
            standing.isDrained ? "1" : "0")
        text.add(
            "distcomp_node_redis_connected", "gauge", "1 while the node has a connection to Redis.",
            standing.isConnected ? "1" : "0")
        text.add(
            "distcomp_node_redis_connections_lost_total", "counter",
            "Connections to Redis that failed or were given up.",
            "\(standing.connectionsLost)")
        text.add(
            "distcomp_node_reports_unanswered", "gauge", "Endings of tasks that Redis has not confirmed yet.",
            "\(standing.reportsUnanswered)")
        text.add(
            "distcomp_node_loop_rounds_total", "counter", "How often the daemon had something to do.", "\(roundCount)")
        text.add(
            "distcomp_node_loop_busy_seconds_total", "counter", "For how long altogether.",
            "\(Double(busyNanoseconds) / 1e9)")
        return text.text
    }
}

// MARK: - The file

extension NodeMetrics {
    /// Says when the file is due, which is at once where the settings have just named one.
    mutating func plan(_ path: String?, at now: Int64) {
        if path == nil { dueNanoseconds = nil } else if dueNanoseconds == nil { dueNanoseconds = now }
    }

    /// Writes it, and says what is to be logged: that it cannot be, or can be again.
    mutating func write(_ text: String, to path: String, at now: Int64, everySeconds: Double) -> String? {
        dueNanoseconds = now + Int64(everySeconds * 1e9)
        var problem: String?
        do throws(SystemError) {
            let (directory, name) = Self.parts(of: path)
            try GuardedDirectory(path: directory).publish(name, Array(text.utf8))
        } catch {
            problem = error.description
        }
        defer { self.problem = problem }
        if problem == self.problem { return nil }
        return problem.map { "\($0): the metrics of this node are not written (metrics_textfile); it goes on without" }
            ?? "the metrics of this node are written again"
    }

    /// The daemon ends: what the file says is so no more.
    static func remove(_ path: String) {
        let (directory, name) = parts(of: path)
        _ = try? GuardedDirectory(path: directory).remove(name)
    }

    private static func parts(of path: String) -> (directory: String, name: String) {
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        return (slash == path.startIndex ? "/" : String(path[..<slash]), String(path[path.index(after: slash)...]))
    }
}

/// The older text format of Prometheus, which node_exporter reads from files. All names and labels are ours, and need no escapes.
private struct MetricsLines {
    let node: String
    private(set) var text = ""

    init(node: String) { self.node = node }

    mutating func add(_ name: String, _ kind: String, _ help: String, _ value: String) {
        begin(name, kind, help)
        text += "\(name){node=\"\(node)\"} \(value)\n"
    }

    /// - Parameter samples: a label, its value, and the number.
    mutating func add(_ name: String, _ kind: String, _ help: String, _ samples: [(String, String, String)]) {
        begin(name, kind, help)
        for (label, of, value) in samples { text += "\(name){node=\"\(node)\",\(label)=\"\(of)\"} \(value)\n" }
    }

    private mutating func begin(_ name: String, _ kind: String, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
    }
}

extension Daemon {
    /// Writes the file of metrics, where there is one and it is time.
    func writeMetricsIfDue() {
        let now = SystemClock.bootNanoseconds()
        let path = node.configuration.metricsTextfile
        metrics.plan(path, at: now)
        guard let path, let due = metrics.dueNanoseconds, due <= now else { return }
        let text = metrics.text(metricsStanding)
        let every = node.configuration.healthReportIntervalSeconds
        if let notice = metrics.write(text, to: path, at: now, everySeconds: every) { log.warning("\(notice)") }
    }

    private var metricsStanding: NodeMetrics.Standing {
        var standing = NodeMetrics.Standing()
        (standing.node, standing.version) = (node.name, version)
        (standing.running, standing.finished, standing.failed) = (runner.runningCount, done, failed)
        standing.capacityMemoryBytes = node.memoryBytesForTasks
        standing.capacityMillicores = node.allowance.millicores
        standing.askedMemoryBytes = supervisor.askedMemoryBytes
        standing.askedMillicores = supervisor.askedMillicores
        standing.availableMemoryBytes = try? MemoryReading.current(in: node.surroundings).availableBytes
        standing.hasTrouble = supervisor.hindrance != nil
        standing.isDrained = queue.isDrained
        standing.isConnected = queue.redis.current != nil
        standing.connectionsLost = queue.connectionsLost
        standing.reportsUnanswered = queue.unansweredReportCount
        return standing
    }
}
