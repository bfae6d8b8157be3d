// The daemon's part in the simulation, and the kernel's: performing actions. Each is checked before it is performed.

import NodeSupervisor
import TaskModel

extension Simulation {
    func act(_ action: NodeSupervisor.Action, node: Int) {
        switch action {
        case .launch(let number, let task): launch(number, task, node: node)
        case .terminate(let number): terminate(number, node: node)
        case .kill(let number): kill(number, node: node)
        case .collect(let number): collect(number, node: node)
        case .forget(let number):
            if nodes[node].tasks[number]?.report != nil { fail("node \(node) forgets \(number), of which it reported") }
            count("forgotten")
        case .tryLaunch: tryLaunch(node: node)
        case .register: send(.register, node: node)
        case .heartbeat: send(.heartbeat, node: node)
        case .reconcile(let number): send(.reconcile(number), node: node)
        case .claim(let claim):
            if nodes[node].leavesSince != nil { fail("node \(node) claims while it leaves") }
            if claim.count < 1 { fail("node \(node) claims nothing") }
            if nodes[node].supervisor.trouble != nil { fail("node \(node) claims while it can start nothing") }
            if claim.count > nodes[node].settings.taskCountMax - nodes[node].taskCount { count("prefetched") }
            send(.claim(claim), node: node)
        case .report(let report):
            check(report, node: node)
            send(.report(report), node: node)
        case .keep(let report):
            count("report kept")
            check(report, node: node)
            nodes[node].kept[report.number] = report
        case .leave: leave(node)
        case .measureMemory: event(.memory(availableBytes: available(on: node)), node: node, in: 0)
        case .log(let notice): tally(notice)
        }
    }

    /// An event of the node's own machine.
    private func event(_ event: NodeSupervisor.Event, node: Int, in nanoseconds: Int64) {
        schedule(.event(node: node, life: nodes[node].life, event), in: nanoseconds)
    }

    func available(on node: Int) -> UInt64 { nodes[node].isMemoryLow ? 500_000_000 : nodes[node].availableBytes }

    // MARK: - Processes

    private func launch(_ number: TaskNumber, _ task: NodeSupervisor.ClaimedTask, node: Int) {
        let index = SimulatedQueue.line(of: task.token)
        let settings = nodes[node].settings
        if number.rawValue <= nodes[node].lastNumber { fail("\(number) was used before") }
        nodes[node].lastNumber = number.rawValue
        // In one batch the answer to a claim may come before the order to stop.
        if let since = nodes[node].leavesSince, since < now { fail("node \(node) launches while it leaves") }
        var simulated = SimulatedTask(
            plan: plan(node: node), lineIndex: index, token: task.token, memoryBytes: task.line.memoryBytes,
            millicores: task.line.millicores,
            timeoutSeconds: task.line.timeoutSeconds(default: settings.defaultTimeoutSeconds),
            incarnation: nodes[node].incarnation)
        simulated.isExcused = queue.lines[index].requeuedTokens.contains(SimulatedQueue.number(of: task.token))
        nodes[node].taskCount += 1
        nodes[node].memoryBytes += task.line.memoryBytes
        nodes[node].millicores += task.line.millicores
        if nodes[node].taskCount > settings.taskCountMax || nodes[node].memoryBytes > settings.memoryBytes
            || nodes[node].millicores > settings.millicores
        {
            fail("node \(node) is over-admitted by \(number)")
        }
        if !simulated.isExcused {
            checkRunsNowhere(index, node: node)
            queue.lines[index].lastRun = (node, nodes[node].life, number)
        }

        if simulated.plan.start == .failsAtSpawn {
            simulated.failure = failure(simulated.plan.fault)
            simulated.groupEmptyAt = now
            event(.launchFailed(number, failure(simulated.plan.fault)), node: node, in: random.nanoseconds(0, 100_000))
        } else {
            simulated.isMainAlive = true
            event(.launched(number), node: node, in: random.nanoseconds(0, 100_000_000))
            scheduleEnd(number, &simulated, node: node, in: simulated.plan.durationNanoseconds)
        }
        nodes[node].tasks[number] = simulated
        nodes[node].unended.insert(number)
        count("launch")
    }

    private func tryLaunch(node: Int) {
        count("trial")
        if nodes[node].supervisor.trouble == nil { fail("node \(node) tries a launch without need") }
        if random.oneIn(16) { return count("trial hangs") }
        let failure = now < nodes[node].cannotLaunchUntil ? failure(.node) : nil
        event(.trialEnded(failure), node: node, in: random.nanoseconds(0, 100_000_000))
    }

