// Who shares the fleet, and how.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp shares`: what of the fleet runs for each owner, and what their shares are.
struct SharesCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shares",
        abstract: "List who shares the fleet, what of it runs for each, and what is to.",
        usage: "distcomp shares [<options>]\n       distcomp shares set [<options>] <owner> <share>",
        discussion: """
            Jobs have owners (submit --owner). While several have tasks that wait, the next that is given out is of whom the least of the \
            fleet runs: the largest of their parts of memory, of cores and of each resource (GPUs, licences), divided by their share, which \
            is 1 unless it is set. One who is alone has all of it. What runs is never ended for another. `default` is what nobody is \
            known to own.

            Examples:
              distcomp shares
              distcomp shares set alice 2
              distcomp shares --json | jq -r '.[] | select(.waiting).owner'
            """,
        subcommands: [SharesListCommand.self, SharesSetCommand.self], defaultSubcommand: SharesListCommand.self)
}

struct SharesListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List all owners.", usage: "distcomp shares [<options>]", shouldDisplay: false)

    @OptionGroup var connection: ConnectionOptions

    @Flag(help: "Print one JSON array.")
    var json = false

    func run() throws {
        let owners = try connection.withQueue { queue in try queue.perform(ReadOwners(keys: queue.keys)) }
        if json { return try show(String(decoding: owners.json, as: UTF8.self) + "\n") }
        let showsResources = owners.owners.contains { !$0.resources.isEmpty }
        var table = TextTable(
            [
                ("OWNER", .left), ("SHARE", .right), ("OF THE FLEET", .right), ("MEMORY", .right), ("CORES", .right),
            ] + (showsResources ? [("RESOURCES", .left)] : []) + [("WAITING", .left)])
        for owner in owners.owners {
            let isKnown = owners.areSeveral
            let cells = [
                TerminalText.escaped(owner.shownName), owner.shareText,
                isKnown ? oneDecimal(owners.part(of: owner) * 100) + " %" : "-",
                isKnown ? AmountText.memory(owner.memoryBytes) : "-",
                isKnown ? oneDecimal(Double(owner.millicores) / 1000) : "-",
            ]
            table.append(
                cells + (showsResources ? [owners.resourcesText(of: owner)] : []) + [owner.hasWaiting ? "yes" : "no"])
        }
        try show(table.rendered(columns: standardOutput.terminalColumns))
    }
}

struct SharesSetCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "set", abstract: "Say what an owner's share is: with 2 it is twice that of one with 1.")

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: .init("Whose it is.", valueName: "owner"))
    var owner: String

    @Argument(
        help: .init("A number, such as 2 or 0.5; 1 is what all have that nothing is said of.", valueName: "share"))
    var share: Double

    func validate() throws {
        if owner != Job.defaultName, let problem = Job.problem(withOwner: owner) { throw ValidationError(problem) }
        guard SetShare.range.contains(share) else { throw ValidationError("a share is from 0.001 to 1000000") }
    }

    func run() throws {
        try connection.withQueue { queue in
            try queue.perform(SetShare(share, of: owner == Job.defaultName ? "" : owner, keys: queue.keys))
        }
    }
}

extension ReadOwners.Owner {
    var shownName: String { name.isEmpty ? Job.defaultName : name }

    /// Without a fraction that is none.
    var shareText: String {
        let text = "\(share)"
        return text.hasSuffix(".0") ? String(text.dropLast(2)) : text
    }
}

extension ReadOwners.Reply {
    /// Those for whom anything runs or waits.
    var active: [ReadOwners.Owner] { owners.filter { $0.hasWaiting || $0.millicores > 0 } }

    /// What of each runs for an owner, of all there is: `3/8 gpu 0.5/4 licence`.
    func resourcesText(of owner: ReadOwners.Owner) -> String {
        owner.resources.sorted { $0.key < $1.key }.map { name, amount in
            let all = ResourceRequest.amountText(fleetResources[name] ?? 0)
            return "\(ResourceRequest.amountText(amount))/\(all) \(name)"
        }.joined(separator: " ")
    }

    /// `alice 50.0 %, bob 12.5 %`.
    var summary: String {
        let parts = active.sorted { part(of: $0) > part(of: $1) }
        let more = parts.count > 5 ? " and \(grouped(parts.count - 5)) more" : ""
        return parts.prefix(5).map { "\($0.shownName) \(oneDecimal(part(of: $0) * 100)) %" }.joined(separator: ", ")
            + more
    }

    /// An array; what runs is null where nobody counts it.
    var json: [UInt8] {
        let objects = owners.map { owner in
            var writer = JSONObjectWriter()
            writer.field("owner", owner.shownName)
            writer.field("share", owner.share)
            writer.field("fleet_fraction", areSeveral ? part(of: owner) : nil)
            writer.field("memory_bytes", areSeveral ? owner.memoryBytes : nil)
            writer.field("cores", areSeveral ? Double(owner.millicores) / 1000 : nil)
            var resources = JSONObjectWriter()
            for (name, amount) in owner.resources.sorted(by: { $0.key < $1.key }) {
                resources.field(name, Double(amount) / 1000)
            }
            writer.field("resources", json: areSeveral ? resources.bytes : Array("null".utf8))
            writer.field("waiting", owner.hasWaiting)
            return writer.bytes
        }
        return Array("[".utf8) + objects.joined(separator: ",".utf8) + Array("]".utf8)
    }
}
