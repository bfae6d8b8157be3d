// The kernel's part: processes begin, end, and die when they are killed. Each order is checked before it is performed.

import NodeProtocol
import NodeSupervisor
import TaskModel

extension World {
    // MARK: - Beginning

    /// The supervisor wants a task launched. Nothing of it is there yet but its claim on the machine.
    func admit(_ number: TaskNumber, _ task: NodeSupervisor.ClaimedTask, _ node: SimulatedNode) {
        if number.rawValue <= node.lastNumber { fail("\(node.name): \(number) was used before") }
        node.lastNumber = number.rawValue
        // In one batch the answer to a claim may come before the order to stop.
        if let since = node.leavesSince, since < node.clock(at: now) { fail("\(node.name) launches while it leaves") }
        let settings = node.settings
        node.tasks[number] = SimulatedTask(
            line: task.line.text, task: task, token: Int(task.token) ?? 0,
            timeoutSeconds: task.line.timeoutSeconds(default: settings.defaultTimeoutSeconds))
        node.taskCount += 1
        node.memoryBytes += task.line.memoryBytes
        node.millicores += task.line.millicores
        give(task, to: node, 1)
        let closing = node.tasks.values.filter(\.isClosing)
        if node.taskCount - closing.count > settings.taskCountMax || node.memoryBytes > settings.memoryBytes
            || node.millicores - closing.reduce(0, { $0 + $1.task.line.millicores }) > settings.millicores
        {
            fail("\(node.name) is over-admitted by \(number)")
        }
    }

    /// A task has, or no longer has, its parts of devices.
    private func give(_ task: NodeSupervisor.ClaimedTask, to node: SimulatedNode, _ sign: Int) {
        let parts = task.share.parts
        if parts.mapValues(\.thousandths) != task.line.resources.thousandths {
            fail("\(node.name): \(task.line.text) has other resources than it asks for")
        }
        for (device, thousandths) in parts.values.flatMap({ part in part.devices.map { ($0, part.thousandths) } }) {
            node.devices[device, default: 0] += sign * thousandths
            if !(0...1000).contains(node.devices[device] ?? 0) { fail("\(node.name): \(device) is given twice") }
            count("device")
        }
    }

    func launch(
        _ number: TaskNumber, _ task: NodeSupervisor.ClaimedTask, _ node: SimulatedNode
    ) -> NodeSupervisor.Event {
        count("launch")
        guard var simulated = node.tasks[number] else {
            fail("\(node.name) launches \(number), which it never took")
            return .exited(number, .code(0))
        }
        node.launchCount += 1
        let index = judge.lineNumbers[simulated.line] ?? 0
        var numbers = Numbers(seed: scenario.seed, of: "plan", index * 1000 + task.attempt)
        simulated.plan = SimulatedTask.Plan(&numbers, of: scenario)
        if now < node.cannotLaunchUntil {
            (simulated.plan.start, simulated.plan.fault) = (numbers.oneIn(2) ? .failsAtSpawn : .failsLater, .node)
        }
        simulated.isBegun = true
        judgeLaunch(number, simulated, node)
        if simulated.plan.start == .failsAtSpawn {
            simulated.failure = simulated.plan.failure
            simulated.groupEmptyAt = now
            node.tasks[number] = simulated
            return .launchFailed(number, simulated.plan.failure)
        }
        simulated.isMainAlive = true
        judge.runs[simulated.token] = (node, number)
        judge.runsOfLine[simulated.line, default: []].insert(simulated.token)
        node.tasks[number] = simulated
        scheduleEnd(number, node, in: simulated.plan.durationNanoseconds)
        return .launched(number)
    }

    private func scheduleEnd(_ number: TaskNumber, _ node: SimulatedNode, in nanoseconds: Int64) {
        node.tasks[number]?.endNumber += 1
        node.tasks[number]?.endsAt = now + nanoseconds
        schedule(
            .mainEnds(node, life: node.life, number, endNumber: node.tasks[number]?.endNumber ?? 0), in: nanoseconds)
    }

    // MARK: - Ending

    /// The main process ends, and the daemon hears of it a little later.
    func mainEnds(_ node: SimulatedNode, _ number: TaskNumber, endNumber: Int) {
        guard var task = node.tasks[number], task.isMainAlive, task.endNumber == endNumber else { return }
        if node.machineStoppedAt != nil { return }  // It ends later, see resumeMachine.
        task.isMainAlive = false
        judge.runs[task.token] = nil
        judge.runsOfLine[task.line]?.remove(task.token)
        let childrenGoOn = task.plan.leavesChildren && (task.plan.childrenIgnoreTerm || task.terminatedAt == nil)
        if !childrenGoOn, task.groupEmptyAt > now {
            task.groupEmptyAt = now + node.numbers.nanoseconds(0, 0.0002)
        }
        if task.plan.start == .failsLater, task.signalledAt == nil {
            task.failure = task.plan.failure
            schedule(
                .supervisor(node, life: node.life, .launchFailed(number, task.plan.failure)),
                in: node.numbers.nanoseconds(0, 0.0001))
        } else {
            let status = task.status ?? task.plan.status
            task.status = status
            schedule(
                .supervisor(node, life: node.life, .exited(number, status)), in: node.numbers.nanoseconds(0, 0.0001))
        }
        node.tasks[number] = task
    }

