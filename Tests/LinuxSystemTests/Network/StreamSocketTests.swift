// Sockets that never block, and the addresses they connect to.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Stream sockets")
struct StreamSocketTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("bytes go both ways over a Unix socket, and its end is told")
    func unixEcho() throws {
        let path = folder.path + "/socket"
        try echo(over: try Listener(unixPath: path), at: .unix(path: path))
    }

    @Test("bytes go both ways over TCP, and its end is told")
    func tcpEcho() throws {
        let listener = try Listener()
        try echo(over: listener, at: .internet(address: "127.0.0.1", port: listener.port))
    }

    @Test("our own end has an address over TCP, and none over a Unix socket")
    func ownAddress() throws {
        let listener = try Listener()
        #expect(
            try StreamSocket(connectingTo: .internet(address: "127.0.0.1", port: listener.port)).localHost
                == "127.0.0.1")
        let path = folder.path + "/socket"
        let local = try Listener(unixPath: path)
        #expect(try StreamSocket(connectingTo: .unix(path: path)).localHost == nil)
        _ = (listener, local)
    }

    private func echo(over listener: Listener, at address: SocketAddress) throws {
        let socket = try StreamSocket(connectingTo: address)
        #expect(try DescriptorWait.until(socket.descriptor, readable: false, writable: true, atMostMilliseconds: 5000))
        try socket.finishConnecting()
        #expect(fcntl(socket.descriptor, F_GETFD) == FD_CLOEXEC)

        var buffer = [UInt8](repeating: 0, count: 64)
        let nothing = try buffer.withUnsafeMutableBytes { try socket.read(into: $0) }
        #expect(nothing == .wouldBlock)

        let sent = try Array("hello".utf8).withUnsafeBytes { try socket.write($0) }
        #expect(sent == .transferred(5))
        do {
            let peer = try listener.accept()
            #expect(read(peer.raw, &buffer, buffer.count) == 5)
            #expect(write(peer.raw, buffer, 5) == 5)
        }
        #expect(try DescriptorWait.until(socket.descriptor, readable: true, writable: false, atMostMilliseconds: 5000))
        let received = try buffer.withUnsafeMutableBytes { try socket.read(into: $0) }
        #expect(received == .transferred(5))
        #expect(buffer.starts(with: "hello".utf8))

        #expect(try DescriptorWait.until(socket.descriptor, readable: true, writable: false, atMostMilliseconds: 5000))
        let end = try buffer.withUnsafeMutableBytes { try socket.read(into: $0) }
        #expect(end == .endOfStream)
    }

    @Test("a reader that takes nothing makes a write wait, and one that is gone makes it fail")
    func backPressure() throws {
        let path = folder.path + "/socket"
        let listener = try Listener(unixPath: path)
        let socket = try StreamSocket(connectingTo: .unix(path: path))
        var peer: SharedDescriptor? = SharedDescriptor(try listener.accept())
        let piece = [UInt8](repeating: 1, count: 65_536)
        var result = TransferResult.transferred(0)
        var rounds = 0
        while result != .wouldBlock && rounds < 10_000 {
            result = try piece.withUnsafeBytes { try socket.write($0) }
            rounds += 1
        }
        #expect(result == .wouldBlock)

        #expect(peer != nil)
        peer = nil
        var refusal: SystemError?
        do throws(SystemError) {
            // Twice: bytes the peer never read may make the first say that the connection was reset.
            for _ in 0..<2 { _ = try writeSome(piece, to: socket) }
        } catch {
            refusal = error
        }
        let failure = try #require(refusal)
        #expect([EPIPE, ECONNRESET].contains(failure.code))
        #expect(failure.subject == path)
    }

    private func writeSome(_ bytes: [UInt8], to socket: borrowing StreamSocket) throws(SystemError) -> TransferResult {
        var outcome: Result<TransferResult, SystemError> = .success(.wouldBlock)
        bytes.withUnsafeBytes { buffer in
            do throws(SystemError) { outcome = .success(try socket.write(buffer)) } catch { outcome = .failure(error) }
        }
        return try outcome.get()
    }

    @Test("nobody listening is an error that names the address")
    func refused() throws {
        // Held as long as the test runs, so that no other can get the port.
        let bound = try Listener(accepting: false)
        let port = bound.port
        #expect(throws: SystemError(call: "connect", subject: "127.0.0.1:\(port)", code: ECONNREFUSED)) {
            try connect(to: .internet(address: "127.0.0.1", port: port))
        }
        #expect(throws: SystemError(call: "connect", subject: "/nonexistent/socket", code: ENOENT)) {
            try connect(to: .unix(path: "/nonexistent/socket"))
        }
    }

    private func connect(to address: SocketAddress) throws {
        let socket = try StreamSocket(connectingTo: address)
        _ = try DescriptorWait.until(socket.descriptor, readable: false, writable: true, atMostMilliseconds: 5000)
        try socket.finishConnecting()
    }

    @Test("a Unix path has at most 107 bytes, and more is an error, not another socket")
    func unixPathLength() throws {
        let longest = "/" + String(repeating: "x", count: 106)
        #expect(throws: SystemError(call: "connect", subject: longest, code: ENOENT)) {
            try connect(to: .unix(path: longest))
        }
        for path in [longest + "x", "", String(repeating: "y", count: 10_000)] {
            #expect(throws: SystemError(call: "connect", subject: path, code: ENAMETOOLONG)) {
                try connect(to: .unix(path: path))
            }
        }
    }

    @Test("what is no numeric address is not looked up", arguments: ["localhost", "", "1.2.3", "1.2.3.4.5", "::g"])
    func notNumeric(address: String) {
        #expect(throws: SystemError.self) {
            try connect(to: .internet(address: address == "1.2.3" ? "1.2.3.x" : address, port: 1))
        }
    }

    @Test("addresses read as people write them")
    func descriptions() {
        #expect("\(SocketAddress.internet(address: "10.0.0.1", port: 6379))" == "10.0.0.1:6379")
        #expect("\(SocketAddress.internet(address: "::1", port: 6379))" == "[::1]:6379")
        #expect("\(SocketAddress.unix(path: "/run/redis.sock"))" == "/run/redis.sock")
    }
}

