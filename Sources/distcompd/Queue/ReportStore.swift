// Reports that could not be delivered, on disk: a file each, so that what a task did is not lost with the daemon. Only such
// reports come here; one that goes out over a connection costs no write.
//
// The store helps where it can and never stands in the way: when the disk or its own bounds are full, a report is kept in
// memory alone, as it is anyway, and the log says so once.

import DequeModule
import LinuxSystem
import Logging
import TaskQueue

final class ReportStore {
    /// What the store may hold, what earlier lives left included.
    struct Limits {
        var fileCountMax = 10_000
        var bytesMax = 256 << 20
    }

    /// A report that an earlier life could not deliver.
    struct Earlier {
        let name: String
        let report: ReportTask
    }

    /// A mebibyte of output is at most 13 as JSON within JSON.
    private static let fileBytesMax = 16 << 20
    /// A write waits for the disk, for some milliseconds each. Between a few of them the loop is looked after.
    private static let writesPerRound = 2
    private static let suffix = ".report"
    private static let damagedSuffix = ".damaged"

    private var spool: SpoolDirectory?
    private let limits: Limits
    private let log: Logger
    private var nextNumber: UInt64 = 1
    private var fileCount = 0
    private var bytes = 0
    /// On disk, and of this life.
    private var files: [TaskNumber: (name: String, sizeBytes: Int)] = [:]
    private var unwritten: Deque<(number: TaskNumber, report: ReportTask)> = []
    /// Of earlier lives and not dealt with, oldest first.
    private var earlier: Deque<(name: String, sizeBytes: Int)> = []
    private var mayWarn = true

    /// Opens the store in `path` and looks up what earlier lives left there.
    init(path: String, limits: Limits = Limits(), log: Logger) {
        self.limits = limits
        self.log = log
        do throws(SystemError) {
            let opened = try SpoolDirectory(path: path)
            let found = try opened.files()
            spool = opened
            for file in found { take(file, in: opened) }
        } catch {
            log.warning("\(error); reports that cannot be delivered are kept in memory alone")
        }
    }

    /// A file that an earlier life left.
    private func take(_ file: (name: String, sizeBytes: Int), in spool: SpoolDirectory) {
        if file.name.hasSuffix(SpoolDirectory.temporarySuffix) {
            _ = try? spool.remove(file.name)  // Half-written by a life that was killed; if it stays, it harms nobody.
            return
        }
        fileCount += 1
        bytes += file.sizeBytes
        let digits = file.name.prefix { $0.isASCII && $0.isNumber }
        nextNumber = max(nextNumber, (UInt64(digits) ?? 0) &+ 1)
        if file.name == digits + Self.suffix { earlier.append(file) }
    }

    // MARK: Reports of this life

    /// Takes a report to be written, once for each task.
    func keep(_ number: TaskNumber, _ report: ReportTask) {
        guard spool != nil, files[number] == nil, !unwritten.contains(where: { $0.number == number }) else { return }
        unwritten.append((number, report))
    }

    /// Whether ``writeSome()`` has something to do.
    var hasUnwritten: Bool { !unwritten.isEmpty }

    func writeSome() {
        for _ in 0..<Self.writesPerRound { writeNext() }
    }

    /// Writes all that is to be written, however long it takes: for a daemon that is about to end.
    func writeAll() {
        while hasUnwritten { writeNext() }
    }

    private func writeNext() {
        guard let spool, let (number, report) = unwritten.popFirst() else { return }
        let content = report.stored
        guard fileCount < limits.fileCountMax, content.count <= limits.bytesMax - bytes else {
            return warnOnce("\(spool.path) is full (\(fileCount) reports, \(bytes) bytes)")
        }
        let digits = String(nextNumber)
        let name = String(repeating: "0", count: max(0, 12 - digits.count)) + digits + Self.suffix
        do throws(SystemError) {
            try spool.write(name, content)
        } catch {
            return warnOnce("\(error)")
        }
        nextNumber &+= 1
        files[number] = (name, content.count)
        fileCount += 1
        bytes += content.count
        mayWarn = true
    }

    private func warnOnce(_ problem: String) {
        guard mayWarn else { return }
        mayWarn = false
        log.warning(
            "\(problem); reports that cannot be delivered are kept in memory alone, should this daemon die their tasks run again"
        )
    }

    /// The queue has answered this report, or nobody wants it any more.
    func forget(_ number: TaskNumber) {
        unwritten.removeAll { $0.number == number }
        if let file = files.removeValue(forKey: number) { remove(file) }
    }

    // MARK: Reports of earlier lives

    /// The oldest reports of earlier lives, at most so many and about so much, the same ones until they are dealt with. A file
    /// that holds no report is set aside.
    func nextEarlier(countMax: Int = 64, bytesMax: Int = 4 << 20) -> [Earlier] {
        var reports: [Earlier] = []
        var index = 0
        var room = bytesMax
        while index < earlier.count, reports.count < countMax, room > 0 {
            let file = earlier[index]
            guard let report = read(file.name) else {
                earlier.remove(at: index)
                continue
            }
            reports.append(Earlier(name: file.name, report: report))
            room -= file.sizeBytes
            index += 1
        }
        return reports
    }

    private func read(_ name: String) -> ReportTask? {
        guard let spool else { return nil }
        do {
            return try ReportTask(stored: try spool.read(name, bytesMax: Self.fileBytesMax))
        } catch {
            setAside(name, because: "\(error)", in: spool)
            return nil
        }
    }

    private func setAside(_ name: String, because problem: String, in spool: SpoolDirectory) {
        do {
            try spool.rename(name, to: name + Self.damagedSuffix)
            log.warning("\(spool.path)/\(name) holds no report (\(problem)); set aside as \(name + Self.damagedSuffix)")
        } catch {
            log.warning(
                "\(spool.path)/\(name) holds no report (\(problem)) and cannot be set aside: \(error); left there")
        }
    }

    /// The queue has answered this one.
    func forget(_ report: Earlier) {
        guard let index = earlier.firstIndex(where: { $0.name == report.name }) else { return }
        remove(earlier.remove(at: index))
    }

    /// The queue could not answer this one. Its file stays for the next life to try.
    func leave(_ report: Earlier) {
        earlier.removeAll { $0.name == report.name }
    }

    private func remove(_ file: (name: String, sizeBytes: Int)) {
        do {
            try spool?.remove(file.name)
            fileCount -= 1
            bytes -= file.sizeBytes
        } catch {
            // The next life delivers it again, and is told that it is a duplicate.
            log.warning("\(error); it is delivered again by the next life, without harm")
        }
    }
}
