// Files and standard input, handed over in pieces: what is read from them is never held as a whole here.

import LinuxSystem
import TaskModel

enum InputFile {
    private static let pieceByteCount = 256 << 10

    /// What messages call the file of that path; `-` is standard input.
    static func name(_ path: String) -> String { path == "-" ? "standard input" : path }

    /// Throws where one of the files is not there: better told before anything is begun. They are not opened, since a named pipe
    /// that is opened twice has lost its writer.
    static func expectAll(_ paths: [String]) throws(CommandError) {
        do throws(SystemError) {
            for path in paths where path != "-" { _ = try FileSystem.status(of: path) }
        } catch {
            throw .usage("\(error)\(Self.hint(paths))")
        }
    }

    /// For who forgot that a command stands after `--`, as it need not for GNU parallel.
    private static func hint(_ paths: [String]) -> String {
        let looksLikeCommand =
            paths.contains(where: SweepInput.separators.contains) || Template.hasMark(paths)
            || paths.allSatisfy { path in !path.contains { $0 == "." || $0 == "/" } }
        return looksLikeCommand ? " (a command stands after --)" : ""
    }

    /// Whether a file, which is none that can be read only once, has lines of JSON and this text in it.
    static func isJSON(_ path: String, mentioning text: String) throws(CommandError) -> Bool {
        guard path != "-", let status = try? FileSystem.status(of: path), status.isRegular else { return false }
        let wanted = Array(text.utf8)
        var (isFirst, isJSON, isFound, end) = (true, false, false, [UInt8]())
        try forEachPiece(of: path) { piece throws(CommandError) in
            if isFirst {
                let lines = piece.split(separator: UInt8(ascii: "\n"))
                isJSON = lines.first { $0.first != UInt8(ascii: "#") }?.contains(UInt8(ascii: "{")) ?? true
                isFirst = false
            }
            guard isJSON, !isFound else { return }
            isFound = contains(wanted, in: end + piece.prefix(wanted.count)) || contains(wanted, in: piece)
            end = Array(piece.suffix(wanted.count - 1))
        }
        return isFound
    }

    /// By its first two bytes and then all of it, as far as that goes: files are large.
    private static func contains(_ wanted: [UInt8], in bytes: some RandomAccessCollection<UInt8>) -> Bool {
        bytes.withContiguousStorageIfAvailable { bytes in
            var index = 0
            while index + wanted.count <= bytes.count {
                if bytes[index] == wanted[0], bytes[index + 1] == wanted[1],
                    bytes[index..<index + wanted.count].elementsEqual(wanted)
                {
                    return true
                }
                index += 1
            }
            return false
        } ?? false
    }

    /// Hands over the contents of the file, piece by piece.
    static func forEachPiece(
        of path: String, _ use: (UnsafeRawBufferPointer) throws(CommandError) -> Void
    ) throws(CommandError) {
        let descriptor: SharedDescriptor
        do throws(SystemError) {
            descriptor = SharedDescriptor(
                path == "-" ? try OwnedDescriptor.duplicate(of: 0) : try OwnedDescriptor.open(path, [.readOnly]))
        } catch {
            throw .usage("\(error)")
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: pieceByteCount, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count: Int
            do throws(SystemError) {
                count = try descriptor.readNext(into: buffer, subject: path)
            } catch {
                throw .usage("\(error)")
            }
            if count == 0 { return }
            try use(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        }
    }
}

extension TaskFile {
    /// Hands over every task of a file, in order, and a problem for every line that is not a task; `-` is standard input.
    ///
    /// - Parameter commandParts: see `TaskFile.init`.
    static func read(
        _ path: String, orCommandsWith commandParts: TaskLine.Parts? = nil, counting: (Int) -> Void = { _ in },
        _ use: (Entry) throws(CommandError) -> Void
    ) throws(CommandError) {
        var file = TaskFile(named: InputFile.name(path), orCommandsWith: commandParts)
        try InputFile.forEachPiece(of: path) { piece throws(CommandError) in
            counting(piece.count)
            try file.read(piece, use)
        }
        try file.finish(use)
    }
}

extension ValueTable {
    /// The values that a file holds; `-` is standard input.
    static func read(_ path: String, _ form: Form) throws(CommandError) -> ValueTable {
        var reader = ValueReader(named: InputFile.name(path), form)
        try InputFile.forEachPiece(of: path) { piece throws(CommandError) in
            do throws(SweepError) { try reader.read(piece) } catch { throw CommandError(error) }
        }
        do throws(SweepError) { try reader.finish() } catch { throw CommandError(error) }
        return reader.table
    }
}

extension SlurmScript {
    static func read(_ path: String) throws(CommandError) -> SlurmScript {
        var bytes: [UInt8] = []
        try InputFile.forEachPiece(of: path) { piece throws(CommandError) in bytes += piece }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .usage("\(TerminalText.escaped(path)): not UTF-8, as all text of a task is")
        }
        do {
            return try SlurmScript(text, named: path)
        } catch {
            throw CommandError(error)
        }
    }
}

extension JobLog {
    static func read(_ path: String) throws(CommandError) -> JobLog {
        var log = JobLog(named: InputFile.name(path))
        try InputFile.forEachPiece(of: path) { piece throws(CommandError) in
            do throws(SweepError) { try log.read(piece) } catch { throw CommandError(error) }
        }
        do throws(SweepError) { try log.finish() } catch { throw CommandError(error) }
        return log
    }
}

extension CommandError {
    init(_ error: SweepError) { self = .usage(TerminalText.escaped(error.description)) }
}
