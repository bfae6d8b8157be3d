import Testing

@testable import TaskModel

@Suite("what a node notes of attempts")
struct AttemptEventTests {
    @Test("a note is one line, whatever the task's line holds, and is read back")
    func roundTrip() throws {
        let lines = ["shell:1:0:0:true", "a\nb \"c\" \\ \u{1b}[2J é", ""]
        let packed = PackedOutput(segment: 7, offset: 64, stdoutBytes: 5, stderrBytes: 0)
        let ends: [AttemptEvent] = [.ended(0, nil), .ended(.max, nil), .ended(3, packed)]
        for event in lines.map({ AttemptEvent.begun(.max, attempt: 3, line: $0) }) + ends {
            let note = Array(event.note.utf8)
            #expect(note.firstIndex(of: UInt8(ascii: "\n")) == note.count - 1)
            #expect(AttemptEvent(note: note.dropLast()) == event)
        }
    }

    @Test(
        "what is no note is read as none",
        arguments: [
            "", "+", "-", "+1", "+1 ", "+1 2 \"a", "+1 \"a\"", "+1 x \"a\"", "-x", "- 1", "1", "-1 ",
            "-99999999999999999999", "-1 x", "-1 1:2:3", "-1 1:2:3:4:5", "-1 -1:2:3:4", "-1 1:2:3:4 5",
        ])
    func others(text: String) { #expect(AttemptEvent(note: Array(text.utf8)[...]) == nil) }
}
