// Whom the tasks of root's `distcomp run` run as. Not as root, unless that is asked for in words: without capabilities uid 0 still owns
// the control groups, the run's Redis and root's files, so no cap would hold it.

import LinuxSystem

/// The user of a run's tasks, and how it was chosen.
struct TaskUser {
    let account: Account
    /// The first line of a run.
    let notice: String

    /// Nil for whoever is not root: tasks are theirs, as everything else.
    ///
    /// - Parameter named: the user that --user or the settings name.
    static func chosen(named name: String?) throws(CommandError) -> TaskUser? {
        guard Host.isRoot else { return nil }
        if let name {
            guard let account = Account(named: name) else {
                throw .usage("there is no user \"\(name)\" on this machine to run tasks as")
            }
            return TaskUser(account, "")
        }
        if let account = Account.callingSudo { return TaskUser(account, ", who called sudo") }
        let place = FileSystem.workingDirectory
        if let status = try? FileSystem.status(of: place), status.ownerIdentifier != 0 {
            let account = Account(userIdentifier: status.ownerIdentifier) ?? Account(nameless: status)
            return TaskUser(account, ", whose this directory is")
        }
        for name in ["distcomp", "nobody"] {
            if let account = Account(named: name), account.mayEnter(place) { return TaskUser(account, "") }
        }
        guard let root = Account(userIdentifier: 0) else {
            throw .usage("this machine knows no user to run tasks as; see --user")
        }
        return TaskUser(root, ", for nobody else may enter this directory")
    }

    private init(_ account: Account, _ reason: String) {
        self.account = account
        notice =
            account.userIdentifier == 0
            ? """
            tasks run as root\(reason): they are not held by caps if they mean not to be, since root owns the control groups, this \
            run's Redis and its files (--user NAME takes another)
            """
            : "tasks run as \(account.name)\(reason) (--user NAME takes another)"
    }

    /// As distcompd's --task-user takes it.
    var argument: String { account.name }

    /// What may help a task of this user that was not permitted something.
    var hint: String {
        account.userIdentifier == 0
            ? "tasks of root have no capabilities: what takes one (chown, mount, another user's files) cannot be done in a task"
            : """
            tasks run as \(account.name), without root's rights: give that user what they need, or take another with --user; \
            what takes a capability (chown, mount) cannot be done in a task
            """
    }
}

extension Account {
    /// The person behind `sudo`; nil for root's own shell.
    static var callingSudo: Account? {
        guard let identifier = Host.environment("SUDO_UID").flatMap({ UInt32($0) }), identifier != 0 else { return nil }
        return Account(userIdentifier: identifier)
    }
}
