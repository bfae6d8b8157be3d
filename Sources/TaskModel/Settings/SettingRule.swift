// What a setting may be: a sentence for people, a function that takes a JSON value or refuses it, and one that writes it again.

import Notation

struct SettingRule<Value> {
    /// Completes "allowed: ...".
    let allowed: String
    /// nil when the value is not allowed.
    let read: (JSONValue.Content) -> Value?
    /// The value as JSON.
    let text: (Value) -> String
    /// Which part of a value that is not allowed is at fault; nil when that is all of it.
    let fault: (JSONValue.Content) -> String?

    init(
        allowed: String, text: @escaping (Value) -> String = { "\($0)" },
        fault: @escaping (JSONValue.Content) -> String? = { _ in nil }, read: @escaping (JSONValue.Content) -> Value?
    ) {
        self.allowed = allowed
        self.read = read
        self.text = text
        self.fault = fault
    }

    /// The same rule, whose values are written by `text`.
    func written(_ text: @escaping (Value) -> String) -> SettingRule {
        SettingRule(allowed: allowed, text: text, fault: fault, read: read)
    }
}

extension SettingRule {
    static func orNull<Wrapped>(_ rule: SettingRule<Wrapped>) -> SettingRule where Value == Wrapped? {
        SettingRule(allowed: rule.allowed + ", or null") { content in
            if case .null = content { return .some(.none) }
            return rule.read(content).map(Optional.some)
        }.written { $0.map(rule.text) ?? "null" }
    }

    /// One of the words of an enumeration.
    static func choice() -> SettingRule where Value: RawRepresentable<String> & CaseIterable {
        let words = Value.allCases.map { "\"\($0.rawValue)\"" }
        return SettingRule(allowed: words.joined(separator: " or ")) { content in
            guard case .string(let word) = content else { return nil }
            return Value(rawValue: word)
        }.written { JSONText.quoted($0.rawValue) }
    }
}

extension SettingRule<Int> {
    static func integer(_ limits: ClosedRange<Int>) -> SettingRule {
        SettingRule(allowed: "a whole number from \(limits.lowerBound) to \(limits.upperBound)") { content in
            guard case .integer(let number) = content, limits.contains(Int(number)) else { return nil }
            return Int(number)
        }
    }
}

extension SettingRule<Double> {
    static func seconds(_ limits: ClosedRange<Double>) -> SettingRule {
        let lowest = AmountText.decimal(limits.lowerBound, places: 3)
        let highest = AmountText.decimal(limits.upperBound, places: 3)
        return SettingRule(allowed: "seconds from \(lowest) to \(highest)", text: number) { content in
            content.double.flatMap { limits.contains($0) ? $0 : nil }
        }
    }

    static func days(_ limits: ClosedRange<Double>) -> SettingRule {
        let highest = AmountText.decimal(limits.upperBound, places: 3)
        return SettingRule(allowed: "days from 0 to \(highest)", text: number) { content in
            content.double.flatMap { limits.contains($0) ? $0 : nil }
        }
    }

    /// How often something happens: above 0, at most a day.
    static var interval: SettingRule {
        SettingRule(allowed: "seconds, above 0 and at most 86400", text: number) { content in
            content.double.flatMap { $0 > 0 && $0 <= 86_400 ? $0 : nil }
        }
    }

    /// Whole numbers without a decimal point.
    private static func number(_ value: Double) -> String { AmountText.decimal(value, places: 6) }
}

extension SettingRule<Bool> {
    static var flag: SettingRule {
        SettingRule(allowed: "true or false") { content in
            if case .boolean(let flag) = content { flag } else { nil }
        }
    }
}

extension SettingRule<String> {
    static var text: SettingRule { matching("a string that is not empty") { _ in true } }

    static var nodeName: SettingRule {
        matching("a string of 1 to 64 letters, digits, dots, underscores and hyphens", Configuration.isNodeName)
    }

