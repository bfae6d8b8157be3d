import ArgumentParser
import TaskModel
import TaskQueue

/// `distcomp acl`: users for Redis with no more rights than they need.
struct AccessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "acl",
        abstract: "Print the commands that make Redis users with no more rights than they need.",
        discussion: """
            node takes tasks and reports them, submitter adds tasks and gives orders, watcher only looks. Give them to redis-cli, with
            passwords of your own, and the names to redis_user and redis_pass_file. Whoever may submit runs commands on every node.

            Examples:
              distcomp acl
              distcomp acl node --prefix lab1:
            """)

    @Argument(help: .init("node, submitter or watcher (default: all three).", valueName: "kind"))
    var kinds: [QueueAccess] = []

    @Option(help: "The queue's key_prefix.")
    var prefix = ""

    @Flag(help: "Print one JSON object a user.")
    var json = false

    func run() throws {
        let keys = QueueKeys(prefix: prefix)
        for kind in kinds.isEmpty ? QueueAccess.allCases : kinds {
            let rules = kind.rules(keys: keys)
            if json {
                var writer = JSONObjectWriter()
                writer.field("user", "distcomp-\(kind.rawValue)")
                writer.field("rules", rules)
                try show(writer.text + "\n")
            } else {
                let words = rules.map(quoted).joined(separator: " ")
                try show("ACL SETUSER distcomp-\(kind.rawValue) reset on >PASSWORD \(words)\n")
            }
        }
    }

    /// As redis-cli reads words.
    private func quoted(_ rule: String) -> String {
        rule.contains(where: { "\"'\\ ".contains($0) }) ? JSONText.quoted(rule) : rule
    }
}

extension QueueAccess: ExpressibleByArgument {}
