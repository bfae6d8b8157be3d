// First in, first out, at a constant cost for both ends.

struct RequestQueue<Element: Sendable>: Sendable {
    private var storage: [Element?] = []
    private var head = 0

    var count: Int { storage.count &- head }
    var isEmpty: Bool { count == 0 }

    mutating func append(_ element: Element) { storage.append(element) }

    mutating func popFirst() -> Element? {
        guard head < storage.count else { return nil }
        let element = storage[head]
        storage[head] = nil  // What it holds goes with it, not at the next compaction.
        head &+= 1
        if head == storage.count {
            storage.removeAll(keepingCapacity: storage.count <= 4096)
            head = 0
        } else if head > storage.count / 2 && head >= 1024 {
            storage.removeSubrange(..<head)
            head = 0
        }
        return element
    }

    mutating func removeAll() -> [Element] {
        defer { self = RequestQueue() }
        return storage[head...].compactMap { $0 }
    }
}
