// What finished_tasks holds, in the form of the old system: `worker: "stdout as a JSON string"`.

import TaskModel

/// A value of finished_tasks.
public struct FinishedValue: Equatable, Sendable {
    public let worker: String
    /// A JSON string, quotes included.
    public let standardOutputJSON: [UInt8]

    /// The value of a task of `worker` that wrote `standardOutput`; nil stands for more than the queue takes.
    public static func encode(worker: String, standardOutput: [UInt8]?) -> [UInt8] {
        let text = standardOutput.map { JSONText.quoted(bytes: $0) } ?? Array("stdout is too large".utf8)
        return Array("\(worker): ".utf8) + text
    }

    /// Reads a value, ours or an old worker's. Text that is no JSON string is made one, so that it can be printed as one.
    public init(parsing value: [UInt8]) {
        let colon = value.firstIndex(of: UInt8(ascii: ":")) ?? value.startIndex
        worker = String(decoding: value[..<colon], as: UTF8.self)
        let rest = value[colon...].dropFirst().drop { $0 == UInt8(ascii: " ") }
        standardOutputJSON = Self.isJSONString(rest) ? Array(rest) : JSONText.quoted(bytes: Array(rest))
    }

    private static func isJSONString(_ text: ArraySlice<UInt8>) -> Bool {
        let quote = UInt8(ascii: "\"")
        guard text.count >= 2, text.first == quote, text.last == quote, String(validating: text, as: UTF8.self) != nil
        else {
            return false
        }
        var body = text.dropFirst().dropLast()
        while let byte = body.popFirst() {
            if byte < 0x20 || byte == quote { return false }
            guard byte == UInt8(ascii: "\\") else { continue }
            guard let escaped = body.popFirst(), "\"\\/bfnrtu".utf8.contains(escaped) else { return false }
            if escaped == UInt8(ascii: "u") {
                let digits = body.prefix(4)
                guard digits.count == 4, UInt16(String(decoding: digits, as: UTF8.self), radix: 16) != nil else {
                    return false
                }
                body = body.dropFirst(4)
            }
        }
        return true
    }
}
