// Root that need not be root any more, see credentials(7).

import Glibc

extension Account {
    /// Makes this process, with all its threads, one of this account's, and gives up every right of root's for good. To be called by root,
    /// once what only root may read has been read.
    ///
    /// - Throws: SystemError of setgroups(2), setgid(2) or setuid(2), which root makes for good; by then some rights may be gone, and the process is to end.
    public func becomeForGood() throws(SystemError) {
        guard setgroups(groupIdentifiers.count, groupIdentifiers) == 0 else { throw .last("setgroups", name) }
        guard setgid(groupIdentifier) == 0 else { throw .last("setgid", name) }
        guard setuid(userIdentifier) == 0 else { throw .last("setuid", name) }
        // Other processes of that account have nothing to look for in what was read before.
        Host.forbidTracing()
    }
}
