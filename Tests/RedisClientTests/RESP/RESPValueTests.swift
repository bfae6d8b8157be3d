import RedisClient
import Testing

@Suite("Values of RESP")
struct RESPValueTests {
    @Test("a string is its bytes, and as text it is repaired where it is not UTF-8")
    func strings() {
        let value = RESPValue.bulkString([0x61, 0xFF])
        #expect(value.bytes == [0x61, 0xFF])
        #expect(value.string == "a\u{FFFD}")
        #expect(RESPValue.integer(1).string == nil)
    }

    @Test("a number is a number, also when a hash keeps it as a string")
    func numbers() {
        #expect(RESPValue.integer(-3).int == -3)
        #expect(RESPValue.bulkString(Array("-3".utf8)).int == -3)
        #expect(RESPValue.bulkString(Array("3 ".utf8)).int == nil)
        #expect(RESPValue.null.int == nil)
    }

    @Test("the entries of a map are there in RESP2 as well, where they are an array")
    func entries() {
        let entry = RESPMapEntry(key: .simpleString("a"), value: .integer(1))
        #expect(RESPValue.map([entry]).entries == [entry])
        #expect(RESPValue.array([.simpleString("a"), .integer(1)]).entries == [entry])
        #expect(RESPValue.array([.integer(1)]).entries == nil)
    }

    @Test("an error is split into its code and its message")
    func errors() {
        let error = RedisError(text: "WRONGPASS invalid username-password pair")
        #expect(error.code == "WRONGPASS")
        #expect(error.message == "invalid username-password pair")
        #expect(error.description == "WRONGPASS invalid username-password pair")
    }
}
