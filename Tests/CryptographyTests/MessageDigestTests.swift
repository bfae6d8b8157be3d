import Cryptography
import Testing

@Suite("Message digests")
struct MessageDigestTests {
    // Of RFC 3174, and of nothing.
    @Test(
        "SHA-1 is that of RFC 3174",
        arguments: [
            ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "84983e441c3bd26ebaae4aa1f95129e5e54670f1"
            ),
            ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
        ])
    func vectors(message: String, expected: String) throws {
        let digest = try #require(MessageDigest.sha1(of: Array(message.utf8)))
        #expect(digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() == expected)
    }
}
