// For a `distcomp run` that shows what its tasks write: it is told of each attempt that begins and ends here. See AttemptEvent.

import LinuxSystem
import Logging
import NodeSupervisor
import TaskModel

final class AttemptNotes {
    private let file: OwnedDescriptor
    private let log: Logger
    private var open: Set<UInt64> = []
    private var isBroken = false

    /// - Parameter raw: the descriptor that the run has handed over; no task is to have it.
    init(adopting raw: Int32, _ log: Logger) throws(SystemError) {
        file = try ReExec.kept(raw)
        self.log = log
    }

    func noteBegin(_ number: TaskNumber, _ task: NodeSupervisor.ClaimedTask) {
        open.insert(number.rawValue)
        write(.begun(number.rawValue, attempt: task.attempt, line: task.line.text))
    }

    /// To be called when nothing is left of an attempt, also of one that never began, and again: each end is told once.
    ///
    /// - Parameter packed: where what it wrote stands, if that is in no files.
    func noteEnd(_ number: TaskNumber, _ packed: PackedOutput?) {
        guard open.remove(number.rawValue) != nil else { return }
        write(.ended(number.rawValue, packed))
    }

    private func write(_ event: AttemptEvent) {
        guard !isBroken else { return }
        do throws(SystemError) {
            try file.writeAll(Array(event.note.utf8), subject: "the notes for distcomp run")
        } catch {
            // Behind half a note nothing could be read.
            isBroken = true
            log.error("\(error): distcomp run cannot show what later tasks write, which is in their files")
        }
    }
}
