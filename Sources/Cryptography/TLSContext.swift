// The authorities a TLS client trusts, and its own certificate. The callers read the files; here are only their texts.

import COpenSSL

/// Why something cannot be used for TLS, or a connection by TLS cannot go on.
public struct TLSError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Reason: Hashable, Sendable {
        /// The certificate of the other side, or one that signed it, is signed by nobody we trust.
        case unknownAuthority
        /// The certificate is for another name or address.
        case otherName
        /// The other side wants a certificate of ours, as far as can be told.
        case certificateWanted
        /// The other side does not like something about us.
        case refused
        /// What the other side says is not TLS.
        case notTLS
        case other
    }

    public let reason: Reason
    /// In the words of OpenSSL.
    public let description: String

    init(_ description: String, reason: Reason = .other) {
        self.reason = reason
        self.description = description
    }
}

/// What sessions with one kind of server are made from: TLS 1.2 or newer, with a server whose certificate is signed by an
/// authority we trust and is for the name we know it by.
public final class TLSContext {
    let raw: OpaquePointer

    /// - Parameter authorities: certificates (PEM) of those we trust; nil: whom this system trusts.
    public init(authorities: [UInt8]?) throws(TLSError) {
        guard let raw = copenssl_context_new() else { throw .lastOfOpenSSL }
        self.raw = raw
        if let authorities {
            guard copenssl_context_trust(raw, authorities, authorities.count) else { throw .lastOfOpenSSL }
        } else {
            guard copenssl_context_trust_system(raw) else { throw .lastOfOpenSSL }
        }
    }

    deinit { copenssl_context_free(raw) }

    /// Our certificate (PEM), followed by those that sign it.
    public func setCertificate(_ text: [UInt8]) throws(TLSError) {
        guard copenssl_context_set_certificate(raw, text, text.count) else { throw .lastOfOpenSSL }
    }

    /// The key (PEM) of our certificate, which is to be set first.
    public func setKey(_ text: [UInt8]) throws(TLSError) {
        guard copenssl_context_set_key(raw, text, text.count) else { throw .lastOfOpenSSL }
    }
}

extension TLSError {
    fileprivate static var lastOfOpenSSL: TLSError { TLSError(String(cString: copenssl_last_error())) }
}
