// Which nodes can be asked for what tasks write there.

import Testing

@testable import distcomp

@Suite("Nodes that hand on outputs")
struct OutputVersionTests {
    @Test(
        "a distcompd from 1.1 on is asked, an older one is not, and one whose version says nothing is tried",
        arguments: [
            ("1.0.9", false), ("0.9", false), ("1.1.0", true), ("1.1", true), ("1.10.2", true), ("2.0.0", true),
            ("", true), ("dev", true), ("1", true), ("99999999999999999999.1", true),
        ])
    func versions(version: String, isAsked: Bool) {
        #expect(QueueClient.handsOnOutput(version) == isAsked)
    }
}
