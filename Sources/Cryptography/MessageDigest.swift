// Names for messages, by which nobody proves anything: what Redis can make of them too.

import COpenSSL

public enum MessageDigest {
    /// SHA-1 of `message`, as `redis.sha1hex` of Redis's scripts: 20 bytes. nil when there is no memory left to make it.
    public static func sha1(of message: [UInt8]) -> [UInt8]? {
        var made = false
        let digest = [UInt8](unsafeUninitializedCapacity: copenssl_sha1_size) { buffer, count in
            made = copenssl_sha1(message, message.count, buffer.baseAddress)
            count = made ? buffer.count : 0
        }
        return made ? digest : nil
    }
}
