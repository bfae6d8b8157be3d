import Testing

@testable import RedisClient

@Suite("Reading RESP")
struct RESPReaderTests {
    @Test("a reply that comes whole is read", arguments: RESPVector.all)
    func whole(_ vector: RESPVector) throws {
        #expect(try read(Array(vector.wire.utf8)) == [vector.value])
    }

    @Test("a reply that comes byte by byte is read as if it came whole", arguments: RESPVector.all)
    func byteByByte(_ vector: RESPVector) throws {
        #expect(try read(Array(vector.wire.utf8), inChunksOf: [1]) == [vector.value])
    }

    @Test("a reply split at any two places is read as if it came whole", arguments: RESPVector.all)
    func everySplit(_ vector: RESPVector) throws {
        let bytes = Array(vector.wire.utf8)
        for first in 1..<bytes.count {
            for second in 1...(bytes.count - first) {
                #expect(try read(bytes, inChunksOf: [first, second, .max]) == [vector.value])
            }
        }
    }

    @Test("replies that follow one another in one chunk, or in chunks that end anywhere, are all read")
    func sequence() throws {
        let bytes = RESPVector.all.flatMap { Array($0.wire.utf8) }
        let values = RESPVector.all.map(\.value)
        for size in 1...64 { #expect(try read(bytes, inChunksOf: [size]) == values) }
        #expect(try read(bytes) == values)
    }

    @Test("a NaN is read in each of the spellings C has for it", arguments: [",nan\r\n", ",-nan\r\n"])
    func notANumber(_ wire: String) throws {
        guard case .double(let number)? = try read(Array(wire.utf8)).first else {
            Issue.record("not a double")
            return
        }
        #expect(number.isNaN)
    }

    @Test("a value is inside from its first byte to its last")
    func insideValue() throws {
        var reader = RESPReader()
        for byte in "*1\r\n:1\r".utf8 {
            #expect(try feed([byte], to: &reader).isEmpty)
            #expect(reader.isInsideValue)
        }
        #expect(try feed([10], to: &reader) == [.array([.integer(1)])])
        #expect(!reader.isInsideValue)
    }

    @Test("nesting to 64 levels is read and one more is refused")
    func depth() throws {
        func nested(_ levels: Int) -> [UInt8] { Array((String(repeating: "*1\r\n", count: levels) + ":1\r\n").utf8) }
        #expect(try read(nested(64)).count == 1)
        #expect(throws: RESPProtocolError.self) { try read(nested(65)) }
    }

    @Test(
        "a line as long as the limit is read and one byte more is refused, however it comes", arguments: [1, 7, .max])
    func lineLimit(_ chunk: Int) throws {
        var limits = RESPLimits()
        limits.lineBytesMax = 100
        func line(_ length: Int) -> [UInt8] { Array(("+" + String(repeating: "x", count: length - 1) + "\r\n").utf8) }
        #expect(try read(line(100), inChunksOf: [chunk], limits: limits).count == 1)
        #expect(throws: RESPProtocolError.self) { try read(line(101), inChunksOf: [chunk], limits: limits) }
    }

    @Test("a string as long as the limit is read and one byte more is refused before it comes")
    func bulkLimit() throws {
        var limits = RESPLimits()
        limits.bulkBytesMax = 10
        #expect(try read(Array("$10\r\n0123456789\r\n".utf8), limits: limits).count == 1)
        #expect(throws: RESPProtocolError.self) { try read(Array("$11\r\n".utf8), limits: limits) }
    }

    @Test("a reply longer than all that may be in one is refused, attributes included")
    func replyLimit() throws {
        var limits = RESPLimits()
        limits.replyBytesMax = 1000
        let elements = String(repeating: ":1\r\n", count: 300)
        #expect(throws: RESPProtocolError.self) { try read(Array("*400\r\n\(elements)".utf8), limits: limits) }
        let attributes = String(repeating: "|0\r\n", count: 300)
        #expect(throws: RESPProtocolError.self) { try read(Array(attributes.utf8), limits: limits) }
        // But many short ones are no long one.
        #expect(try read(Array(elements.utf8), limits: limits).count == 300)
    }

    @Test("the work is in proportion to the bytes, in chunks of any size", arguments: [7, 512, 16_384])
    func linearWork(_ chunk: Int) throws {
        // Nested and long enough that reading anything again from its beginning would show a thousandfold.
        let element = RESPValue.array([.bulkString([UInt8](repeating: 120, count: 90)), .integer(123_456)])
        let long = RESPValue.bulkString([UInt8](repeating: 121, count: 1 << 20))
        let count = chunk == 7 ? 10_000 : 60_000
        var reader = RESPReader()
        let bytes = encoded(.array(Array(repeating: element, count: count) + [long]))
        let values = try read(bytes, inChunksOf: [chunk], with: &reader)
        #expect(values.first?.elements?.count == count + 1)
        #expect(reader.workBytes <= 2 * bytes.count)
    }
}

@Suite("Reading what is not RESP")
struct HostileInputTests {
    static let malformed = [
        "$9223372036854775807\r\n", "$9223372036854775808\r\n", "$-2\r\n", "$+5\r\nhello\r\n", "$ 5\r\nhello\r\n",
        "$5 \r\nhello\r\n", "$\r\n", "$5\nhello\r\n", "$536870913\r\n", "$5\r\nhelloXY", "$5\r\nhello\rX",
        "$5\r\nhello\n\n",
        "!-1\r\n", "=-1\r\n", "=3\r\ntxt\r\n", "=5\r\ntextx\r\n",
        "*4294967296\r\n", "*9223372036854775807\r\n", "*-2\r\n", "*+1\r\n", "%9223372036854775807\r\n", "%-1\r\n",
        "~-1\r\n", ">-1\r\n", "|-1\r\n", "|9223372036854775807\r\n", "*99999999999999999999999999\r\n",
        ":+5\r\n", ": 5\r\n", ":5 \r\n", ":\r\n", ":-\r\n", ":--5\r\n", ":5a\r\n", ":0x10\r\n", ":1_000\r\n",
        ":9223372036854775808\r\n", ":-9223372036854775809\r\n", ":١\r\n",
        "_x\r\n", "#\r\n", "#true\r\n", "#T\r\n",
        ",\r\n", ",.5\r\n", ",5.\r\n", ",1e\r\n", ",0x1p3\r\n", ",infinity\r\n", ",INF\r\n", ", 1\r\n", ",1,5\r\n",
        ",--1\r\n",
        "(\r\n", "(-\r\n", "(+1\r\n", "(12a\r\n",
        "$?\r\n", "*?\r\n", "%?\r\n", "~?\r\n", ">?\r\n", ";4\r\nabcd\r\n", ".\r\n",
        "+a\rb\r\n", "+a\n", "\r\n", "\n", "x\r\n", "HTTP/1.1 400 Bad Request\r\n",
        "*1\r\n>1\r\n+push inside\r\n", String(repeating: "|1\r\n", count: 65), String(repeating: "%1\r\n", count: 65),
    ]

