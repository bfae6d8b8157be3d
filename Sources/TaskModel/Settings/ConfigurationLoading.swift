// From a file and an environment to a configuration, or to all that is wrong with it at once, each problem with its place, so
// that one edit is enough. The daemon and every command begin with this.

/// A configuration, and how it came to be.
public struct LoadedConfiguration: Sendable {
    public let configuration: Configuration
    /// Of names that are unknown or come twice, and of values that only the old system took.
    public let warnings: [ConfigurationProblem]
    /// Every setting in the order of the repository's conf.json.
    public let settings: [EffectiveSetting]
}

/// A setting as it is in effect.
public struct EffectiveSetting: Hashable, Sendable {
    public let key: String
    /// As it would stand in a conf.json; a secret is not shown.
    public let text: String
    /// `default`, `FILE:LINE`, or the name of an environment variable.
    public let origin: String
    /// Whether a running daemon takes a new value from its file.
    public let appliesLive: Bool
    /// What it may be, in words.
    public let allowed: String
}

extension Configuration {
    /// Where a conf.json is when nobody says otherwise.
    public static let usualPath = "/etc/distcomp/conf.json"

    /// Reads the file at `path` and lets `environment` override it (`DISTCOMP_REDIS_HOST` for `redis_host`).
    ///
    /// - Parameters:
    ///   - path: nil for a configuration without a file: defaults and environment.
    ///   - environment: `NAME=value`, as a process has it.
    ///   - read: gives the bytes of a file.
    /// - Throws: all that is wrong at once.
    public static func load<Failure>(
        _ path: String?, environment: [[UInt8]], reading read: (String) throws(Failure) -> [UInt8]
    ) throws(ConfigurationError) -> LoadedConfiguration {
        guard let path else { return try parse(Array("{}".utf8), file: "defaults", environment: environment) }
        let json: [UInt8]
        do {
            json = try read(path)
        } catch {
            throw ConfigurationError([
                ConfigurationProblem(file: path, line: nil, column: nil, key: "", value: "", message: "\(error)")
            ])
        }
        return try parse(json, file: path, environment: environment)
    }

    /// This configuration with the values of `new` for the settings a running daemon takes.
    ///
    /// - Returns: besides it, the keys that changed and were taken, and those that changed and wait for the next start.
    public func takingLiveSettings(
        of new: Configuration
    ) -> (configuration: Configuration, taken: [String], waiting: [String]) {
        var result = self
        var (taken, waiting) = ([String](), [String]())
        for setting in Setting.all where setting.text(self) != setting.text(new) {
            if setting.appliesLive {
                setting.copy(new, &result)
                taken.append(setting.key)
            } else {
                waiting.append(setting.key)
            }
        }
        return (result, taken, waiting)
    }
}

// MARK: - What is wrong with it

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