    /// node_exporter reads no files of other names.
    static var metricsFile: SettingRule {
        matching("the absolute path of a file whose name ends with .prom") { path in
            path.hasPrefix("/") && path.hasSuffix(".prom") && !path.hasSuffix("/.prom")
        }
    }

    static var redisURL: SettingRule {
        matching("a string that begins with redis://, rediss:// or unix://") { url in
            ["redis://", "rediss://", "unix://"].contains { url.hasPrefix($0) && url.utf8.count > $0.utf8.count }
        }
    }

    static var keyPrefix: SettingRule {
        SettingRule(
            allowed: "a string of at most 64 printable ASCII characters without blanks", text: JSONText.quoted
        ) { content in
            guard case .string(let prefix) = content, prefix.utf8.count <= 64 else { return nil }
            return prefix.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F } ? prefix : nil
        }
    }

    /// Texts are paths, names and addresses that end up in system calls, where a NUL would cut them short.
    private static func matching(_ allowed: String, _ matches: @escaping (String) -> Bool) -> SettingRule {
        SettingRule(allowed: allowed, text: JSONText.quoted) { content in
            guard case .string(let text) = content, !text.isEmpty, !text.utf8.contains(0) else { return nil }
            return matches(text) ? text : nil
        }
    }
}

extension SettingRule<String?> {
    /// An empty password is none, as it was to the old system.
    static var password: SettingRule {
        SettingRule(allowed: "a string without NUL, or null") { content in
            switch content {
            case .null: .some(.none)
            case .string(let password) where !password.utf8.contains(0): .some(password.isEmpty ? nil : password)
            default: nil
            }
        }.written { $0.map { JSONText.quoted($0) } ?? "null" }
    }
}

extension SettingRule<[ServerAddress]> {
    static func serverAddresses(defaultPort: UInt16) -> SettingRule {
        let allowed = "an array of strings such as \"host:\(defaultPort)\" or \"[::1]:\(defaultPort)\", or null"
        func address(_ element: JSONValue) -> ServerAddress? {
            guard case .string(let text) = element.content else { return nil }
            return try? ServerAddress(text, defaultPort: defaultPort)
        }
        return SettingRule(
            allowed: allowed,
            fault: { content in
                guard case .array(let elements) = content,
                    let index = elements.firstIndex(where: { address($0) == nil })
                else { return nil }
                guard case .string(let text) = elements[index].content else { return "element \(index + 1)" }
                return "element \(index + 1), " + TerminalText.shortened(TerminalText.escaped("\"\(text)\""), to: 60)
            }
        ) { content in
            if case .null = content { return [] }
            guard case .array(let elements) = content else { return nil }
            let addresses = elements.compactMap(address)
            return addresses.count == elements.count ? addresses : nil
        }.written { "[" + $0.map { JSONText.quoted($0.description) }.joined(separator: ", ") + "]" }
    }
}

extension SettingRule<[String]> {
    static var labels: SettingRule {
        let allowed =
            "an array of at most \(Configuration.labelsMax) strings of 1 to 64 letters, digits, dots, underscores and hyphens"
        return SettingRule(allowed: allowed) { content in
            guard case .array(let elements) = content, elements.count <= Configuration.labelsMax else { return nil }
            let labels = elements.compactMap { element -> String? in
                guard case .string(let label) = element.content, Configuration.isLabel(label) else { return nil }
                return label
            }
            return labels.count == elements.count ? labels : nil
        }.written { "[" + $0.map { JSONText.quoted($0) }.joined(separator: ", ") + "]" }
    }
}

