// One message to a service of this machine that listens on a Unix socket: systemd's notification socket, the journal's.

import CLinux
import Glibc

/// A message as such services take it, a datagram of unix(7).
enum LocalDatagram {
    /// Sends `bytes` to the socket at `path`; a path that begins with `@` is a name in the abstract namespace.
    ///
    /// - Parameter milliseconds: how long to wait when the service's queue is full; nil waits for as long as it takes.
    static func send(
        _ bytes: [UInt8], to path: String, waitingAtMostMilliseconds milliseconds: Int? = nil
    ) throws(SystemError) {
        // A socket per message costs microseconds, and none is ever left connected to a service that was restarted.
        let raw = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { throw .last("socket", path) }
        let descriptor = OwnedDescriptor(adopting: raw)
        if let milliseconds {
            var limit = timeval(tv_sec: milliseconds / 1000, tv_usec: milliseconds % 1000 * 1000)
            setsockopt(raw, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        }

        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var name = Array(path.utf8)
        guard !name.isEmpty, name.count < MemoryLayout.size(ofValue: address.sun_path) else {
            throw SystemError(call: "sendto", subject: path, code: ENAMETOOLONG)
        }
        if name[0] == UInt8(ascii: "@") { name[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: name) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + name.count)

        let sent = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                retryingInterrupted { sendto(descriptor.raw, bytes, bytes.count, Int32(MSG_NOSIGNAL), address, length) }
            }
        }
        guard sent >= 0 else { throw .last("sendto", path) }
    }
}
