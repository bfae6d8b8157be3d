// Why the daemon cannot start, or cannot go on: one line for the operator, and the exit status of the design.

import LinuxSystem
import RedisClient

struct StartFailure: Error {
    let message: String
    let exitStatus: Int32

    /// The command line or the configuration is wrong, or the machine lacks something.
    static func usage(_ message: String) -> StartFailure { StartFailure(message: message, exitStatus: 2) }

    /// Redis cannot be reached, or does not let us in, or is not fit for a queue.
    static func redis(_ message: String) -> StartFailure { StartFailure(message: message, exitStatus: 3) }

    /// The kernel refused something no daemon can do without.
    static func system(_ error: SystemError) -> StartFailure { StartFailure(message: "\(error)", exitStatus: 2) }
}

enum EndStatus {
    /// EX_TEMPFAIL of sysexits.h: whoever started us is to do so again. The unit knows it.
    static let comeAgain: Int32 = 75
}

/// Runs a step of the start whose refusal ends it.
func required<Result>(_ step: () throws(SystemError) -> Result) throws(StartFailure) -> Result {
    do {
        return try step()
    } catch {
        throw .system(error)
    }
}

/// Tells why the daemon ends: it may have no log yet, but always has standard error.
func tellEnd(_ failure: StartFailure) {
    // The journal gives a line the priority it begins with; `journalctl -p err` must find this one.
    let mark = Journal.readsStandardError ? "<3>" : ""
    let lines = failure.message.split(separator: "\n").enumerated()
    for (index, line) in lines { standardError.write(mark + (index == 0 ? "distcompd: " : "") + line + "\n") }
}
