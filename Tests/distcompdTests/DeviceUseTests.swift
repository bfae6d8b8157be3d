// What a task has used of its GPUs, from what the driver says and whose processes they are.

import LinuxSystem
import NodeSupervisor
import TaskModel
import Testing

@testable import distcompd

@Suite("What a task uses of GPUs")
struct DeviceUseTests {
    private let number = TaskNumber(7)

    private func share(_ text: String) throws -> ResourceShare { try #require(ResourceShare(text: text)) }

    private func task(_ share: String) throws -> DeviceUse {
        try #require(DeviceUse(try self.share(share)))
    }

    private func device(
        _ name: String, used: UInt64? = nil, percent: UInt32? = nil, _ processes: [NvidiaUse.Process] = []
    ) -> NvidiaUse {
        var use = NvidiaUse(identifier: name)
        (use.usedBytes, use.totalBytes, use.percent, use.processes) = (used, 10_000, percent, processes)
        return use
    }

    private var own: DeviceUse.Owner { .task(number) }

    @Test("its processes on all of its devices count, at their most, and nobody else's")
    func processes() throws {
        let task = try task("gpu=2000=GPU-a1,GPU-b1")
        #expect(task.memoryPeakBytes == nil && task.utilization == nil)
        let owners: [Int32: DeviceUse.Owner] = [1: own, 2: own, 3: .other, 4: .task(TaskNumber(8))]
        let a = device(
            "GPU-a1", used: 9000, percent: 100,
            [.init(1, bytes: 1000, percent: 40), .init(3, bytes: 5000, percent: 50), .init(4, bytes: 1, percent: 1)])
        let b = device("GPU-b1", used: 9000, percent: 90, [.init(2, bytes: 300, percent: 20)])
        task.take([a, b, device("GPU-c1", used: 1)], of: number, owners)
        #expect(task.memoryPeakBytes == 1300 && task.utilization == 0.3)
        // Its process on the second has ended, and another program has that number.
        task.take([a, b], of: number, [1: own, 2: .other, 3: .other, 4: .other])
        #expect(task.memoryPeakBytes == 1300 && task.utilization == 0.25)
        task.take([a], of: number, owners)  // The second has fallen off the bus: nothing is known.
        #expect(task.memoryPeakBytes == 1300 && task.utilization == 0.25)
    }

    @Test("of devices of its own, on which no process is known to be its, the devices themselves tell; until one is")
    func whole() throws {
        let task = try task("gpu=1000=GPU-a1")
        task.take([device("GPU-a1", used: 4000, percent: 80, [.init(900, bytes: 3900)])], of: number, [:])
        #expect(task.memoryPeakBytes == 4000 && task.utilization == 0.8)
        task.take([device("GPU-a1", used: 2000, percent: 20)], of: number, [:])
        #expect(task.memoryPeakBytes == 4000 && task.utilization == 0.5)
        let seen = device("GPU-a1", used: 5000, percent: 100, [.init(1, bytes: 1000, percent: 10)])
        task.take([seen], of: number, [1: own])
        #expect(task.memoryPeakBytes == 1000 && task.utilization == 0.1)
        task.take([device("GPU-a1", used: 5000, percent: 100)], of: number, [:])
        #expect(task.memoryPeakBytes == 1000 && task.utilization == 0.05)
    }

    @Test("of a device that others share only processes tell, and those only while their numbers can be ours")
    func shared() throws {
        let task = try task("gpu=500=GPU-a1")
        let alone = device("GPU-a1", used: 4000, percent: 80)
        task.take([alone], of: number, [:])
        let strange = device("GPU-a1", used: 4000, percent: 80, [.init(1, bytes: 7, percent: 8), .init(900, bytes: 1)])
        task.take([strange], of: number, [1: own])
        #expect(task.memoryPeakBytes == nil && task.utilization == nil)
        let known = device(
            "GPU-a1", used: 4000, percent: 80, [.init(1, bytes: 9000, percent: 80), .init(2, bytes: 8000, percent: 70)])
        task.take([known], of: number, [1: own, 2: own])
        #expect(task.memoryPeakBytes == 10_000 && task.utilization == 1)
        let mute = device("GPU-a1", used: 4000, percent: 80, [.init(1)])
        task.take([mute], of: number, [1: own])
        #expect(task.memoryPeakBytes == 10_000 && task.utilization == 1)
    }

    @Test("what the driver's accounts say of one process counts, also when it has ended; sums of them do not")
    func accounts() throws {
        let task = try task("gpu=1000=GPU-a1")
        task.take(
            [device("GPU-a1", [.init(1, bytes: 10, peakBytes: 500), .init(2, bytes: 20, peakBytes: 400)])], of: number,
            [1: own, 2: own])
        #expect(task.memoryPeakBytes == 500)
        var ended = device("GPU-a1", [.init(1, bytes: 10, peakBytes: 500)])
        ended.ended = [.init(2, peakBytes: 800), .init(3, peakBytes: 900)]
        task.take([ended], of: number, [1: own])
        #expect(task.memoryPeakBytes == 800)
    }

    @Test("a device goes by the beginning of its name where that is one device's alone")
    func names() throws {
        let task = try task("gpu=1000=GPU-a")
        task.take([device("GPU-a1", used: 1), device("GPU-a2", used: 2)], of: number, [:])
        #expect(task.memoryPeakBytes == nil)
        task.take([device("GPU-a1", used: 1), device("GPU-b", used: 2)], of: number, [:])
        #expect(task.memoryPeakBytes == 1)
        for none in ["gpu=1000=3", "gpu=1000=GPU-deadbeefdeadbeef", "licence=500", "gpu=2000=GPU-a,3"] {
            #expect(DeviceUse(try share(none)) == nil, "\(none)")
        }
        #expect(DeviceUse(try share("gpu=1000=MIG-1")) != nil)
    }

    @Test("the next program goes on with what was measured")
    func resumed() throws {
        let task = try task("gpu=500=GPU-a1")
        task.take([device("GPU-a1", [.init(1, bytes: 100, percent: 50)])], of: number, [1: own])
        let next = try self.task("gpu=500=GPU-a1")
        next.resume(task.text)
        #expect(next.text == task.text && next.memoryPeakBytes == 100 && next.utilization == 0.5)
        next.take([device("GPU-a1")], of: number, [:])
        #expect(next.memoryPeakBytes == 100 && next.utilization == 0.25)
        for broken in ["", "processes 1 nan 1", "processes 1 -1 1", "processes 1 3 2", "processes 1 1 99999999999999"] {
            let fresh = try self.task("gpu=500=GPU-a1")
            fresh.resume(broken)
            #expect(fresh.memoryPeakBytes == nil && fresh.utilization == nil, "\(broken)")
        }
    }
}
