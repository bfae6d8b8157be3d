// What a task uses of the GPUs that it was given, from one look at the driver to the next: by its processes, where the driver's numbers are
// those that we know; else by what a device as a whole says, where that is this task's alone. What is not known is not told.

import LinuxSystem
import NodeSupervisor
import TaskModel

final class DeviceUse {
    /// Whose a process is.
    enum Owner: Equatable {
        case task(TaskNumber)
        case other
        /// There is no such process here.
        case nobody
    }

    /// What was seen of it on one device; nil for what is not known.
    private struct Part {
        var bytes: UInt64?
        /// A part of 1.
        var busy: Double?
    }

    private struct Measured {
        var peakBytes: UInt64?
        /// Of each look at which it was known, a part of 1.
        var busySum = 0.0
        var busyCount = 0

        mutating func add(_ bytes: UInt64?, _ busy: Double?) {
            if let bytes { peakBytes = max(peakBytes ?? 0, bytes) }
            if let busy { (busySum, busyCount) = (busySum + busy, busyCount + 1) }
        }
    }

    private let devices: [String]
    /// Whether no other task has a part of them.
    private let isAlone: Bool
    private var measured = Measured()
    /// Whether processes of it have been found among those that the driver names. From then on these alone count.
    private var isKnownByProcess = false
    /// What was found at the last look: of those the driver may still have accounts.
    private var processes: Set<Int32> = []

    /// Nil for a task that has no GPU of NVIDIA by its name. Of one that is known by a number, the driver may count otherwise.
    init?(_ share: ResourceShare) {
        guard let part = share.parts[ResourceRequest.gpu], !part.devices.isEmpty,
            part.devices.allSatisfy({ TaskVariables.isOfNvidia($0) })
        else { return nil }
        devices = part.devices
        isAlone = part.thousandths == part.devices.count * 1000
    }

    /// The most memory of its devices that it was seen to have.
    var memoryPeakBytes: UInt64? { measured.peakBytes }

    /// For how much of its time its devices were busy with it, on the average, as a part of 1.
    var utilization: Double? {
        measured.busyCount == 0 ? nil : (measured.busySum / Double(measured.busyCount) * 1000).rounded() / 1000
    }

    // MARK: Looks

    /// The devices of the task among all; nil where one of them is not told of.
    func own(of all: [NvidiaUse]) -> [NvidiaUse]? {
        let own = devices.compactMap { all.named($0) }
        return own.count == devices.count ? own : nil
    }

    /// Takes what was seen.
    ///
    /// - Parameters:
    ///   - all: all devices.
    ///   - owners: whose each of the processes on them is, now.
    func take(_ all: [NvidiaUse], of number: TaskNumber, _ owners: [Int32: Owner]) {
        guard let uses = own(of: all) else { return }
        let seen = uses.map { use in use.processes.filter { owners[$0.process] == .task(number) } }
        // Numbers of another namespace may be numbers of other processes here; but hardly all of them.
        let areOurs = uses.map { use in !use.processes.contains { owners[$0.process] ?? .nobody == .nobody } }
        if !isKnownByProcess, zip(seen, areOurs).contains(where: { !$0.0.isEmpty && $0.1 }) {
            (isKnownByProcess, measured) = (true, Measured())
        }
        var (bytes, busy): (UInt64?, Double?) = (0, 0)
        for ((use, own), areOurs) in zip(zip(uses, seen), areOurs) {
            let part = isKnownByProcess ? part(of: use, own, areOurs) : isAlone ? whole(of: use) : Part()
            bytes = bytes.flatMap { sum in part.bytes.map { sum &+ $0 } }
            busy = busy.flatMap { sum in part.busy.map { sum + $0 / Double(uses.count) } }
        }
        measured.add(bytes, busy)
        if isKnownByProcess { takeAccounts(uses, seen) }
    }

    private func whole(of use: NvidiaUse) -> Part {
        Part(bytes: use.usedBytes, busy: use.percent.map { Double($0) / 100 })
    }

    /// Of a device, by the task's processes on it.
    private func part(
        of use: NvidiaUse, _ own: [NvidiaUse.Process], _ areOurs: Bool
    ) -> Part {
        let whole = isAlone && !own.isEmpty ? self.whole(of: use) : Part()
        var (bytes, percent): (UInt64?, UInt32?) = (0, 0)
        for process in own {
            bytes = bytes.flatMap { sum in process.bytes.map { min(sum &+ $0, use.totalBytes ?? 1 << 50) } }
            percent = percent.flatMap { sum in process.percent.map { min(sum &+ $0, 100) } }
        }
        // One that has just ended may have been busy.
        let busy = areOurs ? percent.map { Double($0) / 100 } ?? whole.busy : nil
        return Part(bytes: bytes ?? whole.bytes, busy: busy)
    }

    /// What one of its processes had at the most, it had: between two looks, too. The sum of several was perhaps at no time.
    private func takeAccounts(_ uses: [NvidiaUse], _ seen: [[NvidiaUse.Process]]) {
        for (use, own) in zip(uses, seen) {
            let ended = use.ended.filter { processes.contains($0.process) }
            for process in own + ended { measured.add(process.peakBytes, nil) }
        }
        processes = Set(seen.joined().map(\.process))
    }

    // MARK: From one image of the daemon to the next

    /// What was measured so far, for whoever goes on with the task.
    var text: String {
        let peak = measured.peakBytes.map { "\($0)" } ?? "-"
        return "\(isKnownByProcess ? "processes" : "devices") \(peak) \(measured.busySum) \(measured.busyCount)"
    }

    /// Goes on from ``text``; from the beginning where that cannot be read.
    func resume(_ text: String) {
        let words = text.split(separator: " ")
        guard words.count == 4, let sum = Double(words[2]), let count = Int(words[3]), (0...1 << 40).contains(count),
            sum >= 0, sum <= Double(count)
        else { return }
        isKnownByProcess = words[0] == "processes"
        measured = Measured(peakBytes: UInt64(words[1]), busySum: sum, busyCount: count)
    }
}

extension [NvidiaUse] {
    /// The one of this name, which may be cut short, as programs may be told it.
    func named(_ name: String) -> NvidiaUse? {
        if let exact = first(where: { $0.identifier == name }) { return exact }
        let alike = filter { $0.identifier.hasPrefix(name) }
        return alike.count == 1 ? alike.first : nil
    }
}

extension TaskVariables {
    /// `GPU-` and a UUID, or its beginning; or a slice of one.
    static func isOfNvidia(_ device: String) -> Bool {
        device.hasPrefix("MIG-") || (device.hasPrefix("GPU-") && device.utf8.count > 4 && !isOfAMD(device))
    }
}
