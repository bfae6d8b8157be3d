// The scripts of the queue. Each is a file of Lua below Scripts, and whole but for two things that are put in here:
// a line `-- uses index ending` stands for the files index.lua and ending.lua of Shared, Owners, Metrics or Reserving, each once, with what they use in turn;
// a line `-- uses later telling` for a function with all of that in it, called as the last one in the file and with the same, so that
// what most calls have no need of is not made for them (and since a script may have 200 names at once);
// and before all of it come the names of keys and the numbers that Lua shares with Swift, or, what only such a function mentions, in that.
// Of all of them only what the script mentions: to make a function or a name takes Redis as long as to use it.
//
// Crashes. Redis applies a script as one: a client sees all of it or nothing, and the append-only file takes its writes as one
// block, so a file cut off anywhere holds whole scripts. What remains is a script that fails half-way (a command refused by an
// ACL, a key of the wrong type); it is not undone. So in each script what makes a line known somewhere comes before what
// makes it unknown elsewhere: cut at any point, a line is in one place too many, never in none.
//
// The flags in their first lines: claims, reports and the like go on when Redis is out of memory (allow-oom), since they make room
// again; submitting is refused then, before it has written anything; what only looks (no-writes) may run on a replica too.

import RedisClient
import Synchronization
import TaskModel

public enum QueueScripts {
    static let claim = script("claim", PackageResources.claim_lua)
    static let report = script("report", PackageResources.report_lua)
    static let register = script("register", PackageResources.register_lua)
    static let heartbeat = script("heartbeat", PackageResources.heartbeat_lua)
    static let leave = script("leave", PackageResources.leave_lua)
    static let restore = script("restore", PackageResources.restore_lua)
    static let held = script("held", PackageResources.held_lua)
    static let cancellations = script("cancellations", PackageResources.cancellations_lua)
    static let retain = script("retain", PackageResources.retain_lua)

    static let submit = script("submit", PackageResources.submit_lua)
    static let retry = script("retry", PackageResources.retry_lua)
    static let cancel = script("cancel", PackageResources.cancel_lua)
    static let requeue = script("requeue", PackageResources.requeue_lua)
    static let forget = script("forget", PackageResources.forget_lua)
    static let pause = script("pause", PackageResources.pause_lua)
    static let drain = script("drain", PackageResources.drain_lua)
    static let scaleTurn = script("scale-turn", PackageResources.scale_turn_lua)
    static let adopt = script("adopt", PackageResources.adopt_lua)
    static let reject = script("reject", PackageResources.reject_lua)

    static let submitAfter = script("submit-after", PackageResources.submit_after_lua)
    static let gateJob = script("gate-job", PackageResources.gate_job_lua)
    static let loadedJob = script("loaded-job", PackageResources.loaded_job_lua)
    static let awaited = script("awaited", PackageResources.awaited_lua)
    static let openJob = script("open-job", PackageResources.open_job_lua)
    static let changeJob = script("change-job", PackageResources.change_job_lua)
    static let pauseJob = script("pause-job", PackageResources.pause_job_lua)
    static let forgetJob = script("forget-job", PackageResources.forget_job_lua)

    static let setShare = script("set-share", PackageResources.set_share_lua)
    static let noteOwner = script("note-owner", PackageResources.note_owner_lua)

    static let owners = script("owners-list", PackageResources.owners_list_lua)
    static let jobs = script("jobs-list", PackageResources.jobs_list_lua)
    static let counts = script("counts", PackageResources.counts_lua)
    static let nodes = script("nodes", PackageResources.nodes_lua)
    static let retryStates = script("retry-states", PackageResources.retry_states_lua)
    static let demand = script("demand", PackageResources.demand_lua)
    static let loads = script("loads", PackageResources.loads_lua)
    static let waiting = script("waiting", PackageResources.waiting_lua)
    static let metrics = script("metrics", PackageResources.metrics_lua)
    static let metricsJobs = script("metrics-jobs", PackageResources.metrics_jobs_lua)
    static let metricsRing = script("metrics-ring", PackageResources.metrics_ring_lua)

    /// What a connection of a node loads when it is made.
    public static let forNodes: [RedisScript] = [
        claim, report, register, heartbeat, leave, restore, held, cancellations, adopt, reject, retain,
    ]
    /// The same for the command line: one, which shows whether this Redis runs scripts such as ours. A command calls few, and to make and
    /// send them all would take it longer than all else.
    public static let forCommandLine = [counts]
    /// What the command line calls.
    public static let ofCommandLine: [RedisScript] = [
        submit, retry, counts, nodes, retryStates, cancel, requeue, forget, pause, drain, openJob, changeJob, pauseJob,
        forgetJob, jobs, waiting, submitAfter, gateJob, loadedJob, awaited, owners, setShare, noteOwner, metrics,
        metricsJobs, metricsRing, demand, loads, scaleTurn,
    ]
    public static let all = forNodes + ofCommandLine

