// The one place the daemon waits. Everything it reacts to (a signal, a deadline, Redis, pressure) is a descriptor here.

import CLinux
import Glibc

/// A set of watched descriptors over epoll(7), level-triggered: what is not handled now is reported again.
public struct EventLoop: ~Copyable {
    /// What to watch a descriptor for.
    public struct Interest: OptionSet, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let readable = Interest(rawValue: EPOLLIN.rawValue)
        public static let writable = Interest(rawValue: EPOLLOUT.rawValue)
        /// Exceptional conditions: PSI triggers and cgroup.events signal this way.
        public static let priority = Interest(rawValue: EPOLLPRI.rawValue)
    }

    /// A descriptor that has something for us.
    public struct Ready: Sendable {
        /// The token it was added with.
        public let token: UInt64
        public let isReadable: Bool
        public let isWritable: Bool
        public let hasPriority: Bool
        /// EPOLLERR or EPOLLHUP: read or write to learn what happened.
        public let hasFailed: Bool
    }

    private let descriptor: OwnedDescriptor
    private var buffer: [epoll_event]

    /// - Parameter batchMax: how many ready descriptors one wait may report; the rest wait for the next.
    public init(batchMax: Int = 256) throws(SystemError) {
        let raw = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard raw >= 0 else { throw .last("epoll_create1", "for the event loop") }
        descriptor = OwnedDescriptor(adopting: raw)
        buffer = Array(repeating: epoll_event(), count: max(1, batchMax))
    }

    /// Starts watching; `token` comes back with every event of this descriptor.
    public func add(_ watched: Int32, for interest: Interest, token: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_ADD, watched, interest, token)
    }

    /// Changes what a watched descriptor is watched for.
    public func modify(_ watched: Int32, for interest: Interest, token: UInt64) throws(SystemError) {
        try control(EPOLL_CTL_MOD, watched, interest, token)
    }

    /// Stops watching. A descriptor that is closed is forgotten by itself; this is for one that lives on.
    public func remove(_ watched: Int32) throws(SystemError) {
        try control(EPOLL_CTL_DEL, watched, [], 0)
    }

    /// Waits until something is ready, at most `milliseconds` (nil: for as long as it takes). A signal ends the wait early
    /// with nothing.
    public mutating func wait(atMostMilliseconds milliseconds: Int32? = nil) throws(SystemError) -> [Ready] {
        let count = epoll_wait(descriptor.raw, &buffer, Int32(buffer.count), milliseconds ?? -1)
        if count < 0 {
            if errno == EINTR { return [] }
            throw .last("epoll_wait", "for events")
        }
        return buffer[..<Int(count)].map { event in
            Ready(
                token: event.data.u64,
                isReadable: event.events & EPOLLIN.rawValue != 0,
                isWritable: event.events & EPOLLOUT.rawValue != 0,
                hasPriority: event.events & EPOLLPRI.rawValue != 0,
                hasFailed: event.events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0)
        }
    }

    private func control(
        _ operation: Int32, _ watched: Int32, _ interest: Interest, _ token: UInt64
    ) throws(SystemError) {
        var event = epoll_event(events: interest.rawValue, data: epoll_data_t(u64: token))
        guard epoll_ctl(descriptor.raw, operation, watched, &event) == 0 else {
            throw .last("epoll_ctl", "descriptor \(watched)")
        }
    }
}

/// Waits for one descriptor, for programs that have nothing else to do meanwhile (poll(2)).
public enum DescriptorWait {
    /// Whether `descriptor` became ready (or failed) within `milliseconds`; nil waits for as long as it takes.
    public static func until(
        _ descriptor: Int32, readable: Bool, writable: Bool, atMostMilliseconds milliseconds: Int32?
    ) throws(SystemError) -> Bool {
        var watched = pollfd(
            fd: descriptor, events: Int16((readable ? POLLIN : 0) | (writable ? POLLOUT : 0)), revents: 0)
        let count = poll(&watched, 1, milliseconds ?? -1)
        if count < 0 && errno != EINTR { throw .last("poll", "descriptor \(descriptor)") }
        return count > 0
    }
}
