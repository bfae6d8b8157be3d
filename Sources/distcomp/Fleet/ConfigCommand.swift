import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp config`: looks at settings without using them.
struct ConfigCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check settings, or show those in effect.",
        subcommands: [ConfigCheckCommand.self, ConfigShowCommand.self])
}

/// `distcomp config check`: all that is wrong with a file, before a daemon meets it.
struct ConfigCheckCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check a settings file for use on this machine.",
        discussion:
            "Exit status 2 when a daemon would refuse it. Environment variables DISTCOMP_<KEY> count as they do for a daemon."
    )

    @Argument(help: "The file (default: ./conf.json, then /etc/distcomp/conf.json).")
    var file: String?

    func run() throws {
        guard let path = file ?? usualConfigurationPath() else {
            throw CommandError.usage("there is no conf.json here and no \(Configuration.usualPath); name a file")
        }
        let loaded = try loadSettings(path)
        for warning in loaded.warnings { standardError.write("distcomp: warning: \(warning)\n") }
        let total = try MemoryReading.current().totalBytes
        let unfit = loaded.configuration.problems(onMachineWithMemoryBytes: total, file: path)
        guard unfit.isEmpty else {
            throw CommandError.usage(unfit.map(\.description).joined(separator: "\ndistcomp: "))
        }
        try show("\(TerminalText.escaped(path)) is good\n")
    }
}

/// `distcomp config show`: every setting with its value and where that comes from.
struct ConfigShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show every setting, its value, and where the value comes from.",
        discussion: "LIVE: a running distcompd takes a new value from its file; the others apply at its next start.")

    @Option(help: "The settings (default: ./conf.json, then /etc/distcomp/conf.json, where they exist).")
    var config: String?

    @Flag(help: "Print one JSON object a setting.")
    var json = false

    func run() throws {
        let loaded = try loadSettings(config ?? usualConfigurationPath())
        for warning in loaded.warnings { standardError.write("distcomp: warning: \(warning)\n") }
        var table = TextTable([("SETTING", .left), ("VALUE", .left), ("FROM", .left), ("LIVE", .left)])
        for setting in loaded.settings {
            guard json else {
                table.append([setting.key, setting.text, setting.origin, setting.appliesLive ? "yes" : ""])
                continue
            }
            var writer = JSONObjectWriter()
            writer.field("setting", setting.key)
            writer.field("value", json: Array(setting.text.utf8))
            writer.field("from", setting.origin)
            writer.field("live", setting.appliesLive)
            writer.field("allowed", setting.allowed)
            try show(writer.text + "\n")
        }
        if !json { try show(table.rendered(columns: standardOutput.terminalColumns)) }
    }
}
