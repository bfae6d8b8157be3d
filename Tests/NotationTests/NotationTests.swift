import Notation
import Testing

@Suite("Digits of base 16")
struct HexadecimalTests {
    @Test("a byte is two digits, a number sixteen")
    func texts() {
        #expect(Hexadecimal.text(0 as UInt8) == "00")
        #expect(Hexadecimal.text(0xAF as UInt8) == "af")
        #expect(Hexadecimal.text(0x0123_4567_89AB_CDEF as UInt64) == "0123456789abcdef")
        #expect(Hexadecimal.text(7 as UInt64) == "0000000000000007")
    }

    @Test("every byte comes back from its digits, in either case")
    func roundTrip() {
        let all = Array(UInt8.min...UInt8.max)
        let digits = Hexadecimal.digits(all)
        #expect(Hexadecimal.bytes(digits) == all)
        #expect(Hexadecimal.bytes(String(decoding: digits, as: UTF8.self).uppercased().utf8) == all)
    }

    @Test(
        "what are no digits, or half a byte, stand for nothing", arguments: ["0", "0g", "-1", "0x", " 0", "é0", "abc"])
    func nonsense(text: String) { #expect(Hexadecimal.bytes(text.utf8) == nil) }
}

@Suite("Names of servers")
struct ServerAddressTests {
    @Test(
        "a host and a port are read as they are written",
        arguments: [
            ("a", "a", 7), ("a:1", "a", 1), ("10.0.0.1:65535", "10.0.0.1", 65535), ("[::1]", "::1", 7),
            ("[fe80::1%eth0]:26379", "fe80::1%eth0", 26379),
        ] as [(String, String, UInt16)])
    func read(text: String, host: String, port: UInt16) throws {
        let address = try ServerAddress(text, defaultPort: 7)
        #expect(address == ServerAddress(host: host, port: port))
        #expect(try ServerAddress(address.description, defaultPort: 9) == address)
    }

    @Test(
        "what names no server is refused, and what is wrong with it is told",
        arguments: [
            ("", .host), (":1", .host), ("[]:1", .host), ("a b", .host), ("u@a:1", .host), ("a/b", .host),
            ("[::1", .brackets), ("[::1]1", .brackets), ("a:", .port), ("a:0", .port), ("a:65536", .port),
            ("a:+1", .port), ("a:x", .port), ("::1", .host), ("[::1]:", .port),
        ] as [(String, ServerAddress.Problem)])
    func refused(text: String, problem: ServerAddress.Problem) {
        #expect(throws: problem) { try ServerAddress(text, defaultPort: 7) }
    }
}
