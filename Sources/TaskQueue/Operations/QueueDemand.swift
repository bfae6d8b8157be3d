// What is asked of the fleet, for whoever makes it larger and smaller: what waits and could run, counted by what it asks for and never
// line by line, and what the nodes hold. And what he notes of the nodes that he has started and drained.

import RedisClient
import TaskModel

/// A page of what an owner's tasks ask for that wait and could run: not those that wait for others, for their time, or in a paused job.
public struct ReadDemand: QueueOperation {
    /// The most classes a page has.
    public static let pageSize = 200

    /// Tasks that ask for the same.
    public struct Class: Equatable, Sendable {
        /// No other class has it.
        public let name: String
        public let count: Int
        public let memoryBytes: UInt64
        public let millicores: Int
        /// Which nodes they are for; nil: all.
        public let nodeLabels: LabelExpression?
        public let resources: ResourceRequest
    }

    public struct Page: Equatable, Sendable {
        public let classes: [Class]
        /// Where the next begins; nil after the last.
        public let next: Int?
        /// Nothing is given out at present.
        public let isPaused: Bool
        /// With the first page of the first owner: so many lines wait of which it is not known yet what they ask for.
        public let unknownCount: Int
    }

    private let keys: QueueKeys
    private let owner: String
    private let offset: Int

    /// - Parameters:
    ///   - owner: as ``ReadOwners/Reply/waiting`` names them; "" for the first.
    ///   - offset: what the page before said.
    public init(ofOwner owner: String, offset: Int = 0, keys: QueueKeys) {
        (self.keys, self.owner, self.offset) = (keys, owner, offset)
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.demand, keys)
        call.append(owner)
        call.append(offset)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Page {
        guard let parts = try elements(value), parts.count == 4, let rows = parts[0].elements, rows.count % 4 == 0,
            let next = parts[1].int, let paused = parts[2].int, let unknown = parts[3].int
        else { throw .unexpectedReply("demand") }
        var classes: [Class] = []
        for index in stride(from: 0, to: rows.count, by: 4) {
            guard let name = rows[index].string, let count = rows[index + 1].int, let labels = rows[index + 2].string,
                let needs = rows[index + 3].string
            else { throw .unexpectedReply("demand") }
            // What is not of our making fits nowhere, and no node need be there for it.
            guard let size = ReadClasses.size(ofClass: name), let resources = ResourceRequest(text: needs) else {
                continue
            }
            let expression = labels.isEmpty ? nil : LabelExpression(text: labels)
            if expression == nil, !labels.isEmpty { continue }
            classes.append(
                Class(
                    name: name, count: count, memoryBytes: size.memoryBytes, millicores: size.millicores,
                    nodeLabels: expression, resources: resources))
        }
        return Page(classes: classes, next: next < 0 ? nil : next, isPaused: paused == 1, unknownCount: unknown)
    }
}

/// What some nodes hold.
public struct ReadLoads: QueueOperation {
    /// The most incarnations one request asks about.
    public static let countMax = 50
    /// Of a node that holds more a part is looked at, and taken for all.
    static let tasksMax = 500

    public struct Load: Equatable, Sendable {
        public let taskCount: Int
        public let memoryBytes: UInt64
        /// Of which a task that asks for none counts as one core.
        public let millicores: Int
        /// By name, in thousandths.
        public let resources: [String: Int]
    }

    private let keys: QueueKeys
    private let incarnations: ArraySlice<Incarnation>

    /// - Parameter incarnations: only the first ``countMax`` are looked at.
    public init(of incarnations: ArraySlice<Incarnation>, keys: QueueKeys) {
        (self.keys, self.incarnations) = (keys, incarnations.prefix(Self.countMax))
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.loads, keys)
        for incarnation in incarnations { call.append(incarnation.text) }
        return .script(call)
    }

    /// In the order of the incarnations.
    public static func parse(_ value: RESPValue) throws(QueueError) -> [Load] {
        guard let rows = try elements(value) else { throw .unexpectedReply("loads") }
        var loads: [Load] = []
        for row in rows {
            guard let parts = row.elements, parts.count == 4, let count = parts[0].int,
                let memory = parts[1].string.flatMap({ UInt64($0) }),
                let millicores = parts[2].string.flatMap({ Int($0) }), let needs = parts[3].string
            else { throw .unexpectedReply("loads") }
            var resources: [String: Int] = [:]
            for part in needs.split(separator: " ") {
                let sides = part.split(separator: ":")
                if sides.count == 2, let amount = Int(sides[1]) { resources[String(sides[0])] = amount }
            }
            loads.append(Load(taskCount: count, memoryBytes: memory, millicores: millicores, resources: resources))
        }
        return loads
    }
}

/// Changes what is noted by whoever makes the fleet larger and smaller, see `QueueKeys.scaling`.
public struct ChangeScalingNotes: Sendable {
    private let keys: QueueKeys
    private let values: [String: String]
    private let removed: [String]

    /// - Parameters:
    ///   - values: by field, of those that are new or other than they were.
    ///   - removed: fields.
    public init(_ values: [String: String], removing removed: [String], keys: QueueKeys) {
        (self.keys, self.values, self.removed) = (keys, values, removed)
    }

    /// None where nothing changes. An answer is an error, or says nothing.
    public var requests: [RedisRequest] {
        var requests: [RedisRequest] = []
        if !values.isEmpty {
            let words = values.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value] }
            requests.append(.command(RedisCommand("HSET", [keys.scaling] + words)))
        }
        if !removed.isEmpty { requests.append(.command(RedisCommand("HDEL", [keys.scaling] + removed))) }
        return requests
    }
}

/// Takes or keeps the turn to make the fleet larger and smaller: one program has it at a time.
public struct TakeScalingTurn: QueueOperation {
    /// Who else has it.
    public struct Other: Equatable, Sendable {
        public let name: String
        /// How long it has it still, unless it asks again.
        public let seconds: Double
    }

    /// The longest time that can be asked for.
    public static let millisecondsMax = 86_400_000

    private let keys: QueueKeys
    private let name: String
    private let gone: String
    private let milliseconds: Int

    /// - Parameters:
    ///   - name: of who asks, without white space, another for each run of a program.
    ///   - milliseconds: for how long it is taken; 0 gives it up.
    ///   - gone: who is known to have ended, whatever time is left; "": nobody.
    public init(as name: String, forMilliseconds milliseconds: Int, insteadOf gone: String = "", keys: QueueKeys) {
        (self.keys, self.name, self.gone) = (keys, name, gone)
        self.milliseconds = min(max(0, milliseconds), Self.millisecondsMax)
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.scaleTurn, keys)
        call.append(name)
        call.append(milliseconds)
        call.append(gone)
        return .script(call)
    }

    /// Nil where it is the caller's.
    public static func parse(_ value: RESPValue) throws(QueueError) -> Other? {
        guard let parts = try elements(value), parts.count == 2, let name = parts[0].string, let left = parts[1].int
        else { throw .unexpectedReply("scale-turn") }
        return left > 0 ? Other(name: name, seconds: Double(left) / 1000) : nil
    }
}
