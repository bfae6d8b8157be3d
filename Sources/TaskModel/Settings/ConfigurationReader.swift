// Takes settings out of a conf.json and the environment, and collects what is wrong, with places. The caller of `read` knows
// which settings there are; a name in the file that was never asked for is an unknown setting.

struct ConfigurationReader {
    private(set) var problems: [ConfigurationProblem] = []
    private(set) var warnings: [ConfigurationProblem] = []
    private(set) var knownKeys: [String] = []

    private let json: [UInt8]
    private let file: String
    private let members: [JSONMember]
    /// The last member of each name, which is the one that counts.
    private let memberByKey: [String: JSONMember]
    /// Of the environment: what begins with our prefix, by name.
    private let variables: [String: String]
    private var refusedKeys: Set<String> = []

    /// A conf.json is a few kilobytes; what is much larger is some other file.
    private static let byteCountMax = 1 << 20

    init(_ json: [UInt8], file: String, environment: [[UInt8]]) throws(ConfigurationError) {
        self.json = json
        self.file = file
        guard json.count <= Self.byteCountMax else {
            let message = "found \(json.count) bytes, expected at most \(Self.byteCountMax)"
            throw ConfigurationError([Self.problem(json, file, at: 0, key: "", value: "", message)])
        }
        let value: JSONValue
        do throws(JSONError) {
            value = try JSONReader.read(json)
        } catch {
            let message = "this is not valid JSON: found \(error.found), expected \(error.expected)"
            throw ConfigurationError([Self.problem(json, file, at: error.offset, key: "", value: "", message)])
        }
        guard case .object(let members) = value.content else {
            let message = "found \(json.span.shown(value.range)), expected an object: settings between { and }"
            let offset = value.range.lowerBound
            throw ConfigurationError([Self.problem(json, file, at: offset, key: "", value: "", message)])
        }
        self.members = members
        memberByKey = Dictionary(members.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
        variables = Self.variables(in: environment)
    }

    private static func variables(in environment: [[UInt8]]) -> [String: String] {
        let ours = environment.lazy.filter { $0.starts(with: EnvironmentVariables.prefix.utf8) }
        let pairs = ours.map { variable in
            let name = variable.prefix { $0 != UInt8(ascii: "=") }
            return (
                String(decoding: name, as: UTF8.self),
                String(decoding: variable.dropFirst(name.count + 1), as: UTF8.self)
            )
        }
        return Dictionary(pairs, uniquingKeysWith: { first, _ in first })
    }

    var error: ConfigurationError {
        ConfigurationError(problems.sorted { ($0.line ?? 0, $0.column ?? 0) < ($1.line ?? 0, $1.column ?? 0) })
    }

    func wasRefused(_ keys: [String]) -> Bool { keys.contains(where: refusedKeys.contains) }

    /// Reads one setting; what neither the environment nor the file names stays as it is.
    mutating func read(_ setting: Setting, into configuration: inout Configuration) {
        knownKeys.append(setting.key)
        if let text = variables[setting.variable] {
            let contents = EnvironmentVariables.contents(text)
            guard contents.contains(where: { setting.read($0, &configuration) }) else {
                return report(setting.key, setting.refusal(of: contents[0]))
            }
        } else if let member = memberByKey[setting.key] {
            guard
                setting.read(member.value.content, &configuration)
                    || readOldForm(setting, member, into: &configuration)
            else {
                return report(setting.key, setting.refusal(of: member.value.content))
            }
        }
    }

    /// Where the file names a setting and no variable does.
    func member(_ key: String) -> JSONMember? {
        variables[EnvironmentVariables.prefix + key.uppercased()] == nil ? memberByKey[key] : nil
    }

    /// Where the value of a setting comes from.
    func origin(of setting: Setting) -> String {
        if variables[setting.variable] != nil { return setting.variable }
        guard let member = memberByKey[setting.key] else { return "default" }
        return "\(file):\(Self.line(of: member.nameOffset, in: json))"
    }

    /// Notes a problem with `key`, where its value stands or, if nothing names it, with its default `shown`.
    mutating func report(_ key: String, _ explanation: String, shown: String = "not set") {
        refusedKeys.insert(key)
        let variable = EnvironmentVariables.prefix + key.uppercased()
        if let text = variables[variable] {
            let value = shownValue(of: key, text)
            let message = "\(variable) is \(value); \(explanation)"
            problems.append(
                ConfigurationProblem(
                    file: "environment", line: nil, column: nil, key: key, value: value, message: message))
            return
        }
        let member = memberByKey[key]
        let value =
            member.map { shownValue(of: key, json.span.text($0.value.range.prefix(200))) } ?? "\(shown) by default"
        let message = "\(key) is \(value); \(explanation)"
        if let offset = member?.value.range.lowerBound {
            problems.append(Self.problem(json, file, at: offset, key: key, value: value, message))
        } else {
            problems.append(
                ConfigurationProblem(file: file, line: nil, column: nil, key: key, value: value, message: message))
        }
    }

    /// Warns of names no `read` asked for, and of names that come again: the last one counts, as in Python.
    mutating func warnOfUnknownKeys() {
        var seen: Set<String> = []
        for member in members {
            let name = TerminalText.shortened(TerminalText.escaped(member.name), to: 60)
            if !knownKeys.contains(member.name) {
                let nearest = NearestName.find(member.name, among: knownKeys)
                let guess = nearest.map { "; did you mean \($0)?" } ?? ""
                warn(member, "there is no setting \"\(name)\", it is ignored\(guess)")
            } else if !seen.insert(member.name).inserted {
                warn(member, "\(name) is set a second time; the last one counts")
            }
        }
        let knownVariables = knownKeys.map { EnvironmentVariables.prefix + $0.uppercased() }
        let unknown = Set(variables.keys).subtracting(knownVariables).filter { !TaskVariables.isOwn($0) }
        for variable in unknown.sorted() {
            let name = TerminalText.shortened(TerminalText.escaped(variable), to: 60)
            let guess = NearestName.find(variable, among: knownVariables).map { "; did you mean \($0)?" } ?? ""
            warnings.append(
                ConfigurationProblem(
                    file: "environment", line: nil, column: nil, key: variable, value: "",
                    message: "there is no setting for \(name), it is ignored\(guess)"))
        }
    }

    private mutating func warn(_ member: JSONMember, _ message: String) {
        // Without the value: behind `redis_password` may stand a password.
        warnings.append(Self.problem(json, file, at: member.nameOffset, key: member.name, value: "", message))
    }

    /// Warns of a value that is not used as it is; no secret has such.
    mutating func warn(_ value: JSONValue, of key: String, _ explanation: String) {
        let shown = shownValue(of: key, json.span.text(value.range.prefix(200)))
        let message = "\(key) is \(shown); \(explanation)"
        warnings.append(
            Self.problem(json, file, at: value.range.lowerBound, key: key, value: shown, message))
    }

    private func shownValue(of key: String, _ text: String) -> String {
        if Setting.secretKeys.contains(key) { return "a value not shown here" }
        return TerminalText.shortened(TerminalText.escaped(text), to: 60)
    }

    private static func line(of offset: Int, in json: [UInt8]) -> Int {
        json[..<offset].count { $0 == UInt8(ascii: "\n") } + 1
    }

    private static func problem(
        _ json: [UInt8], _ file: String, at offset: Int, key: String, value: String, _ message: String
    ) -> ConfigurationProblem {
        let before = json[..<offset]
        let lineStart = (before.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
        let line = line(of: offset, in: json)
        let column = json.span.extracting(lineStart..<json.count).column(ofByteAt: offset - lineStart)
        return ConfigurationProblem(file: file, line: line, column: column, key: key, value: value, message: message)
    }
}
