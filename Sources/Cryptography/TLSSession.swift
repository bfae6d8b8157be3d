// A TLS client as a value of bytes: what came from the network goes in, what is to be sent comes out, and nothing waits. The
// socket is somebody else's.

import COpenSSL

/// One connection's side of TLS.
public final class TLSSession {
    /// What a step came to.
    public enum Step: Equatable, Sendable {
        /// It is done; so many bytes of plain text were moved.
        case done(Int)
        /// More must come from the network first.
        case wantsInput
        /// The other side ended the connection as TLS wants it ended; nothing more will come.
        case closed
    }

    private let raw: OpaquePointer

    /// - Parameter serverName: the name, or the numeric address, that the server's certificate must be for.
    public init(_ context: TLSContext, serverName: String) throws(TLSError) {
        // A NUL byte would end the C string early, and make it another name.
        guard !serverName.utf8.contains(0), let raw = copenssl_session_new(context.raw, serverName) else {
            throw TLSError("no certificate can be for the name \(String(reflecting: serverName))")
        }
        self.raw = raw
    }

    deinit { copenssl_session_free(raw) }

    // MARK: The network's side

    /// Takes bytes that came from the network.
    public func receive(_ bytes: UnsafeRawBufferPointer) throws(TLSError) {
        guard copenssl_session_receive(raw, bytes.baseAddress, Int32(clamping: bytes.count)) else {
            throw TLSError("out of memory")
        }
    }

    /// Whether there are bytes to be sent.
    public var hasOutput: Bool {
        var start: UnsafePointer<UInt8>?
        return copenssl_session_output(raw, &start) > 0
    }

    /// Gives the bytes that are to be sent to `send`, which returns how many it sent.
    public func sendOutput<Failure>(
        _ send: (UnsafeRawBufferPointer) throws(Failure) -> Int
    ) throws(Failure) {
        var start: UnsafePointer<UInt8>?
        let count = copenssl_session_output(raw, &start)
        guard count > 0 else { return }
        copenssl_session_sent(raw, try send(UnsafeRawBufferPointer(start: start, count: count)))
    }

    // MARK: Our side

    /// Goes on with the handshake; it is done when this is.
    public func handshake() throws(TLSError) -> Step { try step(copenssl_session_handshake(raw)) }

    /// Reads plain text, of one record at most.
    public func read(into buffer: UnsafeMutableRawBufferPointer) throws(TLSError) -> Step {
        guard buffer.count > 0 else { return .done(0) }
        return try step(copenssl_session_read(raw, buffer.baseAddress, Int32(clamping: buffer.count)))
    }

    /// Makes plain text into output, as much of it as goes into one record.
    public func write(_ bytes: UnsafeRawBufferPointer) throws(TLSError) -> Step {
        guard bytes.count > 0 else { return .done(0) }
        return try step(copenssl_session_write(raw, bytes.baseAddress, Int32(clamping: bytes.count)))
    }

    /// Makes the output that tells the other side that nothing more will come.
    public func shutDown() { copenssl_session_shut_down(raw) }

    private func step(_ result: Int32) throws(TLSError) -> Step {
        switch Int(result) {
        case copenssl_wants_input: return .wantsInput
        case copenssl_closed: return .closed
        case copenssl_failed: throw failure
        default: return .done(Int(result))
        }
    }

    private var failure: TLSError {
        let reason: TLSError.Reason =
            switch copenssl_session_reason(raw) {
            case copenssl_unknown_authority: .unknownAuthority
            case copenssl_other_name: .otherName
            case copenssl_certificate_wanted: .certificateWanted
            case copenssl_refused: .refused
            case copenssl_not_tls: .notTLS
            default: .other
            }
        return TLSError(String(cString: copenssl_session_error(raw)), reason: reason)
    }
}
