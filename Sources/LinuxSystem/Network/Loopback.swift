// Which addresses only this machine can reach.

import Glibc

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
