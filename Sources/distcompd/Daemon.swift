// The loop. Whatever is ready becomes an event, NodeSupervisor and NodeProtocol turn events into actions, and the runner and the
// queue link perform them. Nothing is decided here and nothing waits but `EventLoop.wait`.

import DequeModule
import LinuxSystem
import Logging
import NodeSupervisor
import RedisClient
import TaskModel

final class Daemon {
    private enum Token {
        static let signals: UInt64 = 1
        static let timer: UInt64 = 2
        static let queue: UInt64 = 3
        static let pressure: UInt64 = 4
        static let settings: UInt64 = 5
        static let leftMemory: UInt64 = 6
        static let news: UInt64 = 7
        static let devices: UInt64 = 8
    }

    private static let launchesPerRound = 4
    /// How long after a launch the next one is made ready: one that comes sooner is quick anyway.
    private static let standbyPauseNanoseconds: Int64 = 5_000_000
    /// For the last word to Redis, and for machines that are slow just now.
    private static let secondsToSpareAtStop = 20.0

    var node: NodeIdentity
    let runner: TaskRunner
    private let signals: SignalQueue
    let services: ServiceManager
    let queue: QueueLink
    private(set) var supervisor: NodeSupervisor
    private var loop: EventLoop
    private var timer: Timer
    private var pressure: PressureTrigger?
    private var settingsWatch: FileWatch?
    private var watched: (descriptor: Int32, generation: Int, writable: Bool)?
    private var lifeSignDueNanoseconds: Int64?
    /// When a launch is made ready for the next task; nil while one is, or none is wanted.
    private var standbyDueNanoseconds: Int64? = 0
    private(set) var done: Int
    private(set) var failed: Int
    /// Whether tasks were running before this program began.
    private let isReExecuted: Bool
    /// Whether the settings in their file would do for a start.
    var settingsAreGood = true
    /// Whether the cap on all tasks together is what it should be, see Surroundings.swift.
    var capsAreSet = true
    var reExec = ReExecStanding.none
    var leavers = Leavers()
    var metrics = NodeMetrics()
    private let attempts: AttemptNotes?
    /// Launches that were decided and not yet made, see `launchSome`.
    private(set) var launches: Deque<(number: TaskNumber, task: NodeSupervisor.ClaimedTask)> = []
    /// Tasks that have ended and whose groups are to be read: after the next ones were told to begin, which wait for nothing of it.
    private var ended: Deque<TaskNumber> = []

    init(
        _ node: NodeIdentity, _ runner: TaskRunner, _ signals: consuming SignalQueue, _ services: ServiceManager,
        _ reExecRecord: ReExecRecord? = nil, _ attempts: AttemptNotes? = nil
    ) throws(StartFailure) {
        self.attempts = attempts
        self.node = node
        self.runner = runner
        self.signals = signals
        self.services = services
        queue = QueueLink(
            node, runner, incarnation: reExecRecord?.incarnation,
            running: reExecRecord?.reExecState.tasks.map(\.task) ?? [])
        let settings = NodeSupervisor.Settings(node)
        supervisor =
            reExecRecord.map { NodeSupervisor(settings: settings, resuming: $0.reExecState) }
            ?? NodeSupervisor(settings: settings)
        (done, failed) = (reExecRecord?.doneCount ?? 0, reExecRecord?.failedCount ?? 0)
        isReExecuted = reExecRecord != nil
        do throws(SystemError) {
            loop = try EventLoop()
            timer = try Timer()
            try loop.add(self.signals.descriptor, for: .readable, token: Token.signals)
            try loop.add(timer.descriptor, for: .readable, token: Token.timer)
            try loop.add(runner.newsDescriptor, for: .readable, token: Token.news)
            if let press = runner.groups?.leftMemory.descriptor {
                try loop.add(press, for: .readable, token: Token.leftMemory)
            }
        } catch {
            throw .system(error)
        }
        watchPressure()
        watchSettings()
    }

    var log: Logger { node.log }

    /// Connects for the first time. Later losses are survived; a first connection that fails is a mistake to be told at once.
    func connect() throws(StartFailure) {
        // After a re-exec there are tasks to look after, whatever Redis does.
        if isReExecuted { return queue.redis.connectLater() }
        try queue.redis.connectFirst()
        try proveRedisAsksWhoCalls(node)
    }

