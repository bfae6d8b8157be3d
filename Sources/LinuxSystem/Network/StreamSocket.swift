// Connected byte streams to Redis: TCP and Unix sockets, never blocking.

import CLinux
import Glibc

/// Where a stream socket can connect.
public enum SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// A numeric IP address (v4 or v6) and a port.
    case internet(address: String, port: UInt16)
    /// A Unix socket; at most 107 bytes, see unix(7).
    case unix(path: String)

    public var description: String {
        switch self {
        case .internet(let address, let port): address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)"
        case .unix(let path): path
        }
    }
}

/// A host name could not be turned into addresses.
public struct ResolutionError: Error, CustomStringConvertible {
    public let host: String
    /// What getaddrinfo(3) said.
    public let cause: String

    public var description: String { "resolve \(host): \(cause)" }
}

/// Turns host names into addresses.
public enum AddressResolver {
    /// The addresses of `host`, in the order to try them. Waits for as long as the system's resolver does: see `NameLookup`.
    public static func resolve(host: String, port: UInt16) throws(ResolutionError) -> [SocketAddress] {
        try resolve(host: host, port: port, flags: AI_NUMERICSERV)
    }

    /// The address that `host` is, when it is no name but an address in digits. Never waits.
    public static func numericAddress(host: String, port: UInt16) -> SocketAddress? {
        (try? resolve(host: host, port: port, flags: AI_NUMERICSERV | AI_NUMERICHOST))?.first
    }

    private static func resolve(
        host: String, port: UInt16, flags: Int32
    ) throws(ResolutionError) -> [SocketAddress] {
        var hints = addrinfo()
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = flags
        var list: UnsafeMutablePointer<addrinfo>?
        let failure = getaddrinfo(host, String(port), &hints, &list)
        guard failure == 0 else { throw ResolutionError(host: host, cause: String(cString: gai_strerror(failure))) }
        defer { freeaddrinfo(list) }

        var addresses: [SocketAddress] = []
        var entry = list
        while let current = entry {
            var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
            let unnamed = getnameinfo(
                current.pointee.ai_addr, current.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0,
                NI_NUMERICHOST)
            if unnamed == 0 {
                let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
                addresses.append(.internet(address: String(decoding: bytes, as: UTF8.self), port: port))
            }
            entry = current.pointee.ai_next
        }
        return addresses
    }
}

/// What a read or write of a non-blocking stream came to.
public enum TransferResult: Equatable, Sendable {
    case transferred(Int)
    case wouldBlock
    /// The peer closed its end. Reads only.
    case endOfStream
}

/// A non-blocking connected stream socket, see socket(7).
public struct StreamSocket: ~Copyable {
    private let owned: OwnedDescriptor
    public let address: SocketAddress

    public var descriptor: Int32 { owned.raw }

    /// Begins to connect. Once the descriptor is writable, `finishConnecting` tells how it went.
    public init(connectingTo address: SocketAddress) throws(SystemError) {
        owned = try StreamSocket.beginConnecting(to: address)
        self.address = address
    }