    /// What several scripts share, by the names that they use it by.
    private static let sharedFiles: [String: [UInt8]] = [
        "accounting": PackageResources.accounting_lua, "adding": PackageResources.adding_lua,
        "arriving": PackageResources.arriving_lua,
        "belonging": PackageResources.belonging_lua,
        "classes": PackageResources.classes_lua, "clock": PackageResources.clock_lua,
        "circling": PackageResources.circling_lua,
        "closing": PackageResources.closing_lua,
        "copies": PackageResources.copies_lua,
        "copying": PackageResources.copying_lua, "counting": PackageResources.counting_lua,
        "dating": PackageResources.dating_lua, "departing": PackageResources.departing_lua,
        "disowning": PackageResources.disowning_lua,
        "halting": PackageResources.halting_lua, "taking": PackageResources.taking_lua,
        "ending": PackageResources.ending_lua, "holders": PackageResources.holders_lua,
        "index": PackageResources.index_lua, "jobs": PackageResources.jobs_lua, "leaving": PackageResources.leaving_lua,
        "labels": PackageResources.labels_lua, "lease": PackageResources.lease_lua,
        "learning": PackageResources.learning_lua,
        "lessening": PackageResources.lessening_lua,
        "knowing": PackageResources.knowing_lua, "margin": PackageResources.margin_lua,
        "measuring": PackageResources.measuring_lua,
        "minding": PackageResources.minding_lua,
        "names": PackageResources.names_lua, "needing": PackageResources.needing_lua,
        "noticing": PackageResources.noticing_lua, "noting": PackageResources.noting_lua,
        "owning": PackageResources.owning_lua, "pairing": PackageResources.pairing_lua,
        "percentile": PackageResources.percentile_lua, "reaping": PackageResources.reaping_lua,
        "recounting": PackageResources.recounting_lua,
        "reserving": PackageResources.reserving_lua, "retries": PackageResources.retries_lua,
        "serving": PackageResources.serving_lua,
        "sharing": PackageResources.sharing_lua, "slots": PackageResources.slots_lua,
        "some": PackageResources.some_lua,
        "states": PackageResources.states_lua, "summing": PackageResources.summing_lua,
        "tallying": PackageResources.tallying_lua,
        "telling": PackageResources.telling_lua, "timeouts": PackageResources.timeouts_lua,
        "timing": PackageResources.timing_lua,
        "times": PackageResources.times_lua,
        "using": PackageResources.using_lua,
        "waits": PackageResources.waits_lua,
        "waking": PackageResources.waking_lua, "whole": PackageResources.whole_lua,
    ]

    /// Those of them that were used, taken apart.
    private static let sharedParts = Mutex<[String: [LuaPart]]>([:])

    private static func takenApart(_ name: String) -> [LuaPart]? {
        if let parts = sharedParts.withLock({ $0[name] }) { return parts }
        guard let parts = sharedFiles[name].map({ LuaPart.parts(of: $0) }) else { return nil }
        sharedParts.withLock { $0[name] = parts }
        return parts
    }
}

extension QueueScripts {
    private static func script(_ name: String, _ file: [UInt8]) -> RedisScript {
        var included: Set<String> = []
        let (parts, words) = withoutUnusedFunctions(expanded(LuaPart.parts(of: file), &included))
        let common = parts.filter { !$0.isMadeLater }.reduce(into: Set<String>()) { $0.formUnion($1.words) }
        let texts = parts.dropFirst().map { part in
            part.isMadeLater ? part.text(naming: QueueNames.names(forWords: part.words.subtracting(common))) : part.text
        }
        // The first line is for Redis: the engine, and the flags.
        let source = [parts.first?.text ?? "", QueueNames.prelude(forWords: words, common: common)] + texts
        return RedisScript(name: name, source: source.joined(separator: "\n"))
    }

