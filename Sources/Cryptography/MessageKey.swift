// Proof that a message comes from someone who has our key. OpenSSL does the arithmetic; TLS needs it anyway, and a second library
// of that kind in every program would be one too many.

import COpenSSL

/// A secret that message codes are made with: HMAC-SHA256, see RFC 2104. Neither `print` nor `dump` shows it.
public struct MessageKey: Sendable, CustomStringConvertible, CustomReflectable {
    private let bytes: [UInt8]

    /// - Parameter bytes: at least 32, from a source of random numbers, and used for nothing else.
    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The code of `message`: 32 bytes. nil when there is no memory left to make it.
    public func code(for message: [UInt8]) -> [UInt8]? {
        var made = false
        let code = [UInt8](unsafeUninitializedCapacity: copenssl_code_size) { buffer, count in
            made = copenssl_hmac_sha256(bytes, bytes.count, message, message.count, buffer.baseAddress)
            count = made ? buffer.count : 0
        }
        return made ? code : nil
    }

    /// Whether `code` is that of `message`. It takes as long for a code that is nearly right as for any other.
    public func accepts(_ code: [UInt8], for message: [UInt8]) -> Bool {
        guard let right = self.code(for: message), code.count == right.count else { return false }
        return copenssl_codes_are_equal(code, right)
    }

    public var description: String { "a key" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}
