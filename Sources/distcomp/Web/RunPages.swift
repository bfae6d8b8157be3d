// The pages of one `distcomp run`: a program beside it that ends with it, so that no visitor has to do with the process that runs tasks.

import LinuxSystem

/// Serves the pages of a run while it goes on.
final class RunPages {
    private let process: Int32

    /// Starts `distcomp web`, which says on standard error where the pages are.
    ///
    /// - Parameters:
    ///   - state: the state directory of the run.
    ///   - place: where it listens, as `distcomp web --listen` takes it.
    init(ofRunIn state: String, listeningAt place: String) throws(CommandError) {
        do throws(SystemError) {
            let program = try FileSystem.destination(ofLink: "/proc/self/exe")
            process = try ChildProcesses.start(
                program, ["web", "--state", state, "--listen", place, "--of-run", "\(Host.processIdentifier)"],
                descriptors: [0, 2, 2])
        } catch {
            throw .failed("cannot start the pages: \(error)")
        }
    }

    /// Ends them.
    func stop() {
        ChildProcesses.signal(.terminate, process: process)
        _ = try? ChildProcesses.wait(for: process)
    }
}
