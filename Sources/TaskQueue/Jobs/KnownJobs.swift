// What a node has been told of jobs, so that their records are not told with every claim.

import TaskModel

/// The jobs a node knows, as they were after so many changes of jobs.
public struct KnownJobs: Sendable {
    /// A node rarely has tasks of more at a time; what is not known is told once more.
    private static let countMax = 64

    private(set) var revision = ""
    public private(set) var jobs: [String: Job] = [:]
    /// Why others are not known, though they were told.
    public private(set) var unreadable: [String: JobRecordError] = [:]

    public init() {}

    /// Takes what was told with some tasks.
    public mutating func take(_ reply: ClaimTasks.Reply) {
        guard !reply.jobRevision.isEmpty else { return }
        if revision != reply.jobRevision { jobs = [:] }
        if jobs.count + reply.jobRecords.count > Self.countMax {
            let given = Set(reply.tasks.map { Job.identifier(ofLine: $0.line) })
            jobs = jobs.filter { given.contains($0.key) }
        }
        revision = reply.jobRevision
        unreadable = [:]
        for (identifier, record) in reply.jobRecords { take(identifier, record) }
    }

    /// Takes one job. One whose record cannot be read stays unknown, and its lines are refused.
    public mutating func take(_ identifier: String, _ record: [UInt8]) {
        do throws(JobRecordError) {
            jobs[identifier] = try Job(identifier: identifier, record: record)
        } catch {
            unreadable[identifier] = error
        }
    }

    /// The identifiers between spaces.
    var text: String { jobs.isEmpty ? "" : " " + jobs.keys.joined(separator: " ") + " " }
}
