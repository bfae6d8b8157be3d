// A distcomp-launch that stays and begins task after task: to execute one for each was a fifth of what a task cost, and the daemon had to
// wait for it each time. What it begins are children of the daemon, not its own: should it end, nothing of a task is lost with it.

import CLinux
import Glibc

/// A distcomp-launch that begins what it is told to. When this goes, so does it.
public final class StayingLauncher {
    /// Its process, to be reaped by the caller.
    public let process: Int32
    private let socket: OwnedDescriptor

    /// In the third number of the head: `stay_has_directory` and so on of distcomp-launch.
    private static let (hasDirectory, hasProcessors, mayShare) = (UInt32(1), UInt32(2), UInt32(4))
    static let standsBy: UInt32 = 8

    fileprivate init(process: Int32, socket: consuming OwnedDescriptor) {
        self.process = process
        self.socket = socket
    }

    /// Has it begin a task, without waiting for that: what comes of it is among `ProcessLauncher.news()`, under this number.
    ///
    /// - Parameters:
    ///   - groups: what `ControlGroupTree.joiningDescriptors` gives, the v2 tree first.
    ///   - directory: that of the group in the v2 tree, to be born in; where the kernel cannot, it joins by `groups`.
    ///   - mayWait: whether it may wait until the task's program is executed, which costs less: not where that may take long, nor in a
    ///     group so small that the kernel could kill for want of memory before.
    /// - Throws: EAGAIN when it has been told of as much as it can take; EPIPE or ECONNRESET when it has ended. Nothing was begun.
    public func begin(
        _ order: LaunchOrder, number: UInt32, standardOutput: Int32, standardError: Int32,
        joining groups: [SharedDescriptor], bornIn directory: SharedDescriptor?, mayWait: Bool
    ) throws(SystemError) {
        try send(
            order.message, number: number,
            (order.hasProcessors ? Self.hasProcessors : 0) | (mayWait ? Self.mayShare : 0),
            order.streams(standardOutput, standardError), joining: groups, bornIn: directory)
    }

    func send(
        _ order: [UInt8], number: UInt32, _ flags: UInt32, _ streams: [Int32], joining groups: [SharedDescriptor],
        bornIn directory: SharedDescriptor?
    ) throws(SystemError) {
        var message: [UInt8] = []
        message.reserveCapacity(12 + order.count)
        for part in [number, UInt32(groups.count), flags | (directory == nil ? 0 : Self.hasDirectory)] {
            withUnsafeBytes(of: part) { message += $0 }
        }
        message += order
        let descriptors = streams + groups.map(\.raw) + (directory.map { [$0.raw] } ?? [])
        let sent = clinux_send_with_descriptors(
            socket.raw, message, message.count, descriptors, Int32(descriptors.count))
        guard sent == message.count else { throw .last("sendmsg", "distcomp-launch \(process)") }
    }
}

extension ProcessLauncher {
    /// Starts a distcomp-launch that stays. Should a step of its own fail, that is among `news()` under its process.
    public func stay() throws(SystemError) -> StayingLauncher {
        var ends: [Int32] = [-1, -1]
        guard clinux_message_sockets(&ends) == 0 else { throw .last("socketpair", "for distcomp-launch") }
        let ours = OwnedDescriptor(adopting: ends[0])
        let theirs = OwnedDescriptor(adopting: ends[1])
        let process = try start(["-s"], standardOutput: nil, standardError: nil, also: [theirs.raw], bornIn: nil)
        return StayingLauncher(process: process, socket: ours)
    }
}
