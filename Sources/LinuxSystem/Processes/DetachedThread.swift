// A thread for one call that may take long and that no descriptor can be waited for. It ends by itself, and nobody waits for it.

import Glibc

enum DetachedThread {
    /// Runs `body` in a thread of its own; what it says is to be left where somebody looks for it.
    ///
    /// - Parameter stackBytes: much less than the default of 8 MB does for a few system calls.
    static func start(stackBytes: Int = 512 << 10, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, stackBytes)
        var thread = pthread_t()
        let work = Unmanaged.passRetained(Work(body))
        let main: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? = { raw in
            if let raw { Unmanaged<Work>.fromOpaque(raw).takeRetainedValue().body() }
            return nil
        }
        let code = pthread_create(&thread, &attributes, main, work.toOpaque())
        guard code == 0 else {
            work.release()
            throw SystemError(call: "pthread_create", subject: "detached", code: code)
        }
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void

        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
