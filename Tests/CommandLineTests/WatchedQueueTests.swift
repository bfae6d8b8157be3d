import Testing

@testable import distcomp

@Suite("a queue that is watched")
struct WatchedQueueTests {
    private func look(_ tasks: Int, ended: Int = 0, restored: Int = 0, identity: String = "a") -> WatchedQueue.Look {
        WatchedQueue.Look(identity: identity, taskCount: tasks, endedCount: ended, restoredCount: restored)
    }

    /// Why it is over; nil when it goes on.
    private func end(of queue: inout WatchedQueue, _ look: WatchedQueue.Look, at seconds: Double = 0) -> String? {
        do throws(CommandError) {
            _ = try queue.take(look, nowSeconds: seconds)
            return nil
        } catch {
            #expect(error.exitStatus == 3)
            return error.message
        }
    }

    @Test("tasks that come, end and are forgotten leave it the queue it was")
    func ordinary() throws {
        var queue = WatchedQueue(look(0))
        for each in [look(10), look(10, ended: 4), look(6), look(6, ended: 6), look(0)] {
            #expect(try queue.take(each, nowSeconds: 1) == nil)
            #expect(queue.isSettled)
        }
    }

    @Test("another identity, or none any more, is another queue, whatever it holds")
    func flushed() {
        var empty = WatchedQueue(look(10, ended: 3))
        #expect(
            end(of: &empty, look(0, identity: ""))?.hasPrefix("the queue is gone: it was reset, or Redis was flushed")
                == true)
        var other = WatchedQueue(look(10, ended: 3))
        let message = end(of: &other, look(2, ended: 2, identity: "b"))
        #expect(message?.contains("it holds another queue now, of 2 tasks") == true)
        #expect(message?.hasSuffix("submit the tasks again") == true)
    }

    @Test("a queue without an identity gets one from the first of our programs, and is gone when it is empty")
    func old() {
        var queue = WatchedQueue(look(3, identity: ""))
        #expect(end(of: &queue, look(3, identity: "a")) == nil)
        var flushed = WatchedQueue(look(3, identity: ""))
        #expect(end(of: &flushed, look(0, identity: "a")) != nil)
        var empty = WatchedQueue(look(0, identity: ""))
        #expect(end(of: &empty, look(0, identity: "a")) == nil)
    }

    @Test("after a rollback what runs again is told once, when the nodes are back, and before the end")
    func rolledBack() throws {
        var queue = WatchedQueue(look(10, ended: 7, restored: 4))
        queue.reconnected(nowSeconds: 100)
        #expect(try queue.take(look(10, ended: 2, restored: 1), nowSeconds: 100) == nil)
        #expect(!queue.isSettled)
        #expect(try queue.take(look(10, ended: 2, restored: 2), nowSeconds: 100.9) == nil)
        #expect(try queue.take(look(10, ended: 2, restored: 3), nowSeconds: 101.5) == nil)
        let sentence = try queue.take(look(10, ended: 10, restored: 3), nowSeconds: 102.5)
        #expect(
            sentence
                == "Redis had lost a part of the queue: 2 tasks that run were taken up again by their nodes, 5 tasks that had ended run again"
        )
        #expect(queue.isSettled)
        #expect(try queue.take(look(10, ended: 10, restored: 3), nowSeconds: 110) == nil)
    }

    @Test("tasks that are missing after a rollback are waited for, and then it is the end")
    func vanished() throws {
        var queue = WatchedQueue(look(100, ended: 100))
        queue.reconnected(nowSeconds: 0)
        #expect(end(of: &queue, look(60, ended: 60), at: 0) == nil)
        #expect(!queue.isSettled, "all that is there has ended, and yet it is not over")
        #expect(end(of: &queue, look(88, ended: 60), at: WatchedQueue.missingSecondsMax - 1) == nil)
        let message = end(of: &queue, look(88, ended: 88), at: WatchedQueue.missingSecondsMax)
        #expect(message?.contains("12 of 100 tasks are missing") == true)
        var complete = WatchedQueue(look(100, ended: 40))
        complete.reconnected(nowSeconds: 0)
        #expect(end(of: &complete, look(88, ended: 40), at: 0) == nil)
        #expect(end(of: &complete, look(100, ended: 40), at: 5) == nil)
        #expect(complete.isSettled)
    }

    @Test("a Redis that comes back as it was needs no word, and what nodes put back long after is not its doing")
    func unharmed() throws {
        var queue = WatchedQueue(look(10, ended: 7))
        queue.reconnected(nowSeconds: 0)
        #expect(try queue.take(look(10, ended: 7), nowSeconds: 0) == nil)
        #expect(queue.isSettled)
        #expect(try queue.take(look(10, ended: 7, restored: 1), nowSeconds: 100) == nil)
        #expect(queue.isSettled)
    }
}
