// A place for a node that somebody starts by hand. Under systemd a shell shares its control group with all that it runs, so controllers
// cannot be handed down below it; a scope of the node's own can be delegated, by the system's manager for root, by the user's for others.

import LinuxSystem

enum DelegatedScope {
    /// The words that start a program in such a scope, to stand before its own. Empty where none can be had, or where none is needed:
    /// then the node uses the group that it is in.
    static func words() -> [String] {
        // A group that was delegated to us is also under whatever limits somebody gave it: there is no better place.
        guard FileSystem.exists("/run/systemd/system"), !ControlGroupTree.canDivideOwnGroup,
            let program = executable(named: "systemd-run"), let manager = manager()
        else { return [] }
        let words =
            manager.before + [program] + manager.options
            + ["--scope", "--quiet", "--collect", "--property=Delegate=yes", "--"] + manager.after
        guard let null = try? OwnedDescriptor.open("/dev/null", [.readWrite]), let nothing = executable(named: "true"),
            let trial = try? ChildProcesses.start(
                words[0], Array(words.dropFirst()) + [nothing], descriptors: [null.raw, null.raw, null.raw]),
            (try? ChildProcesses.wait(for: trial)) == .exit(code: 0)
        else { return [] }
        return words
    }

    /// Whom to ask, and how: words before systemd-run, its options, and words before the program that the scope is for.
    private static func manager() -> (before: [String], options: [String], after: [String])? {
        if Host.isRoot { return ([], [], []) }
        let directory = "/run/user/\(Host.userIdentifier)"
        let known = Host.environment("XDG_RUNTIME_DIR")
        if let known, (try? FileSystem.status(of: known))?.ownerIdentifier == Host.userIdentifier {
            return ([], ["--user"], [])
        }
        // cron and `sudo -u` leave the variable out, `su` leaves another's. The manager is there all the same, for whoever lingers or
        // is logged in; tasks do not get what their caller did not have.
        guard FileSystem.exists(directory + "/bus"), let env = executable(named: "env") else { return nil }
        let address = Host.environment("DBUS_SESSION_BUS_ADDRESS")
        let before = [env, "XDG_RUNTIME_DIR=\(directory)", "DBUS_SESSION_BUS_ADDRESS=unix:path=\(directory)/bus"]
        let removed = [(known, "XDG_RUNTIME_DIR"), (address, "DBUS_SESSION_BUS_ADDRESS")]
        let after =
            [env] + removed.filter { $0.0 == nil }.flatMap { ["-u", $0.1] }
            + removed.compactMap { value, name in value.map { "\(name)=\($0)" } }
        return (before, ["--user"], after)
    }
}