    /// Runs until a stop was asked for and everything is reported.
    func runUntilStopped() throws(StartFailure) {
        lifeSignDueNanoseconds = services.watchdogSeconds == nil ? nil : SystemClock.bootNanoseconds()
        defer {
            tellLeavers()
            if let path = node.configuration.metricsTextfile { NodeMetrics.remove(path) }
            queue.finish()
            runner.clearPreparations()
        }
        do throws(SystemError) {
            if let trouble = runner.troubleAtStart { decide([.trialEnded(trouble)]) }
            // The signals of tasks that ended may have gone to the program before this one.
            if isReExecuted { decide(runner.reapEnded()) }
            while !queue.hasLeft {
                watchQueue()
                if queue.hasLeft { break }
                try arm()
                metrics.roundEnds(at: SystemClock.bootNanoseconds())
                let ready = try loop.wait(atMostMilliseconds: hasWorkLeft ? 0 : nil)
                metrics.roundBegins(at: SystemClock.bootNanoseconds())
                for descriptor in ready { decide(events(from: descriptor)) }
                launchSome()
                collectEnded()
                standBy()
                runner.watch?.lookIfDue()
                askForDevices()
                runner.nameOutputsIfDue()
                decide(queue.work())
                decide(queue.flush(mayWait: supervisor.hasPrefetched))
                decide(reExecIfSettled())
                keepAlive()
                writeMetricsIfDue()
            }
        } catch {
            throw .system(error)  // epoll_wait and timerfd_settime refuse only what no retry can mend.
        }
        if let failure = queue.fatalFailure { throw failure }
    }

    /// What is done a little of in every round.
    private var hasWorkLeft: Bool {
        queue.hasWork || !ended.isEmpty || launches.first.map { launchTurn(of: $0.number) != .later } ?? false
    }

    // MARK: From descriptors to events

    private func events(from ready: EventLoop.Ready) -> [Event] {
        switch ready.token {
        case Token.signals: return signalEvents()
        case Token.timer:
            timer.acknowledge()
            return queue.handleDeadline() + [.tick]
        case Token.queue: return queue.handle(ready)
        case Token.pressure: return measuredMemory()
        case Token.leftMemory:
            runner.groups?.leftMemory.acknowledge()
            return measuredMemory()
        case Token.news: return runner.news()
        case Token.devices:
            runner.takeDeviceUse()
            return []
        case Token.settings: return settingsWatch?.hasChanged() == true ? reloadSettings() : []
        default: return []
        }
    }

    private func signalEvents() -> [Event] {
        var events: [Event] = []
        for signal in signals.all() {
            switch signal {
            case .child: events += runner.reapEnded()
            case .terminate, .interrupt:
                tellStopping()
                events.append(.stopRequested)
            case .hangup: events += hangup()
            case .user1, .windowChange, .quit, .terminalStop: break  // Not blocked, so never queued here.
            }
        }
        return events
    }

    private func measuredMemory() -> [Event] {
        do {
            return [.memory(availableBytes: try MemoryReading.current(in: node.surroundings).availableBytes)]
        } catch {
            log.warning("memory cannot be measured: \(error); no task is returned for want of it")
            return []
        }
    }

    // MARK: From events to actions

    /// Feeds the supervisor and does what it asks; what comes of that are events again, until there are none.
    private func decide(_ events: [Event]) {
        var pending = events
        while !pending.isEmpty {
            for case .launchFailed(_, let failure) in pending { metrics.noteFailedLaunch(failure.step) }
            let now = Instant(nanoseconds: SystemClock.bootNanoseconds())
            pending = supervisor.handle(pending, at: now).flatMap { perform($0, at: now) }
        }
    }

