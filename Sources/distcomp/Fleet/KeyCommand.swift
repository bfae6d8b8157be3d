import ArgumentParser
import LinuxSystem
import TaskQueue

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
