// `results --into DIRECTORY`: what tasks wrote as files for other tools, laid out as `parallel --results DIRECTORY < commands` does: a
// folder for each command, and in it stdout, stderr and seq.

import LinuxSystem
import TaskModel
import TaskQueue

final class ResultFolders {
    private static let pieceBytes = 1 << 20
    /// NAME_MAX of Linux's file systems.
    private static let nameBytesMax = 255

    /// parallel has one for each source of values; a list of commands is the first.
    private let folders: GuardedDirectory
    private let files: OutputFiles
    private let places: PlacesInFile?
    /// The names of the folders, until it is known which number each has.
    private let spool: RowSpool
    private(set) var folderCount = 0
    /// Of those, how many lack what the task wrote to standard output: it is on another machine.
    private(set) var lackingCount = 0

    init(_ path: String, _ files: OutputFiles, places: PlacesInFile?) throws(CommandError) {
        self.files = files
        self.places = places
        do throws(SystemError) {
            folders = try GuardedDirectory(path: path, creating: 0o755).directory("1", creating: 0o755)
        } catch {
            throw .usage("--into: \(error)")
        }
        spool = try RowSpool()
    }

    func add(_ result: TaskResult) throws(CommandError) {
        let name = Self.folderName(ResultJobLog.shellCommand(result), identifier: TaskLine.identifier(of: result.line))
        do throws(SystemError) {
            let folder = try folders.directory(name, creating: 0o755)
            let hasOutput = try write(.stdout, of: result, to: folder)
            _ = try write(.stderr, of: result, to: folder)
            folderCount += 1
            if !hasOutput { lackingCount += 1 }
        } catch {
            throw .failed("\(error)")
        }
        let start = result.startUnixSeconds ?? .infinity
        try spool.add(name, at: RowSpool.Place(number: places?.place(of: result), startUnixSeconds: start))
    }

    /// Writes the numbers.
    func end() throws(CommandError) {
        var numbering = ResultNumbering(places)
        try spool.read { place, name throws(CommandError) in
            do throws(SystemError) {
                let file = try folders.directory(name).create("seq", mode: 0o644)
                try file.writeAll(Array("\(numbering.next(place))".utf8), subject: "seq")
            } catch {
                throw .failed("\(error)")
            }
            return true
        }
    }

    /// Whether it is known.
    private func write(
        _ stream: OutputStream, of result: TaskResult, to folder: GuardedDirectory
    ) throws(SystemError) -> Bool {
        let source = result.outcome.flatMap { files.file(stream, of: result.line, $0) }
        let reported = stream == .stdout ? result.standardOutputJSON.flatMap { JSONText.unquoted($0) } : nil
        guard let text = reported ?? (stream == .stderr ? result.outcome?.stderrTail : nil) ?? source.map({ _ in "" })
        else { return false }
        let target = try folder.create(stream.rawValue, mode: 0o644)
        guard let source else {
            try target.writeAll(Array(text.utf8), subject: stream.rawValue)
            return true
        }
        while true {
            let piece = try source.next(Self.pieceBytes)
            if piece.isEmpty { return true }
            try target.writeAll(piece, subject: stream.rawValue)
        }
    }

    /// The command with what cannot stand in a name written as parallel does. One that is too long ends with the task's id, so that two
    /// of them do not meet.
    static func folderName(_ command: String, identifier: String) -> String {
        var name: [UInt8] = []
        for byte in command.utf8 {
            switch byte {
            case UInt8(ascii: "\\"): name += "\\\\".utf8
            case UInt8(ascii: "\t"): name += "\\t".utf8
            case UInt8(ascii: "/"): name += "\\_".utf8
            case 0: name += "\\0".utf8
            default: name.append(byte)
            }
        }
        let isPlain = name != Array(".".utf8) && name != Array("..".utf8) && !name.isEmpty
        if name.count <= nameBytesMax, isPlain { return String(decoding: name, as: UTF8.self) }
        let end = "~" + identifier
        var kept = name.prefix(nameBytesMax - end.utf8.count)
        // Not within a character.
        while let last = kept.last, name.count > kept.count, name[kept.count] & 0xC0 == 0x80, last >= 0x80 {
            kept.removeLast()
        }
        return String(decoding: kept, as: UTF8.self) + end
    }
}
