// New settings for a daemon that runs: at SIGHUP, and when their file changes.

import LinuxSystem
import Logging
import NodeSupervisor
import TaskModel

extension Daemon {
    /// SIGHUP: new settings, and with `restart_mode` "keep" also the program that is installed now.
    func hangup() -> [Event] {
        let events = reloadSettings()
        guard node.configuration.restartMode == .keep, settingsAreGood, !node.servesParent else { return events }
        return events + beginReExec()
    }

    /// Takes what is new in the settings. A file that will not do is told with all that is wrong with it, and the settings that
    /// run stay.
    func reloadSettings() -> [Event] {
        services.notify("RELOADING=1", "MONOTONIC_USEC=\(SystemClock.monotonicNanoseconds() / 1000)")
        defer { services.notify("READY=1") }
        guard node.configurationPath != nil else {
            log.info("there is no settings file to read again")
            return []
        }
        do throws(StartFailure) {
            let (taken, waiting) = try node.reloadSettings()
            settingsAreGood = true
            if !taken.isEmpty { log.notice("new settings: \(taken.joined(separator: ", "))") }
            if !waiting.isEmpty {
                log.warning("changed, and used from the next start on: \(waiting.joined(separator: ", "))")
            }
            if taken.isEmpty { return [] }
        } catch {
            settingsAreGood = false
            for line in error.message.split(separator: "\n") { log.error("\(line)") }
            log.error("the new settings are not used; those that run stay")
            return []
        }
        queue.take(node)
        runner.settings = TaskSettings(node)
        return [.settingsChanged(NodeSupervisor.Settings(node))]
    }
}