    private func perform(_ action: Action, at now: Instant) -> [Event] {
        switch action {
        case .launch(let number, let task):
            launches.append((number, task))
            return []
        case .terminate(let number):
            return logged("terminate", number) { () throws(SystemError) in try runner.terminate(number) }
        case .signal(let number, let signal):
            return logged("signal", number) { () throws(SystemError) in try runner.signal(number, signal) }
        case .kill(let number): return logged("kill", number) { () throws(SystemError) in try runner.kill(number) }
        case .collect(let number):
            ended.append(number)
            return []
        case .tryLaunch: return runner.tryLaunch()
        case .heartbeat:
            let news = runner.news()
            runner.tidy()
            tellLeavers()
            let drained = queue.isDrained ? ", drained" : ""
            let trouble = supervisor.hindrance.map { ", in trouble: \($0)" } ?? ""
            services.notify("STATUS=\(runner.runningCount) running, \(done) done, \(failed) failed\(drained)\(trouble)")
            let changes = lookAround()
            return news + changes + ask(action, at: now) + measuredMemory() + runner.lookAtMemory()
        case .register, .reconcile, .claim, .leaseLost, .leave: return ask(action, at: now)
        case .report(let report):
            note(report)
            runner.noteReport(report)
            attempts?.noteEnd(report.number, runner.packedOutput(of: report.number))
            return ask(action, at: now)
        case .forget(let number, _):
            attempts?.noteEnd(number, runner.packedOutput(of: number))
            runner.forget(number)
            return ask(action, at: now)
        case .measureMemory: return measuredMemory()
        case .takeBackMemory:
            runner.groups?.leftMemory.press(.memoryIsShort)
            return []
        case .log(let notice):
            let fields: Logger.Metadata = notice.line.map { ["task": "\($0)"] } ?? [:]
            log.log(level: notice.isWarning ? .warning : .info, "\(notice)", metadata: fields)
            // The person who typed `distcomp run` waits for the node, and reads our standard output.
            if notice.isOfWholeNode, node.servesParent { standardOutput.write("\(notice)\n") }
            return []
        }
    }

    private func ask(_ action: Action, at now: Instant) -> [Event] {
        queue.ask(action, at: now, trouble: supervisor.hindrance)
    }

    /// A launch takes about a millisecond, and a claim may bring a hundred. Between a few of them the loop is looked after, so
    /// that no deadline waits for them.
    private func launchSome() {
        for _ in 0..<Self.launchesPerRound {
            guard let next = launches.first else { return }
            switch launchTurn(of: next.number) {
            case .later: return
            case .never(let failure):
                launches.removeFirst()
                decide([.launchFailed(next.number, failure)])
            case .now:
                launches.removeFirst()
                log.debug("launching", metadata: ["task": "\(next.task.line.text)", "attempt": "\(next.task.attempt)"])
                let events = runner.launch(next.number, next.task)
                // One that a launcher was told of and that does not begin has an end too.
                if !events.contains(where: \.isOfFailedLaunch) { attempts?.noteBegin(next.number, next.task) }
                decide(events)
                standBySoon()
            }
        }
    }

    /// Has a launch made ready, unless another is made before.
    func standBySoon() {
        if runner.canStandBy { standbyDueNanoseconds = SystemClock.bootNanoseconds() + Self.standbyPauseNanoseconds }
    }

    private func standBy() {
        guard let due = standbyDueNanoseconds, due <= SystemClock.bootNanoseconds() else { return }
        standbyDueNanoseconds = nil
        guard !supervisor.isLeaving, case .none = reExec else { return }
        do {
            try runner.standBy()
        } catch {
            log.info("\(error); no launch is made ready now, the next task is launched when it comes")
        }
    }

    private func launchTurn(of number: TaskNumber) -> NodeSupervisor.LaunchTurn {
        supervisor.launchTurn(of: number, at: Instant(nanoseconds: SystemClock.bootNanoseconds()))
    }

    private func collectEnded() { while let number = ended.popFirst() { decide(collect(number)) } }

    private func collect(_ number: TaskNumber) -> [Event] {
        do {
            return [try runner.collect(number)]
        } catch {
            // Not even busy: the group cannot be removed at all. The supervisor asks again; the operator should know.
            log.error("\(error); trying again")
            return [.collected(number, NodeSupervisor.Collected(usage: Usage(wallSeconds: 0), removed: false))]
        }
    }

    private func logged(_ what: String, _ number: TaskNumber, _ step: () throws(SystemError) -> Void) -> [Event] {
        do {
            try step()
        } catch {
            log.error("\(what) \(number): \(error); trying again at the next deadline")
        }
        return []
    }

    private func note(_ report: NodeSupervisor.Report) {
        guard case .ended(let outcome) = report.result else { return }
        if outcome.succeeded {
            done += 1
            log.debug("finished", metadata: fields(of: report, outcome))
        } else if report.task.line.asksToGoBack(by: outcome) {
            log.info("goes back to the queue as it asked: \(outcome.reason)", metadata: fields(of: report, outcome))
        } else {
            failed += 1
            log.info("failed: \(outcome.reason)", metadata: fields(of: report, outcome))
        }
    }

