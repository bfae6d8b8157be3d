import RedisClient
import Testing

private let helloReply =
    "%3\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
/// To PING, NO-EVICT and SETINFO, by a Redis that knows or allows none of them.
private let refusedOptions = "-NOPERM no\r\n-ERR unknown subcommand\r\n-ERR unknown subcommand\r\n"
private let digest = String(repeating: "d", count: 40)
private let script = RedisScript(name: "claim", source: "return 1")

/// A session whose other side is the test.
private struct Conversation {
    var session: RedisSession

    init(_ options: RedisSessionOptions = RedisSessionOptions()) {
        session = RedisSession(options: options)
        session.begin()
    }

    /// A conversation past its handshake.
    static func ready(scripts: [RedisScript] = []) -> Conversation {
        var conversation = Conversation(RedisSessionOptions(scripts: scripts))
        let loads = String(repeating: "$40\r\n\(digest)\r\n", count: scripts.count)
        #expect(conversation.hears(helloReply + refusedOptions + loads) == [.ready])
        _ = conversation.sent()
        return conversation
    }

    mutating func hears(_ text: String) -> [RedisSession.Event] { feed(text, to: &session) }

    mutating func sends(_ words: String...) -> RequestIdentifier {
        session.send(.command(RedisCommand(bytes: words.map { Array($0.utf8) })))
    }

    mutating func calls(_ script: RedisScript, _ argument: String) -> RequestIdentifier {
        session.send(.script(RedisScriptCall(script, keys: ["key"], arguments: [argument])))
    }

    /// What went out since the last time: the words of each command.
    mutating func sent() -> [[String]] {
        var bytes: [UInt8] = []
        session.output.take { all in
            bytes = Array(all)
            return all.count
        }
        return ((try? read(bytes)) ?? []).map { ($0.elements ?? []).compactMap(\.string) }
    }
}

extension [RedisSession.Event] {
    fileprivate var failure: RedisFailure? {
        if case .failed(let failure)? = last { failure } else { nil }
    }
}

