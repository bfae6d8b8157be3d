// What it means that a node is reserved, said plainly. Which one is, and when, is not the model's: the scripts choose among what they
// see of the fleet now and then, and the model is told what they chose.

import TaskModel

extension QueueModel {
    public struct Reservation: Equatable, Sendable {
        /// By when there is room for the task at the latest, in the queue's time; 0: nobody knows.
        public var until: Int
        /// What others may take that run for longer.
        public var memory: UInt64
        public var millicores: Int
        public var since: Int
        /// What was given under a later one has passed.
        public var token: Int
        /// Of which class the task is.
        public var name: String

        /// Reads back ``text``.
        public init?(text: String) {
            let words = text.split(separator: " ", maxSplits: 5)
            guard words.count == 6, let until = Int(words[0]), let memory = UInt64(words[1]),
                let millicores = Int(words[2]), let since = Int(words[3]), let token = Int(words[4])
            else { return nil }
            (self.until, self.memory, self.millicores, self.since) = (until, memory, millicores, since)
            self.token = token
            name = String(words[5])
        }

        public var text: String { "\(until) \(memory) \(millicores) \(since) \(token) \(name)" }
    }

    /// A heartbeat has had a look: these are reserved now. Returns those that are new.
    public mutating func reserve(_ chosen: [String: Reservation]) -> [String: Reservation] {
        func isSame(_ one: Reservation?, _ other: Reservation?) -> Bool {
            one?.since == other?.since && one?.name == other?.name
        }
        if reservations.contains(where: { !isSame($0.value, chosen[$0.key]) }) { wake() }
        let before = reservations
        reservations = chosen
        return chosen.filter { !isSame($0.value, before[$0.key]) }
    }

    /// Nothing of its class waits, which the queue has not seen yet.
    public mutating func forgetReservation(of incarnation: String) { reservations[incarnation] = nil }

    /// Why this node may not be reserved so; nil: it may.
    public func mistake(in reservation: Reservation, of incarnation: String) -> String? {
        // The queue has not met yet what stands in the index for nothing.
        guard let (line, place) = first(of: reservation.name) else { return nil }
        let name = Self.nodeName(incarnation)
        guard let node = nodes[incarnation], isLive(incarnation, at: now), timeouts[incarnation] != nil else {
            return "it is not there"
        }
        if drained.contains(name) || troubles[incarnation] != nil || isPaused || isClosing { return "it takes nothing" }
        if Self.lists(failed[line] ?? "", name) || !isMeant(incarnation, by: line) || !couldHold(incarnation, line) {
            return "the task is not for it"
        }
        guard place.memory + reservation.memory <= node.memory,
            place.millicores + reservation.millicores <= node.millicores
        else { return "more is let to others than is left" }
        if reservation.since != now || reservation.until != 0 && reservation.until < now { return "the time is wrong" }
        return reservations.count > max(1, leases.count / 4) ? "too many are" : nil
    }

    /// Of a line that waits: its job, its size, and where it has failed.
    public func className(_ line: String, _ place: Place) -> String {
        let job = Self.job(of: line)
        return (job.isEmpty ? "" : "@\(job) ") + "\(place.memory):\(place.millicores):\(failed[line] ?? "")"
    }

    /// The first that waits of a class.
    public func first(of name: String) -> (line: String, place: Place)? {
        waiting.filter { className($0.key, $0.value) == name && !isGated($0.key) }
            .min { $0.value.score < $1.value.score }
            .map { ($0.key, $0.value) }
    }

    mutating func noteTimeouts(of me: String, _ arguments: Arguments) {
        let last = arguments.count
        if arguments.int(last - 2) > 0 {
            timeouts[me] = (arguments.int(last - 1), arguments.int(last))
        } else if timeouts.removeValue(forKey: me) != nil {
            reservations[me] = nil
        }
    }

    /// The task for which a node is reserved, where it has room; where there is no such task any more the reservation is over, as it is
    /// when the task is given.
    mutating func nextReserved(
        _ reservation: Reservation, _ me: String, _ want: Int, _ memory: UInt64, _ millicores: Int,
        _ free: inout FreeResources
    ) -> (line: String, place: Place)? {
        guard let (line, place) = first(of: reservation.name), isMeant(me, by: line), !isPaused(line) else {
            reservations[me] = nil
            return nil
        }
        let rows = held[me] ?? [:]
        guard want > 0, place.memory <= memory, place.millicores <= millicores, let node = nodes[me],
            rows.values.reduce(place.memory, { $0 + $1.memory }) <= node.memory,
            rows.values.reduce(place.millicores, { $0 + $1.millicores }) <= node.millicores
        else { return nil }
        guard free.take(needs(of: line)) else { return nil }
        reservations[me] = nil
        return (line, place)
    }

    /// What others may take of a node that is reserved.
    struct Passing {
        private(set) var reservation: Reservation
        private let timeout: Int
        private let grace: Int
        private let now: Int
        /// Classes of which the next may not pass: nor may what comes after it.
        private var heldBack: Set<String> = []

        init(_ reservation: Reservation, _ timeouts: (timeout: Int, grace: Int)?, at now: Int) {
            (self.reservation, self.now) = (reservation, now)
            (timeout, grace) = timeouts ?? (0, 0)
        }

        mutating func letsPass(_ line: String, _ place: Place, _ model: QueueModel) -> Bool {
            let name = model.className(line, place)
            if heldBack.contains(name) || name == reservation.name { return false }
            let limit = model.timeout(of: line, otherwise: timeout)
            if limit > 0, now + limit + grace <= reservation.until { return true }
            guard place.memory <= reservation.memory, place.millicores <= reservation.millicores,
                !model.overlap(line, job: QueueModel.job(of: reservation.name))
            else {
                heldBack.insert(name)
                return false
            }
            reservation.memory -= place.memory
            reservation.millicores -= place.millicores
            return true
        }
    }

    /// In milliseconds; 0: none.
    private func timeout(of line: String, otherwise: Int) -> Int {
        let request: TimeoutRequest
        if let own = owns[line].flatMap({ OwnSettings(text: $0) }) {
            request = own.timeout
        } else if line.hasPrefix("@") {
            request = jobTimeouts[Self.job(of: line)] ?? .byDefault
        } else {
            request = (try? TaskLine(parsing: line))?.timeout ?? .byDefault
        }
        return switch request {
        case .byDefault: otherwise
        case .none: 0
        case .seconds(let seconds): Int((seconds * 1000).rounded(.up))
        }
    }
}
