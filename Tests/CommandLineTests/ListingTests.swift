import TaskModel
import Testing

@testable import distcomp

@Suite("rows of tasks")
struct ListingTests {
    private let layout: [TaskListing.Column] = [
        .init(heading: "ID", width: 8), .init(heading: "WALL", width: 6, isNumber: true),
    ]

    private func lines(_ rows: [TaskListing.Row], columns: Int?) -> [String] {
        TaskListing.lines(rows, layout, columns: columns, hasHeading: true)
    }

    @Test("below its heading each row has its cells, its command and a remark; no terminal, no cut")
    func whole() {
        let command = String(repeating: "x", count: 200)
        let rows = [
            TaskListing.Row(cells: ["12345678", "1 s"], command: "a", remark: "exit 3"),
            TaskListing.Row(cells: ["123", "1000.5 s"], command: command),
        ]
        #expect(
            lines(rows, columns: nil) == [
                "ID          WALL  COMMAND", "12345678     1 s  a  (exit 3)", "123       1000.5 s  \(command)",
            ])
    }

    @Test(
        "on a terminal no row is too wide, what is long is cut in its middle, and its remark is there",
        arguments: [80, 40, 24])
    func cut(columns: Int) {
        let rows = (0..<30).map {
            TaskListing.Row(
                cells: ["12345678", "1 s"], command: "./sim \(String(repeating: "日本", count: 20)) --seed \($0)",
                remark: "exit 3: \(String(repeating: "no such file ", count: 9))\u{1b}[2J")
        }
        let all = lines(rows, columns: columns)
        #expect(all.allSatisfy { TerminalText.columnCount($0) <= columns }, "\(all)")
        #expect(all.allSatisfy { !$0.contains("\u{1b}") })
        if columns > 24 {
            #expect(Set(all).count == 31 && all[1].contains("…") && all[1].contains("(exit 3"), "\(all)")
        }
    }

    @Test("a remark that leaves room for the command is whole")
    func remark() {
        let rows = [TaskListing.Row(cells: ["1", "1"], command: "echo a", remark: "exit 1: a word or two, or three")]
        #expect(lines(rows, columns: 80)[1] == "1              1  echo a  (exit 1: a word or two, or three)")
    }

    @Test("a table that ends with commands fits too, and they are told apart")
    func tableOfCommands() {
        var table = TextTable([("NAME", .left), ("COMMAND", .left)], endsWithCommands: true)
        for number in 1...3 { table.append(["job", "./sim \(String(repeating: "x", count: 90)) --seed \(number)"]) }
        let lines = table.rendered(columns: 40).split(separator: "\n")
        #expect(lines[0] == "NAME  COMMAND" && Set(lines).count == 4, "\(lines)")
        #expect(lines.allSatisfy { TerminalText.columnCount(String($0)) <= 40 } && lines[1].hasSuffix("--seed 1"))
        #expect(table.rendered(columns: nil).contains("xxx --seed 3\n"))
    }

    @Test("texts are cut in one manner that keeps apart what can be kept apart")
    func manners() {
        func shown(_ texts: [String], _ columns: Int) -> [String] {
            ShortenedRows.shortened(texts, to: Array(repeating: columns, count: texts.count))
        }
        #expect(shown(["abc", "abcdefgh"], 8) == ["abc", "abcdefgh"])
        #expect(shown(["a0123456789x", "a0123456789y"], 7) == ["a01…89x", "a01…89y"])
        #expect(shown(["abcxx0123456789", "abcyy0123456789"], 9) == ["abcx…6789", "abcy…6789"])
        let middle = (1...3).map { "0123456789abcdef\($0)0123456789abcdef" }
        #expect(Set(shown(middle, 12)).count == 3, "\(shown(middle, 12))")
        #expect(shown(["same same", "same same"], 4) == ["sa…e", "sa…e"])
    }
}
