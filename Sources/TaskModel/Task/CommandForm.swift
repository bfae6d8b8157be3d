// Decides how a task's command is executed. A shell costs as much as the whole rest of a launch, and most commands do
// not need one: where `sh -c` would only split words and look up a program, we do that ourselves, as make does.

/// How a task's command is executed.
public enum CommandForm: Hashable, Sendable {
    /// These words, the first being a program that is looked up in PATH when it holds no slash. Never empty.
    case direct([String])
    /// `/bin/sh -c` with this text.
    case shell(String)

    /// The form of `task`'s command.
    ///
    /// Throws when a python or demo command has a quote that is never closed; nothing can be run then.
    public init(_ task: TaskLine) throws(WordSplitError) {
        switch task.type {
        case .shell: self = Self.form(ofShellCommand: task.command)
        case .python: self = .direct(["python3"] + (try WordSplitter.split(task.command)))
        case .demo: self = .direct(["echo", "demo"] + (try WordSplitter.split(task.command)))
        }
    }

    /// The words to execute, the program first.
    public var arguments: [String] {
        switch self {
        case .direct(let words): words
        case .shell(let command): ["/bin/sh", "-c", command]
        }
    }

    private static func form(ofShellCommand command: String) -> CommandForm {
        guard command.utf8.allSatisfy({ !isSpecial($0) }) else { return .shell(command) }
        let words = command.utf8.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 }).map { String(Substring($0)) }
        guard let first = words.first, !first.utf8.contains(UInt8(ascii: "=")), !shellWords.contains(first) else {
            return .shell(command)
        }
        // With an option these differ between shells and programs: dash's `echo -e` prints "-e".
        if likeProgramsWithoutOptions.contains(first), words.dropFirst().contains(where: { $0.hasPrefix("-") }) {
            return .shell(command)
        }
        return .direct(words)
    }

    /// What may mean something to a POSIX shell wherever it stands, and all controls but the tab.
    private static func isSpecial(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x09: return false
        case ..<0x20, 0x7F: return true
        case UInt8(ascii: "|"), UInt8(ascii: "&"), UInt8(ascii: ";"), UInt8(ascii: "<"), UInt8(ascii: ">"),
            UInt8(ascii: "("), UInt8(ascii: ")"), UInt8(ascii: "{"), UInt8(ascii: "}"), UInt8(ascii: "["),
            UInt8(ascii: "]"), UInt8(ascii: "$"), UInt8(ascii: "`"), UInt8(ascii: "\\"), UInt8(ascii: "\""),
            UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "#"), UInt8(ascii: "~"),
            UInt8(ascii: "!"), UInt8(ascii: "^"):
            return true
        default: return false
        }
    }

    /// Built into the usual shells and also programs that do the same; `true` and `echo` are worth the exception.
    private static let likeProgramsWithoutOptions: Set<String> = ["echo", "false", "true"]

    /// Reserved words and what dash, bash, ksh and busybox have built in, apart from the three above: the program of
    /// that name, where there is one, may do something else.
    private static let shellWords: Set<String> = [
        ".", ":", "alias", "autoload", "bg", "bind", "break", "builtin", "caller", "case", "cd", "chdir", "command",
        "compgen", "complete", "compopt", "continue", "coproc", "declare", "dirs", "disown", "do", "done", "elif",
        "else", "enable", "esac", "eval", "exec", "exit", "export", "fc", "fg", "fi", "for", "function", "getopts",
        "hash", "help", "history", "if", "in", "integer", "jobs", "kill", "let", "local", "login", "logout", "mapfile",
        "nameref", "newgrp", "popd", "print", "printf", "pushd", "pwd", "read", "readarray", "readonly", "return",
        "select", "set", "shift", "shopt", "source", "stop", "suspend", "test", "then", "time", "times", "trap", "type",
        "typeset", "ulimit", "umask", "unalias", "unset", "until", "wait", "whence", "while",
    ]
}
