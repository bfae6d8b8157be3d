// What each command has of its own: the directory it begins in, variables, a file it reads. As they are typed they mean
// this machine's directory and environment, so they are made whole here, where they were typed.

import ArgumentParser
import LinuxSystem
import TaskModel

struct SurroundingOptions: ParsableArguments {
    @Option(help: .init("Of each command: the directory in which it begins.", valueName: "directory"))
    var cwd: String?

    @Option(
        name: .customLong("env"),
        help: .init(
            "Of each command: a variable of its environment; without a value, the one it has here. May be repeated.",
            valueName: "name[=value]"))
    var variables: [String] = []

    @Option(
        help: .init("Of each command: the file it reads from standard input (default: nothing).", valueName: "file"))
    var stdin: String?

    @Option(
        help: .init(
            """
            Of each command: the directory in which it is given one of its own, DISTCOMP_CHECKPOINT_DIR, to save in what it has done; its \
            next attempt finds it there.
            """, valueName: "directory"))
    var checkpointDir: String?

    /// By the names of the options, as they were given.
    var given: [(key: String, value: String?)] {
        [("cwd", cwd), ("env", variables.first), ("stdin", stdin), ("checkpoint-dir", checkpointDir)]
    }

    func validate() throws {
        if let stdin, stdin == "-" {
            throw ValidationError(
                "--stdin takes a file that the nodes can open; - is the standard input of this command")
        }
        for (option, path) in [("cwd", cwd), ("stdin", stdin), ("checkpoint-dir", checkpointDir)] {
            guard let path else { continue }
            guard !path.isEmpty else { throw ValidationError("--\(option): a path is needed") }
            guard Self.isText(Self.absolutePath(path)) else {
                throw ValidationError(
                    "--\(option) \(TerminalText.escaped(path)): the directory here has no name in UTF-8; give an absolute path"
                )
            }
        }
        for variable in variables {
            let name = String(variable.prefix { $0 != "=" })
            guard TaskSurroundings.isVariableName(name) else {
                throw ValidationError(
                    "--env \(TerminalText.escaped(variable)): expected \(TaskSurroundings.variableNameExpected)")
            }
            guard let value = Self.value(variable) else {
                throw ValidationError("--env \(name): there is no such variable here; give its value, as \(name)=VALUE")
            }
            guard Self.isText(value) else { throw ValidationError("--env \(name): its value here is not UTF-8") }
        }
    }

    /// What was typed, and may have marks for values in it. The value of a variable that is taken from here was not.
    var typed: [String] {
        [cwd, stdin, checkpointDir].compactMap(\.self) + variables.filter { $0.contains("=") }.compactMap(Self.value)
    }

    /// - Parameter texts: `typed`, with values where marks were.
    func surroundings(_ texts: [String]) -> TaskSurroundings {
        var texts = texts[...]
        var own = TaskSurroundings()
        if cwd != nil { own.directory = texts.popFirst().map(Self.absolutePath) }
        if stdin != nil { own.standardInput = texts.popFirst().map { .file(Self.absolutePath($0)) } }
        if checkpointDir != nil { own.checkpointDirectory = texts.popFirst().map(Self.absolutePath) }
        for variable in variables {  // The last of a name holds.
            let name = String(variable.prefix { $0 != "=" })
            own.environment[name] = name == variable ? Self.value(variable) : texts.popFirst()
        }
        return own
    }

    /// False of what was not UTF-8 when it was read: the replacement character is in its place.
    private static func isText(_ text: String) -> Bool { !text.unicodeScalars.contains("\u{FFFD}") }

    /// nil for a name alone that is not in this environment.
    private static func value(_ variable: String) -> String? {
        guard let equals = variable.firstIndex(of: "=") else { return Host.environment(variable) }
        return String(variable[variable.index(after: equals)...])
    }

    /// Without `.` and doubled slashes, so that one directory is one task whichever way it was typed. `..` stays: behind a symbolic
    /// link it is not what it looks like.
    private static func absolutePath(_ path: String) -> String {
        let whole = path.hasPrefix("/") ? path : FileSystem.workingDirectory + "/" + path
        return "/" + whole.split(separator: "/").filter { $0 != "." }.joined(separator: "/")
    }
}
