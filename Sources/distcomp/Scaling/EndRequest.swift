// What ends a loop that would go on for ever: SIGTERM, as systemd sends it, or Ctrl-C.

import LinuxSystem

/// Whether a loop was told to end. To be made before anything else: the threads of a connection inherit which signals are blocked.
final class EndRequest {
    private let signals: SignalQueue
    private(set) var signal: Signal?

    init() throws(SystemError) { signals = try SignalQueue(blocking: [.interrupt, .terminate]) }

    var isMade: Bool {
        if signal == nil { signal = signals.next() }
        return signal != nil
    }

    /// Waits for it, so long at most.
    func wait(seconds: Double) throws(SystemError) {
        _ = try DescriptorWait.until(
            signals.descriptor, readable: true, writable: false, atMostMilliseconds: Int32(min(seconds, 1e6) * 1000))
    }
}