    private func fields(of report: NodeSupervisor.Report, _ outcome: TaskOutcome) -> Logger.Metadata {
        var fields: Logger.Metadata = [
            "task": "\(report.task.line.text)", "cause": "\(outcome.cause.word)", "attempt": "\(report.task.attempt)",
            "worker": "\(node.name)",
        ]
        if case .exit(let code) = outcome.cause { fields["exit_code"] = "\(code)" }
        if case .signal(let number) = outcome.cause { fields["signal"] = "\(number)" }
        return fields
    }

    // MARK: Waiting

    private func arm() throws(SystemError) {
        let deadlines = [
            supervisor.nextDeadline?.nanoseconds, queue.nextDeadlineNanoseconds, lifeSignDueNanoseconds,
            standbyDueNanoseconds, reExec.nextDeadlineNanoseconds, runner.watch?.nextLookNanoseconds,
            runner.namingDueNanoseconds, metrics.dueNanoseconds, runner.deviceWatch?.dueNanoseconds,
        ]
        try timer.arm(atNanoseconds: deadlines.compactMap { $0 }.min())
    }

    /// Measurements may be absent: nothing here ends the daemon.
    private func askForDevices() {
        runner.askForDevicesIfDue()
        guard let watch = runner.deviceWatch, let descriptor = watch.takeNewDescriptor() else { return }
        do throws(SystemError) {
            try loop.add(descriptor, for: .readable, token: Token.devices)
        } catch {
            watch.cannotWait(error, at: SystemClock.bootNanoseconds())
        }
    }

    /// Keeps the loop's idea of the queue's socket in step with the link, which may have made a new one. What cannot be watched, for want
    /// of memory or of watches (fs.epoll.max_user_watches), is lost as any connection may be.
    private func watchQueue() {
        do throws(SystemError) {
            try watchQueueSocket()
        } catch {
            watched = nil
            decide(queue.abandonConnection(for: error))
        }
    }

    private func watchQueueSocket() throws(SystemError) {
        guard let descriptor = queue.redis.descriptor else {
            watched = nil  // Closed, and so forgotten by epoll.
            return
        }
        let wanted = (
            descriptor: descriptor, generation: queue.redis.generation,
            writable: queue.redis.wantsWrite && queue.flushDueNanoseconds == nil
        )
        let interest: EventLoop.Interest = wanted.writable ? [.readable, .writable] : .readable
        if let watched, watched.generation == wanted.generation {
            if watched.writable == wanted.writable { return }
            try loop.modify(descriptor, for: interest, token: Token.queue)
        } else {
            try loop.add(descriptor, for: interest, token: Token.queue)
        }
        watched = wanted
    }

    /// A watch that cannot be had costs nothing but a SIGHUP (`systemctl reload`) after an edit.
    private func watchSettings() {
        guard let path = node.configurationPath, !node.servesParent else { return }
        do throws(SystemError) {
            let watch = try FileWatch(path: path)
            try loop.add(watch.descriptor, for: .readable, token: Token.settings)
            settingsWatch = watch
        } catch {
            log.info("\(path) is not watched (\(error)); it is read again at SIGHUP")
        }
    }

    private func watchPressure() {
        do throws(SystemError) {
            let trigger = try PressureTrigger()
            try loop.add(trigger.descriptor, for: .priority, token: Token.pressure)
            pressure = consume trigger
        } catch {
            log.info("no memory pressure events here (\(error)); memory is measured with each heartbeat")
        }
    }

    /// Asks for the time that a stop may take by the settings, which may be more than the unit allows by itself.
    private func tellStopping() {
        let settings = NodeSupervisor.Settings(node)
        let seconds =
            settings.stopGraceSeconds + settings.killGraceSeconds + settings.leaveWithinSeconds
            + Self.secondsToSpareAtStop
        services.notify("STOPPING=1", "EXTEND_TIMEOUT_USEC=\(Int64(seconds * 1e6))")
    }

    private func keepAlive() {
        guard let due = lifeSignDueNanoseconds, let period = services.watchdogSeconds else { return }
        let now = SystemClock.bootNanoseconds()
        guard now >= due else { return }
        services.notify("WATCHDOG=1")
        lifeSignDueNanoseconds = now + Int64(period / 2 * 1e9)
    }
}

extension NodeSupervisor.Event {
    fileprivate var isOfFailedLaunch: Bool { if case .launchFailed = self { true } else { false } }
}
