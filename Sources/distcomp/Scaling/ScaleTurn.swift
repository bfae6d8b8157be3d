// Of several programs that would make a fleet larger and smaller one has its turn: two would start twice what is wanted.

import LinuxSystem
import TaskModel

/// A process that has the turn, or waits for it, as it is called in the queue: `HOST:PROCESS:START:MACHINE`.
struct ScaleWorker: Equatable {
    let host: String
    let process: Int32
    /// Of ``ProcessEntry``.
    let startTicks: UInt64
    /// Where numbers of processes mean the same: a boot, and a namespace in it; "" where that cannot be told, and nobody is known to have gone.
    let machine: String

    /// This one.
    init() {
        host = Host.shortName
        process = Host.processIdentifier
        do throws(SystemError) {
            let place =
                try FileSystem.text(of: "/proc/sys/kernel/random/boot_id")
                + FileSystem.destination(ofLink: "/proc/self/ns/pid")
            startTicks = try ProcessEntry.read(process)?.startTicks ?? 0
            machine = place.filter { $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "-") }
        } catch {
            // Without /proc others go by the time that this one asked for.
            (startTicks, machine) = (0, "")
        }
    }

    /// Nil for what is none.
    init?(text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 4, let process = Int32(parts[1]), process > 0, let ticks = UInt64(parts[2]) else {
            return nil
        }
        (host, self.process, startTicks, machine) = (String(parts[0]), process, ticks, String(parts[3]))
    }

    var text: String { "\(host.filter { $0 != ":" && !$0.isWhitespace }):\(process):\(startTicks):\(machine)" }

    /// Whether it was a process of this machine, and has ended.
    var isGone: Bool {
        let own = ScaleWorker()
        return !machine.isEmpty && machine == own.machine && startTicks > 0
            && ProcessEntry.isGone(process, startTicks: startTicks)
    }

    var words: String { "\(TerminalText.escaped(host)), process \(process)" }
}
