// What a task used, as far as the kernel counted it, and what its memory was when that ended it.

/// What a task used. Measurements may be missing where the kernel keeps none; only the wall clock is always there.
public struct Usage: Hashable, Sendable {
    public var wallSeconds: Double
    /// CPU time in user mode, of all processes of the task.
    public var userSeconds: Double?
    /// CPU time in the kernel, of all processes of the task.
    public var systemSeconds: Double?
    /// The most memory its control group ever held, files that were read or written and could have been dropped again included.
    public var memoryPeakBytes: UInt64?
    /// What it needed of that: without such files. Nil where that is not known, or is so little that nobody asks.
    public var memoryNeededBytes: UInt64?
    /// How often it was at its memory cap, and the kernel had to find memory of its own for it.
    public var memoryCapHits: UInt64?
    /// How many of its processes the kernel killed at a memory cap.
    public var oomKills: UInt64?
    /// Of those kills, what is known.
    public var oom: OutOfMemory?
    /// The most memory of its GPUs, together, that it was seen to have.
    public var gpuMemoryPeakBytes: UInt64?
    /// For which part of its time its GPUs were busy with it, on the average: 0 to 1.
    public var gpuUtilization: Double?

    public init(
        wallSeconds: Double, userSeconds: Double? = nil, systemSeconds: Double? = nil, memoryPeakBytes: UInt64? = nil,
        memoryNeededBytes: UInt64? = nil, memoryCapHits: UInt64? = nil, oomKills: UInt64? = nil, oom: OutOfMemory? = nil
    ) {
        self.wallSeconds = wallSeconds
        self.userSeconds = userSeconds
        self.systemSeconds = systemSeconds
        self.memoryPeakBytes = memoryPeakBytes
        self.memoryNeededBytes = memoryNeededBytes
        self.memoryCapHits = memoryCapHits
        self.oomKills = oomKills
        self.oom = oom
    }

    /// User and system time together, when both are known.
    public var cpuSeconds: Double? {
        guard let userSeconds, let systemSeconds else { return nil }
        return userSeconds + systemSeconds
    }
}

/// What a task's memory was when the kernel killed for it, and by whose limit.
public struct OutOfMemory: Hashable, Sendable {
    /// What programs allocate.
    public var anonymousBytes: UInt64?
    /// Files in /dev/shm and other file systems that are kept in memory, and shared memory.
    public var tmpfsBytes: UInt64?
    /// What the kernel kept for it: sockets, pipes, page tables.
    public var kernelBytes: UInt64?
    /// Whose limit it was, as the end of a sentence; nil for the task's own.
    public var otherLimit: String?

    public init(
        anonymousBytes: UInt64? = nil, tmpfsBytes: UInt64? = nil, kernelBytes: UInt64? = nil, otherLimit: String? = nil
    ) {
        self.anonymousBytes = anonymousBytes
        self.tmpfsBytes = tmpfsBytes
        self.kernelBytes = kernelBytes
        self.otherLimit = otherLimit
    }

    /// A part of it that is less than this of all there was is not worth a word.
    private static let shareMin: UInt64 = 64

    /// `20 MB anonymous, 44 MB files in /dev/shm or another tmpfs`; nil where nothing is known.
    ///
    /// - Parameter peakBytes: all there was.
    func partsText(ofPeak peakBytes: UInt64?) -> String? {
        let parts = [
            (anonymousBytes, "anonymous"), (tmpfsBytes, "files in /dev/shm or another tmpfs"), (kernelBytes, "kernel"),
        ]
        let largest = parts.compactMap(\.0).max() ?? 0
        let whole = max(peakBytes ?? 0, largest)
        let texts = parts.compactMap { bytes, name in
            bytes.flatMap { $0 > 0 && $0 >= whole / Self.shareMin ? "\(AmountText.memory($0)) \(name)" : nil }
        }
        return texts.isEmpty ? nil : texts.joined(separator: ", ")
    }
}