    /// The line runs nowhere else, unless what runs has been killed and is only slow to die, or its node has lost its
    /// lease, could not hear of it, and was not to kill for that; and on this node not even then.
    private func checkRunsNowhere(_ index: Int, node: Int) {
        guard let last = queue.lines[index].lastRun, nodes[last.node].life == last.life,
            let task = nodes[last.node].tasks[last.number], !task.isRemoved
        else { return }
        if last.node == node { fail("node \(node) launches line \(index) beside an earlier attempt") }
        let isCutOff = task.incarnation.map { queue.incarnations[$0].isReaped } ?? false
        if isCutOff, !nodes[last.node].settings.killsWhenCutOff { return count("ran twice, cut off") }
        if task.groupEmptyAt > now, task.killedAt == nil, !task.isExcused {
            fail("line \(index) is launched while \(last.number) of node \(last.node) runs it")
        }
    }

    private func plan(node: Int) -> SimulatedTask.Plan {
        var plan = SimulatedTask.Plan()
        plan.durationNanoseconds = random.nanoseconds(500_000, 5_000_000_000)
        plan.dyingNanoseconds = random.nanoseconds(10_000, 3_000_000)
        if now < nodes[node].cannotLaunchUntil {
            plan.start = random.oneIn(2) ? .failsAtSpawn : .failsLater
            plan.fault = .node
            return plan
        }
        switch random.below(24) {
        case 0: plan.status = .code(Int32(1 + random.below(3)))
        case 1: plan.status = .signal(random.oneIn(2) ? 9 : 11)
        case 2: (plan.status, plan.oomKills) = (.signal(9), 1)
        case 3: plan.oomKills = 1
        case 4: (plan.status, plan.oomKills) = (.signal(9), nil)
        case 5: plan.durationNanoseconds = 120_000_000_000
        case 6: (plan.ignoresTerm, plan.durationNanoseconds) = (true, 120_000_000_000)
        case 7, 8: plan.leavesChildren = true
        case 9: plan.start = .failsAtSpawn
        case 10: plan.start = .failsLater
        default: break
        }
        if random.oneIn(50) { plan.killsNeeded = 2 + random.below(3) }
        if random.oneIn(150) && !nodes[node].isMemoryLow {
            plan.dyingNanoseconds = 1_000_000_000 + Int64(random.below(16_000_000_000))
        }
        return plan
    }

    private func failure(_ fault: NodeSupervisor.LaunchFailure.Fault) -> NodeSupervisor.LaunchFailure {
        switch fault {
        case .task: .init(step: "execve ./x", errno: 2, message: "No such file or directory", fault: .task)
        case .node: .init(step: "posix_spawn", errno: 11, message: "Resource temporarily unavailable", fault: .node)
        }
    }

    private func scheduleEnd(
        _ number: TaskNumber, _ task: inout SimulatedTask, node: Int, in nanoseconds: Int64
    ) {
        task.endNumber += 1
        schedule(
            .mainEnds(node: node, life: nodes[node].life, number, endNumber: task.endNumber), in: nanoseconds)
    }

    /// The main process ends, and the daemon hears of it a little later.
    func mainEnds(_ node: Int, _ number: TaskNumber, endNumber: Int) {
        guard var task = nodes[node].tasks[number], task.isMainAlive, task.endNumber == endNumber else { return }
        task.isMainAlive = false
        if !task.plan.leavesChildren && task.groupEmptyAt > now {
            task.groupEmptyAt = now.advanced(byNanoseconds: random.nanoseconds(0, 200_000))
        }
        let delay = random.nanoseconds(0, 100_000)
        if task.plan.start == .failsLater, task.signalledAt == nil {
            task.failure = failure(task.plan.fault)
            event(.launchFailed(number, failure(task.plan.fault)), node: node, in: delay)
        } else {
            let status = task.status ?? task.plan.status
            task.status = status
            event(.exited(number, status), node: node, in: delay)
        }
        nodes[node].tasks[number] = task
    }

    /// The task an action is about. There must be one, and it must not be gone.
    private func known(_ number: TaskNumber, node: Int, _ what: String) -> SimulatedTask? {
        guard let task = nodes[node].tasks[number], !task.isRemoved else {
            fail("node \(node): \(what) for \(number), which is unknown or gone")
            return nil
        }
        return task
    }

    private func terminate(_ number: TaskNumber, node: Int) {
        guard var task = known(number, node: node, "terminate") else { return }
        count("terminate")
        // The end of this very batch may have come after what led to the TERM.
        if let endedAt = task.endHeardAt, endedAt < now { fail("node \(node): TERM for \(number), which has ended") }
        if task.terminatedAt != nil { fail("node \(node): a second TERM for \(number)") }
        task.terminatedAt = now
        task.hasSignalBeforeEnd = true
        if task.isMainAlive, !task.plan.ignoresTerm, !random.oneIn(8) {
            task.status = random.oneIn(3) ? .code(0) : .signal(15)
            scheduleEnd(number, &task, node: node, in: random.nanoseconds(100_000, 100_000_000))
        }
        nodes[node].tasks[number] = task
    }

