// One connection of a node through the proxy, and all that may go wrong with it.

import LinuxSystem

/// What the proxy did, over all connections.
struct ProxyCounts: Sendable {
    var connections = 0
    /// Redis was not there to connect to.
    var refusedConnections = 0
    var delays = 0
    var splits = 0
    /// Connections ended by each fault.
    var cutsInsideReply = 0
    var droppedReplies = 0
    var silences = 0
    var lostRequests = 0
    var lateRequests = 0

    var cuts: Int { cutsInsideReply + droppedReplies + silences + lostRequests + lateRequests }
}

final class ProxiedConnection {
    /// The two peers of a connection.
    enum Peer { case node, redis }

    private var node: OwnedDescriptor?
    private var redis: StreamSocket?
    private var requests = Flow()
    private var replies = Flow()
    private var plan: ConnectionPlan
    private let faultAtNanoseconds: Int64
    private var hasMetFault = false
    /// What Redis says goes nowhere any more.
    private var dropsReplies = false
    /// The first reply that goes nowhere ends the connection.
    private var endsWithReply = false
    private var endsAtNanoseconds: Int64?

    /// Redis is to read a request that came just before the end of the connection.
    private static let lingerNanoseconds: Int64 = 200_000_000

    init(accepted: consuming OwnedDescriptor, redis: consuming StreamSocket, plan: ConnectionPlan, now: Int64) {
        node = consume accepted
        self.redis = consume redis
        self.plan = plan
        faultAtNanoseconds = now + Int64(plan.faultAfterSeconds * 1e9)
    }

    // MARK: For the loop

    var isOver: Bool { descriptor(of: .node) == nil && descriptor(of: .redis) == nil }

    var nextDeadlineNanoseconds: Int64? {
        let end = requests.isEmpty ? endsAtNanoseconds : nil  // Requests that are on their way arrive before the end.
        return [requests.nextDueNanoseconds, replies.nextDueNanoseconds, end].compactMap { $0 }.min()
    }

    func descriptor(of peer: Peer) -> Int32? {
        switch peer {
        case .node: node?.raw
        case .redis: redis?.descriptor
        }
    }

    func interest(in peer: Peer) -> EventLoop.Interest {
        let (received, passedOn) = peer == .node ? (requests, replies) : (replies, requests)
        var interest: EventLoop.Interest = []
        if received.hasRoom { interest.insert(.readable) }
        if passedOn.isBlocked { interest.insert(.writable) }
        return interest
    }

    /// Takes what `peer` has sent.
    func receive(
        from peer: Peer, hasFailed: Bool, into buffer: UnsafeMutableRawBufferPointer, isCalm: Bool, now: Int64,
        _ counts: inout ProxyCounts
    ) {
        guard let descriptor = descriptor(of: peer) else { return }
        let hasRoom = peer == .node ? requests.hasRoom : replies.hasRoom
        guard hasRoom else {
            // Not read from, so a peer that has gone would be reported for ever.
            if hasFailed { close(peer, now: now) }
            return
        }
        guard let count = SocketEnd.receive(descriptor, into: buffer) else { return close(peer, now: now) }
        guard count > 0 else { return }
        let bytes = Array(buffer[..<count])[...]
        let meetsFault = !hasMetFault && !isCalm && now >= faultAtNanoseconds
        switch peer {
        case .node: takeRequest(bytes, meetsFault: meetsFault, now: now, &counts)
        case .redis: takeReply(bytes, meetsFault: meetsFault, isCalm: isCalm, now: now, &counts)
        }
    }

    /// Passes on what is due, and ends what is over.
    func advance(now: Int64) {
        if let descriptor = descriptor(of: .redis), !requests.pass(to: descriptor, now: now) { close(.redis, now: now) }
        if let descriptor = descriptor(of: .node), !replies.pass(to: descriptor, now: now) { close(.node, now: now) }
        if let end = endsAtNanoseconds, end <= now, requests.isEmpty {
            close(.node, now: now)
            redis = nil
        }
        // What Redis had said has been passed on: nothing more comes.
        if descriptor(of: .redis) == nil, replies.isEmpty { close(.node, now: now) }
        if descriptor(of: .node) == nil, requests.isEmpty, endsAtNanoseconds == nil {
            endsAtNanoseconds = now + Self.lingerNanoseconds
        }
    }

    // MARK: What goes wrong

    private func takeRequest(
        _ bytes: ArraySlice<UInt8>, meetsFault: Bool, now: Int64, _ counts: inout ProxyCounts
    ) {
        guard descriptor(of: .redis) != nil else { return }
        var due = now
        if meetsFault {
            switch plan.fault {
            case .cutInsideReply: break  // The reply's turn comes.
            case .dropReply:
                hasMetFault = true
                (dropsReplies, endsWithReply) = (true, true)
                counts.droppedReplies += 1
            case .silence:
                hasMetFault = true
                dropsReplies = true
                endsAtNanoseconds = now + Int64(plan.silenceSeconds() * 1e9)
                counts.silences += 1
            case .loseRequest:
                hasMetFault = true
                counts.lostRequests += 1
                return close(.node, now: now)
            case .delayRequest:
                hasMetFault = true
                counts.lateRequests += 1
                due = now + Int64(plan.lateRequestSeconds() * 1e9)
            }
        } else if let delay = plan.delaySeconds() {
            counts.delays += 1
            due = now + Int64(delay * 1e9)
        }
        requests.add(bytes, notBeforeNanoseconds: due)
        if meetsFault, plan.fault == .delayRequest { close(.node, now: now) }
    }

    private func takeReply(
        _ bytes: ArraySlice<UInt8>, meetsFault: Bool, isCalm: Bool, now: Int64, _ counts: inout ProxyCounts
    ) {
        guard descriptor(of: .node) != nil else { return }
        if dropsReplies {
            if endsWithReply { close(.node, now: now) }
            return
        }
        if meetsFault, plan.fault == .cutInsideReply {
            hasMetFault = true
            counts.cutsInsideReply += 1
            replies.add(bytes.prefix(plan.position(in: bytes.count - 1)), notBeforeNanoseconds: now)
            redis = nil  // The node's end follows when it has been given that much.
            requests.clear()
            return
        }
        var due = now
        if !isCalm, let delay = plan.delaySeconds() {
            counts.delays += 1
            due += Int64(delay * 1e9)
        }
        let cuts = isCalm ? [] : plan.cuts(ofBytes: bytes.count)
        if !cuts.isEmpty { counts.splits += 1 }
        var rest = bytes
        for cut in cuts {
            replies.add(rest[..<(bytes.startIndex + cut)], notBeforeNanoseconds: due)
            rest = bytes[(bytes.startIndex + cut)...]
            due += Int64(plan.pieceGapSeconds() * 1e9)
        }
        replies.add(rest, notBeforeNanoseconds: due)
    }

    private func close(_ peer: Peer, now: Int64) {
        switch peer {
        case .node:
            if let descriptor = node?.raw, hasMetFault, plan.endsWithReset { SocketEnd.resetOnClose(descriptor) }
            node = nil
            replies.clear()
        case .redis:
            redis = nil
            requests.clear()
        }
    }
}
