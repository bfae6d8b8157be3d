import ArgumentParser
import LinuxSystem
import TaskModel

/// `distcomp doctor`: whether this machine can be a node, and what it lacks.
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Check whether this machine can run tasks under caps, and say what is missing.",
        discussion: "The checks are those distcompd makes at its start; run it as the user who shall run distcompd.")

    @Option(help: "The settings distcompd shall run by.")
    var config: String?

    @Option(help: "The Redis distcompd shall use, instead of the settings'.")
    var redis: String?

    @Flag(help: "Print one JSON object a check.")
    var json = false

    func run() throws {
        let directory = try FileSystem.makeTemporaryDirectory("/tmp/distcomp-doctor-")
        defer { try? FileSystem.removeTree(directory) }
        var arguments = ["--check", "--state", directory]
        if let config { arguments += ["--config", config] }
        if let redis { arguments += ["--redis", redis] }

        let (output, ending) = try Self.outputOfDaemon(arguments, in: directory)
        let findings = output.split(separator: "\n").map { $0.split(separator: "\t", maxSplits: 2).map(String.init) }
            .filter { $0.count == 3 }
        guard !findings.isEmpty else {
            throw CommandError.failed("distcompd --check ended with \(ending) and found nothing")
        }
        try print(findings)
        if findings.contains(where: { $0[0] == "missing" }) { throw CommandError.reported }
    }

    private func print(_ findings: [[String]]) throws(CommandError) {
        var table = TextTable([("", .left), ("CHECK", .left), ("FOUND", .left)])
        for finding in findings {
            guard json else {
                table.append(finding)
                continue
            }
            var writer = JSONObjectWriter()
            for (name, value) in zip(["verdict", "check", "found"], finding) { writer.field(name, value) }
            try show(writer.text + "\n")
        }
        if !json { try show(table.rendered(columns: nil)) }
    }

    private static func outputOfDaemon(
        _ arguments: [String], in directory: String
    ) throws -> (String, ProcessEnding) {
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let output = try OwnedDescriptor.open(directory + "/findings", [.readWrite, .create], mode: 0o600)
        // Where `distcomp run` starts its node, so that what is found is what a run would find.
        let words = DelegatedScope.words() + [try EmbeddedNode.programPath()] + arguments
        let process = try ChildProcesses.start(
            words[0], Array(words.dropFirst()), descriptors: [null.raw, output.raw, null.raw])
        let ending = try ChildProcesses.wait(for: process)
        return (try FileSystem.text(of: directory + "/findings"), ending)
    }
}
