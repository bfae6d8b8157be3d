// Reads a task line with named fields, for what the form with colons cannot say:
//
//     {"type": "shell", "priority": 5, "memory": "8G", "cores": 2, "timeout": "5m", "command": "echo hello"}
//
// Only `command` is needed. Without the others it is a shell task of priority 0 with no memory cap of its own, no cores
// asked for and the default timeout. Numbers and strings alike are read as amounts (Amount.swift). A command may hold
// newlines here, since the line, which is the task's identity, does not. What a task has of its own besides (`name`, `cwd`, `env`,
// `stdin`, `checkpoint_dir`) is read in TaskSurroundings.swift; `after` names the tasks of the same file for which it waits, `memory_max` says how much a
// task of a file may come to have if it runs out of memory, `resources` what all tasks of the file have of their node, `where` which nodes these are.

extension TaskFields {
    static let jsonNames = [
        "type", "priority", "memory", "memory_max", "cores", "timeout", "name", "cwd", "env", "stdin", "checkpoint_dir",
        "after", "resources", "where", "command",
    ]

    /// - Parameter needsCommand: false for what the tasks of a job have in common.
    mutating func readJSON(_ line: Span<UInt8>, needsCommand: Bool = true) {
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONReader.read(line.withUnsafeBufferPointer { Array($0) })
        } catch {
            return report("line", at: error.offset, found: error.found, expected: error.expected)
        }
        guard case .object(let members) = value.content else { return }  // It begins with a brace.
        var seen: Set<String> = []
        for member in members {
            if seen.insert(member.name).inserted {
                read(member, line)
            } else {
                report(shownName(member), at: member.nameOffset, found: "it a second time", expected: "each field once")
            }
        }
        if memoryMaxBytes > 0, memoryMaxBytes <= memoryBytes || memoryBytes == 0,
            let member = members.first(where: { $0.name == "memory_max" })
        {
            reportValue(member, line, "more than `memory`, which has to be there")
        }
        if needsCommand, !seen.contains("command") {
            report("command", at: line.count - 1, found: "no such field", expected: "the command to run")
        }
    }

    private mutating func read(_ member: JSONMember, _ line: Span<UInt8>) {
        guard Self.jsonNames.contains(member.name) else {
            let nearest = NearestName.find(member.name, among: Self.jsonNames)
            let expected = nearest.map { "`\($0)`" } ?? "one of \(Self.jsonNames.joined(separator: ", "))"
            return report(shownName(member), at: member.nameOffset, found: "an unknown field", expected: expected)
        }
        switch (member.name, member.value.content) {
        case (_, .null) where member.name != "command": break  // As if it were not there.
        case ("type", .string(let word)):
            if let type = TaskType(rawValue: word) { self.type = type } else { fallthrough }
        case ("type", _): reportValue(member, line, "one of \(Self.typesExpected)")
        case ("priority", .integer(let number)) where TaskLine.priorities.contains(Int(number)): priority = Int(number)
        case ("priority", _): reportValue(member, line, Self.priorityExpected)
        case ("memory", let content):
            let bytes = amount(content, member, line) { Amount.memoryBytes($0) }
            if let bytes { memoryBytes = bytes } else { reportValue(member, line, Amount.memoryExpected) }
        case ("memory_max", let content):
            guard isOfFile else {
                return reportValue(
                    member, line, "none here: only tasks of a file for distcomp submit or run may have it")
            }
            let bytes = amount(content, member, line) { Amount.memoryBytes($0) }
            if let bytes { memoryMaxBytes = bytes } else { reportValue(member, line, Amount.memoryExpected) }
        case ("cores", let content):
            let count = amount(content, member, line) { Amount.millicores($0) }
            if let count { millicores = count } else { reportValue(member, line, Amount.coresExpected) }
        case ("timeout", let content):
            let request = amount(content, member, line) { Amount.timeout($0) }
            if let request { timeout = request } else { reportValue(member, line, Amount.timeoutExpected) }
        case ("name", _), ("cwd", _), ("env", _), ("stdin", _), ("checkpoint_dir", _): readSurroundings(member, line)
        case ("after", let content): readAfter(content, member, line)
        case ("resources", let content): readResources(content, member, line)
        case ("where", let content): readNodeLabels(content, member, line)
        case (_, .string(let text)) where !text.utf8.allSatisfy(\.isBlank) && !text.utf8.contains(0): command = text
        default: reportValue(member, line, "the command to run, a string that is not empty and has no NUL in it")
        }
    }

    /// The names of the tasks it is to wait for: of those in the same file, so a line elsewhere has none.
    private mutating func readAfter(_ content: JSONValue.Content, _ member: JSONMember, _ line: Span<UInt8>) {
        guard isOfFile else {
            return reportValue(
                member, line, "none here: tasks wait for each other in a file for distcomp submit or run")
        }
        let names: [String?]
        switch content {
        case .string(let name): names = [name]
        case .array(let values): names = values.map { if case .string(let name) = $0.content { name } else { nil } }
        case .null, .boolean, .integer, .number, .object: names = [nil]
        }
        for name in names {
            guard let name, TaskSurroundings.isName(name) else {
                return reportValue(member, line, #"names of tasks, such as ["prepare"]"#)
            }
            if !own.after.contains(name) || names.count > 1000 { own.after.append(name) }
        }
    }

    /// Which nodes it is for; its job says the same of all its tasks.
    private mutating func readNodeLabels(_ content: JSONValue.Content, _ member: JSONMember, _ line: Span<UInt8>) {
        guard isOfFile else {
            return reportValue(
                member, line, "none here: only tasks of a file for distcomp submit or run may have it")
        }
        guard case .string(let text) = content, let labels = LabelExpression(text: text) else {
            return reportValue(member, line, LabelExpression.expected)
        }
        own.nodeLabels = labels
    }

    /// What it has of its node besides memory and cores; its job says the same of all its tasks.
    private mutating func readResources(_ content: JSONValue.Content, _ member: JSONMember, _ line: Span<UInt8>) {
        guard isOfFile else {
            return reportValue(
                member, line, "none here: only tasks of a file for distcomp submit or run may have them")
        }
        var request = ResourceRequest()
        guard case .object(let members) = content else {
            return reportValue(member, line, #"an object such as {"gpu": 1}"#)
        }
        for part in members {
            let count = amount(part.value.content, part, line) { Amount.resource($0) }
            guard let count, request.add(part.name, thousandths: count) else {
                return reportValue(member, line, ResourceRequest.expected)
            }
        }
        own.resources = request
    }

    /// Reads an amount from the text of a number as it stands in the line, or from a string.
    private func amount<Value>(
        _ content: JSONValue.Content, _ member: JSONMember, _ line: Span<UInt8>, _ read: (Span<UInt8>) -> Value?
    ) -> Value? {
        switch content {
        case .integer, .number: return read(line.extracting(member.value.range))
        case .string(var text):
            text.makeContiguousUTF8()
            return read(text.utf8.span)
        default: return nil
        }
    }

    mutating func reportValue(_ member: JSONMember, _ line: Span<UInt8>, _ expected: String) {
        let range = member.value.range
        report(member.name, at: range.lowerBound, found: line.shown(range), expected: expected)
    }

    func shownName(_ member: JSONMember) -> String {
        TerminalText.shortened(TerminalText.escaped(member.name), to: 40)
    }
}
