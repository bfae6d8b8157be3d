// Ways to hand bytes to a reader, and the server's side of RESP, which only tests need.

import RedisClient

/// Feeds `bytes` in chunks of the given sizes, the last of which repeats, and returns every value.
func read(
    _ bytes: [UInt8], inChunksOf sizes: [Int] = [.max], limits: RESPLimits = RESPLimits()
) throws(RESPProtocolError) -> [RESPValue] {
    var reader = RESPReader(limits: limits)
    return try read(bytes, inChunksOf: sizes, with: &reader)
}

func read(
    _ bytes: [UInt8], inChunksOf sizes: [Int], with reader: inout RESPReader
) throws(RESPProtocolError) -> [RESPValue] {
    var values: [RESPValue] = []
    var rest = bytes[...]
    var sizes = sizes[...]
    while !rest.isEmpty {
        let size = sizes.count > 1 ? sizes.removeFirst() : sizes.first ?? .max
        // A copy of its own, so that nothing is read from beyond the end of a chunk without the sanitizer's notice.
        values += try feed(Array(rest.prefix(size)), to: &reader)
        rest = rest.dropFirst(size)
    }
    return values
}

func feed(_ chunk: [UInt8], to reader: inout RESPReader) throws(RESPProtocolError) -> [RESPValue] {
    var values: [RESPValue] = []
    try chunk.withUnsafeBufferPointer { buffer throws(RESPProtocolError) in
        var input = UnsafeRawBufferPointer(buffer)
        while let value = try reader.next(from: &input) { values.append(value) }
    }
    return values
}

func feed(_ text: String, to session: inout RedisSession) -> [RedisSession.Event] {
    let bytes = Array(text.utf8)
    return bytes.withUnsafeBytes { session.receive($0) }
}

/// What Redis would send for `value`.
func encoded(_ value: RESPValue) -> [UInt8] {
    var bytes: [UInt8] = []
    encode(value, into: &bytes)
    return bytes
}

private func encode(_ value: RESPValue, into bytes: inout [UInt8]) {
    func line(_ text: String) { bytes += Array("\(text)\r\n".utf8) }
    func payload(_ type: Character, _ content: [UInt8]) {
        line("\(type)\(content.count)")
        bytes += content + [13, 10]
    }
    func aggregate(_ type: Character, _ values: [RESPValue], count: Int? = nil) {
        line("\(type)\(count ?? values.count)")
        for value in values { encode(value, into: &bytes) }
    }
    switch value {
    case .null: line("_")
    case .boolean(let flag): line(flag ? "#t" : "#f")
    case .integer(let number): line(":\(number)")
    case .double(let number): line(",\(number)")
    case .bigNumber(let digits): line("(\(digits)")
    case .simpleString(let text): line("+\(text)")
    case .bulkString(let content): payload("$", content)
    case .verbatimString(let format, let content): payload("=", Array("\(format):".utf8) + content)
    case .error(let error): payload("!", Array(error.description.utf8))
    case .array(let values): aggregate("*", values)
    case .set(let values): aggregate("~", values)
    case .push(let values): aggregate(">", values)
    case .map(let entries): aggregate("%", entries.flatMap { [$0.key, $0.value] }, count: entries.count)
    }
}

/// A generator that repeats itself, so that a failure can be seen again: splitmix64.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
