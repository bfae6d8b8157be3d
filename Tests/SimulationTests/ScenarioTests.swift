// What use has found, each as the smallest world that shows it, and what the simulation found since.

import Testing

@Suite("Time, silence and loss between node and queue")
struct ScenarioTests {
    /// Runs a world in which no promise may be broken.
    private func run(_ scenario: Scenario, where place: String = "") -> World {
        let world = World(scenario)
        if let broken = world.run() { Issue.record("\(place) \(broken)\n\(scenario.asCode)") }
        return world
    }

    private func longTasks(_ scenario: Scenario, slots: Int, seconds: Double) -> Scenario {
        var scenario = scenario
        (scenario.taskCountMax, scenario.taskSeconds, scenario.killsWhenCutOff) = (slots, seconds, false)
        return scenario
    }

    @Test(
        "Redis frozen for longer than a lease, then going on: no node loses what it runs",
        arguments: [(lease: 9.0, frozen: 14.0, nodes: 4), (lease: 30, frozen: 45, nodes: 3)], [UInt64(1), 2, 3])
    func frozen(_ figures: (lease: Double, frozen: Double, nodes: Int), seed: UInt64) {
        let (lease, frozen, nodes) = figures
        let scenario = longTasks(
            Scenario(
                seed: seed, nodes: nodes, lines: nodes * 3, lease: lease, seconds: lease * 6,
                [Happening(lease * 2, .freeze(seconds: frozen))]), slots: 3, seconds: lease * 5)
        let world = run(scenario)
        #expect(world.tally["launch"] == nodes * 3, "each task begins once")
        #expect(world.tally["silence"] == 1)
    }

    @Test("nor for any length of a freeze, with one node or a hundred", arguments: [1, 2, 20, 100])
    func frozenForAnyLength(nodes: Int) {
        for share in nodes > 20 ? [0.45, 1.1] : [0.1, 0.3, 0.45, 0.51, 0.9, 1.1, 2, 5, 20] {
            let scenario = longTasks(
                Scenario(
                    seed: UInt64(share * 100), nodes: nodes, lines: nodes * 2, lease: 6, seconds: 30 + 6 * share,
                    [Happening(13.3, .freeze(seconds: 6 * share))]), slots: 2, seconds: 40 + 6 * share)
            let world = run(scenario, where: "frozen for \(share) leases")
            #expect(world.tally["launch"] == nodes * 2, "each task begins once, frozen for \(share) leases")
        }
    }

    @Test("when_cut_off kill: what is killed runs again, and what has ended while Redis was frozen is not run twice")
    func killsWhenCutOff() {
        var scenario = Scenario(
            seed: 1, nodes: 1, lines: 20, lease: 6, seconds: 40, [Happening(1.2, .freeze(seconds: 11))])
        (scenario.taskCountMax, scenario.taskSeconds, scenario.killsWhenCutOff) = (20, 2.5, true)
        scenario.outputBytes = 1 << 20
        let world = run(scenario)
        #expect(world.tally["launch"] == 20)
        #expect(world.tally["finished"] == 20)
        #expect(world.tally["report stale"] == nil)
    }

    @Test("a restart that lost a moment, with a clock behind, and a heartbeat that is refused: no token is given again")
    func refusedAfterRestart() {
        _ = run(
            Scenario(
                seed: 617_215_217, nodes: 4, lines: 29, lease: 3.0, seconds: 68.498,
                [
                    Happening(1.664, .refuse(node: 2, seconds: 4.864)),
                    Happening(3.451, .clockStep(seconds: -1.2000000000000002)),
                    Happening(5.277, .refuse(node: 1, seconds: 11.211)),
                    Happening(6.666, .refuse(node: 0, seconds: 5.577)),
                    Happening(6.722, .submit(count: 13)),
                    Happening(7.029, .slow(node: 0, seconds: 2.331, latency: 0.01)),
                    Happening(7.804, .clockStep(seconds: 0.30000000000000004)),
                    Happening(8.643, .addByHand(count: 2)),
                    Happening(9.023, .submit(count: 19)),
                    Happening(9.841, .submit(count: 11)),
                    Happening(9.901, .restart(downSeconds: 1.502, keeping: .allBut(lastSeconds: 0.066212))),
                ]))
    }