    @Test("malformed input is refused, whole or byte by byte", arguments: malformed)
    func refused(_ wire: String) {
        #expect(throws: RESPProtocolError.self) { try read(Array(wire.utf8)) }
        #expect(throws: RESPProtocolError.self) { try read(Array(wire.utf8), inChunksOf: [1]) }
    }

    @Test("an error stays: nothing behind it is read")
    func poisoned() throws {
        var reader = RESPReader()
        let first = #expect(throws: RESPProtocolError.self) { try feed(Array(":x\r\n".utf8), to: &reader) }
        let second = #expect(throws: RESPProtocolError.self) { try feed(Array(":1\r\n".utf8), to: &reader) }
        #expect(first == second)
    }

    @Test(
        "a count of four thousand million reserves nothing and waits",
        arguments: ["*4294967295\r\n", "%4294967295\r\n"])
    func hugeCount(_ header: String) throws {
        var reader = RESPReader()
        #expect(try feed(Array((header + ":1\r\n:2\r\n").utf8), to: &reader).isEmpty)
        #expect(reader.isInsideValue)
    }

    @Test("a length of 512 MB reserves nothing and waits")
    func hugeLength() throws {
        var reader = RESPReader()
        #expect(try feed(Array("$536870912\r\nabc".utf8), to: &reader).isEmpty)
        #expect(reader.isInsideValue)
    }

    @Test("what is no RESP is refused at once, without waiting for the end of its line")
    func refusedEarly() {
        let error = #expect(throws: RESPProtocolError.self) { try read(Array("HTTP/1.1 ".utf8)) }
        #expect(error?.description == "'HTTP/1.1 ' is not RESP; is this a Redis server?")
    }

    @Test("an error shows what it found in a form that fits a log line")
    func readableError() {
        let error = #expect(throws: RESPProtocolError.self) { try read([0x1B, 0x5B, 0x32, 0x4A, 0x0D, 0x0A]) }
        #expect(error?.description == "'\\x1b[2J\\x0d' is not RESP; is this a Redis server?")
    }
}
