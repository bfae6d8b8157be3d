import RedisClient
import TaskQueue
import Testing

@Suite("The scripts")
struct ScriptSizeTests {
    @Test("each may have eight names more: Lua allows a script 200, and refuses one that has more as a whole")
    func names() throws {
        let bench = try QueueBench()
        for script in QueueScripts.all {
            var lines = script.source.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
            lines.insert("local " + (1...8).map { "spare\($0)" }.joined(separator: ", "), at: 1)
            let answer = try bench.command("SCRIPT", "LOAD", lines.joined(separator: "\n"))
            #expect(answer.string?.count == 40, "\(script.name): \(answer)")
        }
    }
}
