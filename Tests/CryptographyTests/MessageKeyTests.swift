import Cryptography
import Testing

@Suite("Message codes")
struct MessageKeyTests {
    // Cases 1, 2, 4 and 6 of RFC 4231.
    @Test(
        "the codes are those of RFC 4231",
        arguments: [
            (
                [UInt8](repeating: 0x0B, count: 20), Array("Hi There".utf8),
                "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
            ),
            (
                Array("Jefe".utf8), Array("what do ya want for nothing?".utf8),
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
            ),
            (
                Array(1...25), [UInt8](repeating: 0xCD, count: 50),
                "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"
            ),
            (
                [UInt8](repeating: 0xAA, count: 131),
                Array("Test Using Larger Than Block-Size Key - Hash Key First".utf8),
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
            ),
        ])
    func vectors(key: [UInt8], message: [UInt8], expected: String) throws {
        let code = try #require(MessageKey(key).code(for: message))
        #expect(code.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() == expected)
    }

    @Test("a code is accepted for its message and key alone, and only whole")
    func acceptance() throws {
        let key = MessageKey(Array(0..<32))
        let message = Array("shell:1:0:0:true".utf8)
        let code = try #require(key.code(for: message))
        #expect(key.accepts(code, for: message))
        #expect(!key.accepts(code, for: message + [0x20]))
        #expect(!MessageKey(Array(1..<33)).accepts(code, for: message))
        for place in code.indices {
            var altered = code
            altered[place] ^= 1
            #expect(!key.accepts(altered, for: message))
        }
        #expect(!key.accepts([], for: message))
        #expect(!key.accepts(Array(code.dropLast()), for: message))
        #expect(!key.accepts(code + [0], for: message))
    }

    @Test("an empty message has a code as well")
    func empty() throws {
        let key = MessageKey(Array(0..<32))
        #expect(key.accepts(try #require(key.code(for: [])), for: []))
    }

    @Test("a key that is printed does not show itself")
    func printing() {
        let key = MessageKey(Array("the-secret-of-this-test-is-long!".utf8))
        var dumped = ""
        dump(key, to: &dumped)
        for text in ["\(key)", String(reflecting: key), dumped] {
            #expect(!text.contains("secret") && !text.contains("116"))
        }
    }
}
