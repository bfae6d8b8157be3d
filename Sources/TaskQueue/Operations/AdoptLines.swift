// Lines that an old manager put into todo are not in our index. Whoever notices pages through todo and has them added.

import RedisClient
import TaskModel

/// Adds lines to the index that are in todo. Harmless when repeated, and for lines that are in the index already.
public struct AdoptLines: QueueOperation {
    private let keys: QueueKeys
    private let entries: [(field: [UInt8], line: TaskLine)]

    /// - Parameter lines: at most `SubmitTasks.linesMax`.
    public init(_ lines: [TaskLine], keys: QueueKeys) {
        self.init(lines.map { (Array($0.text.utf8), $0) }, keys: keys)
    }

    /// - Parameter entries: at most `SubmitTasks.linesMax`. A field that is its line with white space around it is replaced by
    ///   the line.
    init(_ entries: [(field: [UInt8], line: TaskLine)], keys: QueueKeys) {
        self.keys = keys
        self.entries = Array(entries.prefix(SubmitTasks.linesMax))
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.adopt, keys)
        for (field, line) in entries {
            call.append(bytes: field)
            call.append(line)
        }
        return .script(call)
    }

    /// How many of the lines were in todo and may be taken.
    @discardableResult
    public static func parse(_ value: RESPValue) throws(QueueError) -> Int {
        if let error = value.error { throw QueueError(error) }
        guard let count = value.int else { throw .unexpectedReply("adopt") }
        return count
    }
}

/// A field of todo that is no task: it fails with its reason rather than wait for ever. Harmless when repeated.
public struct RejectLine: QueueOperation {
    private let keys: QueueKeys
    private let line: [UInt8]
    private let reason: String

    public init(_ line: [UInt8], reason: String, keys: QueueKeys) {
        self.keys = keys
        self.line = line
        self.reason = reason
    }

    public var request: RedisRequest {
        var call = RedisScriptCall(QueueScripts.reject, keys)
        call.append(bytes: line)
        call.append(reason)
        return .script(call)
    }

    /// Whether it was in todo.
    @discardableResult
    public static func parse(_ value: RESPValue) throws(QueueError) -> Bool {
        if let error = value.error { throw QueueError(error) }
        guard let count = value.int else { throw .unexpectedReply("reject") }
        return count == 1
    }
}

/// One look through todo for lines without an index: page after page of `ScanHash`, each page's requests with it.
///
/// Meant for who is told by `ClaimTasks.Reply.needsSweep`. One node at a time is; its right ends by itself some seconds after the last
/// page.
public enum TodoSweep {
    /// What is to be done about a page of todo, and which fields of it were no task lines, with the reason.
    public static func requests(
        for page: ScanHash.Page, keys: QueueKeys
    ) -> (requests: [RedisRequest], rejected: [(field: [UInt8], reason: String)]) {
        var lines: [(field: [UInt8], line: TaskLine)] = []
        var rejections: [RedisRequest] = []
        var rejected: [(field: [UInt8], reason: String)] = []
        for (field, _) in page.entries where field != Array(TaskLine.closeCommand.utf8) {
            let reason: String
            do throws(TaskLineError) {
                lines.append((field, try TaskLine(parsing: field)))
                continue
            } catch {
                reason = "not a task line: \(error)"
            }
            rejections.append(RejectLine(field, reason: reason, keys: keys).request)
            rejected.append((field, reason))
        }
        var requests: [RedisRequest] = []
        // An empty one as well: it keeps the right to sweep while pages come.
        repeat {
            requests.append(AdoptLines(Array(lines.prefix(SubmitTasks.linesMax)), keys: keys).request)
            lines.removeFirst(min(lines.count, SubmitTasks.linesMax))
        } while !lines.isEmpty
        return (requests + rejections, rejected)
    }
}
