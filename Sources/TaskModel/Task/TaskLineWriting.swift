// Writes the line of a task that somebody described by its parts, as `distcomp submit -- COMMAND` does. The form with colons
// where it says the same, since that is what people read; JSON where the command would be taken for something else.

extension TaskLine {
    /// What a line is made of, as a person gives it: amounts are text such as `2G`, `0.5`, `10m`.
    public struct Parts: Hashable, Sendable {
        public var priority = 0
        public var memory = "0"
        public var cores = "0"
        /// nil: the default timeout applies.
        public var timeout: String?
        public var command: String

        public init(command: String) { self.command = command }
    }

    /// The line of a shell task of these parts.
    ///
    /// Throws when a part is none: the problems name the fields as lines of JSON do.
    public init(of parts: Parts) throws(TaskLineError) {
        if let line = Self.colonLine(of: parts) {
            self = line
        } else {
            try self.init(parsing: Self.jsonLine(of: parts))
        }
    }

    /// The form with colons; nil where it would be read as something else.
    private static func colonLine(of parts: Parts) -> TaskLine? {
        let fields = ["shell", String(parts.priority), parts.memory, parts.cores] + [parts.timeout].compactMap(\.self)
        guard let line = try? TaskLine(parsing: (fields + [parts.command]).joined(separator: ":")),
            // The command is what is left when all fields are taken: where it is the same, so are they.
            line.command.utf8.elementsEqual(parts.command.utf8)
        else { return nil }
        return line
    }

    private static func jsonLine(of parts: Parts) -> String {
        var writer = JSONObjectWriter()
        if parts.priority != 0 { writer.field("priority", parts.priority) }
        if parts.memory != "0" { writer.field("memory", parts.memory) }
        if parts.cores != "0" { writer.field("cores", parts.cores) }
        if let timeout = parts.timeout { writer.field("timeout", timeout) }
        writer.field("command", parts.command)
        return writer.text
    }
}
