import Testing

@testable import LinuxSystem

@Suite("Processors")
struct ProcessorsTests {
    @Test(
        "a list of the kernel's is read, and what is none is empty",
        arguments: [
            ("0-3,8", [0, 1, 2, 3, 8]), ("5", [5]), ("", []), ("0-", []), ("3-1", []), ("a", []), ("-1", []),
            ("0-99999999999", []), ("1-2-3", []),
        ])
    func lists(text: String, wanted: [Int]) {
        #expect(Processors.numbers(in: text) == wanted)
    }

    @Test("every processor we may run on lies on exactly one node")
    func nodes() {
        #expect(Processors.byNode().flatMap { $0 }.sorted() == Processors.allowed())
        #expect(Processors.allowed().count == Host.coreCount)
    }
}
