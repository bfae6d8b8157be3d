// Root that need not be root any more, see credentials(7).

import CLinux
import Glibc

extension Account {
    /// Makes this process, with all its threads, one of this account's, and gives up every right of root's for good. To be called by root,
    /// once what only root may read has been read. A process that was to end with its parent still does, or has ended before this returns.
    ///
    /// - Throws: SystemError of setgroups(2), setgid(2), setuid(2) or prctl(2); by then some rights may be gone, and the process is to end.
    public func becomeForGood() throws(SystemError) {
        let (parent, parentSignal) = (getppid(), clinux_parent_death_signal())
        guard setgroups(groupIdentifiers.count, groupIdentifiers) == 0 else { throw .last("setgroups", name) }
        guard setgid(groupIdentifier) == 0 else { throw .last("setgid", name) }
        guard setuid(userIdentifier) == 0 else { throw .last("setuid", name) }
        // Other processes of that account have nothing to look for in what was read before.
        Host.forbidTracing()
        // A change of user clears what the kernel sends when the parent ends.
        guard parentSignal > 0 else { return }
        guard clinux_set_parent_death_signal(parentSignal) == 0 else { throw .last("prctl", "PR_SET_PDEATHSIG") }
        if getppid() != parent { raise(parentSignal) }
    }
}
