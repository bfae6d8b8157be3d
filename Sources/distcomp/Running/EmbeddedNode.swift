// The node of one `distcomp run`: the real distcompd, started for this run alone and ended with it.

import LinuxSystem
import TaskModel

/// A running distcompd that serves this process only.
final class EmbeddedNode {
    private let process: Int32
    private let arguments: [String]
    private let files: GuardedDirectory
    /// What it reads as its standard input: its settings, where they were made for a run. Not in the state directory, where another user
    /// might change them while they are read.
    private let input: SharedDescriptor
    private var ended: ProcessEnding?
    private var stopRequests = 0

    /// What the node is to do differently from a daemon of its own.
    struct Options {
        /// The user's settings; nil for those made for a run.
        var configurationPath: String?
        /// How often a failed task is tried in all.
        var attemptsMax: Int
        /// How many tasks run at once; nil for as many as the settings say.
        var slots: Int?
        /// Whom tasks run as; nil for the user of all this.
        var taskUser: String?
        /// Where it is to note what begins and ends; nil: nowhere.
        var notes: TemporaryFile?
        /// Whether it gives tasks the GPUs that it finds, where the settings are made for the run.
        var findsDevices = false
    }

    private static let logName = "node.log"

    init(in state: StateDirectory, options: Options) throws(CommandError) {
        files = state.files
        arguments =
            [
                "--config", options.configurationPath ?? "/proc/self/fd/0", "--redis-socket",
                StateDirectory.socketPath(state.path), "--state", state.path + "/node",
                "--serve-parent=\(Host.processIdentifier)",
            ] + (options.taskUser.map { ["--task-user", $0] } ?? [])
        do throws(SystemError) {
            input = SharedDescriptor(
                try options.configurationPath == nil
                    ? OwnedDescriptor.memoryFile("conf.json", Array(Self.configuration(in: state, options).utf8))
                    : OwnedDescriptor.open("/dev/null", [.readWrite]))
            if options.taskUser != nil, options.configurationPath == nil {
                try files.letPass()
                try files.directory("result", creating: 0o755).letPass()
            }
            let log = try files.create(Self.logName, mode: 0o644)
            // Its standard output is for the person at this terminal, its standard error the log.
            var words = DelegatedScope.words() + [try Self.programPath()] + arguments
            var descriptors = [input.raw, standardError.descriptor, log.raw]
            if let notes = options.notes {
                words += ["--note-attempts", "\(descriptors.count)"]
                descriptors.append(notes.descriptor.raw)
            }
            process = try ChildProcesses.start(words[0], Array(words.dropFirst()), descriptors: descriptors)
        } catch {
            throw .failed("cannot start distcompd: \(error)")
        }
    }

    /// How it ended; nil while it runs.
    func endingIfEnded() -> ProcessEnding? {
        if ended == nil { ended = (try? ChildProcesses.endingIfEnded(process)) ?? nil }
        return ended
    }

    /// Asks it to stop: its tasks go back to todo. Asked again, it hurries. The signals alternate, for two of one kind are one
    /// where the node reads neither in time.
    func askToStop() {
        guard endingIfEnded() == nil else { return }
        ChildProcesses.signal(stopRequests.isMultiple(of: 2) ? .terminate : .interrupt, process: process)
        stopRequests += 1
    }

    /// Ends it at once, as it does not end by itself. What it ran is to be ended then.
    func kill() {
        if endingIfEnded() == nil, let node = try? ProcessEntry.read(process) { node.kill() }
    }

    /// Ends what it left running, when it ended in a way that let it do nothing about its tasks.
    func clearLeftovers() {
        guard let null = try? OwnedDescriptor.open("/dev/null", [.readWrite]), let program = try? Self.programPath()
        else { return }
        let descriptors = [input.raw, null.raw, null.raw]
        guard let cleaner = try? ChildProcesses.start(program, arguments + ["--clear"], descriptors: descriptors) else {
            return
        }
        // It has a bound of its own for each of its steps; one that stands still is left behind.
        let begin = SystemClock.bootNanoseconds()
        var ending: ProcessEnding?
        while ending == nil, SystemClock.bootNanoseconds() - begin < 20_000_000_000 {
            pause(milliseconds: 5)
            ending = (try? ChildProcesses.endingIfEnded(cleaner)) ?? nil
        }
        if ending != .exit(code: 0) {
            standardError.write("distcomp: tasks of the node that ended may run on; the next run here ends them\n")
        }
    }

    /// The last message in its log, when it ended though nobody asked it to.
    var lastMessage: String {
        let text = (try? files.contents(of: Self.logName, bytesMax: 16 << 20)) ?? []
        let lines = String(decoding: text, as: UTF8.self).split(separator: "\n")
        guard let last = lines.last(where: { $0.hasPrefix("distcompd: ") }) else {
            return "see \(files.path)/\(Self.logName)"
        }
        return TerminalText.escaped(String(last.dropFirst("distcompd: ".count)))
    }

    /// distcompd beside this program, where a build puts it, or where an installation does.
    static func programPath() throws(SystemError) -> String {
        let program = try FileSystem.destination(ofLink: "/proc/self/exe")
        let directory = program.lastIndex(of: "/").map { String(program[..<$0]) } ?? "."
        let beside = directory + "/distcompd"
        return FileSystem.isExecutable(beside) ? beside : directory + "/../sbin/distcompd"
    }

    /// A run is for one person at one terminal: caps where they can be had, output beside the queue, no wait at Ctrl-C.
    private static func configuration(in state: StateDirectory, _ options: Options) -> String {
        let slots = options.slots.map { "\n  \"max_task_per_worker\": \($0)," } ?? ""
        let devices = options.findsDevices ? "\n  \"resources\": {\"gpu\": \"auto\"}," : ""
        return """
            {
              "memory_caps": "best-effort",\(devices)
              "result_dir": \(JSONText.quoted(state.path + "/result")),\(slots)
              "max_retry_per_task": \(options.attemptsMax),
              "default_task_timeout_seconds": 0,
              "stop_grace_seconds": 0
            }

            """
    }
}
