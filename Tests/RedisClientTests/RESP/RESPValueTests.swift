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

// MARK: - Writing

@Suite("Writing RESP")
struct RESPWriterTests {
    private func taken(_ writer: inout RESPWriter, atMost count: Int = .max) -> String {
        var text = ""
        writer.take { bytes in
            let some = bytes.prefix(count)
            text = String(decoding: some, as: UTF8.self)
            return some.count
        }
        return text
    }

    @Test("a command is an array of strings")
    func command() {
        var writer = RESPWriter()
        var command = RedisCommand("HSET", "todo_tasks")
        command.append(bytes: [0x61, 0x0D, 0x0A])
        command.append("")
        command.append(-1024)
        writer.write(command)
        #expect(taken(&writer) == "*5\r\n$4\r\nHSET\r\n$10\r\ntodo_tasks\r\n$3\r\na\r\n\r\n$0\r\n\r\n$5\r\n-1024\r\n")
        #expect(writer.isEmpty)
    }

    @Test("what a socket does not take stays, in its order, while more is written", arguments: [1, 3, 50, 1000])
    func partialWrites(_ step: Int) {
        var writer = RESPWriter()
        var received = ""
        var expected = ""
        for number in 0..<300 {
            let text = String(repeating: "x", count: number % 17) + String(number)
            writer.write(RedisCommand("GET", text))
            expected += "*2\r\n$3\r\nGET\r\n$\(text.utf8.count)\r\n\(text)\r\n"
            received += taken(&writer, atMost: step)
        }
        #expect(writer.count == expected.utf8.count - received.utf8.count)
        while !writer.isEmpty { received += taken(&writer, atMost: step) }
        #expect(received == expected)
    }

    @Test(
        "large arguments, which are not copied, stay in their order among small ones", arguments: [777, 65_536, .max])
    func largeArguments(_ step: Int) {
        var writer = RESPWriter()
        var received = ""
        var expected = ""
        for size in [1, 40_000, 0, 32 << 10, (32 << 10) - 1, 3, 100_000] {
            let text = String(repeating: "x", count: size)
            writer.write(RedisCommand("SET", "k", text, "y"))
            expected += "*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$\(size)\r\n\(text)\r\n$1\r\ny\r\n"
            received += taken(&writer, atMost: step)
            #expect(writer.count == expected.utf8.count - received.utf8.count)
        }
        while !writer.isEmpty { received += taken(&writer, atMost: step) }
        #expect(received == expected)
    }
}
