// The way bytes go to Redis and back: the socket itself, or TLS over it. Like the socket it never waits, and it does not look at
// what the bytes mean.

import Cryptography
import LinuxSystem

final class RedisTransport {
    private enum Stage {
        case connecting
        case securing
        case open
    }

    private let socket: StreamSocket
    private let tls: (session: TLSSession, settings: RedisTLS, received: UnsafeMutableRawBufferPointer)?
    private var stage = Stage.connecting

    /// What one read takes from the socket: less than anyone's buffer for plain text, since nothing that was taken may be left
    /// behind in the TLS session, where no event loop sees it.
    private static let receivedBytesMax = 32 << 10
    /// What one write turns into TLS records before it sends them.
    private static let sealedBytesMax = 64 << 10

    /// Begins to connect. Every failure of a transport is without the address, which its owner knows.
    ///
    /// - Parameter name: what the server's certificate must be for, unless `settings` say otherwise.
    init(connectingTo address: SocketAddress, _ settings: RedisTLS?, serverName: String) throws(RedisFailure) {
        do throws(SystemError) {
            socket = try StreamSocket(connectingTo: address)
        } catch {
            throw RedisFailure(.unreachable, errorText(error.code))
        }
        guard let settings else {
            tls = nil
            return
        }
        let context: TLSContext
        do throws(RedisEndpointError) {
            context = try settings.makeContext()
        } catch {
            throw RedisFailure(.untrusted, "\(error)")
        }
        do throws(TLSError) {
            let session = try TLSSession(context, serverName: settings.serverName ?? serverName)
            tls = (session, settings, .allocate(byteCount: Self.receivedBytesMax, alignment: 16))
        } catch {
            throw RedisFailure(error, settings)
        }
    }

    deinit { tls?.received.deallocate() }

    var descriptor: Int32 { socket.descriptor }
    var localHost: String? { socket.localHost }
    var isOpen: Bool { stage == .open }

    /// Whether it has something of its own to send, or waits for its connection.
    var wantsWrite: Bool { stage == .connecting || tls?.session.hasOutput == true }

    /// What has not happened within `time`, for an error message.
    func lateness(after time: String) -> String {
        switch stage {
        case .connecting: "no connection within \(time)"
        case .securing: "connected, but no TLS handshake within \(time); does this port speak TLS?"
        case .open: "connected, but not shaken hands within \(time)"
        }
    }

    /// Goes on with connecting and the handshake of TLS; true once both are done.
    func open() throws(RedisFailure) -> Bool {
        if stage == .connecting {
            guard try finishConnecting() else { return false }
            stage = tls == nil ? .open : .securing
        }
        if stage == .securing, try handshake() { stage = .open }
        return stage == .open
    }

    /// Sends what TLS has to say, as far as the socket takes it.
    func flush() throws(RedisFailure) {
        guard let tls else { return }
        do throws(SystemError) {
            while tls.session.hasOutput {
                var sent = 0
                try tls.session.sendOutput { bytes throws(SystemError) in
                    if case .transferred(let count) = try socket.write(bytes) { sent = count }
                    return sent
                }
                if sent == 0 { return }
            }
        } catch {
            throw failure(error)
        }
    }

    /// Reads at least all that had come when it was called, unless `buffer` is too small, which 64 KB are not.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(RedisFailure) -> TransferResult {
        guard let tls else { return try plain { () throws(SystemError) in try socket.read(into: buffer) } }
        let received = try receive()
        var count = 0
        while true {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            switch try sealed({ () throws(TLSError) in try tls.session.read(into: rest) }) {
            case .done(let more) where more > 0: count += more
            case .done, .wantsInput:
                try flush()  // A new key, perhaps.
                if count > 0 { return .transferred(count) }
                if case .transferred = received { return .wouldBlock }
                return received
            case .closed: return count > 0 ? .transferred(count) : .endOfStream
            }
        }
    }

    /// Writes as much of `bytes` as goes out now, and perhaps a little more.
    func write(_ bytes: UnsafeRawBufferPointer) throws(RedisFailure) -> TransferResult {
        guard let tls else { return try plain { () throws(SystemError) in try socket.write(bytes) } }
        try flush()
        guard !tls.session.hasOutput else { return .wouldBlock }
        let part = UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.sealedBytesMax))
        switch try sealed({ () throws(TLSError) in try tls.session.write(part) }) {
        case .done(let count):
            try flush()
            return .transferred(count)
        case .wantsInput, .closed: return .wouldBlock
        }
    }

    /// Tells the other side that this is the end, if the socket takes it now.
    func shutDown() {
        guard let tls, stage == .open else { return }
        tls.session.shutDown()
        try? flush()
    }

    // MARK: Steps

    private func finishConnecting() throws(RedisFailure) -> Bool {
        try plain { () throws(SystemError) in
            // A caller may come here before the descriptor is writable (after `send`, say): SO_ERROR is 0 then, as it is after
            // success. Only poll(2) tells the two apart.
            guard try DescriptorWait.until(descriptor, readable: false, writable: true, atMostMilliseconds: 0) else {
                return false
            }
            try socket.finishConnecting()
            return true
        }
    }

    private func handshake() throws(RedisFailure) -> Bool {
        guard let tls else { return true }
        while true {
            let step = try sealed { () throws(TLSError) in try tls.session.handshake() }
            try flush()
            if case .done = step { return true }
            switch try receive() {
            case .transferred: continue
            case .wouldBlock: return false
            case .endOfStream:
                throw RedisFailure(
                    .unreachable, "closed the connection during the TLS handshake; does this port speak TLS?")
            }
        }
    }

    /// Takes once what the socket has for TLS.
    private func receive() throws(RedisFailure) -> TransferResult {
        guard let tls else { return .wouldBlock }
        let result = try plain { () throws(SystemError) in try socket.read(into: tls.received) }
        if case .transferred(let count) = result {
            let bytes = UnsafeRawBufferPointer(rebasing: tls.received[..<count])
            _ = try sealed { () throws(TLSError) in try tls.session.receive(bytes) }
        }
        return result
    }

    // MARK: Failures

    private func plain<Result>(_ step: () throws(SystemError) -> Result) throws(RedisFailure) -> Result {
        do throws(SystemError) {
            return try step()
        } catch {
            throw failure(error)
        }
    }

    private func failure(_ error: SystemError) -> RedisFailure {
        RedisFailure(stage == .open ? .connectionLost : .unreachable, errorText(error.code))
    }

    private func sealed<Result>(_ step: () throws(TLSError) -> Result) throws(RedisFailure) -> Result {
        do throws(TLSError) {
            return try step()
        } catch {
            if let tls {
                // The other side is told what we do not like.
                try? tls.session.sendOutput { bytes throws(SystemError) in
                    if case .transferred(let count) = try socket.write(bytes) { count } else { 0 }
                }
                throw RedisFailure(error, tls.settings)
            }
            throw RedisFailure(.untrusted, "\(error)")
        }
    }
}
