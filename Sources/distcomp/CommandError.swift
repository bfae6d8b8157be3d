// How a command ends when it cannot do what it was asked: one line that says what to do, and the exit status scripts go by.

import LinuxSystem
import RedisClient

/// What went wrong, as the person at the terminal needs to know it.
enum CommandError: Error {
    /// The request or the configuration is wrong.
    case usage(String)
    /// Redis cannot be reached or does not let us in.
    case unreachable(String)
    /// This user of Redis may not do that.
    case notPermitted(String)
    /// The tasks that were waited for are not in Redis any more.
    case queueGone(String)
    /// What the person named is not in the queue.
    case noSuchTask(String)
    /// Something else failed.
    case failed(String)
    /// Some task failed; all has been said already.
    case tasksFailed
    /// Part of the input was wrong, or the output went nowhere; all has been said already.
    case reported
    /// Whoever reads our output has seen enough, as `head` does.
    case readerGone
    /// Ctrl-C; all has been said already.
    case interrupted

    init(_ failure: RedisFailure) { self = .unreachable("\(failure)") }

    var message: String? {
        switch self {
        case .usage(let text), .unreachable(let text), .notPermitted(let text), .queueGone(let text),
            .noSuchTask(let text), .failed(let text):
            text
        case .tasksFailed, .reported, .readerGone, .interrupted: nil
        }
    }

    var exitStatus: Int32 {
        switch self {
        case .readerGone: 0
        case .tasksFailed, .failed: 1
        case .usage, .noSuchTask, .reported: 2
        case .unreachable, .notPermitted, .queueGone: 3
        case .interrupted: 130  // What shells report for SIGINT.
        }
    }
}

/// Prints what was asked for. A listing that could not be written is no success.
func show(_ text: String) throws(CommandError) { try show(bytes: Array(text.utf8)) }

/// Prints bytes as they are, such as the output of a task.
func show(bytes: [UInt8]) throws(CommandError) {
    do {
        try standardOutput.writeAll(bytes: bytes)
    } catch  where error.code == ErrorCode.brokenPipe {
        throw .readerGone
    } catch {
        throw .failed("\(error)")
    }
}
