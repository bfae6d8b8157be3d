// What ended tasks left in memory: files in /dev/shm and the like. They are charged to all tasks together for as long as they are
// there, so a node that did not know of them would offer memory it has not got, and stand still without a word.

import LinuxSystem
import NodeSupervisor
import TaskModel

extension TaskRunner {
    /// What is known of it.
    struct LeftoverWatch {
        fileprivate var bytesTold: UInt64 = 0
        fileprivate var areNamed = false
    }

    /// Less than this, and changes of less, are not worth a look at whose it is.
    private static let leftBytesOfNote: UInt64 = 32 << 20
    private static let filesNamedMax = 5

    /// To be called now and then.
    ///
    /// - Parameter liveBytes: what the tasks that are here hold of the same.
    func leftovers(beside liveBytes: UInt64) -> [Event] {
        guard let allBytes = groups?.memoryAccountOfAllTasks()?.tmpfsBytes else { return [] }
        let bytes = allBytes - min(allBytes, liveBytes)
        let left = bytes >= Self.leftBytesOfNote ? bytes : 0
        let told = leftoverWatch.bytesTold
        let isNews = max(left, told) - min(left, told) >= Self.leftBytesOfNote || (left == 0) != (told == 0)
        // What could not be told from the files of tasks that were here may be by now.
        guard isNews || left > 0 && !leftoverWatch.areNamed else { return [] }
        let names = left == 0 ? "" : names()
        guard isNews || !names.isEmpty else { return [] }
        (leftoverWatch.bytesTold, leftoverWatch.areNamed) = (left, !names.isEmpty)
        return [.leftovers(NodeSupervisor.Leftovers(bytes: left, names: names))]
    }

    /// The largest that no task that is here can have made.
    private func names() -> String {
        let now = SystemClock.bootNanoseconds()
        let oldest = earliestBegin ?? now + 1_000_000_000  // All of them.
        let files = MemoryFiles.owned(
            by: settings.userIdentifier,
            unchangedSince: Double(SystemClock.wallNanoseconds() - (now - oldest)) / 1e9)
        let texts = files.prefix(Self.filesNamedMax).map {
            "\(TerminalText.escaped($0.name)) (\(AmountText.memory($0.sizeBytes)))"
        }
        let rest = files.count - texts.count
        return texts.joined(separator: ", ") + (rest > 0 ? " and \(rest) more" : "")
    }
}
