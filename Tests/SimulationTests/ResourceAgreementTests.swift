// A claim reckons with what is free on a node; which device a task gets is decided there, when the answer comes. Both must go by one rule,
// or tasks would be given that do not fit.

import NodeSupervisor
import QueueModel
import TaskModel
import Testing

@Suite("Devices, as the queue and as a node give them")
struct ResourceAgreementTests {
    @Test("whatever is free, the node has room for just what a claim gives, and leaves what the claim thinks is left")
    func agreement() throws {
        var random = SystemRandomNumberGenerator()
        let asked = try [
            "gpu=1", "gpu=2", "gpu=0.5", "gpu=0.35", "gpu=0.2,licence=0.4", "licence=1.5", "gpu=3,tape=1",
            "gpu=0.33334",
            "gpu=0.16667",
        ].map { try #require(ResourceRequest(typed: $0)) }
        for _ in 0..<300 {
            let names = (0..<Int.random(in: 0...6)).map { "GPU-\($0)" }
            var pool = ResourcePool(NodeResources(["gpu": .devices(names), "licence": .amount(3000)]))
            var shares: [ResourceShare] = []
            for _ in 0..<40 {
                // Some of what runs ends, and a claim of many follows.
                while let index = shares.indices.randomElement(using: &random), Bool.random(using: &random) {
                    pool.giveBack(shares.remove(at: index))
                }
                var free = FreeResources(text: pool.freeText)
                for _ in 0..<5 {
                    let request = try #require(asked.randomElement(using: &random))
                    let share = pool.share(for: request)
                    #expect(free.take(request) == (share != nil), "\(pool.freeText): \(request.typed)")
                    guard let share else { continue }
                    pool.take(share)
                    shares.append(share)
                    #expect(free == FreeResources(text: pool.freeText))
                }
            }
        }
    }
}
