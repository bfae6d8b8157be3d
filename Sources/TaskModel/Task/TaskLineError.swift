// What is wrong with a line, so that whoever wrote it can find the place and knows what to put there.

/// Why a line is not a task: every field that cannot be read, each with its place, what was found and what is expected.
public struct TaskLineError: Error, Hashable, Sendable, CustomStringConvertible {
    public struct Problem: Hashable, Sendable, CustomStringConvertible {
        /// `type`, `priority`, `memory`, `cores`, `timeout`, `command`, or `line` for the line as a whole.
        public let field: String
        /// Counted from 1 in characters (Unicode scalars) of the line as it was given, leading white space included.
        public let column: Int
        /// What stands there, safe to print and not longer than a few words.
        public let found: String
        /// What may stand there.
        public let expected: String

        public init(field: String, column: Int, found: String, expected: String) {
            self.field = field
            self.column = column
            self.found = found
            self.expected = expected
        }

        public var description: String { "\(field): found \(found), expected \(expected)" }
    }

    /// Never empty; in the order of the line.
    public let problems: [Problem]

    public init(_ problems: [Problem]) { self.problems = problems }

    /// Where the first problem is, counted from 1.
    public var column: Int { problems.first?.column ?? 1 }

    /// All problems in one line, without their columns.
    public var message: String { problems.map(\.description).joined(separator: "; ") }

    public var description: String { problems.map { "\($0.column): \($0)" }.joined(separator: "; ") }
}