    @Test("Redis's clock set back by an hour holds up neither a retry nor the tasks of a dead node")
    func clockSetBack() {
        var scenario = Scenario(
            seed: 1, nodes: 3, lines: 9, lease: 6, seconds: 60,
            [
                Happening(14, .clockStep(seconds: -3600)),
                Happening(15, .kill(node: 0, downSeconds: 1000)),
            ])
        (scenario.taskCountMax, scenario.taskSeconds, scenario.killsWhenCutOff) = (3, 20, false)
        let world = run(scenario)
        #expect(world.tally["put back: reaped"] == 3)
    }

    @Test(
        "Redis's clock set forward, once and again: no living node's task is taken", arguments: [60.0, 3600, 2.9, 3.1])
    func clockSetForward(seconds: Double) {
        let scenario = longTasks(
            Scenario(
                seed: 1, nodes: 3, lines: 9, lease: 6, seconds: 60,
                [Happening(14, .clockStep(seconds: seconds)), Happening(15, .clockStep(seconds: seconds))]),
            slots: 3, seconds: 50)
        #expect(run(scenario).tally["launch"] == 9)
    }

    @Test("an emptied queue: what runs finishes, and its result is kept and told")
    func emptied() {
        for happening in [Trouble.flush, .restart(downSeconds: 1, keeping: .nothing)] {
            let scenario = longTasks(
                Scenario(seed: 1, nodes: 3, lines: 9, lease: 6, seconds: 30, [Happening(14, happening)]), slots: 3,
                seconds: 20)
            let world = run(scenario)
            #expect(world.tally["launch"] == 9)
            #expect(world.tally["finished"] == 9)
            #expect(world.tally["queue is another", default: 0] == 3)
        }
    }

    @Test("a queue rolled back to before its tasks were given runs again only what it must")
    func rolledBack() {
        let scenario = longTasks(
            Scenario(
                seed: 1, nodes: 3, lines: 9, lease: 6, seconds: 30,
                [Happening(14, .restart(downSeconds: 1, keeping: .allBut(lastSeconds: 13.9)))]), slots: 3, seconds: 20)
        let world = run(scenario)
        #expect(world.tally["finished"] == 9)
    }

    @Test("clones of one node: one stops and says why, and nothing fails", arguments: [UInt64(1), 2, 3, 4])
    func clones(seed: UInt64) {
        var scenario = longTasks(
            Scenario(seed: seed, nodes: 1, lines: 12, lease: 6, seconds: 60, []), slots: 3, seconds: 4)
        scenario.cloneCount = 1
        let world = run(scenario)
        #expect(world.tally["gave up"] == 1)
        #expect(world.tally["failed for good"] == nil)
        #expect(world.queue.failed.isEmpty)
    }

    // MARK: - Found by the simulation

    @Test("a node restarted with an old file of its lives waits for its own lease rather than take itself for a twin")
    func ownLifeIsNoTwin() {
        var scenario = Scenario(
            seed: 155_466_275, nodes: 2, lines: 1, lease: 30.0, seconds: 377.116,
            [
                Happening(73.954, .pause(node: 2, seconds: 141.352)),
                Happening(196.676, .diskRefuses(node: 2, seconds: 26.373)),
                Happening(376.116, .kill(node: 2, downSeconds: 2.952)),
            ])
        scenario.taskSeconds = 60.0
        _ = run(scenario)
    }

    @Test("a life that the disk refused to note is noted once it takes it, and is no twin after the next restart")
    func refusedLifeIsNoTwin() {
        var scenario = Scenario(
            seed: 547_089_369, nodes: 5, lines: 1, lease: 6.0, seconds: 192.189,
            [
                Happening(29.927, .freeze(seconds: 6.493)),
                Happening(30.914, .diskRefuses(node: 4, seconds: 21.826)),
                Happening(44.138, .freeze(seconds: 24.138)),
                Happening(59.593, .stop(node: 4, downSeconds: 0.716)),
                Happening(69.253, .freeze(seconds: 2.16)),
                Happening(76.213, .freeze(seconds: 5.442)),
                Happening(81.798, .freeze(seconds: 26.022)),
            ])
        (scenario.taskSeconds, scenario.tasksWait) = (12.0, true)
        _ = run(scenario)
    }

