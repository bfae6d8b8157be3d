// `--notify`: a word on the person's desktop when all is done. Where there is no desktop one line says so, and nothing fails for it.

import LinuxSystem
import TaskModel

enum Notification {
    private static let program = "notify-send"
    /// A desktop that does not answer is not waited for longer.
    private static let secondsMax = 10.0

    /// Shows how a job ended.
    ///
    /// - Parameter job: its name; nil where several were run, or a whole queue.
    static func send(job: String?, _ summary: String) {
        guard let path = executable(named: program) else {
            return tell("\(program) is not on the PATH (apt-get install libnotify-bin)")
        }
        let bus = "/run/user/\(Host.userIdentifier)/bus"
        guard Host.environment("DBUS_SESSION_BUS_ADDRESS").map({ !$0.isEmpty }) ?? FileSystem.exists(bus) else {
            return tell("there is no session bus (DBUS_SESSION_BUS_ADDRESS), and so no desktop to tell")
        }
        do throws(SystemError) {
            let null = try OwnedDescriptor.open("/dev/null", [.readOnly])
            let process = try ChildProcesses.start(
                path, ["--app-name=distcomp", "--", job.map { "distcomp: \($0)" } ?? "distcomp", summary],
                descriptors: [null.raw, standardError.descriptor, standardError.descriptor])
            let start = bootSeconds()
            while bootSeconds() - start < secondsMax {
                if let ending = try ChildProcesses.endingIfEnded(process) {
                    if ending != .exit(code: 0) { tell("\(program) could not: \(ending)") }
                    return
                }
                pause(milliseconds: 5)
            }
            ChildProcesses.kill(process: process)
            _ = try ChildProcesses.wait(for: process)
            tell("the desktop did not answer within \(duration(secondsMax))")
        } catch {
            tell("\(error)")
        }
    }

    private static func tell(_ problem: String) { standardError.write("distcomp: --notify: \(problem)\n") }
}