@Suite("Address resolver")
struct AddressResolverTests {
    @Test("a numeric address is itself", arguments: ["127.0.0.1", "::1", "192.0.2.7"])
    func numeric(address: String) throws {
        #expect(try AddressResolver.resolve(host: address, port: 6379) == [.internet(address: address, port: 6379)])
    }

    @Test("localhost is this machine")
    func localhost() throws {
        let addresses = try AddressResolver.resolve(host: "localhost", port: 1)
        #expect(!addresses.isEmpty)
        #expect(
            addresses.allSatisfy {
                [.internet(address: "127.0.0.1", port: 1), .internet(address: "::1", port: 1)].contains($0)
            })
    }

    @Test("a name that cannot be resolved is an error that names it")
    func unknown() throws {
        // A label of 64 bytes is refused without asking anyone.
        let host = String(repeating: "x", count: 64) + ".invalid"
        let error = #expect(throws: ResolutionError.self) { try AddressResolver.resolve(host: host, port: 1) }
        #expect(try #require(error).description.hasPrefix("resolve \(host): "))
        #expect(try #require(error).cause.isEmpty == false)
    }
}

/// A listening socket of a test.
private final class Listener {
    let port: UInt16
    private let socket: SharedDescriptor

    /// On the loopback interface, at a port of the kernel's choosing.
    init(accepting: Bool = true) throws {
        let raw = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { throw SystemError.last("socket", "listener") }
        socket = SharedDescriptor(OwnedDescriptor(adopting: raw))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(raw, $0, length) == 0 && (!accepting || listen(raw, 8) == 0)
                    && getsockname(raw, $0, &length) == 0
            }
        }
        guard isBound else { throw SystemError.last("bind", "listener") }
        port = UInt16(bigEndian: address.sin_port)
    }

    init(unixPath: String) throws {
        let raw = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { throw SystemError.last("socket", "listener") }
        socket = SharedDescriptor(OwnedDescriptor(adopting: raw))
        port = 0
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(unixPath.utf8)) }
        let isBound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0 && listen(raw, 8) == 0
            }
        }
        guard isBound else { throw SystemError.last("bind", unixPath) }
    }

    func accept() throws -> OwnedDescriptor {
        let raw = Glibc.accept(socket.raw, nil, nil)
        guard raw >= 0 else { throw SystemError.last("accept", "listener") }
        return OwnedDescriptor(adopting: raw)
    }
}

// MARK: - Loopback

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
