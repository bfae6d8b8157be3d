// `run --background`: the same program again in a session of its own, which no terminal ends. Until its tasks are in the queue it has our
// terminal, to tell what is wrong with them, and our standard input, to read them; then it says so and we leave.

import LinuxSystem
import TaskModel

enum BackgroundRun {
    static let logName = "run.log"
    static let readyOption = "tell-ready"
    private static let readyDescriptor: Int32 = 3
    private static let readyByte = UInt8(ascii: "r")

    /// Starts what `words` say and waits until its tasks are in the queue.
    ///
    /// - Parameter words: as they were typed, the subcommand first.
    static func start(_ words: [String], state: String) throws(CommandError) {
        let ending: ProcessEnding?
        do throws(SystemError) {
            ending = try started(words)
        } catch {
            throw .failed("cannot start a run in the background: \(error)")
        }
        switch ending {
        case nil: try show(notice(state) + "\n")
        case .exit(let code): exitProcess(code)  // It has said why.
        case .signal(let number): throw .failed("the run was ended by signal \(number)")
        }
    }

    /// How it ended, if it did so before its tasks were in the queue.
    private static func started(_ words: [String]) throws(SystemError) -> ProcessEnding? {
        let (process, ready) = try process(words)
        _ = try DescriptorWait.until(ready.raw, readable: true, writable: false, atMostMilliseconds: nil)
        let said = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
        defer { said.deallocate() }
        let count = try ready.readNext(into: said, subject: "the run in the background")
        return count == 1 ? nil : try ChildProcesses.wait(for: process)
    }

    /// The run, and the end of a pipe that says when it is ready, or that it has ended: the other end is the run's alone.
    private static func process(_ words: [String]) throws(SystemError) -> (Int32, ready: SharedDescriptor) {
        let program = try FileSystem.destination(ofLink: "/proc/self/exe")
        let ends = try OwnedDescriptor.pipe()
        let ready = SharedDescriptor(try OwnedDescriptor.duplicate(of: ends.reading.raw))
        let process = try ChildProcesses.start(
            program, words.prefix(1) + ["--\(readyOption)", "\(readyDescriptor)"] + words.dropFirst(),
            descriptors: [0, 1, 2, ends.writing.raw])
        return (process, ready)
    }

    /// In the run, before it starts anything: where whoever started it waits for a word, or for its end.
    static func starter(_ descriptor: Int32) throws(CommandError) -> SharedDescriptor {
        do throws(SystemError) {
            return SharedDescriptor(try ReExec.kept(descriptor))
        } catch {
            throw .failed("\(error)")
        }
    }

    /// In the run: leaves the terminal, and tells whoever started it that all is well.
    static func detach(in directory: StateDirectory, from starter: SharedDescriptor) throws(CommandError) {
        do throws(SystemError) {
            try redirectStandardStreams(to: try directory.files.create(logName, mode: 0o644))
            // Whoever pressed Ctrl-C meanwhile does not want it.
            try starter.writeAll([readyByte], subject: "who started this run")
        } catch {
            throw .failed("\(error)")
        }
    }

    /// `in the background: distcomp attach shows how it goes and what came of it, ...`.
    private static func notice(_ state: String) -> String {
        let place = option(ofState: state)
        return "in the background: distcomp attach\(place) shows how it goes and how it ends (--stop stops it); also "
            + "distcomp watch\(place), distcomp status\(place); it says the rest in \(TerminalText.escaped(state))/\(logName)"
    }

    /// What words need that are about the run in this directory, with the blank before it.
    static func option(ofState state: String) -> String {
        state == RunCommand.usualState ? "" : " --state " + TerminalText.escaped(ShellWord.quoted(state))
    }
}
