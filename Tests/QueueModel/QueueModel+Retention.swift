// Results that leave.

import RedisClient
import TaskModel

/// What is noted of the last pass.
struct RetentionPass: Equatable, Sendable {
    var rule: String
    var begun: Int
    var next: Int
}

extension QueueModel {
    private static let bytesKept = 100
    private static let resultBytes = 160

    /// As if no pass had ever been.
    public mutating func forgetLastPass() { retention = nil }

    func hasLeft(_ line: String) -> Bool {
        let job = Job.identifier(ofLine: line)
        return !job.isEmpty && jobsLeft[job] != nil
    }

    /// One result, by its record.
    private struct Ended {
        let line: String
        let unixSeconds: Double
        /// Who finished it; nil for what failed.
        let worker: String?
        let outcome: String
    }

    /// A whole pass in one step, as the script does it where that is large enough.
    mutating func retain(_ arguments: Arguments) -> RESPValue {
        let rule = (3...5).map(arguments.text).joined(separator: " ")
        let (keepSeconds, keepCount, bytesMax) = (arguments.int(3), arguments.int(4), arguments.int(5))
        let now = now
        if let last = retention {
            let due = last.rule == rule ? last.next : min(last.next, last.begun + 60_000)
            if due > now { return Self.numbers(due - now, 0, 0, 0) }
        }
        let unix = serverMilliseconds / 1000
        var (outputs, records) = (0.0, 0.0)
        if keepSeconds > 0 { (outputs, records) = (Double(unix - keepSeconds), Double(unix - keepSeconds)) }
        let results = outcomes.map(Self.ended)
        if keepCount > 0 || bytesMax > 0 {
            let ages = ages(results, unix)
            if keepCount > 0, let age = Self.first(ages, \.count, beyond: keepCount - 1) {
                outputs = max(outputs, age.start)
                records = max(records, age.start)
            }
            let (outputBytes, recordBytes) = (ages.map(\.outputs).reduce(0, +), ages.map(\.records).reduce(0, +))
            if bytesMax > 0, outputBytes + recordBytes > bytesMax {
                if let age = Self.first(ages, \.outputs, beyond: bytesMax - recordBytes) {
                    outputs = max(outputs, age.end)
                }
                if let age = Self.first(ages, \.records, beyond: bytesMax) { records = max(records, age.end) }
            }
            outputs = max(outputs, records)
        }
        let (outputsLeft, left) = outputs > 0 ? release(results, outputs, records, unix) : (0, 0)
        let rest = keepCount == 0 && bytesMax == 0 ? max(60_000, min(3_600_000, keepSeconds * 1000 / 48)) : 60_000
        retention = RetentionPass(rule: rule, begun: now, next: now + rest)
        return Self.numbers(rest, 1, outputsLeft, left)
    }

    private static func ended(_ line: String, _ outcome: String) -> Ended {
        let finishedAt = outcome.split(separator: "\"finished_at\":").dropFirst().first?.prefix {
            $0.isNumber || $0 == "."
        }
        let hasFinished = outcome.contains(" {\"state\":\"finished\"")
        let worker = outcome.split(separator: "\"worker\":\"").dropFirst().first?.prefix { $0 != "\"" }
        return Ended(
            line: line, unixSeconds: finishedAt.flatMap { Double($0) } ?? 0,
            worker: hasFinished ? worker.map { String($0) } : nil, outcome: outcome)
    }

    private struct Age {
        let start: Double
        let end: Double
        var count = 0
        var outputs = 0
        var records = 0
    }

    /// What ended in each stretch of time, the last first.
    private func ages(_ results: [Ended], _ unix: Int) -> [Age] {
        func width(_ time: Double) -> Double {
            let age = Double(unix) - time
            return age < 86400 ? 60 : age < 2_592_000 ? 3600 : 86400
        }
        var ages: [Double: Age] = [:]
        for result in results {
            let width = width(result.unixSeconds)
            let start = (result.unixSeconds / width).rounded(.down) * width
            var age = ages[start] ?? Age(start: start, end: start + self.width(start, unix))
            let output = done[result.line]?.count ?? 0
            age.count += 1
            age.outputs += output > Self.bytesKept ? output : 0
            age.records +=
                2 * result.line.utf8.count + result.outcome.utf8.count + Self.resultBytes
                + (output > Self.bytesKept ? 0 : output)
            ages[start] = age
        }
        return ages.values.sorted { $0.start > $1.start }
    }

    private func width(_ start: Double, _ unix: Int) -> Double {
        let age = Double(unix) - start
        return age < 86400 ? 60 : age < 2_592_000 ? 3600 : 86400
    }

    private static func first(_ ages: [Age], _ amount: (Age) -> Int, beyond limit: Int) -> Age? {
        var sum = 0
        return ages.first { age in
            sum += amount(age)
            return sum > limit
        }
    }

    /// How many outputs left, and how many jobs.
    private mutating func release(
        _ results: [Ended], _ outputs: Double, _ records: Double, _ unix: Int
    ) -> (outputs: Int, jobs: Int) {
        var count = (outputs: 0, jobs: 0)
        var latest: [String: Double] = [:]
        for result in results {
            let job = Job.identifier(ofLine: result.line)
            latest[job] = max(latest[job] ?? 0, result.unixSeconds)
            guard result.unixSeconds < outputs, let worker = result.worker,
                let value = done[result.line], value.count > Self.bytesKept
            else { continue }
            done[result.line] = Array("\(worker): stdout left Redis at \(unix)".utf8)
            count.outputs += 1
        }
        let active = Set((Array(todo) + Array(doing.keys)).map { Job.identifier(ofLine: $0) })
        let ended = Set((Array(done.keys) + Array(failed.keys)).map { Job.identifier(ofLine: $0) })
        for job in ended.subtracting(active) where !job.isEmpty && (latest[job] ?? 0) < records {
            func isOf(_ line: String) -> Bool { Job.identifier(ofLine: line) == job }
            jobsLeft[job] = "\(done.keys.count(where: isOf)) \(failed.keys.count(where: isOf)) \(unix)"
            done = done.filter { !isOf($0.key) }
            failed = failed.filter { !isOf($0.key) }
            reasons = reasons.filter { !isOf($0.key) }
            retrying = retrying.filter { !isOf($0) }
            outcomes = outcomes.filter { !isOf($0.key) }
            attempts = attempts.filter { !isOf($0.key) }
            lost = lost.filter { !isOf($0.key) }
            requeues = requeues.filter { !isOf($0.key) }
            signatures = signatures.filter { !isOf($0.key) }
            owns = owns.filter { !isOf($0.key) }
            peaks[job] = nil
            count.jobs += 1
        }
        return count
    }
}
