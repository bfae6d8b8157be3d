// A launch begun before there is a task for it. On a machine that has been quiet, joining a control group takes a process some
// 10 ms (a grace period of the kernel's RCU), far more than all else a task waits for. So a copy of a launcher joins a group ahead
// of need and waits there; told what to run, it goes on as any other.

import CLinux
import Glibc

/// What a launch that waits, or a launcher that stays, is to run, in the form in which it is told.
public struct LaunchOrder {
    /// What one message holds: `order_bytes_max` of distcomp-launch.
    static let bytesMax = 65_536

    /// In the first number, beside that of the arguments: the directory and the input follow, and a third descriptor is there.
    /// `order_has_place` and `order_has_input` of distcomp-launch.
    private static let (hasPlace, hasInput) = (UInt32(1) << 31, UInt32(1) << 30)

    let message: [UInt8]
    let hasProcessors: Bool
    /// Whether it begins in a directory or reads a file of its own, which may be on a file server that does not answer.
    public let hasPlace: Bool
    private let input: LaunchPlace.Input?

    /// nil when it is too long for one message, or holds a NUL byte: then it is to be launched anew, or refused as others are.
    ///
    /// - Parameter processors: the only ones it may run on; empty for all that the daemon may. Only a launcher that stays heeds them.
    public init?(
        _ arguments: [[UInt8]], environment: [[UInt8]], place: LaunchPlace? = nil, processors: [Int] = []
    ) {
        hasProcessors = !processors.isEmpty
        hasPlace = place != nil
        guard !arguments.isEmpty, arguments.count < Self.bytesMax else { return nil }
        input = place?.input
        let flags = (place == nil ? 0 : Self.hasPlace) | (place?.inputDescriptor == nil ? 0 : Self.hasInput)
        var message = withUnsafeBytes(of: UInt32(arguments.count) | flags) { Array($0) }
        let pinned = hasProcessors ? [Array(processors.map { String($0) }.joined(separator: ",").utf8)] : []
        let own = pinned + (place.map { [Array(($0.directory ?? "").utf8), Array(($0.inputPath ?? "").utf8)] } ?? [])
        for string in [own, arguments, environment].joined() {
            guard message.count + string.count < Self.bytesMax, !string.contains(0) else { return nil }
            message += string
            message.append(0)
        }
        self.message = message
    }

    /// The descriptors that go with it.
    func streams(_ standardOutput: Int32, _ standardError: Int32) -> [Int32] {
        if case .open(let descriptor) = input { return [standardOutput, standardError, descriptor.raw] }
        return [standardOutput, standardError]
    }
}

/// A copy of a launcher that waits in its group for a task. When this goes, and it was told nothing, so does it.
public final class StandbyLaunch {
    let socket: OwnedDescriptor

    init(socket: consuming OwnedDescriptor) { self.socket = socket }

    /// Has it begin the task. As with `ProcessLauncher.launch`, a failure of its own steps is among `news()`.
    ///
    /// - Throws: EPIPE or ECONNRESET when it has ended; nothing was begun.
    public func begin(_ order: LaunchOrder, standardOutput: Int32, standardError: Int32) throws(SystemError) {
        let streams = order.streams(standardOutput, standardError)
        let message = order.message
        let sent = clinux_send_with_descriptors(socket.raw, message, message.count, streams, Int32(streams.count))
        guard sent == message.count else { throw .last("sendmsg", "a launch that waits") }
    }
}

extension StayingLauncher {
    /// Has it begin a launch that waits for its task in these groups: its process is among `ProcessLauncher.news()`, under this number. See
    /// `begin` for the rest.
    public func standBy(
        number: UInt32, joining groups: [SharedDescriptor], bornIn directory: SharedDescriptor?
    ) throws(SystemError) -> StandbyLaunch {
        var ends: [Int32] = [-1, -1]
        guard clinux_message_sockets(&ends) == 0 else { throw .last("socketpair", "for distcomp-launch") }
        let ours = OwnedDescriptor(adopting: ends[0])
        let theirs = OwnedDescriptor(adopting: ends[1])
        try send([], number: number, Self.standsBy, [theirs.raw], joining: groups, bornIn: directory)
        return StandbyLaunch(socket: ours)
    }
}
