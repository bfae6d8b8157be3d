// Walks through the settings of a conf.json and collects what is wrong, with places. Which settings there are is told
// by whoever calls `read`; what was not asked for in the end is unknown.

struct ConfigurationReader {
    private(set) var problems: [ConfigurationProblem] = []
    private(set) var warnings: [ConfigurationProblem] = []
    private(set) var knownKeys: [String] = []

    private let json: [UInt8]
    private let file: String
    private let members: [JSONMember]
    /// The last member of each name, which is the one that counts.
    private let memberByKey: [String: JSONMember]
    private var refusedKeys: Set<String> = []

    /// A conf.json is a few kilobytes; what is much larger is some other file.
    private static let byteCountMax = 1 << 20

    /// Settings whose values must not appear in a message.
    private static let secretKeys: Set<String> = ["redis_pass", "redis_url"]

    init(_ json: [UInt8], file: String) throws(ConfigurationError) {
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
    }

    var error: ConfigurationError {
        ConfigurationError(problems.sorted { ($0.line ?? 0, $0.column ?? 0) < ($1.line ?? 0, $1.column ?? 0) })
    }

    func wasRefused(_ keys: [String]) -> Bool { keys.contains(where: refusedKeys.contains) }

    /// Reads one setting; what the file does not name stays as it is.
    mutating func read<Value: Equatable>(_ key: String, into setting: inout Value, _ rule: SettingRule<Value>) {
        knownKeys.append(key)
        guard let member = memberByKey[key] else { return }
        guard let value = rule.read(member.value.content) else { return report(key, "allowed: \(rule.allowed)") }
        if value != setting, Self.keysToCome.contains(key) {
            return report(key, "not available in this version; leave it out or at its default")
        }
        setting = value
    }

    /// Notes a problem with `key`, where its value stands or, if the file does not name it, with its default `shown`.
    mutating func report(_ key: String, _ explanation: String, shown: String = "not set") {
        refusedKeys.insert(key)
        let member = memberByKey[key]
        let value = member.map(shownValue) ?? "\(shown) by default"
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
    }

    private mutating func warn(_ member: JSONMember, _ message: String) {
        // Without the value: behind `redis_password` may stand a password.
        warnings.append(Self.problem(json, file, at: member.nameOffset, key: member.name, value: "", message))
    }

    private func shownValue(_ member: JSONMember) -> String {
        if Self.secretKeys.contains(member.name) { return "a value not shown here" }
        let text = json.span.text(member.value.range.prefix(200))
        return TerminalText.shortened(TerminalText.escaped(text), to: 60)
    }

    private static func problem(
        _ json: [UInt8], _ file: String, at offset: Int, key: String, value: String, _ message: String
    ) -> ConfigurationProblem {
        let before = json[..<offset]
        let lineStart = (before.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1
        let line = before.count { $0 == UInt8(ascii: "\n") } + 1
        let column = json.span.extracting(lineStart..<json.count).column(ofByteAt: offset - lineStart)
        return ConfigurationProblem(file: file, line: line, column: column, key: key, value: value, message: message)
    }
}
