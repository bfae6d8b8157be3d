// Reports on their way to the queue: those of this life, made once and kept until they are answered, on disk too where there is
// no connection; and those that an earlier life of this node could not deliver.

import LinuxSystem
import Logging
import NodeSupervisor
import RedisClient
import TaskQueue

extension QueueLink {
    /// What of reports may wait to be sent. A report can hold megabytes, and a connection that holds too much is closed.
    private static let unsentBytesMax = 8 << 20

    // MARK: Of this life

    func deliver(_ report: NodeSupervisor.Report) -> [Event] {
        let request = encoded(report).request
        guard withheld.isEmpty, hasRoom else {
            withheld.append(report.number)
            return []
        }
        return send(request, for: .report(report.number))
    }

    func deliverWithheld() -> [Event] {
        var events: [Event] = []
        while hasRoom, let number = withheld.popFirst() {
            guard let report = reports[number] else { continue }
            events += send(report.request, for: .report(number))
        }
        return events
    }

    private var hasRoom: Bool { (redis.current?.outputBytes ?? 0) < Self.unsentBytesMax }

    /// The report as the queue is told it; the same one whenever it is asked for, since the files it is made from may change.
    func encoded(_ report: NodeSupervisor.Report) -> ReportTask {
        if let made = reports[report.number] { return made }
        encoder.add(report.number, report)
        var result = ReportTask.Result.returned
        while encoder.hasWork { if let (_, made) = encoder.step() { result = made } }
        let made = ReportTask(
            keys: keys, incarnation: incarnation, line: report.task.line.text, token: report.task.token, result: result)
        reports[report.number] = made
        return made
    }

    /// Whether this task's report was made before, and is only told again.
    func hasReported(_ number: TaskNumber) -> Bool { reports[number] != nil }

    func reported(_ reply: ReportTask.Reply, _ number: TaskNumber) -> Event {
        reports[number] = nil
        store.forget(number)
        runner.forget(number)
        switch reply {
        case .accepted: return .reportAccepted(number)
        case .duplicate: return .reportRefused(number, .duplicate)
        case .stale: return .reportRefused(number, .stale)
        }
    }

    /// Whether reports are to be written to disk.
    var hasReportsToStore: Bool { store.hasUnwritten }

    /// Writes a few of them.
    func storeSome() { store.writeSome() }

    // MARK: Of earlier lives

    /// Sends some of the reports that earlier lives left, in their name. NodeSupervisor hears of the connection when there are
    /// none any more, and only then registers: that takes from earlier lives what they still hold, and what they had finished
    /// would run again.
    func deliverEarlier() -> [Event] {
        let batch = store.nextEarlier()
        if batch.isEmpty { return [.connected] }
        return batch.flatMap { send($0.report.request, for: .earlierReport($0)) }
    }

    func delivered(_ earlier: ReportStore.Earlier, _ reply: ReportTask.Reply) -> [Event] {
        store.forget(earlier)
        let task: Logger.Metadata = ["task": "\(earlier.report.line)"]
        switch reply {
        case .accepted: log.info("delivered the report of an earlier life", metadata: task)
        case .duplicate: log.info("the report of an earlier life had been accepted before", metadata: task)
        case .stale: log.warning("the report of an earlier life came too late, another node runs it", metadata: task)
        }
        return deliverMoreEarlier()
    }

    /// The queue could not answer this one. This life goes on without.
    func notDelivered(_ earlier: ReportStore.Earlier) -> [Event] {
        store.leave(earlier)
        return deliverMoreEarlier()
    }

    private func deliverMoreEarlier() -> [Event] {
        let areUnderWay = purposes.values.contains { if case .earlierReport = $0 { true } else { false } }
        return areUnderWay ? [] : deliverEarlier()
    }
}