@Suite("Handshake Redis")
struct HandshakeTests {
    @Test("the whole handshake goes out in one round trip")
    func oneRoundTrip() {
        let credentials = RedisCredentials(user: "worker", password: "secret")
        let options = RedisSessionOptions(
            credentials: credentials, database: 3, clientName: "node 1", scripts: [script], channels: ["wake", "stop"])
        var conversation = Conversation(options)
        #expect(
            conversation.sent() == [
                ["HELLO", "3", "AUTH", "worker", "secret", "SETNAME", "node_1"],
                ["SELECT", "3"],
                ["PING"],
                ["CLIENT", "NO-EVICT", "ON"],
                ["CLIENT", "SETINFO", "LIB-NAME", "distcomp"],
                ["SCRIPT", "LOAD", "return 1"],
                ["SUBSCRIBE", "wake", "stop"],
            ])
        #expect(conversation.hears(helloReply + "+OK\r\n" + refusedOptions + "$40\r\n\(digest)\r\n").isEmpty)
        #expect(conversation.hears(">3\r\n+subscribe\r\n+wake\r\n:1\r\n").isEmpty)
        #expect(conversation.hears(">3\r\n+subscribe\r\n+stop\r\n:2\r\n") == [.ready])
        #expect(conversation.session.outstandingCount == 0)
        #expect(conversation.session.server?.version == "7.0.15")
        #expect(conversation.session.server?.role == "master")
    }

    @Test("a request made before the handshake is over goes out after it")
    func earlyRequest() {
        var conversation = Conversation()
        let identifier = conversation.sends("GET", "a")
        #expect(!conversation.sent().contains(["GET", "a"]))
        #expect(conversation.hears(helloReply + refusedOptions) == [.ready])
        #expect(conversation.sent() == [["GET", "a"]])
        #expect(conversation.hears(":1\r\n") == [.reply(identifier, .integer(1))])
    }

    private struct Refusal: Sendable {
        let reply: String
        let kind: RedisFailure.Kind
        let says: String
    }

    private static let refusals = [
        Refusal(
            reply: "-WRONGPASS invalid username-password pair or user is disabled.", kind: .authentication,
            says: "wrong user name or password"),
        Refusal(
            reply: "-NOAUTH HELLO must be called with the client already authenticated", kind: .authentication,
            says: "a password is needed"),
        Refusal(
            reply: "-NOPERM this user has no permissions to run the 'hello' command", kind: .authentication,
            says: "lacks a permission: HELLO"),
        Refusal(
            reply: "-DENIED Redis is running in protected mode", kind: .authentication, says: "protected mode"),
        Refusal(
            reply: "-ERR unknown command `HELLO`, with args beginning with: `3`", kind: .unsupported,
            says: "Redis 7 or newer is needed"),
        Refusal(
            reply: "-NOPROTO unsupported protocol version", kind: .unsupported, says: "Redis 7 or newer is needed"),
        Refusal(
            reply: "-LOADING Redis is loading the dataset in memory", kind: .notReady, says: "loading the dataset"),
        Refusal(
            reply: "-MASTERDOWN Link with MASTER is down", kind: .notReady, says: "MASTERDOWN"),
        Refusal(reply: "-BUSY Redis is busy running a script", kind: .notReady, says: "BUSY"),
        Refusal(
            reply: "-ERR max number of clients reached", kind: .notReady, says: "number of clients"),
    ]

    @Test("each refusal of a handshake has its own end", arguments: refusals)
    private func refused(_ refusal: Refusal) throws {
        var conversation = Conversation()
        let identifier = conversation.sends("GET", "a")
        let events = conversation.hears(refusal.reply + "\r\n-NOAUTH Authentication required.\r\n")
        #expect(events.count == 2)
        #expect(events.first == .lost(identifier))
        let failure = try #require(events.failure)
        #expect(failure.kind == refusal.kind)
        #expect(failure.description.contains(refusal.says))
    }

    @Test(
        "a Redis that answers the handshake while it is loading is not ready",
        arguments: ["LOADING", "MASTERDOWN", "BUSY"])
    func answeredTooEarly(_ code: String) {
        var conversation = Conversation()
        #expect(conversation.hears(helloReply + "-\(code) not now\r\n").failure?.kind == .notReady)
    }

    @Test("a script that Redis cannot compile is named")
    func badScript() {
        var conversation = Conversation(RedisSessionOptions(scripts: [script]))
        let failure = conversation.hears(helloReply + refusedOptions + "-ERR Error compiling script\r\n").failure
        #expect(failure?.kind == .unsupported)
        #expect(failure?.detail == "SCRIPT LOAD of claim: ERR Error compiling script")
    }

    @Test("a channel we may not listen on ends the session")
    func forbiddenChannel() {
        var conversation = Conversation(RedisSessionOptions(channels: ["wake"]))
        let failure = conversation.hears(helloReply + refusedOptions + "-NOPERM no access to a channel\r\n").failure
        #expect(failure?.kind == .authentication)
        #expect(failure?.detail == "this user lacks a permission: SUBSCRIBE: NOPERM no access to a channel")
    }

    @Test("a server that is no Redis is told from one")
    func notRedis() {
        var conversation = Conversation()
        #expect(conversation.hears("SSH-2.0-OpenSSH_9.2\r\n").failure?.kind == .protocolViolation)
    }
}

