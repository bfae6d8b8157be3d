// What a run says of itself in its state directory, for `distcomp attach`: that it goes on, and what came of it. The queue cannot say
// that: it ends with the run.

import LinuxSystem
import TaskModel

/// The last run of a state directory.
struct RunRecord: Equatable {
    /// Tells it from all others.
    var identifier = String(randomUInt64(), radix: 36)
    /// The identifier of its job, "" for what is of none; nil for all that waited.
    var job: String?
    /// Nil while it goes on, or if it could not say how it ended.
    var exitStatus: Int32?
    /// What it printed at its end.
    var summary = ""
    var summaryJSON = ""
    /// What it said went wrong.
    var message = ""
    /// Whether it ended without a word.
    var wasKilled = false
    /// Whether some of its tasks failed; not noted.
    var hasFailures = false

    private static let name = "run.json"
    private static let orderName = "run.stop"
    private static let bytesMax = 1 << 20

    init() {}

    /// Nil where there is none.
    init?(in files: GuardedDirectory) {
        guard let bytes = try? files.contents(of: Self.name, bytesMax: Self.bytesMax),
            let value = try? JSONReader.read(bytes), case .object(let members) = value.content
        else { return nil }
        for member in members {
            switch (member.name, member.value.content) {
            case ("run", .string(let text)): identifier = text
            case ("job", .string(let text)): job = text
            case ("exit_status", .integer(let number)): exitStatus = Int32(clamping: number)
            case ("summary", .string(let text)): summary = text
            case ("summary_json", .string(let text)): summaryJSON = text
            case ("message", .string(let text)): message = text
            case ("killed", .boolean(let isSo)): wasKilled = isSo
            default: break
            }
        }
    }

    /// Where it cannot be noted the run is none the worse.
    func write(in files: GuardedDirectory) {
        var writer = JSONObjectWriter()
        writer.field("run", identifier)
        writer.field("job", job)
        writer.field("exit_status", exitStatus)
        writer.field("summary", summary)
        writer.field("summary_json", summaryJSON)
        writer.field("message", message)
        writer.field("killed", wasKilled)
        do throws(SystemError) {
            try files.replace(Self.name, with: writer.bytes + [UInt8(ascii: "\n")], mode: 0o644)
        } catch {
            standardError.write("distcomp: warning: \(error): distcomp attach cannot tell of this run\n")
        }
    }

    /// Notes that the last run has ended, if it could not do so itself. To be called with the directory's lock.
    static func noteEndOfKilled(in files: GuardedDirectory) {
        guard var record = RunRecord(in: files), record.exitStatus == nil else { return }
        (record.exitStatus, record.wasKilled) = (1, true)
        record.write(in: files)
    }

    static func messageOfKilled(_ state: String) -> String {
        "the run has ended without a word, as one that is killed does: distcomp run\(BackgroundRun.option(ofState: state)) goes on "
            + "with what is left"
    }

    // MARK: Stopping it

    /// Asks this run to stop. By a file, since a process id might be another program's by now.
    func orderStop(in files: GuardedDirectory) throws(SystemError) {
        try files.replace(Self.orderName, with: Array(identifier.utf8), mode: 0o644)
    }

    /// Whether somebody has asked this run to stop since last asked.
    func takeStopOrder(in files: GuardedDirectory) -> Bool {
        guard files.has(Self.orderName), let bytes = try? files.contents(of: Self.orderName, bytesMax: 64) else {
            return false
        }
        // One that cannot be removed would be taken for ever.
        return (try? files.remove(Self.orderName)) == true && bytes == Array(identifier.utf8)
    }
}
