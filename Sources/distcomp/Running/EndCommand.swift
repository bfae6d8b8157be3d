// `--on-end CMD`: what a person has done when a job has ended, such as a message to a telephone. It is theirs: how it ends changes
// nothing of how we end.

import LinuxSystem
import TaskModel
import TaskQueue

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
