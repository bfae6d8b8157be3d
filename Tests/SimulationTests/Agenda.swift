// What waits in the simulation's future, earliest first. A plain binary heap over two arrays: the simulation must be quick.

struct Agenda<Item> {
    private struct Appointment {
        let at: Int64
        let order: Int64
        let slot: Int
    }

    private var heap: [Appointment] = []
    private var items: [Item?] = []
    private var freeSlots: [Int] = []
    private var order: Int64 = 0

    mutating func add(_ item: Item, at nanoseconds: Int64) {
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            items[slot] = item
        } else {
            slot = items.count
            items.append(item)
        }
        order += 1
        rise(Appointment(at: nanoseconds, order: order, slot: slot))
    }

    /// The earliest; of several at one moment the one added first.
    mutating func popFirst() -> (at: Int64, item: Item)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty { sink(last) }
        guard let item = items[first.slot] else { return nil }
        items[first.slot] = nil
        freeSlots.append(first.slot)
        return (first.at, item)
    }

    private static func isEarlier(_ left: Appointment, _ right: Appointment) -> Bool {
        left.at == right.at ? left.order < right.order : left.at < right.at
    }

    /// Finds the place of a new appointment, from the bottom.
    private mutating func rise(_ appointment: Appointment) {
        var hole = heap.count
        heap.append(appointment)
        while hole > 0 {
            let parent = (hole - 1) / 2
            if Self.isEarlier(heap[parent], appointment) { break }
            heap[hole] = heap[parent]
            hole = parent
        }
        heap[hole] = appointment
    }

    /// Finds the place of the last appointment, from the top, where the first one was.
    private mutating func sink(_ appointment: Appointment) {
        let count = heap.count
        var hole = 0
        while true {
            var child = 2 * hole + 1
            if child >= count { break }
            if child + 1 < count, Self.isEarlier(heap[child + 1], heap[child]) { child += 1 }
            if Self.isEarlier(appointment, heap[child]) { break }
            heap[hole] = heap[child]
            hole = child
        }
        heap[hole] = appointment
    }
}
