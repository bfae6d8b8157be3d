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

        /// What part of the fleet runs for an owner: the larger of that of memory and that of cores.
        public func part(of owner: Owner) -> Double {
            max(
                fleetMemoryBytes > 0 ? Double(owner.memoryBytes) / Double(fleetMemoryBytes) : 0,
                fleetMillicores > 0 ? Double(owner.millicores) / Double(fleetMillicores) : 0)
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
        guard let parts = try elements(value), parts.count == 5, let areSeveral = parts[0].int,
            let owner = parts[1].string, let memory = parts[2].string.flatMap({ UInt64($0) }),
            let millicores = parts[3].string.flatMap({ Int($0) }), let rows = parts[4].elements, rows.count % 5 == 0
        else { throw .unexpectedReply("owners") }
        var owners: [Owner] = []
        for index in stride(from: 0, to: rows.count, by: 5) {
            guard let name = rows[index].string, let share = rows[index + 1].string.flatMap({ Double($0) }),
                let memory = rows[index + 2].string.flatMap({ UInt64($0) }),
                let millicores = rows[index + 3].string.flatMap({ Int($0) }), let waiting = rows[index + 4].int
            else { throw .unexpectedReply("owners") }
            owners.append(
                Owner(
                    name: name, share: share, memoryBytes: memory, millicores: millicores, hasWaiting: waiting == 1))
        }
        return Reply(
            areSeveral: areSeveral == 1, ownerOfJob: owner, fleetMemoryBytes: memory, fleetMillicores: millicores,
            owners: owners)
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