    /// The task an order is about. There must be one, and it must not be gone.
    func known(_ number: TaskNumber, _ node: SimulatedNode, _ what: String) -> SimulatedTask? {
        guard let task = node.tasks[number], !task.isRemoved else {
            fail("\(node.name): \(what) for \(number), which is unknown or gone")
            return nil
        }
        return task
    }

    func terminate(_ number: TaskNumber, _ node: SimulatedNode) {
        guard var task = known(number, node, "terminate") else { return }
        count("terminate")
        let local = node.clock(at: now)
        if task.terminatedAt != nil { fail("\(node.name): a second TERM for \(number)") }
        if task.killedAt != nil { fail("\(node.name): TERM for \(number), which was killed") }
        task.terminatedAt = local
        if task.endHeardAt == nil { task.hasSignalBeforeEnd = true }
        if !task.isMainAlive, !task.plan.childrenIgnoreTerm {
            // What it left cleans up and goes.
            task.groupEmptyAt = min(task.groupEmptyAt, now + node.numbers.nanoseconds(0.0001, 0.1))
        }
        let obeys = task.isMainAlive && !task.plan.ignoresTerm && !node.numbers.oneIn(8)
        if obeys { task.status = node.numbers.oneIn(3) ? .code(0) : .signal(15) }
        node.tasks[number] = task
        if obeys { scheduleEnd(number, node, in: node.numbers.nanoseconds(0.0001, 0.1)) }
    }

    func kill(_ number: TaskNumber, _ node: SimulatedNode) {
        guard var task = known(number, node, "kill") else { return }
        count("kill of a group")
        let local = node.clock(at: now)
        task.killedAt = task.killedAt ?? local
        task.lastKillAt = local
        if task.endHeardAt == nil { task.hasSignalBeforeEnd = true }
        task.killCount += 1
        let dies = task.killCount == task.plan.killsNeeded
        if dies {
            if task.isMainAlive { task.status = .signal(9) }
            task.groupEmptyAt = min(task.groupEmptyAt, now + task.plan.dyingNanoseconds)
        }
        node.tasks[number] = task
        if dies, task.isMainAlive { scheduleEnd(number, node, in: task.plan.dyingNanoseconds) }
    }

    func collect(_ number: TaskNumber, _ node: SimulatedNode) -> NodeSupervisor.Event {
        guard var task = known(number, node, "collect") else {
            return .collected(number, .init(usage: Usage(wallSeconds: 0), removed: true))
        }
        if task.endHeardAt == nil { fail("\(node.name): \(number) is collected before its end") }
        task.isLookedAt = true
        task.isRemoved = task.groupEmptyAt <= now
        if task.isRemoved {
            node.taskCount -= 1
            node.memoryBytes -= task.task.line.memoryBytes
            node.millicores -= task.task.line.millicores
            give(task.task, to: node, -1)
            count("group removed")
        }
        node.tasks[number] = task
        let usage = Usage(wallSeconds: 0, oomKills: task.plan.oomKills)
        return .collected(number, .init(usage: usage, removed: task.isRemoved))
    }

    // MARK: - The machine stands still

    func stopMachine(_ node: SimulatedNode, _ seconds: Double) {
        guard node.isUp, node.machineStoppedAt == nil else { return }
        node.machineStoppedAt = now
        node.pausedUntil = max(node.pausedUntil, now + Int64(seconds * 1e9))
        schedule(.machineResumes(node), at: node.pausedUntil)
    }

    func resumeMachine(_ node: SimulatedNode) {
        guard let since = node.machineStoppedAt else { return }
        if now < node.pausedUntil { return schedule(.machineResumes(node), at: node.pausedUntil) }
        node.machineStoppedAt = nil
        let pause = now - since
        node.clockOffset -= pause
        for number in node.tasks.keys.sorted() {
            guard let task = node.tasks[number], !task.isRemoved else { continue }
            if task.groupEmptyAt < .max, task.groupEmptyAt > since { node.tasks[number]?.groupEmptyAt += pause }
            if task.isMainAlive { scheduleEnd(number, node, in: max(0, task.endsAt - since)) }
        }
        // Its timer rings as late as the clock now goes.
        node.timerAt = nil
        node.timerIsDue = true
        wake(node)
    }
}
