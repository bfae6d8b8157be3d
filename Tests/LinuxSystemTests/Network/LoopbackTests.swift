import Testing

@testable import LinuxSystem

@Suite("Loopback addresses")
struct LoopbackTests {
    @Test(
        "an address only this machine can reach is told from one that others can",
        arguments: [
            ("127.0.0.1", true), ("127.255.3.4", true), ("::1", true), ("::ffff:127.0.0.1", true), ("128.0.0.1", false),
            ("10.0.0.1", false), ("0.0.0.0", false), ("::", false), ("::ffff:10.0.0.1", false), ("fd00::1", false),
            ("1::1", false), ("7f00::1", false), ("fe80::1%lo", false), ("localhost", false),
        ])
    func addresses(text: String, isOnThisMachine: Bool) {
        #expect(SocketAddress.internet(address: text, port: 6379).isOnThisMachine == isOnThisMachine)
    }

    @Test("a Unix socket is on this machine")
    func unixSocket() { #expect(SocketAddress.unix(path: "/run/redis.sock").isOnThisMachine) }
}
