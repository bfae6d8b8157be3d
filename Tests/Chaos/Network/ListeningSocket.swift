// The proxy's end of the connections that nodes make. The product never listens, so this is the test tool's own.

import Glibc
import LinuxSystem
import Synchronization

/// A TCP socket that listens on a free port of the loopback device.
final class ListeningSocket {
    private let owned: OwnedDescriptor
    let port: UInt16

    init() throws(SystemError) {
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let raw = socket(AF_INET, kind, 0)
        guard raw >= 0 else { throw .last("socket", "127.0.0.1") }
        let descriptor = OwnedDescriptor(adopting: raw)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                bind(raw, generic, length) == 0 && listen(raw, 128) == 0 && getsockname(raw, generic, &length) == 0
            }
        }
        guard isListening else { throw .last("bind or listen", "127.0.0.1") }
        owned = descriptor
        port = UInt16(bigEndian: address.sin_port)
    }

    var descriptor: Int32 { owned.raw }

    /// The next connection that waits to be accepted, or nil.
    func accept() -> OwnedDescriptor? {
        let raw = SpawnLock.shared.withLock { _ in
            let raw = Glibc.accept(owned.raw, nil, nil)
            if raw >= 0 { _ = fcntl(raw, F_SETFD, FD_CLOEXEC) }
            return raw
        }
        // A peer that has gone already (ECONNABORTED) is none; what else can fail is reported again by the loop.
        guard raw >= 0 else { return nil }
        _ = fcntl(raw, F_SETFL, O_NONBLOCK)
        var enabled: Int32 = 1
        // Pieces of a reply must travel apart; failure would only join them.
        setsockopt(raw, Int32(IPPROTO_TCP), TCP_NODELAY, &enabled, socklen_t(MemoryLayout<Int32>.size))
        return OwnedDescriptor(adopting: raw)
    }
}

/// Held while a connection is accepted and while a process is started. accept4(2), which makes a descriptor close-on-exec at
/// once, is not in Swift's Glibc; and a node that inherited a connection would keep it open when the proxy cuts it.
enum SpawnLock {
    static let shared = Mutex(())
}

/// One end of a proxied connection.
enum SocketEnd {
    /// nil when the peer has gone, orderly or not; 0 when there is nothing now.
    static func receive(_ descriptor: Int32, into buffer: UnsafeMutableRawBufferPointer) -> Int? {
        let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
        if count > 0 { return count }
        return count < 0 && isTemporary ? 0 : nil
    }

    /// How many bytes were taken; nil when the peer has gone.
    static func send(_ descriptor: Int32, _ bytes: ArraySlice<UInt8>) -> Int? {
        let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
        if count >= 0 { return count }
        return isTemporary ? 0 : nil
    }

    /// The next close sends a reset instead of an orderly end.
    static func resetOnClose(_ descriptor: Int32) {
        var setting = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &setting, socklen_t(MemoryLayout<linger>.size))
    }

    private static var isTemporary: Bool { errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR }
}
