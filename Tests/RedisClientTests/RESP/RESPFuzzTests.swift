import RedisClient
import Testing

@Suite("Reading random RESP")
struct RESPFuzzTests {
    @Test("random values, written and cut into random chunks, are read back", arguments: 0..<40 as Range<UInt64>)
    func roundTrip(_ seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            let values = (0..<Int.random(in: 1...5, using: &generator)).map { _ in randomReply(&generator) }
            let bytes = values.flatMap(encoded)
            let sizes = (0..<200).map { _ in Int.random(in: 1...16, using: &generator) }
            #expect(try read(bytes, inChunksOf: sizes) == values)
        }
    }

    @Test(
        "random damage is refused or read, and never more is made of it than came", arguments: 0..<40 as Range<UInt64>)
    func damage(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<200 {
            var bytes = encoded(randomReply(&generator))
            for _ in 0..<Int.random(in: 1...4, using: &generator) { damage(&bytes, &generator) }
            let whole = outcome(of: bytes, inChunksOf: [.max])
            // However it is cut, the same comes of it.
            #expect(outcome(of: bytes, inChunksOf: [1]) == whole)
            #expect(outcome(of: bytes, inChunksOf: [Int.random(in: 2...9, using: &generator)]) == whole)
        }
    }

    private enum Outcome: Equatable {
        case values([String])
        case refused
    }

    /// As text, since a NaN is not equal to itself.
    private func outcome(of bytes: [UInt8], inChunksOf sizes: [Int]) -> Outcome {
        do throws(RESPProtocolError) {
            return .values(try read(bytes, inChunksOf: sizes).map { "\($0)" })
        } catch {
            return .refused
        }
    }

    private func damage(_ bytes: inout [UInt8], _ generator: inout SeededGenerator) {
        guard let index = bytes.indices.randomElement(using: &generator) else { return }
        let telling = Array("+-:$*_#,(!=%~>|;.?0123456789\r\n".utf8)
        switch Int.random(in: 0..<4, using: &generator) {
        case 0: bytes[index] = UInt8.random(in: .min ... .max, using: &generator)
        case 1: bytes[index] = telling.randomElement(using: &generator) ?? 0
        case 2: bytes.remove(at: index)
        default: bytes.insert(telling.randomElement(using: &generator) ?? 0, at: index)
        }
    }
}

/// Any value, a push included; those stand outermost only.
private func randomReply(_ generator: inout SeededGenerator) -> RESPValue {
    if Int.random(in: 0..<10, using: &generator) == 0 {
        return .push(randomValues(depth: 2, &generator))
    }
    return randomValue(depth: 4, &generator)
}

private func randomValues(depth: Int, _ generator: inout SeededGenerator) -> [RESPValue] {
    (0..<Int.random(in: 0...5, using: &generator)).map { _ in randomValue(depth: depth, &generator) }
}

private func randomValue(depth: Int, _ generator: inout SeededGenerator) -> RESPValue {
    switch Int.random(in: 0..<(depth > 0 ? 12 : 9), using: &generator) {
    case 0: return .null
    case 1: return .boolean(Bool.random(using: &generator))
    case 2: return .integer(Int64.random(in: .min ... .max, using: &generator))
    case 3: return .double(Double.random(in: -1e9...1e9, using: &generator))
    case 4: return .bigNumber("\(UInt64.random(in: 0 ... .max, using: &generator))0000000000")
    case 5: return .simpleString(randomText(&generator))
    case 6: return .bulkString(randomBytes(&generator))
    case 7: return .verbatimString(format: "txt", bytes: randomBytes(&generator))
    case 8: return .error(RedisError(code: "ERR", message: randomText(&generator)))
    case 9: return .array(randomValues(depth: depth - 1, &generator))
    case 10: return .set(randomValues(depth: depth - 1, &generator))
    default:
        return .map(
            randomValues(depth: depth - 1, &generator).map { key in
                RESPMapEntry(key: key, value: randomValue(depth: depth - 1, &generator))
            })
    }
}

private func randomText(_ generator: inout SeededGenerator) -> String {
    String(
        (0..<Int.random(in: 0...20, using: &generator)).compactMap { _ in
            "abc XYZ:$*+é".randomElement(using: &generator)
        })
}

private func randomBytes(_ generator: inout SeededGenerator) -> [UInt8] {
    (0..<Int.random(in: 0...40, using: &generator)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
}