    private func kill(_ number: TaskNumber, node: Int) {
        guard var task = known(number, node: node, "kill") else { return }
        count("kill")
        task.killedAt = task.killedAt ?? now
        task.lastKillAt = now
        if !task.isEndHeard { task.hasSignalBeforeEnd = true }
        task.killCount += 1
        if task.killCount == task.plan.killsNeeded {
            if task.isMainAlive {
                task.status = .signal(9)
                scheduleEnd(number, &task, node: node, in: task.plan.dyingNanoseconds)
            }
            task.groupEmptyAt = min(task.groupEmptyAt, now.advanced(byNanoseconds: task.plan.dyingNanoseconds))
        }
        nodes[node].tasks[number] = task
    }

    private func collect(_ number: TaskNumber, node: Int) {
        guard var task = known(number, node: node, "collect") else { return }
        if !task.isEndHeard { fail("node \(node): \(number) is collected before its end") }
        task.isRemoved = task.groupEmptyAt <= now
        if task.isRemoved {
            nodes[node].taskCount -= 1
            nodes[node].memoryBytes -= task.memoryBytes
            nodes[node].millicores -= task.millicores
            count("group removed")
        }
        let usage = Usage(
            wallSeconds: 0, userSeconds: nil, systemSeconds: nil, memoryPeakBytes: nil, oomKills: task.plan.oomKills)
        // What keeps tasks from starting here fills the disk as well.
        let hasEndedBadly = task.failure == nil && task.status != .code(0)
        task.metShortage = hasEndedBadly && now < nodes[node].cannotLaunchUntil
        let shortage = NodeSupervisor.OutputShortage(failure(.node), ownBytes: 0)
        let collected = NodeSupervisor.Collected(
            usage: usage, removed: task.isRemoved, shortage: task.metShortage ? shortage : nil)
        nodes[node].tasks[number] = task
        event(.collected(number, collected), node: node, in: random.nanoseconds(0, 50_000))
    }

    // MARK: - Reports

    private func check(_ report: NodeSupervisor.Report, node: Int) {
        guard let task = nodes[node].tasks[report.number] else {
            // Never launched: it can only have been given back.
            switch report.result {
            case .returned(.noRoom): return count("given back: no room")
            case .returned(.earlierAttemptRemains): return count("given back: earlier attempt")
            case .returned(.launch): return count("given back: node in trouble")
            case .returned, .ended: return fail("node \(node): a report of \(report.number), which never ran")
            }
        }
        if task.token != report.task.token { return fail("node \(node): \(report.number) is reported as another") }
        if let earlier = task.report {
            if earlier != report.result { fail("node \(node): two different reports of \(report.number)") }
            return count("report repeated")
        }
        nodes[node].tasks[report.number]?.report = report.result
        tally(report.result)
        if let contradiction = nodes[node].contradiction(report.result, task) {
            fail("node \(node): \(report.number): \(contradiction)")
        }
    }

    private func leave(_ node: Int) {
        if nodes[node].leavesSince == nil { fail("node \(node) leaves unasked") }
        let remaining = nodes[node].tasks.values.filter { !$0.isRemoved }
        let mayRemain = remaining.allSatisfy {
            $0.isExcused || $0.plan.dyingNanoseconds >= 1_000_000_000 || $0.plan.killsNeeded > 1
        }
        if !mayRemain { fail("node \(node) leaves \(remaining.count) groups behind") }
        count("leave")
        nodes[node].hasLeft = true
        nodes[node].connection = nil
        scheduleRestart(of: node)
    }

    // MARK: - What came to pass

    private func tally(_ result: NodeSupervisor.Report.Result) {
        switch result {
        case .ended(let outcome): count("ended: \(outcome.cause.word)")
        case .returned(.memoryPressure): count("returned: memory")
        case .returned(.nodeStopping): count("returned: stop")
        case .returned(.launch): count("returned: launch")
        case .returned(.nodeTrouble): count("returned: disk full")
        case .returned: break
        }
    }

    private func tally(_ notice: NodeSupervisor.LogEvent) {
        switch notice {
        case .groupNotEmpty: count("group not empty")
        case .groupEmptiedLate: count("group emptied late")
        case .willNotDie: count("will not die")
        case .leaseLost: count("lease lost")
        case .outOfTouch: count("out of touch")
        case .dropped: count("dropped")
        case .noLongerHeld: count("no longer held")
        case .reportRefused(_, .stale): count("report stale")
        case .reportRefused(_, .duplicate): count("report duplicate")
        case .memoryShort(_, _, let isAlone): count(isAlone ? "memory short, alone" : "memory short")
        case .nodeCannotLaunch: count("node cannot launch")
        case .nodeLaunchesAgain: count("node launches again")
        case .leftWithout: count("left without")
        case .givenBack: break
        }
    }
}
