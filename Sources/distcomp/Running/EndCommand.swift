// `--on-end CMD` and `--notify`: what a person has done when a job has ended, such as a message to a telephone. It is theirs: how it ends
// changes nothing of how we end.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

/// What is to be done at the end of `run` and `watch`.
struct EndOptions: ParsableArguments {
    @Option(
        help: .init(
            "Run this by sh -c at the end, with DISTCOMP_JOB, _FINISHED, _FAILED and _TODO in its environment.",
            valueName: "command"))
    var onEnd: String?

    @Flag(help: "Show the counts on the desktop at the end (notify-send).")
    var notify = false

    func tell(of queue: QueueClient, _ summary: RunSummary) throws(CommandError) {
        guard notify || onEnd != nil else { return }
        let job = try queue.selectedJobName()
        if notify { Notification.send(job: job, summary.sentence) }
        if let onEnd { EndCommand(text: onEnd).run(job: job, summary.counts) }
    }
}

struct EndCommand {
    private static let shell = "/bin/sh"

    let text: String

    /// Runs it to its end. What it prints goes to standard error, since standard output may be read by a program.
    ///
    /// - Parameter job: the job's name; nil where several were run, or a whole queue.
    func run(job: String?, _ counts: QueueCounts) {
        let variables = [
            "DISTCOMP_JOB=\(job ?? "")", "DISTCOMP_FINISHED=\(counts.finished)", "DISTCOMP_FAILED=\(counts.failed)",
            "DISTCOMP_TODO=\(counts.todo + counts.inProgress)",
        ]
        let ending: ProcessEnding
        do throws(SystemError) {
            let null = try OwnedDescriptor.open("/dev/null", [.readOnly])
            let process = try ChildProcesses.start(
                Self.shell, ["-c", text], variables: variables,
                descriptors: [null.raw, standardError.descriptor, standardError.descriptor], inNewSession: false)
            ending = try ChildProcesses.wait(for: process)
        } catch {
            standardError.write("distcomp: --on-end: \(error)\n")
            return
        }
        switch ending {
        case .exit(code: 0): break
        case .exit(let code): standardError.write("distcomp: --on-end: the command ended with exit \(code)\n")
        case .signal(let number): standardError.write("distcomp: --on-end: the command was ended by signal \(number)\n")
        }
    }
}

extension QueueClient {
    /// The name of the job to which this command is confined; nil where it is to none.
    func selectedJobName() throws(CommandError) -> String? {
        switch selection {
        case .all: nil
        case .one(let identifier): try job(identifier)?.name ?? Job.defaultName
        }
    }
}