extension SettingRule<[String: ResourceSetting]> {
    static var resources: SettingRule {
        let allowed =
            "an object of at most \(Configuration.resourcesMax) names (lower case letters, digits, underscores), each with a number, or an "
            + "array of different names of devices (letters, digits, . _ - /; at most \(NodeResources.devicesMax)); for gpu \"auto\", or that array"
        return SettingRule(
            allowed: allowed,
            fault: { content in
                guard case .object(let members) = content else { return nil }
                return members.first { resource($0) == nil }
                    .map { TerminalText.shortened(TerminalText.escaped($0.name), to: 60) }
            }
        ) { content in
            guard case .object(let members) = content, members.count <= Configuration.resourcesMax else { return nil }
            var resources: [String: ResourceSetting] = [:]
            for member in members {
                guard let setting = resource(member), resources.updateValue(setting, forKey: member.name) == nil else {
                    return nil
                }
            }
            return resources
        }.written { resources in
            let members = resources.sorted { $0.key < $1.key }.map { name, setting in
                let value =
                    switch setting {
                    case .amount(let thousandths): ResourceRequest.amountText(thousandths)
                    case .devices(let names): "[" + names.map { JSONText.quoted($0) }.joined(separator: ", ") + "]"
                    case .found: "\"auto\""
                    }
                return "\(JSONText.quoted(name)): \(value)"
            }
            return "{" + members.joined(separator: ", ") + "}"
        }
    }

    private static func resource(_ member: JSONMember) -> ResourceSetting? {
        guard ResourceRequest.isName(member.name) else { return nil }
        switch member.value.content {
        case .string("auto") where member.name == ResourceRequest.gpu: return .found
        case .array(let elements) where elements.count <= NodeResources.devicesMax:
            let names = elements.compactMap { element -> String? in
                guard case .string(let name) = element.content, NodeResources.isDevice(name) else { return nil }
                return name
            }
            return names.count == elements.count && Set(names).count == names.count ? .devices(names) : nil
        case let content:
            // A task would not be told which of them it has.
            guard let number = content.double, number >= 0, number <= Double(ResourceRequest.amountMax),
                member.name != ResourceRequest.gpu || number == 0
            else { return nil }
            return .amount(Int((number * 1000).rounded()))
        }
    }
}

extension SettingRule<UInt32> {
    static var umask: SettingRule {
        SettingRule(allowed: "a string of octal digits such as \"022\", at most \"777\"") { content in
            guard case .string(let digits) = content, (1...4).contains(digits.utf8.count) else { return nil }
            guard digits.utf8.allSatisfy(\.isDigit), let mask = UInt32(digits, radix: 8) else { return nil }
            return mask <= 0o777 ? mask : nil
        }.written { JSONText.quoted("0" + String($0, radix: 8)) }
    }
}

extension SettingRule<MemoryThreshold> {
    static var memoryThreshold: SettingRule {
        let allowed =
            "GB from 0 to 8388608, fractions allowed, or a string such as \"512M\" or \"10%\" (of the machine)"
        return SettingRule(allowed: allowed, text: text) { content in
            if let gigabytes = content.double {
                guard gigabytes >= 0, gigabytes <= 8_388_608 else { return nil }
                let bytes = UInt64(gigabytes * 1_073_741_824)
                return .bytes(bytes == 0 && gigabytes > 0 ? 1 : bytes)
            }
            guard case .string(var text) = content else { return nil }
            text.makeContiguousUTF8()
            return threshold(text.utf8.span)
        }
    }

    private static func text(_ threshold: MemoryThreshold) -> String {
        switch threshold {
        case .bytes(let bytes): AmountText.decimal(Double(bytes) / 1_073_741_824, places: 6)
        case .share: "\"\(threshold)\""
        }
    }

    private static func threshold(_ text: Span<UInt8>) -> MemoryThreshold? {
        guard !text.isEmpty, text[text.count - 1] == UInt8(ascii: "%") else {
            return Amount.memoryBytes(text).map { .bytes($0) }
        }
        let (number, end) = Decimal.prefix(of: text)
        guard let number, end == text.count - 1 else { return nil }
        return number.scaled(by: 10_000, max: 1_000_000).map { .share(partsPerMillion: $0) }
    }
}

extension JSONValue.Content {
    /// Any number, unless it is NaN or infinite.
    package var double: Double? {
        switch self {
        case .integer(let number): Double(number)
        case .number(let number) where number.isFinite: number
        default: nil
        }
    }
}
