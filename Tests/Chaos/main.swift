// A fault-injection run: real nodes, a real Redis and a bad network of our own, and short tasks by the thousand. Everything is
// killed, stopped and cut at random while they run; afterwards a checker looks for what was lost and what was done twice.

import ArgumentParser
import LinuxSystem
import RedisServerFixture

struct DistcompChaos: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "distcomp-chaos",
        abstract: "Run many short tasks while nodes, Redis and connections are killed, and look for what was lost.",
        discussion: """
            Exit status: 0 when nothing was lost or finished twice and every repeated execution has its reason, 1 when not, \
            2 when the run could not be made.
            """)

    @Option(help: "How many nodes.")
    var nodes = 4

    @Option(help: "How many tasks.")
    var tasks = 100_000

    @Option(help: "Make trouble for so many seconds at most, and then leave the fleet in peace.")
    var seconds = Double.infinity

    @Option(help: "What the trouble and the tasks are drawn from; a run prints its own.")
    var seed: UInt64?

    @Option(
        parsing: .upToNextOption, help: "Troubles to leave out: \(Trouble.allValueStrings.joined(separator: ", ")).")
    var without: [Trouble] = []

    @Flag(help: "Print the counts as one JSON object.")
    var json = false

    @Flag(help: "Keep traces, logs and Redis's files even when all is well.")
    var keep = false

    func validate() throws {
        guard (1...64).contains(nodes) else { throw ValidationError("--nodes: 1 to 64") }
        guard (1...10_000_000).contains(tasks) else { throw ValidationError("--tasks: 1 to 10,000,000") }
    }

    func run() throws {
        try NodeDisks.enterOwnNamespace()
        let signals = try SignalQueue(blocking: [.terminate, .interrupt, .hangup])
        let seed = seed ?? randomUInt64()
        standardError.write("\(tasks) tasks on \(nodes) nodes, --seed \(seed)\n")
        if !NodeDisks.isPossible { standardError.write("no disk fails: nothing can be mounted here\n") }
        if !RedisServerFixture.canHaveOwnClock { standardError.write("no clock is stepped: there is no cc\n") }
        let place = try FileSystem.makeTemporaryDirectory("/tmp/distcomp-chaos-")
        var isSound = false
        defer {
            // What went wrong can be looked at; what went well need not be kept.
            if isSound, !keep {
                try? FileSystem.removeTree(place)
            } else {
                standardError.write("all of it is in \(place)\n")
            }
        }
        let set = TaskSet(count: tasks, seed: seed, place: place)
        try set.prepare()
        let fleet = try Fleet(nodeCount: nodes, seed: seed, without: without, in: place)
        defer { fleet.end() }

        let campaign = try Campaign(set, fleet, troubleSeconds: seconds, signals: signals)
        try campaign.run()
        let duration = campaign.seconds
        fleet.proxy.stop()  // Requests that were still on their way have arrived now.

        // For whoever looks into what is found.
        try FileSystem.replace(place + "/journal", with: Array(campaign.journal.text.utf8), mode: 0o644)
        let logs = try NodeLogs(of: fleet.nodes, tasks: set)
        let checker = Checker(
            fleet: fleet, tasks: set, traces: try Traces(of: set),
            history: try QueueHistory(of: set, directory: place + "/redis/appendonlydir"),
            explanation: Explanation(
                tasks: set, journal: campaign.journal, logs: logs, renewals: campaign.renewals,
                faultSeconds: fleet.faultSeconds()),
            stalls: campaign.stalls)
        let report = Report(
            tasks: set, nodeCount: nodes, seconds: duration, journal: campaign.journal, proxy: fleet.proxy.counts,
            logs: logs, submissions: campaign.submissions, findings: try checker.check())
        standardOutput.write(json ? report.json : report.table)
        for complaint in report.complaints + logs.errors { standardError.write(complaint + "\n") }
        isSound = report.findings.isSound
        if !isSound { throw ExitCode(1) }
    }
}

extension Trouble: ExpressibleByArgument {}

Host.ignoreBrokenPipes()
do {
    var command = try DistcompChaos.parseAsRoot()
    try command.run()
} catch let error as ExitCode {
    exitProcess(error.rawValue)
} catch {
    let status = DistcompChaos.exitCode(for: error).rawValue
    let text = DistcompChaos.fullMessage(for: error)
    (status == 0 ? standardOutput : standardError).write(text + "\n")
    exitProcess(status == 0 ? 0 : 2)
}
