import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp submit`: puts tasks into the queue.
struct SubmitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Put tasks into the queue: those of files, a command, or a sweep.",
        usage: TaskArguments.usage("submit"),
        discussion: """
            A line of a file is a task: type:priority:min_dram:min_cpu[:timeout]:command. The line is the task's identity: \
            what is waiting, running or finished already is not added again; what has failed is tried anew.

            Or it is JSON: {"command": "./x", "cwd": "/srv", "env": {"A": "1"}, "stdin": "/srv/in"}, with type, priority, \
            memory, cores, timeout, name where they are needed; "stdin": {"text": "..."} is what the task reads itself; \
            "after": ["name", ...] names tasks of the same file that have to finish before; "memory_max": "16G" tries one that \
            runs out of memory with twice as much, up to that; "resources": {"gpu": 1}, the same in all lines, is what each has of its \
            node besides. Where any says so, or --name or --after is given, the lines are tasks of a job.

            \(TaskArguments.commandHelp)

            Examples:
              distcomp submit sweep.txt more.txt
              seq 1 100 | sed 's/.*/shell:5:1:1:.\\/simulate &/' | distcomp submit -
              distcomp submit -- ./simulate --seed 7
              distcomp submit \(TaskArguments.sweepExample)
              distcomp submit cmds.txt --memory 2G --timeout 1h
              distcomp submit --from-slurm array.sh
              distcomp submit cmds.txt --memory 2G --memory-max 16G
              distcomp submit cmds.txt --memory auto:4G
              distcomp submit --gpus 1 --memory 8G -- ./train --seed {} ::: 1 2 3
              distcomp submit --after prepare:each -- ./simulate {} ::: a b c
              distcomp submit --dry-run -- 'gzip -d < {} | ./count' ::: *.gz
            """)

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var tasks: TaskArguments

    @Option(help: .init("Sign with this key instead of the settings' task_key_file.", valueName: "file"))
    var keyFile: String?

    @Option(
        help: .init(
            """
            Give out nothing more of the job once so many of its tasks have failed: soon,fail=3, or now,fail=5% to take away what runs as \
            well. `distcomp resume JOB` lets it go on.
            """, valueName: "rule"))
    var halt: HaltRule?

    @Flag(help: "Add what an old worker, or an older distcompd, that is alive knows nothing of.")
    var force = false

    @Flag(help: "Print one JSON object.")
    var json = false

    @Flag(name: .shortAndLong, help: "Say nothing when all goes well.")
    var quiet = false

    func validate() throws { if tasks.isEmpty { throw ValidationError(TaskArguments.nothingGiven) } }

    func run() throws {
        var input = try tasks.input()
        if let halt {
            input.halt = halt
            input.optionsOfCommands.append("--halt")
        }
        if tasks.dryRun { return try input.printLines() }
        let submission = try connection.withFleetQueue { queue in
            queue.keyFile = keyFile
            let submission = try Submission.submit(
                input, to: queue, isForFleet: true, isForced: force, isQuiet: quiet || json)
            if !quiet, let job = submission.job {
                for note in [
                    try queue.noteOfLabels(job), try queue.noteOfMemory(job), try queue.noteOfResources(job),
                ] {
                    if let note { standardError.write(note + "\n") }
                }
            }
            return submission
        }
        if json {
            var writer = JSONObjectWriter()
            if let job = submission.job { writer.field("job", job.name) }
            writer.field("added", submission.reply.added)
            writer.field("in_todo", submission.reply.inTodo)
            writer.field("in_progress", submission.reply.inProgress)
            writer.field("finished", submission.reply.finished)
            writer.field("errors", submission.errorCount)
            try show(writer.text + "\n")
        } else if !quiet {
            try show(submission.summary + "\n")
        }
        if submission.hasErrors { throw CommandError.reported }
    }
}
