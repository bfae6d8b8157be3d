// What the kernel says of a kill for memory stands in its log and nowhere else: whose limit was met, and what the memory was at
// that moment, which is gone with the processes. Root may read it, other users mostly not; it is also missing when ten kills
// came within five seconds. So it explains, and nothing depends on it.

import Glibc

/// One kill for memory, as the kernel's log has it.
public struct OutOfMemoryReport: Equatable, Sendable {
    /// The group whose limit was met; nil when the machine itself ran out.
    public var limitGroup: String?
    /// The group of the process that was killed.
    public var victimGroup: String
    /// What the memory of `limitGroup` was.
    public var anonymousBytes: UInt64?
    public var tmpfsBytes: UInt64?
    public var kernelBytes: UInt64?
}

/// Puts the messages of the kernel's log together to reports. Any process chooses what it is called, and a group's name may be a
/// user's choice, so a line is believed by how it begins, and everything is bounded.
struct OutOfMemoryParser {
    private(set) var reports: [OutOfMemoryReport] = []
    private var statisticsGroup: Substring?
    private var anonymousBytes: UInt64?
    private var tmpfsBytes: UInt64?
    private var kernelBytes: UInt64?

    /// More than these are not kept for tasks that have yet to be collected.
    static let reportsMax = 64

    /// A record of /dev/kmsg: `6,123,456789,-;text`, from the kernel itself if the first number is below 8.
    mutating func take(record: Substring) {
        guard let semicolon = record.firstIndex(of: ";"),
            let priority = record.prefix(while: { $0 != "," }).wholeMatchInteger, priority < 8
        else { return }
        let text = record[record.index(after: semicolon)...].prefix { $0 != "\n" }
        // Kernels before 6.6 print all statistics in one message; what ends its lines is escaped here.
        for line in text.split(separator: "\\x0a") { take(line: line) }
    }

    /// A line of the log, such as `anon 1234` or `oom-kill:constraint=...`.
    mutating func take(line: Substring) {
        if let rest = line.after("oom-kill:constraint=") {
            finish(rest)
        } else if let rest = line.after("Memory cgroup stats for "), rest.hasSuffix(":") {
            (statisticsGroup, anonymousBytes, tmpfsBytes) = (rest.dropLast(), nil, nil)
        } else if let rest = line.after("kmem: usage ") {
            // v1 alone, and before the statistics.
            kernelBytes = rest.prefix { $0 != "k" }.wholeMatchInteger.flatMap {
                $0.multipliedReportingOverflow(by: 1024).overflow ? nil : $0 * 1024
            }
        } else if statisticsGroup != nil {
            // The names of v2, then those of v1, whose sums include the groups below.
            if let bytes = line.after("anon ") ?? line.after("total_rss ") { anonymousBytes = bytes.wholeMatchInteger }
            if let bytes = line.after("shmem ") ?? line.after("total_shmem ") { tmpfsBytes = bytes.wholeMatchInteger }
            if let bytes = line.after("kernel ") { kernelBytes = bytes.wholeMatchInteger }
        }
    }

    /// `CONSTRAINT_MEMCG,nodemask=(null),...,oom_memcg=/a,task_memcg=/a/b,task=tail,pid=1,uid=0`
    private mutating func finish(_ text: Substring) {
        defer { (statisticsGroup, anonymousBytes, tmpfsBytes, kernelBytes) = (nil, nil, nil, nil) }
        guard let victim = text.value(after: ",task_memcg=", before: ",task=") else { return }
        let limit = text.value(after: ",oom_memcg=", before: ",task_memcg=")
        var report = OutOfMemoryReport(limitGroup: limit.map { String($0) }, victimGroup: String(victim))
        if limit != nil, limit == statisticsGroup {
            (report.anonymousBytes, report.tmpfsBytes) = (anonymousBytes, tmpfsBytes)
            report.kernelBytes = kernelBytes
        }
        reports.append(report)
        if reports.count > Self.reportsMax { reports.removeFirst() }
    }
}

extension Substring {
    fileprivate func after(_ prefix: String) -> Substring? { hasPrefix(prefix) ? dropFirst(prefix.count) : nil }

    fileprivate func value(after start: String, before end: String) -> Substring? {
        guard let from = firstRange(of: start)?.upperBound else { return nil }
        let rest = self[from...]
        return rest.firstRange(of: end).map { rest[..<$0.lowerBound] }
    }

    /// The number it is, if it is one.
    fileprivate var wholeMatchInteger: UInt64? { UInt64(self) }
}

/// The kernel's log from now on.
final class OutOfMemoryLog {
    private let log: SharedDescriptor
    private var parser = OutOfMemoryParser()
    /// A report has about 150 lines, and other messages may stand between.
    private static let recordsPerLookMax = 20_000

    /// Nil where we may not read it.
    init?() {
        guard let log = try? OwnedDescriptor.open("/dev/kmsg", [.readOnly, .nonBlocking]),
            lseek(log.raw, 0, SEEK_END) >= 0
        else { return nil }
        self.log = SharedDescriptor(log)
    }

    /// The latest report of a kill in that group, or in one below it.
    ///
    /// - Parameter place: how the path of the group ends, `/tasks/NAME`: the log has it from the root of all groups.
    func report(ofKillIn place: String) -> OutOfMemoryReport? {
        withUnsafeTemporaryAllocation(byteCount: 8192, alignment: 1) { buffer in
            for _ in 0..<Self.recordsPerLookMax {
                do throws(SystemError) {
                    let count = try log.readNext(into: buffer, subject: "/dev/kmsg")
                    if count == 0 { return }
                    parser.take(record: Substring(decoding: buffer[..<count], as: UTF8.self))
                } catch {
                    if error.code == EPIPE { continue }  // Some were overwritten before we came; the next one follows.
                    return  // EAGAIN: that was all.
                }
            }
        }
        return parser.reports.last { $0.victimGroup.hasSuffix(place) || $0.victimGroup.contains(place + "/") }
    }
}
