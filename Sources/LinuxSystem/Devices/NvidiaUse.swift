// What is used of the GPUs of NVIDIA, and by which processes: looked at by a program that may hang with the driver, and told in lines of
// text to one that must not.

/// What is used of a device, at a moment.
public struct NvidiaUse: Equatable, Sendable {
    /// A process that has a context on it, by its number where the driver counts.
    public struct Process: Equatable, Sendable {
        public let process: Int32
        /// What it holds of the device's memory; nil where that is not told.
        public var bytes: UInt64?
        /// How busy it kept the device's processors; nil where that is not told.
        public var percent: UInt32?
        /// The most that it held; only where the driver keeps accounts.
        public var peakBytes: UInt64?

        public init(_ process: Int32, bytes: UInt64? = nil, percent: UInt32? = nil, peakBytes: UInt64? = nil) {
            self.process = process
            self.bytes = bytes
            self.percent = percent
            self.peakBytes = peakBytes
        }
    }

    public let identifier: String
    public var usedBytes: UInt64?
    public var totalBytes: UInt64?
    /// For how much of the last moment anything ran on it.
    public var percent: UInt32?
    public var processes: [Process] = []
    /// Those that have ended since the last look, of which there are accounts.
    public var ended: [Process] = []

    public init(identifier: String) { self.identifier = identifier }
}

/// Looks at all devices, again and again.
public final class NvidiaObserver {
    private struct Earlier {
        /// When the driver measured last; nil until it was seen to.
        var measuredAt: UInt64?
        var processes: Set<Int32> = []
    }

    private let library: NvidiaLibrary
    private var earlier: [String: Earlier] = [:]

    public init(library path: String = NvidiaDevices.usualLibrary) throws(NvidiaDevices.Failure) {
        library = try NvidiaLibrary(path)
    }

    /// As it is now: whatever the driver tells of each device. One that does not answer is left out.
    public func look() throws(NvidiaDevices.Failure) -> [NvidiaUse] {
        var uses: [NvidiaUse] = []
        for index in 0..<(try library.deviceCount()) {
            guard let (devices, isCut) = try? library.devices(at: index) else { continue }
            for device in devices {
                guard let identifier = try? library.identifier(of: device) else { continue }
                uses.append(use(of: device, identifier, isSlice: isCut))
            }
        }
        return uses
    }

    private func use(of device: NvidiaLibrary.Device, _ identifier: String, isSlice: Bool) -> NvidiaUse {
        var use = NvidiaUse(identifier: identifier)
        var earlier = self.earlier[identifier] ?? Earlier()
        if let memory = library.memory(of: device) {
            (use.usedBytes, use.totalBytes) = (memory.usedBytes, memory.totalBytes)
        }
        use.percent = isSlice ? nil : library.busyPercent(of: device)
        // Of a slice a process may be told several times: once for each part of it that it uses.
        var held: [Int32: UInt64?] = [:]
        for (process, bytes) in library.processes(on: device) ?? [] {
            let bytes = bytes.flatMap { $0 <= use.totalBytes ?? 1 << 50 ? $0 : nil }
            switch held[process] {
            case .some(let sum): held[process] = .some(bytes.flatMap { more in sum.map { $0 &+ more } })
            case nil: held[process] = .some(bytes)
            }
        }
        let shares = isSlice ? nil : self.shares(on: device, of: use, &earlier)
        let keepsAccounts = !isSlice && library.keepsAccounts(of: device)
        for (process, bytes) in held.sorted(by: { $0.key < $1.key }) {
            let peak = keepsAccounts ? library.peak(of: process, on: device) : nil
            use.processes.append(
                NvidiaUse.Process(
                    process, bytes: bytes, percent: shares.map { $0[process] ?? 0 },
                    peakBytes: peak.flatMap { $0.isRunning ? believed($0.bytes, of: use) : nil }))
        }
        if keepsAccounts {
            for process in earlier.processes.subtracting(held.keys).sorted() {
                // One that runs bears the number anew.
                guard let peak = library.peak(of: process, on: device), !peak.isRunning,
                    let bytes = believed(peak.bytes, of: use)
                else { continue }
                use.ended.append(NvidiaUse.Process(process, peakBytes: bytes))
            }
        }
        earlier.processes = Set(held.keys)
        self.earlier[identifier] = earlier
        return use
    }

