// Reports that could not be delivered, on disk: a file each, so that what a task did is not lost with the daemon. Only such
// reports come here; one that goes out over a connection costs no write.
//
// The store helps where it can and never stands in the way: when the disk or its own bounds are full, a report is kept in
// memory alone, as it is anyway, and the log says so once.

import DequeModule
import LinuxSystem
import Logging
import NodeProtocol
import TaskQueue

final class ReportStore {
    /// What the store may hold, what earlier lives left included.
    struct Limits {
        var fileCountMax = 10_000
        var bytesMax = 256 << 20
    }

    /// A report of which a part is written.
    private struct Writing {
        let token: String
        let name: String
        let parts: [[UInt8]]
        private var part = 0
        private var offset = 0

        init(token: String, name: String, parts: [[UInt8]]) {
            (self.token, self.name, self.parts) = (token, name, parts)
        }

        var sizeBytes: Int { parts.reduce(0) { $0 + $1.count } }
        var isWhole: Bool { part == parts.count }

        mutating func nextPart(bytesMax: Int) -> [UInt8] {
            let rest = Array(parts[part][offset...].prefix(bytesMax))
            offset += rest.count
            while part < parts.count, offset == parts[part].count { (part, offset) = (part + 1, 0) }
            return rest
        }
    }

    /// A mebibyte of output is at most 13 as JSON within JSON.
    private static let fileBytesMax = 16 << 20
    /// What is written in one go: between parts the loop is looked after.
    private static let partBytesMax = 128 << 10
    private static let suffix = ".report"
    private static let damagedSuffix = ".damaged"

    private var spool: SpoolDirectory?
    private let limits: Limits
    private let log: Logger
    private var nextNumber: UInt64 = 1
    private var fileCount = 0
    private var bytes = 0
    /// On disk, and of this life.
    private var files: [String: (name: String, sizeBytes: Int)] = [:]
    private var unwritten: Deque<(token: String, report: ReportTask)> = []
    private var writing: Writing?
    private var unfinished: SpoolDirectory.Unfinished?
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

    /// Takes a report to be written, once for each attempt.
    func add(_ token: String, _ report: ReportTask) {
        guard files[token] == nil, writing?.token != token, !unwritten.contains(where: { $0.token == token }) else {
            return
        }
        unwritten.append((token, report))
    }

    /// Whether ``step()`` has something to do.
    var hasWork: Bool { writing != nil || !unwritten.isEmpty }

    /// Writes a part of a report, small enough to hold up nobody.
    ///
    /// - Returns: which report that settled, and whether it is on the disk now.
    func step() -> (token: String, isStored: Bool)? {
        guard writing != nil else {
            guard let (token, report) = unwritten.popFirst() else { return nil }
            return begin(token, report) ? step() : (token, false)
        }
        return writePart()
    }

    /// Whether there is room for it and the disk takes it.
    private func begin(_ token: String, _ report: ReportTask) -> Bool {
        guard let spool else { return false }
        let next = Writing(token: token, name: fileName(nextNumber), parts: [report.storedLine, report.storedValue])
        guard fileCount < limits.fileCountMax, next.sizeBytes <= limits.bytesMax - bytes else {
            warnOnce("\(spool.path) is full (\(fileCount) reports, \(bytes) bytes)")
            return false
        }
        do throws(SystemError) {
            unfinished = try spool.begin(next.name)
        } catch {
            warnOnce("\(error)")
            return false
        }
        nextNumber += 1
        writing = next
        return true
    }

    private func writePart() -> (token: String, isStored: Bool)? {
        guard let spool, var current = writing, let file = unfinished.take() else { return nil }
        do throws(SystemError) {
            try spool.append(current.nextPart(bytesMax: Self.partBytesMax), to: file)
        } catch {
            spool.abandon(file)
            writing = nil
            warnOnce("\(error)")
            return (current.token, false)
        }
        guard current.isWhole else {
            unfinished = consume file
            writing = current
            return nil
        }
        writing = nil
        do throws(SystemError) {
            try spool.finish(file)
        } catch {
            warnOnce("\(error)")
            return (current.token, false)
        }
        files[current.token] = (current.name, current.sizeBytes)
        fileCount += 1
        bytes += current.sizeBytes
        mayWarn = true
        return (current.token, true)
    }

    private func fileName(_ number: UInt64) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 12 - digits.count)) + digits + Self.suffix
    }

    private func warnOnce(_ problem: String) {
        guard mayWarn else { return }
        mayWarn = false
        log.warning(
            "\(problem); reports that cannot be delivered are kept in memory alone, should this daemon die their tasks run again"
        )
    }

    /// The queue has answered this report, or nobody wants it any more.
    func remove(_ token: String) {
        unwritten.removeAll { $0.token == token }
        if writing?.token == token {
            writing = nil
            if let file = unfinished.take() { spool?.abandon(file) }
        }
        if let file = files.removeValue(forKey: token) { remove(file) }
    }

    // MARK: Reports of earlier lives

    /// The oldest reports of earlier lives, at most so many and about so much, the same ones until they are dealt with. A file
    /// that holds no report is set aside.
    func nextEarlier(countMax: Int = 64, bytesMax: Int = 4 << 20) -> [NodeProtocol.EarlierReport] {
        var reports: [NodeProtocol.EarlierReport] = []
        var index = 0
        var room = bytesMax
        while index < earlier.count, reports.count < countMax, room > 0 {
            let file = earlier[index]
            guard let report = read(file.name) else {
                earlier.remove(at: index)
                continue
            }
            reports.append(NodeProtocol.EarlierReport(name: file.name, report: report))
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
    func removeEarlier(_ name: String) {
        guard let index = earlier.firstIndex(where: { $0.name == name }) else { return }
        remove(earlier.remove(at: index))
    }

    /// The queue could not answer this one. Its file stays for the next life to try.
    func leaveEarlier(_ name: String) {
        earlier.removeAll { $0.name == name }
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