    @Test("a node is not taken for its twin by a queue that was rolled back to its life before")
    func lifeBeforeIsNoTwin() {
        var scenario = Scenario(
            seed: 155_466_288, nodes: 1, lines: 1, lease: 6.0, seconds: 120.003,
            [
                Happening(118.122, .stop(node: 4, downSeconds: 0.527)),
                Happening(119.003, .restart(downSeconds: 0.068, keeping: .allBut(lastSeconds: 4.312938))),
            ])
        scenario.taskSeconds = 12.0
        _ = run(scenario)
    }

    @Test("a node executed anew while Redis is away keeps what it runs")
    func reExecWhileAway() {
        _ = run(
            Scenario(
                seed: 869_069_831, nodes: 5, lines: 54, lease: 6.0, seconds: 59.673,
                [
                    Happening(49.082, .restart(downSeconds: 19.2, keeping: .all)),
                    Happening(58.673, .reExec(node: 1)),
                ]))
    }

    @Test("an emptied queue is noticed before what it holds is compared with what runs")
    func flushBeforeReconciling() {
        _ = run(
            Scenario(
                seed: 155_466_277, nodes: 5, lines: 28, lease: 6.0, seconds: 56.858,
                [
                    Happening(37.777, .restart(downSeconds: 6.276, keeping: .allBut(lastSeconds: 0.01))),
                    Happening(55.858, .flush),
                ]))
    }

    @Test("a connection lost before a new life has taken up its tasks again does not make it begin another life")
    func restoreIsNotBegunAnew() {
        _ = run(
            Scenario(
                seed: 601_899_730, nodes: 8, lines: 27, lease: 3.0, seconds: 33.982,
                [
                    Happening(0.01, .refuse(node: 7, seconds: 1.32)),
                    Happening(0.232, .restart(downSeconds: 0.351, keeping: .nothing)),
                    Happening(0.488, .refuse(node: 6, seconds: 14.169)),
                ]))
    }

    @Test("a node that waits for the lease of its life before is not misled by a queue that freezes meanwhile")
    func lifeBeforeAndFreezes() {
        var scenario = Scenario(
            seed: 448_647_256, nodes: 1, lines: 1, lease: 10.0, seconds: 199.293,
            [
                Happening(26.982, .freeze(seconds: 17.545)),
                Happening(27.864, .kill(node: 0, downSeconds: 0.08)),
                Happening(28.087, .diskRefuses(node: 0, seconds: 45.997)),
                Happening(88.844, .kill(node: 0, downSeconds: 10.322)),
                Happening(104.804, .freeze(seconds: 8.022)),
                Happening(119.436, .freeze(seconds: 16.975)),
            ])
        scenario.taskSeconds = 20.0
        _ = run(scenario)
    }

    @Test(
        "two outages within one lease, neither of them a silence, cost no living node what it runs",
        arguments: [
            (UInt64(5), 6.0, 7.645, 2.528, 10.341, Trouble.freeze(seconds: 2.461)),
            (45, 6, 4.8, 2.619, 7.626, .freeze(seconds: 2.69)),
            (12, 10, 8, 4.305, 12.505, .restart(downSeconds: 4.088, keeping: .all)),
            (39, 10, 11.961, 4.551, 16.712, .restart(downSeconds: 4.346, keeping: .all)),
        ])
    func twoOutages(figures: (UInt64, Double, Double, Double, Double, Trouble)) {
        let (seed, lease, first, downSeconds, second, trouble) = figures
        let world = run(
            longTasks(
                Scenario(
                    seed: seed, nodes: 4, lines: 8, lease: lease, seconds: lease * 4,
                    [
                        Happening(first, .restart(downSeconds: downSeconds, keeping: .all)),
                        Happening(second, trouble),
                    ]), slots: 3, seconds: lease * 3))
        #expect(world.tally["launch"] == 8)
    }

