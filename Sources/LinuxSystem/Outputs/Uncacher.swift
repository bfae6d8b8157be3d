// The page cache of outputs that nothing is added to any more is memory that the machine could use otherwise, and on pure v2 keeps the
// group of the task alive that wrote them. So they are written back and forgotten; that may wait for a disk, and so is done in a thread.

import CLinux
import Synchronization

/// Forgets files one by one, a few at a time.
final class Uncacher: Sendable {
    private let isBusy = Mutex(false)

    /// False while it is busy with others, or cannot begin: then they are to be told again.
    func start(_ files: [SharedDescriptor]) -> Bool {
        guard
            isBusy.withLock({ isBusy in
                defer { isBusy = true }
                return !isBusy
            })
        else { return false }
        do throws(SystemError) {
            try DetachedThread.start {
                // What cannot be written back now is the kernel's to write, and in memory until then.
                for file in files { _ = clinux_forget_pages(file.raw) }
                self.isBusy.withLock { $0 = false }
            }
            return true
        } catch {
            isBusy.withLock { $0 = false }
            return false
        }
    }
}
