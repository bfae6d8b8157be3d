// Tests wait for conditions, never for time; and only so many at once, since each has daemons and a Redis of its own.

import Testing

/// What a test waited for did not come.
struct NeverHappened: Error, CustomStringConvertible {
    let description: String
}

/// Waits until `condition` holds; after `seconds`, far more than it ever takes, the test fails with what was waited for.
func eventually(
    _ what: String, within seconds: Int = 600, _ details: @autoclosure () -> String = "", _ condition: () throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while !(try condition()) {
        guard ContinuousClock.now < deadline else {
            throw NeverHappened(description: "waited in vain: \(what)\n\(details())")
        }
        try await Task.sleep(for: .milliseconds(10))
    }
}

/// The same for what is asked of a program.
func eventually(
    _ what: String, within seconds: Int = 600, _ condition: () async throws -> Bool
) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while !(try await condition()) {
        guard ContinuousClock.now < deadline else { throw NeverHappened(description: "waited in vain: \(what)") }
    }
}

/// The same for a value that is not there at first.
func eventually<Value>(_ what: String, _ find: () throws -> Value?) async throws -> Value {
    var found: Value?
    try await eventually(what) {
        found = try find()
        return found != nil
    }
    return try #require(found)
}

/// Lets only `width` tests run at a time.
private actor Gate {
    private var free: Int
    private var waiting: [CheckedContinuation<Void, Never>] = []

    init(width: Int) { free = width }

    func enter() async {
        if free > 0 {
            free -= 1
        } else {
            await withCheckedContinuation { waiting.append($0) }
        }
    }

    func leave() {
        if waiting.isEmpty {
            free += 1
        } else {
            waiting.removeFirst().resume()
        }
    }
}

/// The trait of every suite here.
struct AFewAtATime: SuiteTrait, TestTrait, TestScoping {
    private static let gate = Gate(width: 6)

    let isRecursive = true

    func provideScope(
        for test: Test, testCase: Test.Case?, performing function: @Sendable () async throws -> Void
    ) async throws {
        guard testCase != nil else { return try await function() }
        await Self.gate.enter()
        do {
            try await function()
        } catch {
            await Self.gate.leave()
            throw error
        }
        await Self.gate.leave()
    }
}

extension Trait where Self == AFewAtATime {
    static var aFewAtATime: AFewAtATime { AFewAtATime() }
}
