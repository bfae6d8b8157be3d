// What a task writes on another node, a piece at a time through the queue. Its node may be busy, stopped, gone, or too old to know of
// this, so every wait is short, and what is known of the node is said instead.

import LinuxSystem
import Notation
import RedisClient
import TaskModel
import TaskQueue

/// Reads what an attempt at a task wrote, or still writes, on another node.
final class RemoteOutput {
    enum Answer {
        case node(OutputAnswer)
        /// Nobody answered, or we may not ask; with names as they are in the queue.
        case none(why: String)
    }

    /// How long an answer is waited for, and after which the request, which may have been lost on its way, is repeated.
    private static let waitSeconds = 3.0
    private static let repeatSeconds = 1.0
    private static let pauseMillisecondsMax: UInt32 = 25

    let node: String
    let attempt: Int
    /// Where the next piece begins.
    var offset: Int64 = 0
    private let task: String
    private let stream: OutputStream
    /// Where the node keeps it, once that is known.
    var packed: PackedOutput?
    private let queue: QueueClient
    private let reader = Hexadecimal.text(UInt64.random(in: 0...UInt64.max))
    private var place = RemoteOutput.anyPlace
    private var number = 0
    private var isKnownToAnswer = false

    init(
        of line: String, _ stream: OutputStream, attempt: Int, on node: String, packed: PackedOutput?,
        _ queue: QueueClient
    ) {
        self.packed = packed
        self.node = node
        self.attempt = attempt
        self.stream = stream
        self.queue = queue
        task = TaskLine.identifier(of: line)
    }

    private static var anyPlace: Int { Int.random(in: 0..<OutputRequest.placeCount) }

    /// The next piece, or why there is none now.
    ///
    /// - Parameter isRunning: whether the attempt is running.
    func next(isRunning: Bool) throws(CommandError) -> Answer {
        if !isKnownToAnswer, let why = try queue.whyMute(node) { return .none(why: why) }
        number += 1
        var sent: OutputRequest?
        var sentAt = -Double.infinity
        var isPlaceTaken = false
        var pauseMilliseconds: UInt32 = 2
        let begun = bootSeconds()
        while true {
            let now = bootSeconds()
            if now - begun > Self.waitSeconds {
                isKnownToAnswer = false
                if let why = try queue.whyMute(node) { return .none(why: why) }
                return .none(why: "\(node) does not answer\(try queue.heardOf(node))")
            }
            if now - sentAt > Self.repeatSeconds {
                // Another reader has drawn the same place.
                if isPlaceTaken { place = Self.anyPlace }
                guard let request = request(isRunning) else { return .none(why: "\(node) cannot be asked for it") }
                if let why = try publish(request) { return .none(why: why) }
                (sent, sentAt) = (request, now)
            }
            guard let request = sent else { continue }
            pause(milliseconds: pauseMilliseconds)
            pauseMilliseconds = min(Self.pauseMillisecondsMax, pauseMilliseconds * 2)
            let reply = try queue.perform(ReadOutputAnswer(request, keys: queue.keys))
            if let answer = reply.answer(to: request) {
                isKnownToAnswer = true
                if case .piece(let bytes, _) = answer { offset += Int64(bytes.count) }
                return .node(answer)
            }
            isPlaceTaken = reply.isOfAnother(than: request)
        }
    }

    private func request(_ isRunning: Bool) -> OutputRequest? {
        OutputRequest(
            node: node, reader: reader, number: number, place: place, task: task, attempt: attempt,
            isRunning: isRunning,
            stream: stream, offset: offset, packed: packed)
    }

    /// Why that cannot be; nil when it was published.
    private func publish(_ request: OutputRequest) throws(CommandError) -> String? {
        let value = try queue.call(AskForOutput(request, keys: queue.keys).request)
        do {
            _ = try AskForOutput.parse(value)
            return nil
        } catch .refused(let error) where error.remedy == .giveUp {
            return "this user of Redis may not ask \(node) for it (distcomp acl prints what it needs)"
        } catch {
            return try queue.parsed { () throws(QueueError) in throw error }
        }
    }
}

extension QueueClient {
    /// Why a node cannot be asked for outputs, as far as the queue knows; nil where nothing speaks against it.
    fileprivate func whyMute(_ name: String) throws(CommandError) -> String? {
        let fleet = try fleet(countingTasks: false)
        guard let node = fleet.nodes.first(where: { $0.name == name }) else {
            return "\(name) is no node of this queue any more"
        }
        guard node.isAlive(nowUnixSeconds: fleet.nowUnixSeconds) else {
            let heard = node.heardSecondsAgo(nowUnixSeconds: fleet.nowUnixSeconds)
            return "\(name) is gone" + (heard.map { ": it was last heard of \(duration($0)) ago" } ?? "")
        }
        guard let version = node.version else {
            return node.leaseSecondsLeft == nil
                ? "\(name) is a worker of the old system, which hands on no output" : nil
        }
        return Self.handsOnOutput(version)
            ? nil : "\(name) runs distcompd \(version), which hands on no output: 1.1 does"
    }

    /// Whether a distcompd of that version does; of one we cannot read it is asked.
    static func handsOnOutput(_ version: String) -> Bool {
        let numbers = version.split(separator: ".").prefix(2).map { Int($0) }
        guard numbers.count == 2, let major = numbers[0], let minor = numbers[1] else { return true }
        return (major, minor) >= (1, 1)
    }

    /// When a living node was heard of, to stand behind something that is said of it.
    fileprivate func heardOf(_ name: String) throws(CommandError) -> String {
        let fleet = try fleet(countingTasks: false)
        guard let node = fleet.nodes.first(where: { $0.name == name }),
            let heard = node.heardSecondsAgo(nowUnixSeconds: fleet.nowUnixSeconds)
        else { return "" }
        let lease = node.leaseSecondsLeft.map { ", and its lease holds for \(duration($0)) more" } ?? ""
        return ": it was last heard of \(duration(heard)) ago\(lease)"
    }
}
