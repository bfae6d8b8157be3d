import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp submit FILE...`: puts the tasks of files into the queue.
struct SubmitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Put the tasks of files into the queue.",
        discussion: """
            A line is a task: type:priority:min_dram:min_cpu[:timeout]:command. The line is the task's identity: what is
            waiting, running or finished already is not added again; what has failed is tried anew.

            Examples:
              distcomp submit sweep.txt
              seq 1 100 | sed 's/.*/shell:5:1:1:.\\/simulate &/' | distcomp submit -
            """)

    @OptionGroup var connection: ConnectionOptions

    @Argument(help: "Files of task lines; - is standard input.")
    var files: [String]

    @Flag(help: "Print one JSON object.")
    var json = false

    func run() throws {
        let submission = try connection.withQueue { try Submission.submit(files, to: $0) }
        if json {
            var writer = JSONObjectWriter()
            writer.field("added", submission.reply.added)
            writer.field("in_todo", submission.reply.inTodo)
            writer.field("in_progress", submission.reply.inProgress)
            writer.field("finished", submission.reply.finished)
            writer.field("errors", submission.errorCount)
            try show(writer.text + "\n")
        } else {
            try show(submission.summary + "\n")
        }
        if submission.hasErrors { throw CommandError.reported }
    }
}
