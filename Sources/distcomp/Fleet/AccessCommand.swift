// What keeps strangers out of a queue: Redis users with few rights, and the key that tasks are signed with.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// `distcomp acl`: users for Redis with no more rights than they need.
struct AccessCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "acl",
        abstract: "Print the commands that make Redis users with no more rights than they need.",
        discussion: """
            node takes tasks and reports them, submitter adds tasks and gives orders, watcher only looks. Give them to redis-cli, with
            passwords of your own, and the names to redis_user and redis_pass_file. Whoever may submit runs commands on every node. A
            submitter submits as the owner that is its name, and as no other: --user alice makes one for alice.

            Examples:
              distcomp acl
              distcomp acl submitter --user alice
              distcomp acl node --prefix lab1:
            """)

    @Argument(help: .init("node, submitter or watcher (default: all three).", valueName: "kind"))
    var kinds: [QueueAccess] = []

    @Option(help: "The queue's key_prefix.")
    var prefix = ""

    @Option(help: .init("The user's name, of one kind (default: distcomp- and the kind).", valueName: "name"))
    var user: String?

    @Flag(help: "Print one JSON object a user.")
    var json = false

    func validate() throws {
        guard let user else { return }
        if let problem = Job.problem(withOwner: user) { throw ValidationError("--user: \(problem)") }
        if kinds.count != 1 { throw ValidationError("--user names one user: say of which kind, such as submitter") }
    }

    func run() throws {
        let keys = QueueKeys(prefix: prefix)
        for kind in kinds.isEmpty ? QueueAccess.allCases : kinds {
            let name = user ?? "distcomp-\(kind.rawValue)"
            let rules = kind.rules(keys: keys, owner: name)
            if json {
                var writer = JSONObjectWriter()
                writer.field("user", name)
                writer.field("rules", rules)
                try show(writer.text + "\n")
            } else {
                let words = rules.map(quoted).joined(separator: " ")
                try show("ACL SETUSER \(quoted(name)) reset on >PASSWORD \(words)\n")
            }
        }
    }

    /// As redis-cli reads words.
    private func quoted(_ rule: String) -> String {
        rule.contains(where: { "\"'\\ ".contains($0) }) ? JSONText.quoted(rule) : rule
    }
}

extension QueueAccess: ExpressibleByArgument {}

/// `distcomp key`: the key that tasks are signed with.
struct KeyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Make the key that tasks are signed with.", subcommands: [KeyNewCommand.self])
}

/// `distcomp key new FILE`: a key of 32 random bytes.
struct KeyNewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Write a new key to a file that only you can read.",
        discussion: """
            With "task_key_file" in their settings, nodes run only lines that were signed with this key, and `distcomp submit`
            signs. Copy the file to every node and to everybody who submits, readable by its owner alone.

            Example:
              distcomp key new /etc/distcomp/task.key
            """)

    @Argument(help: "The file to write; it must not exist.")
    var file: String

    func run() throws {
        var generator = SystemRandomNumberGenerator()  // getrandom(2)
        do throws(SystemError) {
            try SecretFile.create(file, TaskKey.newContents(using: &generator))
        } catch {
            throw CommandError.failed("\(error)")
        }
    }
}

/// The key of the settings' `task_key_file`, or of a file named on the command line; nil when there is neither.
func loadTaskKey(_ path: String?, prefix: String) throws(CommandError) -> TaskKey? {
    guard let path else { return nil }
    do {
        return try TaskKey(contents: try SecretFile.contents(of: path), prefix: prefix)
    } catch {
        throw .usage("cannot sign tasks with \(path): \(error)")
    }
}
