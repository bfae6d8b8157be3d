// Reports on their way. A task is off our hands when the queue has said so, not when we have: until then its report is
// kept, and sent again over every new connection. The queue takes the same report twice without harm.

import TaskModel

extension NodeSupervisor {
    struct Outbox {
        private struct Entry {
            let report: Report
            /// Its answer is awaited on the present connection.
            var isSent: Bool
        }

        private var entries: [TaskNumber: Entry] = [:]

        /// No tasks are taken while so many reports wait, so a queue that refuses every one cannot fill our memory.
        static let countMax = 1024

        var count: Int { entries.count }
        var hasRoom: Bool { entries.count < Self.countMax }
        /// Oldest first.
        var all: [Report] { entries.keys.sorted().compactMap { entries[$0]?.report } }
        var tokens: some Sequence<String> { entries.values.lazy.map(\.report.task.token) }

        mutating func add(_ report: Report, isSent: Bool) {
            entries[report.number] = Entry(report: report, isSent: isSent)
        }

        /// The queue has answered. Says whether the report was waiting for that.
        @discardableResult
        mutating func forget(_ number: TaskNumber) -> Bool { entries.removeValue(forKey: number) != nil }

        /// The reports not under way, oldest first; now they are.
        mutating func sendAll() -> [Report] {
            let numbers = entries.filter { !$0.value.isSent }.keys.sorted()
            return numbers.compactMap { number in
                entries[number]?.isSent = true
                return entries[number]?.report
            }
        }

        /// The connection is gone: none is under way. Returns those that were, oldest first.
        mutating func unsend() -> [Report] {
            let numbers = entries.filter { $0.value.isSent }.keys.sorted()
            return numbers.compactMap { number in
                entries[number]?.isSent = false
                return entries[number]?.report
            }
        }

        /// This one was not taken for now. Says whether it was under way.
        mutating func unsend(_ number: TaskNumber) -> Bool {
            guard entries[number]?.isSent == true else { return false }
            entries[number]?.isSent = false
            return true
        }
    }

    /// Sends a report, or has it kept until there is a connection.
    mutating func send(_ report: Report, into actions: inout [Action]) {
        outbox.add(report, isSent: membership.isConnected)
        actions.append(membership.isConnected ? .report(report) : .keep(report))
    }
}
