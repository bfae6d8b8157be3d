import TaskModel

/// What is used of a device of a node, as its driver told a moment ago.
public struct DeviceReading: Equatable, Sendable {
    /// As tasks are told it: `GPU-` or `MIG-` and a UUID, or its beginning.
    public let name: String
    /// Of its own memory; nil where that is not told.
    public let usedBytes: UInt64?
    public let totalBytes: UInt64?
    /// How busy it was, from 0 to 100; nil where that is not told.
    public let percent: Int?

    public init(name: String, usedBytes: UInt64?, totalBytes: UInt64?, percent: Int?) {
        self.name = name
        self.usedBytes = usedBytes
        self.totalBytes = totalBytes
        self.percent = percent
    }

    /// As ``text(of:)`` writes one; nil for anything else.
    init?(text: some StringProtocol) {
        let fields = text.split(separator: "/", omittingEmptySubsequences: false)
        guard fields.count >= 4 else { return nil }
        let numbers = fields.suffix(3).map { UInt64($0) }
        let name = fields.dropLast(3).joined(separator: "/")
        guard NodeResources.isDevice(name), zip(fields.suffix(3), numbers).allSatisfy({ $0 == "-" || $1 != nil }) else {
            return nil
        }
        self.init(
            name: name, usedBytes: numbers[0], totalBytes: numbers[1],
            percent: numbers[2].flatMap { $0 <= 100 ? Int($0) : nil })
    }

    /// As the queue keeps it: `GPU-0a1b/1073741824/85899345920/57`, `-` for what is not known, with blanks between devices.
    static func text(of readings: [DeviceReading]) -> String {
        readings.map { reading in
            let numbers = [reading.usedBytes, reading.totalBytes, reading.percent.map { UInt64(clamping: $0) }]
            return ([reading.name] + numbers.map { $0.map { "\($0)" } ?? "-" }).joined(separator: "/")
        }.joined(separator: " ")
    }

    /// What of a text that stands in the queue can be read.
    static func readings(in text: String) -> [DeviceReading] {
        text.split(separator: " ").prefix(NodeDescription.devicesMax).compactMap { DeviceReading(text: $0) }
    }
}
