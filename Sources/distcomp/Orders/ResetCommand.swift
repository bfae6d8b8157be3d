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
            let counts = try queue.counts()
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
    /// So long nodes may take to hear that their tasks are taken from them.
    private static var stoppingSecondsMax: Double { 20 }

    /// Deletes every key of this queue and no other; how many there were. What runs is taken from its nodes first: nodes that find their
    /// queue gone go on, and put what they run into the new one.
    func reset() throws(CommandError) -> Int {
        try stopWhatRuns()
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

    /// Takes from the nodes what they run, gives them nothing new, and waits until all that are alive have heard of it.
    private func stopWhatRuns() throws(CommandError) {
        guard try counts().inProgress > 0 else { return }
        try perform(PauseQueue(true, keys: keys))
        var batch = LineBatch { lines throws(CommandError) in _ = try self.requeue(lines) }
        _ = try scanEach(\.inProgress) { _, entries throws(CommandError) in
            for (line, _) in entries { try batch.add(text(line)) }
            return true
        }
        try batch.flush()
        let deadline = bootSeconds() + Self.stoppingSecondsMax
        while let node = try nodeNotTold() {
            guard bootSeconds() < deadline else {
                throw .failed(
                    "\(TerminalText.escaped(node)) has not heard that it is to stop what it runs: nothing was deleted, and the queue is "
                        + "paused. Stop distcompd there, or wait until distcomp workers shows it as gone; then reset again"
                )
            }
            pause(milliseconds: 100)
        }
    }

    /// A living node from which tasks were taken and that has not asked which.
    private func nodeNotTold() throws(CommandError) -> String? {
        for node in try leases() where node.leaseMilliseconds > 0 {
            let key = keys.revoked(from: node.incarnation)
            if try answers([.command(RedisCommand("EXISTS", key))]).first?.int == 1 { return node.incarnation.nodeName }
        }
        return nil
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
