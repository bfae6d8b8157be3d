// The launchers that stay: to which of them a task is given, and what is under way with each.

import LinuxSystem
import Logging

/// A few distcomp-launch that stay, started when the first task comes.
final class Launchers {
    /// What one of them is to begin and has no process yet.
    struct Order {
        enum Purpose {
            case task(TaskNumber)
            /// See Standby.
            case standby
        }

        let purpose: Purpose
        /// When, in nanoseconds since the boot.
        let at: Int64
        fileprivate let launcher: Int32
    }

    private let launcher: ProcessLauncher
    private let log: Logger
    private let count: Int
    /// Why no other could be started when it was tried last.
    private var refusal: SystemError?
    private(set) var staying: [Int32: StayingLauncher] = [:]
    private var orders: [UInt32: Order] = [:]
    /// Of launchers that have ended: what they begin all the same is to be killed.
    private var lost: Set<UInt32> = []
    /// Children that have ended while orders were under way, and that nobody knew.
    private var unknown: [Int32: EndedChild] = [:]
    /// Not from 1 on: the pipe by which they are told of may be that of the image before this one.
    private var nextOrder = UInt32(truncatingIfNeeded: SystemClock.bootNanoseconds() >> 20) & UInt32(Int32.max) | 1
    private var deathCount = 0
    /// Whether a launcher may wait until a task's program is executed: not once one of them has waited for ever.
    private var mayWait = true
    /// Orders that were old when somebody looked last.
    private var suspects: Set<UInt32> = []

    /// A task is begun within a millisecond, on a machine that is out of breath within a second or two.
    private static let stuckNanoseconds: Int64 = 10_000_000_000

    /// So many that ended without having begun anything, one after the other, are taken for a sign that all would.
    private static let deathCountMax = 4

    init(_ launcher: ProcessLauncher, processorCount: Int, _ log: Logger) {
        self.launcher = launcher
        self.log = log
        count = min(8, max(2, processorCount / 4))
    }

    /// Below this a launch itself may meet the cap.
    private static let memoryBytesForLaunch: UInt64 = 16 << 20

    /// Hands a task to whoever has least to do; false where none can take it, and it is to be launched by one of its own.
    func begin(
        _ order: LaunchOrder, for number: TaskNumber, output: TaskOutput, joining groups: [SharedDescriptor],
        bornIn directory: SharedDescriptor?, memoryBytesMax: UInt64?
    ) -> Bool {
        hand(.task(number)) { (staying, orderNumber) throws(SystemError) in
            try staying.begin(
                order, number: orderNumber, standardOutput: output.standardOutput.raw,
                standardError: output.standardError.raw, joining: groups, bornIn: directory,
                mayWait: mayWait && !order.hasPlace && (memoryBytesMax ?? .max) >= Self.memoryBytesForLaunch)
        } != nil
    }

    /// Has one of them begin a launch that waits for its task; nil where none can.
    func standBy(joining groups: [SharedDescriptor], bornIn directory: SharedDescriptor?) -> StandbyLaunch? {
        hand(.standby) { (staying, number) throws(SystemError) in
            try staying.standBy(number: number, joining: groups, bornIn: directory)
        }
    }

    /// Tells whoever has least to do, and can take it.
    private func hand<Told>(
        _ purpose: Order.Purpose, _ tell: (StayingLauncher, UInt32) throws(SystemError) -> Told
    ) -> Told? {
        guard deathCount < Self.deathCountMax else { return nil }
        startMissing()
        var waiting = staying.mapValues { _ in 0 }
        for order in orders.values { waiting[order.launcher]? += 1 }
        for (process, _) in waiting.sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
            guard let launcher = staying[process] else { continue }
            do throws(SystemError) {
                let told = try tell(launcher, nextOrder)
                orders[nextOrder] = Order(purpose: purpose, at: SystemClock.bootNanoseconds(), launcher: process)
                nextOrder = nextOrder == UInt32(Int32.max) ? 1 : nextOrder + 1
                return told
            } catch {
                continue  // It has ended, which its being reaped will tell, or has as much to do as it can be told.
            }
        }
        return nil
    }

    private func startMissing() {
        do throws(SystemError) {
            while staying.count < count {
                let another = try launcher.stay()
                staying[another.process] = another
            }
            refusal = nil
        } catch {
            if refusal == nil {
                log.warning("\(error): tasks are launched by \(staying.count) launchers, or by one each")
            }
            refusal = error
        }
    }

    enum Answer {
        case to(Order)
        /// It was answered before.
        case again
        /// It was given up: its process is to be killed.
        case late
    }

    /// An order has a process, or will have none.
    func answer(_ order: UInt32, hasBegun: Bool) -> Answer {
        guard let answered = orders.removeValue(forKey: order) else {
            return lost.contains(order) ? .late : .again
        }
        if hasBegun { deathCount = 0 }
        if orders.isEmpty { unknown = [:] }
        return .to(answered)
    }

    /// A child has ended that nobody knows: an orphan of a task, or a copy that could not say what it was for.
    func note(unknown child: EndedChild) { if !orders.isEmpty { unknown[child.process] = child } }

    /// These have ended now, whoever had their numbers before.
    func forget(unknown children: [EndedChild]) { for child in children { unknown[child.process] = nil } }

    /// How a process ended that was unknown then.
    func unknown(_ process: Int32) -> EndedChild? { unknown[process] }

    /// Whether a process that was reaped was one of these; with what it was to begin and has not said that it has.
    func hasEnded(_ process: Int32) -> [Order]? {
        guard staying.removeValue(forKey: process) != nil else { return nil }
        deathCount += 1
        if deathCount == Self.deathCountMax {
            log.error("\(deathCount) launchers have ended and begun nothing: each task is launched by one of its own")
        }
        let left = orders.filter { $0.value.launcher == process }
        for number in left.keys {
            orders[number] = nil
            lost.insert(number)
        }
        return Array(left.values)
    }

    /// Ends launchers that have been told of a task long ago, at two looks in turn, and have not begun it: one that was stopped, say. Their
    /// tasks go back when they are reaped. How many they are. To be called now and then, after what is told was heard.
    func endStuck() -> Int {
        let now = SystemClock.bootNanoseconds()
        let old = orders.filter { now - $0.value.at > Self.stuckNanoseconds }
        let stuck = Set(old.filter { suspects.contains($0.key) }.map(\.value.launcher))
        for process in stuck { ChildProcesses.kill(process: process) }
        if !stuck.isEmpty { mayWait = false }
        suspects = Set(old.keys)
        return stuck.count
    }

    private func isRunning(_ process: Int32) throws(SystemError) -> Bool {
        try ChildProcesses.endingIfEnded(process) == nil
    }

    /// Ends them all, once they have done what they were told, and waits a moment for that.
    func dismiss() {
        let processes = Array(staying.keys)  // A view of the keys would keep the launchers, and so their sockets.
        staying = [:]
        for process in processes {
            var millisecondsLeft: UInt32 = 500
            // That it cannot be waited for means that it was.
            while millisecondsLeft > 0, (try? isRunning(process)) == true {
                pause(milliseconds: 1)
                millisecondsLeft -= 1
            }
        }
    }
}
