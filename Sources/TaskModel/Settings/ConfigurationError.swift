// What is wrong with a conf.json: all of it at once, each with its place, so that one edit is enough.

/// One thing that is wrong with a setting, or worth a warning.
public struct ConfigurationProblem: Hashable, Sendable, CustomStringConvertible {
    public let file: String
    /// Both counted from 1; nil when the problem is not in the file but with the machine or a default.
    public let line: Int?
    public let column: Int?
    /// The setting; empty when the text as a whole is meant.
    public let key: String
    /// What it is set to, as written, safe to print; a secret is not shown.
    public let value: String
    /// What is wrong and what is allowed.
    public let message: String

    public init(file: String, line: Int?, column: Int?, key: String, value: String, message: String) {
        self.file = file
        self.line = line
        self.column = column
        self.key = key
        self.value = value
        self.message = message
    }

    /// `conf.json:7:17: redis_port is 99999; allowed: a whole number from 1 to 65535`
    public var description: String {
        let place = [line, column].compactMap(\.self).map { ":\($0)" }.joined()
        return "\(TerminalText.escaped(file))\(place): \(message)"
    }
}

/// Why a configuration cannot be used.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Never empty; in the order of the file.
    public let problems: [ConfigurationProblem]

    public init(_ problems: [ConfigurationProblem]) { self.problems = problems }

    /// A line for each problem.
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
