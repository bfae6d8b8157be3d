// A server that answers whatever it is asked with what the test says: for kinds of Redis that cannot be installed here.

import Glibc
import LinuxSystem
import RedisClient

/// Listens on a Unix socket and sends the same bytes to everybody who says something. Ends with the object.
public final class ScriptedServer {
    public let socketPath: String
    private let listener: OwnedDescriptor

    public var endpoint: RedisEndpoint { RedisEndpoint(unixPath: socketPath) }

    /// - Parameter directory: where the socket is made.
    public init(in directory: String, answering answer: String) throws {
        socketPath = directory + "/scripted.sock"
        let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { throw SystemError.last("socket", socketPath) }
        listener = OwnedDescriptor(adopting: raw)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(socketPath.utf8)) }
        let length = socklen_t(MemoryLayout<sockaddr_un>.size)
        let isListening = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(raw, $0, length) == 0 && listen(raw, 16) == 0
            }
        }
        guard isListening else { throw SystemError.last("listen", socketPath) }

        let bytes = Array(answer.utf8)
        let serve = Service { Self.serve(raw, bytes) }
        var thread = pthread_t()
        let code = pthread_create(
            &thread, nil,
            { argument in
                if let argument { Unmanaged<Service>.fromOpaque(argument).takeRetainedValue().body() }
                return nil
            }, Unmanaged.passRetained(serve).toOpaque())
        guard code == 0 else { throw SystemError(call: "pthread_create", subject: socketPath, code: code) }
        pthread_detach(thread)
    }

    deinit {
        // Wakes the thread from its accept, which ends it.
        shutdown(listener.raw, Int32(SHUT_RDWR))
        unlink(socketPath)
    }

    private static func serve(_ listener: Int32, _ answer: [UInt8]) {
        while true {
            let client = accept(listener, nil, nil)
            guard client >= 0 else { return }
            var buffer = [UInt8](repeating: 0, count: 4096)
            // One answer is enough: the first refusal ends a session.
            if recv(client, &buffer, buffer.count, 0) > 0 {
                _ = send(client, answer, answer.count, Int32(MSG_NOSIGNAL))
                while recv(client, &buffer, buffer.count, 0) > 0 {}
            }
            close(client)
        }
    }

    private final class Service {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }
}
