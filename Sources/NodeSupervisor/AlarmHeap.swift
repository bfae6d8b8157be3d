// The deadlines of all tasks, earliest first. An alarm is not taken out when its task no longer wants it: nearly every
// task ends long before its timeout, and searching the heap for it would cost more than skipping it later. What keeps
// the heap from growing with the tasks of the last hour is that it is built anew once most of it is stale.

import HeapModule
import TaskModel

extension NodeSupervisor {
    struct AlarmHeap {
        private struct Alarm: Comparable {
            let at: Instant
            let number: TaskNumber

            static func < (left: Alarm, right: Alarm) -> Bool {
                left.at == right.at ? left.number < right.number : left.at < right.at
            }
        }

        private var alarms = Heap<Alarm>()

        /// How many alarms are held, stale ones included.
        var count: Int { alarms.count }

        /// The earliest alarm, exact after ``discardStale(in:)``.
        var earliest: Instant? { alarms.min?.at }

        mutating func set(_ number: TaskNumber, at instant: Instant) {
            alarms.insert(Alarm(at: instant, number: number))
        }

        /// Takes out the alarms that are due, earliest first; their tasks may no longer want them.
        mutating func popDue(at now: Instant) -> [TaskNumber] {
            var due: [TaskNumber] = []
            while let earliest = alarms.min, earliest.at <= now {
                due.append(earliest.number)
                alarms.removeMin()
            }
            return due
        }

        /// Drops the stale alarms before the first one that counts, and all of them when they have become the most.
        mutating func discardStale(in tasks: [TaskNumber: TaskLifecycle]) {
            if alarms.count > 64 &+ 2 &* tasks.count { rebuild(from: tasks) }
            while let first = alarms.min, tasks[first.number]?.alarm != first.at { _ = alarms.popMin() }
        }

        /// The tasks themselves know what they wait for; the heap is only their index.
        mutating func rebuild(from tasks: [TaskNumber: TaskLifecycle]) {
            alarms = Heap(
                tasks.values.lazy.compactMap { task in task.alarm.map { Alarm(at: $0, number: task.number) } })
        }
    }
}