    private func believed(_ bytes: UInt64, of use: NvidiaUse) -> UInt64? {
        bytes <= use.totalBytes ?? 1 << 50 ? bytes : nil
    }

    /// The mean of what was measured of each process since the last look; nil where that cannot be told.
    private func shares(
        on device: NvidiaLibrary.Device, of use: NvidiaUse, _ earlier: inout Earlier
    ) -> [Int32: UInt32]? {
        let since = earlier.measuredAt
        guard let all = library.shares(on: device, since: since ?? 0) else { return nil }
        earlier.measuredAt = max(since ?? 0, all.map(\.at).max() ?? 0)
        // What is older than the first look may be of processes that are no more.
        guard let since else { return nil }
        let fresh = all.filter { $0.at > since }
        // Of what is idle nothing may be measured.
        if fresh.isEmpty { return use.percent == 0 ? [:] : nil }
        var sums: [Int32: (percent: UInt32, count: UInt32)] = [:]
        for share in fresh {
            guard share.percent <= 100 else { return nil }
            let sum = sums[share.process] ?? (0, 0)
            sums[share.process] = (sum.percent + share.percent, sum.count + 1)
        }
        return sums.mapValues { $0.percent / $0.count }
    }
}

// MARK: - In lines

extension NvidiaUse {
    /// How the last line begins.
    public static let lastLine = "end"
    /// Of all devices together.
    private static let processesMax = 8192

    /// Lines that ``init(parsing:)`` reads, the last one included.
    public static func text(_ uses: [NvidiaUse]) -> String {
        func field(_ number: (some BinaryInteger)?) -> String { number.map { "\($0)" } ?? "-" }
        var lines: [String] = []
        for use in uses where !use.identifier.isEmpty && !use.identifier.contains(where: \.isWhitespace) {
            lines.append(
                "device \(use.identifier) \(field(use.usedBytes)) \(field(use.totalBytes)) \(field(use.percent))")
            for (word, processes) in [("process", use.processes), ("ended", use.ended)] {
                for process in processes {
                    lines.append(
                        "\(word) \(process.process) \(field(process.bytes)) \(field(process.percent)) \(field(process.peakBytes))"
                    )
                }
            }
        }
        return (lines + [lastLine]).map { $0 + "\n" }.joined()
    }

    /// Reads such lines; what cannot be understood comes from another version, or from nobody, and is left out.
    public static func parse(_ text: some StringProtocol) -> [NvidiaUse] {
        var uses: [NvidiaUse] = []
        var count = 0
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            guard words.count == 5 else { continue }
            switch words[0] {
            case "device":
                var use = NvidiaUse(identifier: String(words[1]))
                (use.usedBytes, use.totalBytes) = (UInt64(words[2]), UInt64(words[3]))
                use.percent = UInt32(words[4]).flatMap { $0 <= 100 ? $0 : nil }
                uses.append(use)
            case "process", "ended":
                guard !uses.isEmpty, count < processesMax, let process = Int32(words[1]), process > 0 else { continue }
                count += 1
                let entry = Process(
                    process, bytes: UInt64(words[2]), percent: UInt32(words[3]).flatMap { $0 <= 100 ? $0 : nil },
                    peakBytes: UInt64(words[4]))
                if words[0] == "process" {
                    uses[uses.count - 1].processes.append(entry)
                } else {
                    uses[uses.count - 1].ended.append(entry)
                }
            default: continue
            }
        }
        return uses
    }
}
