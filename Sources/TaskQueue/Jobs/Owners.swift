// Whose jobs they are: each owner has a share of the fleet, and whoever uses the least of theirs is given the next task. See
// Scripts/Owners/owning.lua.

import RedisClient
import TaskModel

/// What owners there are, and what runs for each now. Costs Redis as much as there are of them.
public struct ReadOwners: QueueOperation {
    public struct Owner: Equatable, Sendable {
        /// "" for what nobody is known to own: lines of no job, or tasks of older versions.
        public let name: String
        /// Beside those of others: of two with 2 and 1 the first has two thirds of the fleet while both have tasks.
        public let share: Double
        /// What is given to nodes for them now.
        public let memoryBytes: UInt64
        /// The same of cores, of which a task that asks for none counts as one.
        public let millicores: Int
        /// The same of each resource that jobs may ask for, in thousandths; none is 0.
        public let resources: [String: Int]
        /// Whether tasks of theirs are in the index.
        public let hasWaiting: Bool
    }

    public struct Reply: Equatable, Sendable {
        /// Whether shares count: jobs of more than one owner are known. If not, nothing is said of what runs.
        public let areSeveral: Bool
        /// Of the job that was asked about, or of what is of none: a name, or "" for the first of ``owners``.
        public let ownerOfJob: String
        public let fleetMemoryBytes: UInt64
        public let fleetMillicores: Int
        /// What the nodes have of each resource, in thousandths.
        public let fleetResources: [String: Int]
        public let owners: [Owner]

        /// The same.
        public var owner: Owner? { owners.first { ownerOfJob.isEmpty || $0.name == ownerOfJob } }

        /// Who has tasks in the index, as ``ReadClasses`` names them.
        public var waiting: [String] {
            owners.enumerated().filter(\.element.hasWaiting).map { $0.offset == 0 ? "" : $0.element.name }
        }

        /// Those who have the next task before one of this owner.
        public func before(_ owner: Owner) -> [Owner] {
            let own = part(of: owner) / owner.share
            return owners.filter { $0.hasWaiting && $0.name != owner.name && part(of: $0) / $0.share < own }
                .sorted { part(of: $0) / $0.share < part(of: $1) / $1.share }
        }

        /// What part of the fleet runs for an owner: the largest of that of memory, that of cores, and that of each resource.
        public func part(of owner: Owner) -> Double {
            let resources = owner.resources.map { name, amount in part(Double(amount), of: fleetResources[name] ?? 0) }
            return max(
                part(Double(owner.memoryBytes), of: fleetMemoryBytes),
                part(Double(owner.millicores), of: fleetMillicores), resources.max() ?? 0)
        }

        /// 0 of what the fleet is not known to have.
        private func part(_ amount: Double, of all: some BinaryInteger) -> Double {
            all > 0 ? amount / Double(all) : 0
        }
    }

    private let keys: QueueKeys
    private let job: String

    /// - Parameter job: an identifier; "" for what is of none.
    public init(ofJob job: String = "", keys: QueueKeys) {
        self.keys = keys
        self.job = job
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.owners, keys)
        call.append(job)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let parts = try elements(value), parts.count == 6, let areSeveral = parts[0].int,
            let owner = parts[1].string, let memory = parts[2].string.flatMap({ UInt64($0) }),
            let millicores = parts[3].string.flatMap({ Int($0) }), let rows = parts[4].elements, rows.count % 6 == 0,
            let fleetResources = parts[5].string
        else { throw .unexpectedReply("owners") }
        var owners: [Owner] = []
        for index in stride(from: 0, to: rows.count, by: 6) {
            guard let name = rows[index].string, let share = rows[index + 1].string.flatMap({ Double($0) }),
                let memory = rows[index + 2].string.flatMap({ UInt64($0) }),
                let millicores = rows[index + 3].string.flatMap({ Int($0) }),
                let resources = rows[index + 4].string, let waiting = rows[index + 5].int
            else { throw .unexpectedReply("owners") }
            owners.append(
                Owner(
                    name: name, share: share, memoryBytes: memory, millicores: millicores,
                    resources: amounts(in: resources), hasWaiting: waiting == 1))
        }
        return Reply(
            areSeveral: areSeveral == 1, ownerOfJob: owner, fleetMemoryBytes: memory, fleetMillicores: millicores,
            fleetResources: amounts(in: fleetResources), owners: owners)
    }

    /// Reads ` gpu:3000/8000 licence:500/4000`, of which only the first numbers are wanted. What cannot be read comes from another version, and
    /// does not count.
    private static func amounts(in text: String) -> [String: Int] {
        var amounts: [String: Int] = [:]
        for word in text.split(separator: " ") {
            let sides = word.split(separator: ":", omittingEmptySubsequences: false)
            guard sides.count == 2, ResourceRequest.isName(sides[0]),
                let amount = Int(sides[1].prefix { $0 != "/" }), amount > 0
            else { continue }
            amounts[String(sides[0])] = amount
        }
        return amounts
    }
}

/// Says what an owner's share is to be. Harmless when repeated.
public struct SetShare: QueueOperation {
    /// What a share may be.
    public static let range = 0.001...1_000_000.0

    private let keys: QueueKeys
    private let owner: String
    private let share: Double

    public init(_ share: Double, of owner: String, keys: QueueKeys) {
        self.keys = keys
        self.owner = owner
        self.share = min(max(share, Self.range.lowerBound), Self.range.upperBound)
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.setShare, keys)
        call.append(owner)
        call.append("\(share)")
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) {
        if let error = value.error { throw QueueError(error) }
    }
}

/// Says who adds lines of no job, which count as the first owner's.
public struct NoteOwner: QueueOperation {
    public struct Reply: Equatable, Sendable {
        /// Who is the first; "" where nobody knows.
        public let first: String
        /// Whether jobs of others are known.
        public let areSeveral: Bool
    }

    private let keys: QueueKeys
    private let owner: String

    public init(_ owner: String, keys: QueueKeys) {
        self.keys = keys
        self.owner = owner
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.noteOwner, keys)
        call.append(owner)
        return .script(call)
    }

    public static func parse(_ value: RESPValue) throws(QueueError) -> Reply {
        guard let parts = try elements(value), parts.count == 2, let first = parts[0].string,
            let areSeveral = parts[1].int
        else { throw .unexpectedReply("note-owner") }
        return Reply(first: first, areSeveral: areSeveral == 1)
    }
}