    @Test("nor do many short ones", arguments: 1...10)
    func manyOutages(seed: Int) {
        var happenings: [Happening] = []
        for number in 0..<40 {
            let trouble =
                number % 2 == 0 ? Trouble.freeze(seconds: 1.3) : .restart(downSeconds: 0.2, keeping: .all)
            happenings.append(Happening(6 + Double(number) * 1.7, trouble))
        }
        let world = run(
            longTasks(
                Scenario(seed: UInt64(seed), nodes: 5, lines: 10, lease: 6, seconds: 90, happenings), slots: 3,
                seconds: 80))
        #expect(world.tally["launch"] == 10)
    }

    @Test(
        "a rollback that brings a killed life of a node back gives nobody what its next life runs", arguments: 1...40)
    func lifeBeforeIsBack(seed: Int) {
        let world = run(
            longTasks(
                Scenario(
                    seed: UInt64(seed), nodes: 2, lines: 5, lease: 10, seconds: 60,
                    [
                        // Only this node is given its tasks again.
                        Happening(9.9, .drain(node: 1)),
                        Happening(10, .kill(node: 0, downSeconds: 0.1)),
                        Happening(12, .resume(node: 1)),
                        Happening(13, .restart(downSeconds: 0.5, keeping: .allBut(lastSeconds: 4))),
                    ]), slots: 4, seconds: 40))
        #expect(world.tally["ran twice"] == nil)
    }

    @Test("no token is given twice after Redis's clock went back and its last second was lost", arguments: 1...5)
    func tokensAfterLoss(seed: Int) {
        var scenario = Scenario(
            seed: UInt64(seed), nodes: 3, lines: 400, lease: 3, seconds: 40,
            [
                Happening(5, .clockStep(seconds: -3600)),
                Happening(10, .restart(downSeconds: 0.3, keeping: .allBut(lastSeconds: 1))),
                Happening(15, .restart(downSeconds: 0.3, keeping: .allBut(lastSeconds: 1))),
            ])
        (scenario.taskCountMax, scenario.taskSeconds) = (4, 0.5)
        _ = run(scenario)
    }

    @Test("lines that an old manager adds are found though Redis's clock was set back just before")
    func addedAfterClockStep() {
        var scenario = Scenario(
            seed: 696_578_232, nodes: 1, lines: 5, lease: 6.0, seconds: 83.976,
            [
                Happening(67.358, .restart(downSeconds: 2.951, keeping: .all, clockStep: -3600.0)),
                Happening(82.976, .addByHand(count: 1)),
            ])
        scenario.taskSeconds = 12.0
        _ = run(scenario)
    }

    @Test("a long list of long tasks is waited for where one node runs them one by one")
    func oneByOne() {
        let world = run(
            longTasks(
                Scenario(seed: 882_810_492, nodes: 1, lines: 12, lease: 6.0, seconds: 1, []), slots: 1, seconds: 120))
        #expect(world.tally["finished"] == 12)
    }

    @Test("a line requeued between its giving and its launch runs twice only until its first node has heard of it")
    func requeuedBeforeLaunch() {
        let world = run(
            Scenario(
                seed: 882_810_500, nodes: 2, lines: 27, lease: 30.0, seconds: 1.045,
                [Happening(0.045, .requeue(line: 16))]))
        #expect(world.tally["ran twice"] == 1)
    }

    @Test("a task that no kill ends keeps no node from leaving, and is no node's once it has said so")
    func leavesUndead() {
        let scenario = Scenario(
            seed: 658_782_108, nodes: 3, lines: 34, lease: 6.0, seconds: 106.042,
            [
                Happening(18.411, .stop(node: 2, downSeconds: 3.328)),
                Happening(22.998, .restart(downSeconds: 19.2, keeping: .all)),
            ])
        #expect((run(scenario).tally["leave"] ?? 0) >= 1)
    }
}
