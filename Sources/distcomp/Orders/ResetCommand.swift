import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

/// `distcomp reset`: an empty queue.
struct ResetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reset",
        abstract: "Delete the whole queue: what waits, what runs, and all results.",
        discussion: """
            Only keys of this queue are deleted, whatever else is in the Redis. Nodes stop what they run. Asks before it does, or is \
            told --yes. Files on the nodes stay.
            """)

    @OptionGroup var connection: ConnectionOptions

    @Flag(name: .shortAndLong, help: "Do not ask.")
    var yes = false

    @Flag(name: .shortAndLong, help: "Say nothing when all goes well.")
    var quiet = false

    func run() throws {
        try connection.withQueue { queue in
            let counts = try queue.perform(ReadCounts(keys: queue.keys))
            if !yes {
                let content =
                    "\(grouped(counts.todo)) waiting, \(grouped(counts.inProgress)) running, "
                    + "\(grouped(counts.finished)) finished, \(grouped(counts.failed)) failed"
                guard try isConfirmed("Delete this queue (\(content))? yes or no: ") else {
                    throw CommandError.usage("nothing was deleted")
                }
            }
            let count = try queue.reset()
            if !quiet { try show("\(grouped(count)) keys deleted; the queue is empty\n") }
        }
    }
}

/// Asks the person at the terminal; an error where there is none.
func isConfirmed(_ question: String) throws(CommandError) -> Bool {
    guard standardInputIsTerminal else { throw .usage("nobody is there to be asked: say --yes") }
    standardError.write(question)
    return ["y", "yes"].contains((readLine() ?? "").lowercased())
}

extension QueueClient {
    /// Deletes every key of this queue and no other; how many there were. Nodes that run tasks of it stop them, since their
    /// leases are gone, and register anew.
    func reset() throws(CommandError) -> Int {
        let own = [keys.todo, keys.inProgress, keys.finished, keys.failed, keys.failReason, keys.workerStatus]
        // Not DEL, which would hold up Redis for as long as it takes to free ten million lines.
        var count = try answers([.command(RedisCommand("UNLINK", own))]).first?.int ?? 0
        var cursor = "0"
        repeat {
            let page = try answers([.command(ScanKeys.request(keys: keys, cursor: cursor))])
            let (next, names) = ScanKeys.parse(page.first ?? .null)
            cursor = next
            if names.isEmpty { continue }
            count += try answers([.command(RedisCommand(bytes: [Array("UNLINK".utf8)] + names))]).first?.int ?? 0
        } while cursor != "0"
        return count
    }
}

/// The keys of a queue beside the six hashes, a page at a time.
private enum ScanKeys {
    static func request(keys: QueueKeys, cursor: String) -> RedisCommand {
        RedisCommand("SCAN", cursor, "MATCH", keys.ownPattern, "COUNT", "1000")
    }

    static func parse(_ value: RESPValue) -> (cursor: String, names: [[UInt8]]) {
        guard let parts = value.elements, parts.count == 2, let cursor = parts[0].string else { return ("0", []) }
        return (cursor, parts[1].elements?.compactMap(\.bytes) ?? [])
    }
}
