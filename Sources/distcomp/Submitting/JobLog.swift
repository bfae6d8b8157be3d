// Reads a job log of GNU parallel (--joblog), or ours, which has the same columns: which commands ended well, so that they need not
// be run again. Commands are compared as a shell would read them, since parallel quotes values in another way than we do.

import TaskModel

/// The commands that a job log says ended with exit 0.
struct JobLog {
    /// What messages call the file.
    let name: String
    private var finished: Set<String> = []
    private var places: Places?
    private var unfinished: [UInt8] = []

    /// Where in a line what we read is.
    private struct Places {
        let exitValue: Int
        let signal: Int
        /// The last column, in which there may be tabs.
        let command: Int

        init?(heading: [String]) {
            guard let exitValue = heading.firstIndex(of: "Exitval"), let signal = heading.firstIndex(of: "Signal"),
                let command = heading.firstIndex(of: "Command"), command == heading.count - 1
            else { return nil }
            self.exitValue = exitValue
            self.signal = signal
            self.command = command
        }
    }

    init(named name: String) { self.name = name }

    mutating func read(_ piece: UnsafeRawBufferPointer) throws(SweepError) {
        var rest = piece[...]
        while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
            unfinished += rest[..<end]
            rest = rest[(end + 1)...]
            try take()
        }
        unfinished += rest
    }

    /// To be called once, when the file has ended.
    mutating func finish() throws(SweepError) {
        // What has no newline was cut off as its writer was killed, unless it is the heading.
        if places == nil && !unfinished.isEmpty { try take() }
        guard places != nil else { throw SweepError("\(name): it is empty, and no job log") }
    }

    func hasFinished(_ command: String) -> Bool { finished.contains(ShellText.canonical(command)) }

    private mutating func take() throws(SweepError) {
        let text = String(decoding: unfinished, as: UTF8.self)
        unfinished.removeAll(keepingCapacity: true)
        guard let places else {
            places = Places(heading: text.split(separator: "\t", omittingEmptySubsequences: false).map(String.init))
            guard places != nil else {
                throw SweepError(
                    "\(name): no job log of GNU parallel: its first line is not the heading Seq, Host, ... Command")
            }
            return
        }
        let fields = text.split(separator: "\t", maxSplits: places.command, omittingEmptySubsequences: false)
        guard fields.count == places.command + 1 else { return }
        // A newline of a command is a NUL character there.
        let command = ShellText.canonical(
            fields[places.command].split(separator: "\0", omittingEmptySubsequences: false).joined(separator: "\n"))
        // The last word on a command counts: it may have been tried again.
        if fields[places.exitValue] == "0" && fields[places.signal] == "0" {
            finished.insert(command)
        } else {
            finished.remove(command)
        }
    }
}

/// The text of a command, written in one way where quoting has several.
enum ShellText {
    /// A text that is the same for commands that differ only in how they quote and in how many blanks are between words: what
    /// was quoted has a backslash before each character that needs one. Where that is not certain it is the command itself.
    static func canonical(_ command: String) -> String {
        // A here-document is no words.
        guard !command.contains("<<") else { return command }
        var result = String.UnicodeScalarView()
        var isAfterBlank = true
        var scalars = command.unicodeScalars.makeIterator()
        while let scalar = scalars.next() {
            let wasAfterBlank = isAfterBlank
            isAfterBlank = false
            switch scalar {
            case " ", "\t":
                if !wasAfterBlank { result.append(" ") }
                isAfterBlank = true
            case "\\":
                guard let next = scalars.next(), next != "\n" else { return command }
                append(quoted: next, to: &result)
            case "'":
                guard let text = quotedText(&scalars, until: scalar) else { return command }
                if text.isEmpty { result.append(contentsOf: "''".unicodeScalars) }
                for scalar in text { append(quoted: scalar, to: &result) }
            case "\"":
                // Within double quotes a shell still expands.
                guard let text = quotedText(&scalars, until: scalar),
                    !text.contains(where: { $0 == "$" || $0 == "`" || $0 == "\\" || $0 == "!" })
                else { return command }
                if text.isEmpty { result.append(contentsOf: "''".unicodeScalars) }
                for scalar in text { append(quoted: scalar, to: &result) }
            default: result.append(scalar)
            }
        }
        if isAfterBlank, result.last == " " { result.removeLast() }
        return String(result)
    }

    private static func quotedText(
        _ scalars: inout String.UnicodeScalarView.Iterator, until quote: Unicode.Scalar
    ) -> [Unicode.Scalar]? {
        var text: [Unicode.Scalar] = []
        while let scalar = scalars.next() {
            if scalar == quote { return text }
            text.append(scalar)
        }
        return nil
    }

    /// Letters, digits and the few signs that are the same quoted and not; `=` is not, since it makes an assignment.
    private static func append(quoted scalar: Unicode.Scalar, to result: inout String.UnicodeScalarView) {
        let isPlain =
            scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
            || "_-./:@%+,".unicodeScalars.contains(scalar)
        if !isPlain { result.append("\\") }
        result.append(scalar)
    }
}
