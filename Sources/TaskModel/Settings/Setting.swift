// One setting as a value: its name, how a JSON value becomes it, how it is shown, whether a running daemon takes a new value.
// Reading, showing, comparing and reloading all go through the one table of them, in SettingTable.swift.

/// A setting: the row of it in the table.
struct Setting {
    let key: String
    /// Whether a daemon that runs takes a new value; the others apply at its next start.
    let appliesLive: Bool
    /// Completes "allowed: ...".
    let allowed: String
    /// Takes a value into the configuration; false when it is not allowed.
    let read: (JSONValue.Content, inout Configuration) -> Bool
    /// Which part of a value that is not allowed is at fault; nil when that is all of it.
    let fault: (JSONValue.Content) -> String?
    /// The value as it would stand in a conf.json.
    let text: (Configuration) -> String
    /// Copies the value from the first to the second.
    let copy: (Configuration, inout Configuration) -> Void

    init<Value>(
        _ key: String, _ path: WritableKeyPath<Configuration, Value>, _ rule: SettingRule<Value>, live: Bool = false
    ) {
        self.key = key
        appliesLive = live
        allowed = rule.allowed
        fault = rule.fault
        read = { content, configuration in
            guard let value = rule.read(content) else { return false }
            configuration[keyPath: path] = value
            return true
        }
        text = { rule.text($0[keyPath: path]) }
        copy = { source, target in target[keyPath: path] = source[keyPath: path] }
    }

    /// What is said of a value that is not allowed.
    func refusal(of content: JSONValue.Content) -> String {
        (fault(content).map { "\($0) is wrong; " } ?? "") + "allowed: \(allowed)"
    }

    /// The variable that overrides it.
    var variable: String { EnvironmentVariables.prefix + key.uppercased() }

    /// Whether its value must not appear in a message.
    var isSecret: Bool { Self.secretKeys.contains(key) }

    static let secretKeys: Set<String> = ["redis_pass", "redis_url"]

    /// The value as it may be shown.
    func shownText(_ configuration: Configuration) -> String {
        let text = text(configuration)
        return isSecret && text != "null" ? "\"(not shown)\"" : text
    }
}

/// The variables of DistComp in a process's environment.
enum EnvironmentVariables {
    static let prefix = "DISTCOMP_"
    /// What a variable means: a JSON value such as 5, true or null where the setting allows it, else its text as it is.
    static func contents(_ text: String) -> [JSONValue.Content] {
        let value = try? JSONReader.read(Array(text.utf8))
        return [value?.content, .string(text)].compactMap(\.self)
    }
}
