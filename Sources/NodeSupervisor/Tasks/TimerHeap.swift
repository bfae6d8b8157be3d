// The deadlines of all tasks, earliest first. A timer is not taken out when its task no longer wants it: nearly every
// task ends long before its timeout, and searching the heap for it would cost more than skipping it later. What keeps
// the heap from growing with the tasks of the last hour is that it is built anew once most of it is stale.

import HeapModule
import TaskModel

extension NodeSupervisor {
    struct TimerHeap {
        private struct Timer: Comparable {
            let at: Instant
            let number: TaskNumber

            static func < (left: Timer, right: Timer) -> Bool {
                left.at == right.at ? left.number < right.number : left.at < right.at
            }
        }

        private var timers = Heap<Timer>()

        /// How many timers are held, stale ones included.
        var count: Int { timers.count }

        /// The earliest timer, exact after ``discardStale(in:)``.
        var earliest: Instant? { timers.min?.at }

        mutating func set(_ number: TaskNumber, at instant: Instant) {
            timers.insert(Timer(at: instant, number: number))
        }

        /// Takes out the timers that are due, earliest first; their tasks may no longer want them.
        mutating func popDue(at now: Instant) -> [TaskNumber] {
            var due: [TaskNumber] = []
            while let earliest = timers.min, earliest.at <= now {
                due.append(earliest.number)
                timers.removeMin()
            }
            return due
        }

        /// Drops the stale timers before the first one that counts, and all of them when they have become the most.
        mutating func discardStale(in tasks: [TaskNumber: TaskLifecycle]) {
            if timers.count > 64 + 2 * tasks.count { rebuild(from: tasks) }
            while let first = timers.min, tasks[first.number]?.timer != first.at { _ = timers.popMin() }
        }

        /// The tasks themselves know what they wait for; the heap is only their index.
        mutating func rebuild(from tasks: [TaskNumber: TaskLifecycle]) {
            timers = Heap(
                tasks.values.lazy.compactMap { task in task.timer.map { Timer(at: $0, number: task.number) } })
        }
    }
}
