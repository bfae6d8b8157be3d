// What a job is given, and what of that its tasks have that have something of their own.

import RedisClient
import TaskModel

extension QueueModel {
    /// Of a job that is there, under its identifier.
    mutating func openJob(_ arguments: Arguments) -> RESPValue {
        let (job, definition) = (arguments.text(2), arguments.text(7))
        func reply(_ word: String, _ last: String) -> RESPValue {
            .array([job, job, word, last].map { Self.text($0) })
        }
        if let left = jobsLeft[job] { return reply("left", left) }
        change(job, size: arguments.text(5), settings: arguments.text(6), forAll: [])
        return reply("known", definition)
    }

    mutating func changeJob(_ arguments: Arguments) -> RESPValue {
        let parts = arguments.text(6).split(separator: " ").map(String.init)
        change(arguments.text(2), size: arguments.text(4), settings: arguments.text(5), forAll: Set(parts))
        return .array([Self.text("changed"), Self.text(arguments.text(2))])
    }

    mutating func pauseJob(_ arguments: Arguments) -> RESPValue {
        if arguments.text(3) == "1" {
            jobsPaused.insert(arguments.text(2))
        } else if jobsPaused.remove(arguments.text(2)) != nil {
            wake()
        }
        return Self.text("changed")
    }

    func isPaused(_ line: String) -> Bool { jobsPaused.contains(Self.job(of: line)) }

    /// How a settings' timeout is noted of a single task.
    private static func timeoutText(_ settings: String) -> String {
        let text = settings.firstMatch(of: /"timeout":([0-9.e+-]+)/).map { String($0.1) } ?? ""
        return text.isEmpty ? "default" : Double(text) == 0 ? "none" : text
    }

    private static func isSame(_ one: String, _ other: String) -> Bool {
        one == other || Double(one).map { $0 == Double(other) } ?? false
    }

    /// What a task has that had `own`, of which its job had `old` and has `new` from now on.
    private static func followed(_ own: String, _ old: String, _ new: String, isForAll: Bool) -> String {
        if isForAll || isSame(own, old) { return new }
        guard let had = Double(own), let has = Double(new), had > 0, had < has, !isSame(old, new) else { return own }
        return new
    }

    private mutating func change(_ job: String, size: String, settings: String, forAll parts: Set<String>) {
        let old = jobSizes[job] ?? (0, 0)
        let new = size.split(separator: ":").map(String.init)
        let oldTimeout =
            switch jobTimeouts[job] ?? .byDefault {
            case .byDefault: "default"
            case .none: "none"
            case .seconds(let seconds): "\(seconds)"
            }
        let newTimeout = Self.timeoutText(settings)
        let hasSize = "\(old.memory):\(old.millicores)" == size
        if !parts.isEmpty || !hasSize || !Self.isSame(oldTimeout, newTimeout) {
            for (line, own) in owns where Self.job(of: line) == job {
                guard let match = own.wholeMatch(of: /([0-9]+):([0-9]+) ([^ ]+)( max=[0-9]+)?( from=[0-9]+)?/) else {
                    continue
                }
                let memory = Self.followed(
                    String(match.1), "\(old.memory)", new[0], isForAll: parts.contains("memory"))
                let cores = Self.followed(
                    String(match.2), "\(old.millicores)", new[1], isForAll: parts.contains("cores"))
                let timeout = Self.followed(
                    String(match.3), oldTimeout, newTimeout, isForAll: parts.contains("timeout"))
                let most = parts.contains("max") ? "" : match.4.map(String.init) ?? ""
                let isGrown = !parts.contains("memory") && memory == match.1
                let rest = most + (isGrown ? match.5.map(String.init) ?? "" : "")
                let isPlain = [memory, cores] == new && Self.isSame(timeout, newTimeout) && rest.isEmpty
                owns[line] = isPlain ? nil : "\(memory):\(cores) \(timeout)\(rest)"
            }
            jobSizes[job] = (UInt64(new[0]) ?? 0, Int(new[1]) ?? 0)
            jobTimeouts[job] =
                newTimeout == "default" ? .byDefault : Double(newTimeout).map { .seconds($0) } ?? TimeoutRequest.none
            for (line, place) in waiting where Self.job(of: line) == job {
                waiting[line] = self.place(
                    of: line, memory: place.memory, millicores: place.millicores, score: place.score)
            }
            wake()
        }
        changeNeeds(of: job, settings)
    }

    private mutating func changeNeeds(of job: String, _ settings: String) {
        let before = jobNeeds[job] ?? ResourceRequest()
        let text = settings.split(separator: "\"resources\":\"", maxSplits: 1).dropFirst().first?.prefix { $0 != "\"" }
        let needs = text.flatMap { ResourceRequest(text: $0) } ?? ResourceRequest()
        guard needs != before else { return }
        // What runs counts by what its job says, so all nodes are to count anew.
        if hasSeveralOwners, doing.keys.contains(where: { Self.job(of: $0) == job }) { counted = [] }
        jobNeeds[job] = needs.isEmpty ? nil : needs
        wake()
    }

    /// What one that waits for nothing has of its own from now on, as is said of it now.
    mutating func giveOwn(_ line: String, _ own: String) {
        let known = owns[line] ?? ""
        if let match = known.wholeMatch(of: /[0-9]+(:.*) from=([0-9]+)/), own == match.2 + match.1 { return }
        owns[line] = own
        guard let place = waiting[line] else { return }
        waiting[line] = self.place(
            of: line, memory: place.memory, millicores: place.millicores, score: place.score)
    }
}