@Suite("Requests and replies")
struct RedisSessionTests {
    @Test("replies go to the requests in their order, and messages between them to the listener")
    func order() {
        var conversation = Conversation.ready()
        let first = conversation.sends("GET", "a")
        let second = conversation.sends("GET", "b")
        let push = ">3\r\n$7\r\nmessage\r\n$4\r\nwake\r\n$1\r\n5\r\n"
        #expect(
            conversation.hears(push + ":1\r\n" + push + ">2\r\n+invalidate\r\n_\r\n" + "-ERR no\r\n" + push) == [
                .message(channel: Array("wake".utf8), payload: Array("5".utf8)),
                .reply(first, .integer(1)),
                .message(channel: Array("wake".utf8), payload: Array("5".utf8)),
                .reply(second, .error(RedisError(code: "ERR", message: "no"))),
                .message(channel: Array("wake".utf8), payload: Array("5".utf8)),
            ])
    }

    @Test("a script is called by its digest")
    func digestCall() {
        var conversation = Conversation.ready(scripts: [script])
        _ = conversation.calls(script, "1")
        #expect(conversation.sent() == [["EVALSHA", digest, "1", "key", "1"]])
    }

    @Test("a script the session was not given, or another of the same name, is sent as source")
    func unknownScript() {
        var conversation = Conversation.ready(scripts: [script])
        _ = conversation.calls(RedisScript(name: "claim", source: "return 2"), "1")
        _ = conversation.calls(RedisScript(name: "report", source: "return 3"), "1")
        #expect(
            conversation.sent() == [["EVAL", "return 2", "1", "key", "1"], ["EVAL", "return 3", "1", "key", "1"]])
    }

    @Test("a script the session was not given is loaded when it is called again, and then called by its digest")
    func loadedLater() {
        var conversation = Conversation.ready()
        let calls = ["1", "2", "3"].map { conversation.calls(script, $0) }
        #expect(
            conversation.sent() == [
                ["EVAL", "return 1", "1", "key", "1"], ["SCRIPT", "LOAD", "return 1"],
                ["EVAL", "return 1", "1", "key", "2"], ["EVAL", "return 1", "1", "key", "3"],
            ])
        let events = conversation.hears(":1\r\n$40\r\n\(digest)\r\n:2\r\n:3\r\n")
        #expect(events == calls.enumerated().map { .reply($1, .integer(Int64($0 + 1))) })
        _ = conversation.calls(script, "4")
        #expect(conversation.sent() == [["EVALSHA", digest, "1", "key", "4"]])
        #expect(conversation.session.outstandingCount == 1)
    }

    @Test("where a script may not be loaded it is sent as source each time")
    func refusedLater() {
        var conversation = Conversation.ready()
        let calls = ["1", "2"].map { conversation.calls(script, $0) }
        let events = conversation.hears(":1\r\n-NOPERM no\r\n:2\r\n")
        #expect(events == calls.enumerated().map { .reply($1, .integer(Int64($0 + 1))) })
        _ = conversation.sent()
        _ = conversation.calls(script, "3")
        #expect(conversation.sent() == [["EVAL", "return 1", "1", "key", "3"]])
    }

    @Test("NOSCRIPT in a pipeline resends that one call, and its caller does not notice")
    func lostScript() {
        var conversation = Conversation.ready(scripts: [script])
        let first = conversation.sends("SET", "a", "1")
        let second = conversation.calls(script, "x")
        let third = conversation.sends("INCR", "a")
        let fourth = conversation.calls(script, "y")
        _ = conversation.sent()
        let events = conversation.hears("+OK\r\n-NOSCRIPT No matching script.\r\n:2\r\n:10\r\n")
        #expect(
            events == [.reply(first, .simpleString("OK")), .reply(third, .integer(2)), .reply(fourth, .integer(10))])
        #expect(conversation.sent() == [["EVAL", "return 1", "1", "key", "x"]])
        let last = conversation.sends("PING")
        #expect(
            conversation.hears(":11\r\n+PONG\r\n") == [
                .reply(second, .integer(11)), .reply(last, .simpleString("PONG")),
            ])
    }

    @Test("NOSCRIPT in answer to an EVAL or a plain command is the caller's")
    func foreignNoScript() {
        var conversation = Conversation.ready()
        let identifier = conversation.sends("EVALSHA", digest, "0")
        let error = RedisError(code: "NOSCRIPT", message: "No matching script.")
        #expect(conversation.hears("-NOSCRIPT No matching script.\r\n") == [.reply(identifier, .error(error))])
    }

    @Test("the end of the connection loses every outstanding request, each by name, and resends none")
    func connectionLost() {
        var conversation = Conversation.ready(scripts: [script])
        let first = conversation.sends("INCR", "a")
        let second = conversation.calls(script, "x")
        let failure = RedisFailure(.connectionLost, "closed the connection")
        #expect(conversation.session.end(failure) == [.lost(first), .lost(second), .failed(failure)])
        #expect(conversation.session.end(failure).isEmpty)
        #expect(conversation.sent().isEmpty)
        #expect(conversation.hears(":1\r\n").isEmpty)
    }

    @Test(
        "READONLY and UNBLOCKED reach their caller, and then the connection is given up",
        arguments: ["READONLY", "UNBLOCKED"])
    func wrongServer(_ code: String) throws {
        var conversation = Conversation.ready()
        let first = conversation.sends("SET", "a", "1")
        let second = conversation.sends("GET", "a")
        let events = conversation.hears("-\(code) not the master\r\n:1\r\n")
        let error = RedisError(code: code, message: "not the master")
        #expect(events.dropLast() == [.reply(first, .error(error)), .lost(second)])
        let failure = try #require(events.failure)
        #expect(failure.kind == .notMaster)
    }

    @Test(
        "an error that concerns one request leaves the session as it is",
        arguments: [
            ("ERR", RedisError.Remedy.none), ("WRONGTYPE", .none), ("OOM", .none), ("MISCONF", .none),
            ("LOADING", .backOff), ("MASTERDOWN", .backOff), ("BUSY", .backOff), ("NOPERM", .giveUp),
        ])
    func errorReply(_ code: String, _ remedy: RedisError.Remedy) {
        var conversation = Conversation.ready()
        let identifier = conversation.sends("SET", "a", "1")
        let error = RedisError(code: code, message: "for a reason")
        #expect(conversation.hears("-\(code) for a reason\r\n") == [.reply(identifier, .error(error))])
        #expect(error.remedy == remedy)
        #expect(conversation.session.isReady)
    }

    @Test(
        "a right that is missing inside a script is told as one, in the words of every Redis and Valkey",
        arguments: [
            "The user executing the script can't run this command or subcommand script: f_1, on @user_script:1.",
            "The user executing the script can't access at least one of the keys mentioned in the command",
            "ACL failure in script: User nodes has no permissions to run the 'hset' command script: f_1, on @user_script:1.",
            "ACL failure in script: No permissions to access a key script: f_1, on @user_script:1.",
        ])
    func missingPermissionOfScript(message: String) {
        let error = RedisError(code: "ERR", message: message)
        #expect(error.remedy == .giveUp)
        #expect(error.explanation.hasPrefix("this user lacks a permission (ERR "), "\(error.explanation)")
        #expect(RedisError(code: "ERR", message: "user_script:1: \(message)").remedy == .none)
    }

    @Test("a server is told by its version, and Valkey by its name too")
    func title() {
        for (server, title) in [("$5\r\nredis", "8.0.1"), ("$6\r\nvalkey", "Valkey 8.0.1")] {
            var conversation = Conversation(RedisSessionOptions())
            _ = conversation.hears(
                "%2\r\n$6\r\nserver\r\n\(server)\r\n$7\r\nversion\r\n$5\r\n8.0.1\r\n" + refusedOptions)
            #expect(conversation.session.server?.title == title)
        }
    }

    @Test("a reply to no request ends the session")
    func unaskedReply() {
        var conversation = Conversation.ready()
        #expect(conversation.hears("+OK\r\n").failure?.kind == .protocolViolation)
    }

    @Test("what is not RESP ends the session, after the replies before it")
    func brokenReply() {
        var conversation = Conversation.ready()
        let first = conversation.sends("GET", "a")
        let second = conversation.sends("GET", "b")
        let events = conversation.hears(":1\r\n:+5\r\n:7\r\n")
        #expect(events.dropLast() == [.reply(first, .integer(1)), .lost(second)])
        #expect(events.failure == RedisFailure(.protocolViolation, "'+5' is no integer of 64 bits"))
    }

    @Test("damaged conversations never trap and lose no request unreported", arguments: 0..<20 as Range<UInt64>)
    func damage(_ seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<50 {
            var conversation = Conversation(RedisSessionOptions(scripts: [script], channels: ["wake"]))
            let requests = (0..<6).map {
                $0 % 2 == 0 ? conversation.sends("GET", "a") : conversation.calls(script, "b")
            }
            var text = Array(
                (helloReply + refusedOptions + "$40\r\n\(digest)\r\n>3\r\n+subscribe\r\n+wake\r\n:1\r\n"
                    + ":1\r\n-NOSCRIPT x\r\n$3\r\nabc\r\n*1\r\n_\r\n>3\r\n+message\r\n+wake\r\n+x\r\n#t\r\n:5\r\n:6\r\n")
                    .utf8)
            text[Int.random(in: 0..<text.count, using: &generator)] = UInt8.random(in: 10...126, using: &generator)
            let bytes = text
            let events = bytes.withUnsafeBytes { conversation.session.receive($0) }
            let rest = conversation.session.end(RedisFailure(.connectionLost, "end"))
            let ended = (events + rest).compactMap { event -> RequestIdentifier? in
                switch event {
                case .reply(let identifier, _), .lost(let identifier): identifier
                case .ready, .message, .failed: nil
                }
            }
            #expect(ended.count == requests.count)
            #expect(Set(ended) == Set(requests))
        }
    }
}
