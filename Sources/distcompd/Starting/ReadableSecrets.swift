// A secret in a file that tasks can read is none: they run what others wrote.

import LinuxSystem
import TaskModel

extension NodeIdentity {
    /// What is wrong with each file that holds a secret and that tasks, or everybody on this machine, can read.
    var readableSecrets: [String] {
        if servesParent { return [] }  // Tasks of a run are its caller's own.
        var files = [
            configuration.redisPasswordFile, configuration.redisSentinelPasswordFile, configuration.redisTLSKeyFile,
        ]
        let hasPassword = configuration.redisPassword != nil || configuration.redisURL?.contains("@") == true
        if hasPassword { files.append(configurationPath) }
        return files.compactMap(\.self).compactMap { path in
            guard let status = try? FileSystem.status(of: path) else { return nil }
            // A daemon without rights runs tasks as itself: what it can read, they can.
            let isOfTasks =
                Host.isRoot && status.ownerIdentifier == account?.userIdentifier && status.ownerIdentifier != 0
            guard isOfTasks || status.permissions & 0o004 != 0 else { return nil }
            let name = TerminalText.escaped(path)
            return "tasks can read \(name), which holds a secret: chown root \(name); chmod 640 \(name)"
        }
    }
}