    /// The parts of a file, with those of what it uses in place of the line that says so.
    private static func expanded(_ file: [LuaPart], _ included: inout Set<String>) -> [LuaPart] {
        var parts: [LuaPart] = []
        for part in file {
            guard part.text.hasPrefix("-- uses ") else {
                parts.append(part)
                continue
            }
            let names = part.text.split(separator: " ").dropFirst(2).map(String.init)
            if names.first == "later", let name = names.last, let used = takenApart(name) {
                // It may be there already, whichever way; what follows finds it by its name all the same.
                guard !included.contains(name), included.insert("later " + name).inserted else { continue }
                var inner = included
                parts.append(LuaPart(making: withoutUnusedFunctions, of: expanded(used, &inner)))
                continue
            }
            for name in names {
                guard included.insert(name).inserted else { continue }
                guard let used = takenApart(name) else { preconditionFailure("there is no \(name).lua") }
                parts += expanded(used, &included)
            }
        }
        return parts
    }

    /// What is left when functions are left out that nothing behind them mentions, and every word in it.
    private static func withoutUnusedFunctions(_ parts: [LuaPart]) -> (parts: [LuaPart], words: Set<String>) {
        var kept: [LuaPart] = []
        var words: Set<String> = []
        for part in parts.reversed() where part.function.map({ words.contains($0) }) ?? true {
            words.formUnion(part.words)
            kept.append(part)
        }
        return (kept.reversed(), words)
    }
}

/// A line of Lua, or a whole function. A function begins at the margin with `local function`, and ends on the same line or with an `end` at
/// the margin.
///
/// Every command makes the scripts that it calls, so a file is taken apart once, and byte by byte.
private struct LuaPart {
    let text: String
    /// Its name, if it is a function.
    let function: String?
    /// What it mentions but for comments.
    let words: Set<String>
    /// Whether it is a function that makes what it is made of when it is called.
    let isMadeLater: Bool

    /// A function that makes what it is made of when it is called, and then calls the last of it.
    init(making prune: ([LuaPart]) -> (parts: [LuaPart], words: Set<String>), of parts: [LuaPart]) {
        let name = parts.last { $0.function != nil }?.function ?? ""
        let call = LuaPart(["  return \(name)(...)"].map { Array($0.utf8)[...] }, function: nil)
        let (kept, words) = prune(parts + [call])
        text = (["local function \(name)(...)"] + kept.map(\.text) + ["end"]).joined(separator: "\n")
        (function, self.words, isMadeLater) = (name, words, true)
    }

    /// A function with more names of its own, which these lines make.
    func text(naming names: [String]) -> String {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        return (lines.prefix(1) + names.map { $0[...] } + lines.dropFirst()).joined(separator: "\n")
    }

    private init(_ lines: [ArraySlice<UInt8>], function: String?) {
        let lines = lines.map(QueueNames.withNumbers)
        text = lines.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
        (self.function, isMadeLater) = (function, false)
        words = lines.reduce(into: []) { $0.formUnion(QueueNames.words(in: $1)) }
    }

    static func parts(of file: [UInt8]) -> [LuaPart] {
        var parts: [LuaPart] = []
        /// The lines of a function whose end has not come.
        var open: (name: String, lines: [ArraySlice<UInt8>])?
        let start = Array("local function ".utf8)
        for line in file.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            if var function = open {
                function.lines.append(line)
                let isOver = line.elementsEqual("end".utf8)
                if isOver { parts.append(LuaPart(function.lines, function: function.name)) }
                open = isOver ? nil : function
            } else if line.starts(with: start) {
                let name = String(
                    decoding: line.dropFirst(start.count).prefix { $0 != UInt8(ascii: "(") }, as: UTF8.self)
                if line.suffix(4).elementsEqual(" end".utf8) {
                    parts.append(LuaPart([line], function: name))
                } else {
                    open = (name, [line])
                }
            } else {
                parts.append(LuaPart([line], function: nil))
            }
        }
        precondition(open == nil, "a function of Lua without an end")
        return parts
    }
}

// How the operations of this room call their scripts: one declared key, by which Redis knows where the queue is, then the prefix
// from which the script makes the other names.
extension RedisScriptCall {
    init(_ script: RedisScript, _ keys: QueueKeys) {
        self.init(script, keys: [keys.of(job: "").todo], arguments: [keys.prefix])
    }

    init(_ script: RedisScript, _ keys: QueueKeys, _ incarnation: Incarnation) {
        self.init(script, keys: [keys.of(job: "").todo], arguments: [keys.prefix, incarnation.text])
    }

    /// The line, and what the index needs to know of it.
    mutating func append(_ line: TaskLine) {
        append(line.text)
        append(line.memoryBytes)
        append(line.millicores)
        append(line.priority)
    }
}