    private static func beginConnecting(to address: SocketAddress) throws(SystemError) -> OwnedDescriptor {
        var storage = sockaddr_storage()
        let (family, length) = try encode(address, into: &storage)
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let raw = socket(family, kind, 0)
        guard raw >= 0 else { throw .last("socket", "\(address)") }
        let descriptor = OwnedDescriptor(adopting: raw)
        if family != AF_UNIX {
            var enabled: Int32 = 1
            let size = socklen_t(MemoryLayout<Int32>.size)
            // Small requests must not wait for the acknowledgement of the one before. Failure costs speed only.
            setsockopt(raw, Int32(IPPROTO_TCP), TCP_NODELAY, &enabled, size)
            // A peer that is gone without having closed is found out even when we have nothing to send. A failure here only means
            // that it takes longer.
            setsockopt(raw, SOL_SOCKET, SO_KEEPALIVE, &enabled, size)
        }
        let result = withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(raw, $0, length) }
        }
        // EINTR on a non-blocking connect means it goes on by itself, as EINPROGRESS does.
        guard result == 0 || errno == EINPROGRESS || errno == EINTR else { throw .last("connect", "\(address)") }
        return descriptor
    }

    /// The address of our end, without the port: `10.0.0.7`. nil for a Unix socket, and while there is none. See getsockname(2).
    public var localHost: String? {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard getsockname(descriptor, address, &length) == 0,
                    [sa_family_t(AF_INET), sa_family_t(AF_INET6)].contains(address.pointee.sa_family)
                else { return nil }
                return withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { text in
                    let code = getnameinfo(
                        address, length, text.baseAddress, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
                    return code == 0 ? text.baseAddress.map { String(cString: $0) } : nil
                }
            }
        }
    }

    /// The outcome of a connect, once the socket has become writable.
    public func finishConnecting() throws(SystemError) {
        var code: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(owned.raw, SOL_SOCKET, SO_ERROR, &code, &length) == 0 else {
            throw .last("getsockopt", "\(address)")
        }
        guard code == 0 else { throw SystemError(call: "connect", subject: "\(address)", code: code) }
    }

    /// Reads what is there, at most the size of `buffer`.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> TransferResult {
        let count = retryingInterrupted { recv(owned.raw, buffer.baseAddress, buffer.count, 0) }
        if count > 0 { return .transferred(count) }
        if count == 0 { return .endOfStream }
        if errno == EAGAIN || errno == EWOULDBLOCK { return .wouldBlock }
        throw .last("read", "\(address)")
    }

    /// Writes as much of `buffer` as the socket takes now.
    public func write(_ buffer: UnsafeRawBufferPointer) throws(SystemError) -> TransferResult {
        let count = retryingInterrupted { send(owned.raw, buffer.baseAddress, buffer.count, Int32(MSG_NOSIGNAL)) }
        if count >= 0 { return .transferred(count) }
        if errno == EAGAIN || errno == EWOULDBLOCK { return .wouldBlock }
        throw .last("write", "\(address)")
    }

    private static func encode(
        _ address: SocketAddress, into storage: inout sockaddr_storage
    ) throws(SystemError) -> (Int32, socklen_t) {
        switch address {
        case .unix(let path): return try encodeUnix(path, into: &storage)
        case .internet(let text, let port): return try encodeInternet(text, port, into: &storage)
        }
    }

    private static func encodeUnix(
        _ path: String, into storage: inout sockaddr_storage
    ) throws(SystemError) -> (Int32, socklen_t) {
        let bytes = Array(path.utf8)
        let capacity = MemoryLayout.size(ofValue: sockaddr_un().sun_path)
        guard bytes.count < capacity, !bytes.isEmpty else {
            throw SystemError(call: "connect", subject: path, code: ENAMETOOLONG)
        }
        withUnsafeMutableBytes(of: &storage) { raw in
            raw.storeBytes(of: sa_family_t(AF_UNIX), as: sa_family_t.self)
            raw[MemoryLayout<sa_family_t>.size...].copyBytes(from: bytes)
        }
        return (AF_UNIX, socklen_t(MemoryLayout<sa_family_t>.size + bytes.count + 1))
    }

    private static func encodeInternet(
        _ text: String, _ port: UInt16, into storage: inout sockaddr_storage
    ) throws(SystemError) -> (Int32, socklen_t) {
        // getaddrinfo rather than inet_pton: it understands scoped v6 addresses (fe80::1%eth0).
        var hints = addrinfo()
        hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(text, String(port), &hints, &list) == 0, let entry = list else {
            throw SystemError(call: "connect", subject: text, code: EAFNOSUPPORT)
        }
        defer { freeaddrinfo(list) }
        let length = entry.pointee.ai_addrlen
        withUnsafeMutableBytes(of: &storage) { raw in
            raw.copyMemory(from: UnsafeRawBufferPointer(start: entry.pointee.ai_addr, count: Int(length)))
        }
        return (entry.pointee.ai_family, length)
    }
}

// MARK: - Addresses of this machine

extension SocketAddress {
    /// Whether nobody outside of this machine can be behind this address: a Unix socket, 127.0.0.0/8 or ::1.
    public var isOnThisMachine: Bool {
        guard case .internet(let text, _) = self else { return true }
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return UInt32(bigEndian: four.s_addr) >> 24 == 127 }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return false }
        return withUnsafeBytes(of: six) { bytes in
            let isLoopback = bytes.dropLast().allSatisfy { $0 == 0 } && bytes[15] == 1
            // ::ffff:127.0.0.1 is 127.0.0.1 on a socket of the newer family.
            let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
            return isLoopback || (isMapped && bytes[12] == 127)
        }
    }
}
