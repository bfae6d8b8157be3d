// What can be asked of Redis. A request is a plain value: TaskQueue makes them, a connection sends them, and nothing in
// between needs to know what they mean.

/// A command and its arguments, each a string of bytes.
public struct RedisCommand: Equatable, Sendable {
    public var arguments: [[UInt8]]

    /// The words of the command: `RedisCommand("HGET", "todo_tasks", line)`.
    public init(_ name: String, _ arguments: String...) {
        self.init(name, arguments)
    }

    public init(_ name: String, _ arguments: [String]) {
        self.arguments = [Array(name.utf8)] + arguments.map { Array($0.utf8) }
    }

    /// The words as raw bytes, the name first.
    public init(bytes arguments: [[UInt8]]) {
        self.arguments = arguments
    }

    public mutating func append(_ text: String) { arguments.append(Array(text.utf8)) }
    public mutating func append(_ number: some BinaryInteger) { append(String(number)) }
    public mutating func append(bytes: [UInt8]) { arguments.append(bytes) }

    /// The command's name for error messages, without arguments: those may be secret.
    public var name: String { arguments.first.map { String(decoding: $0, as: UTF8.self) } ?? "" }
}

/// A Lua script with a name for error messages, by which a session knows it. A session that has loaded it has its digest from Redis.
public struct RedisScript: Hashable, Sendable {
    public let name: String
    public let source: String

    public init(name: String, source: String) {
        self.name = name
        self.source = source
    }
}

/// A call of a script: EVALSHA with the digest that SCRIPT LOAD returned. When Redis has lost the script
/// (NOSCRIPT: restart, failover, SCRIPT FLUSH) the session resends this call alone, as EVAL, and the caller sees nothing.
/// A script the session was not given at its start is sent as EVAL, and loaded when it is called a second time.
public struct RedisScriptCall: Equatable, Sendable {
    public let script: RedisScript
    public var keys: [[UInt8]]
    public var arguments: [[UInt8]]

    public init(_ script: RedisScript, keys: [[UInt8]] = [], arguments: [[UInt8]] = []) {
        self.script = script
        self.keys = keys
        self.arguments = arguments
    }

    public init(_ script: RedisScript, keys: [String], arguments: [String]) {
        self.init(script, keys: keys.map { Array($0.utf8) }, arguments: arguments.map { Array($0.utf8) })
    }

    public mutating func append(_ text: String) { arguments.append(Array(text.utf8)) }
    public mutating func append(_ number: some BinaryInteger) { append(String(number)) }
    public mutating func append(bytes: [UInt8]) { arguments.append(bytes) }
}

/// One thing to ask, which gets exactly one reply.
public enum RedisRequest: Equatable, Sendable {
    case command(RedisCommand)
    case script(RedisScriptCall)
}

extension RedisRequest {
    /// About how many bytes it takes to send, for bounds on what may wait.
    var approximateBytes: Int {
        switch self {
        case .command(let command): Self.bytes(of: command.arguments)
        case .script(let call): Self.bytes(of: call.keys) + Self.bytes(of: call.arguments) + 64
        }
    }

    private static func bytes(of words: [[UInt8]]) -> Int {
        // Each word is sent with its length and two line ends.
        words.reduce(0) { $0 + $1.count + 12 }
    }
}
