// The conversation with one Redis server over one connection, without the connection: bytes in, events out, and the bytes
// to send in a buffer. It knows no socket and no clock, so a test can be the server.
//
// Replies come in the order of the requests, so what is outstanding is a queue. Only a push stands outside that order.

import DequeModule

/// Names a request within one session.
public struct RequestIdentifier: Hashable, Sendable {
    let number: UInt64
}

/// What a session tells Redis in its handshake, and what it demands of the server.
public struct RedisSessionOptions: Equatable, Sendable {
    /// What a server must be, by what it says of itself, for the session to go on.
    public enum Wanted: Equatable, Sendable {
        /// A server that keeps data.
        case data
        /// One that takes writes.
        case master
        case sentinel
    }

    public var wanted = Wanted.data
    public var credentials: RedisCredentials?
    public var database: Int
    /// The name CLIENT LIST shows. Bytes Redis does not allow in it are replaced by `_`.
    public var clientName: String
    /// Scripts to load at once, so that each call carries a digest and not the source. Others are loaded when they are called again.
    public var scripts: [RedisScript]
    /// Channels to listen on.
    public var channels: [String]
    public var limits = RESPLimits()

    public init(
        credentials: RedisCredentials? = nil, database: Int = 0, clientName: String = "distcomp",
        scripts: [RedisScript] = [], channels: [String] = []
    ) {
        self.credentials = credentials
        self.database = database
        self.clientName = clientName
        self.scripts = scripts
        self.channels = channels
    }
}

/// What Redis says of itself in its reply to HELLO.
public struct RedisServerDescription: Equatable, Sendable {
    /// `redis`, or `valkey`, unless that was told to call itself so; "" where it does not say.
    public let name: String
    /// Such as `7.0.15`.
    public let version: String
    /// `standalone`, `cluster` or `sentinel`.
    public let mode: String
    /// `master` or `replica`.
    public let role: String

    /// For people: `7.0.15`, `Valkey 8.0.1`.
    public var title: String { name == "valkey" ? "Valkey \(version)" : version }

    var majorVersion: Int? { version.split(separator: ".").first.flatMap { Int($0) } }
}

/// One session, from the handshake to the end of the connection.
public struct RedisSession: Sendable {
    public enum Event: Equatable, Sendable {
        /// The handshake is over; requests are being served.
        case ready
        /// The reply to a request. It may be an `.error`: see `RedisError.remedy`.
        case reply(RequestIdentifier, RESPValue)
        /// Somebody published on a channel we listen on.
        case message(channel: [UInt8], payload: [UInt8])
        /// A request that gets no reply because the session failed. Redis may have run it or not.
        case lost(RequestIdentifier)
        /// The session is over and every outstanding request was reported lost. Close the connection.
        case failed(RedisFailure)
    }

    private enum State: Equatable {
        case idle
        case handshake
        case ready
        case failed(RedisFailure)
    }

    /// What the next reply answers.
    private enum Expected: Sendable {
        case handshake(HandshakeStep)
        case command(RequestIdentifier)
        case script(RequestIdentifier, RedisScriptCall)
        case load(RedisScript)
    }

    /// How far Redis knows a script.
    private enum Standing: Sendable {
        /// It was sent with a call. Most who call one that they have not loaded call it once.
        case sent
        case loading
        case loaded(source: String, digest: [UInt8])
    }

    /// The bytes to send. The connection takes them from here.
    public var output = RESPWriter()
    /// Known once the session is ready.
    public private(set) var server: RedisServerDescription?

    private let options: RedisSessionOptions
    private var state = State.idle
    private var reader: RESPReader
    private var expected: Deque<Expected> = []
    /// Requests made before the session was ready. Sent earlier, they might run unauthenticated or in the wrong database.
    private var waiting: [(RequestIdentifier, RedisRequest)] = []
    private var waitingBytes = 0
    /// Channels whose subscription Redis has yet to confirm.
    private var unconfirmedChannels: Int
    /// By name.
    private var scripts: [String: Standing] = [:]
    private var lastNumber: UInt64 = 0

    public init(options: RedisSessionOptions) {
        self.options = options
        unconfirmedChannels = options.channels.count
        reader = RESPReader(limits: options.limits)
    }

    public var isReady: Bool { state == .ready }

    public var failure: RedisFailure? {
        if case .failed(let failure) = state { failure } else { nil }
    }

    /// Requests without a reply, those of the handshake and loads of scripts included.
    public var outstandingCount: Int { expected.count + waiting.count }

    /// Bytes to send, those of requests that wait for the handshake estimated.
    public var unsentBytes: Int { output.count + waitingBytes }

    /// Whether Redis owes us something: a reply, or the rest of one.
    public var isAwaitingReply: Bool { !expected.isEmpty || reader.isInsideValue }

    /// Whether a reply has begun to arrive and is not whole.
    public var isInsideReply: Bool { reader.isInsideValue }

    /// Writes the handshake. To be called once the connection stands, and once only.
    public mutating func begin() {
        guard state == .idle else { return }
        state = .handshake
        for step in HandshakeStep.all(for: options) {
            output.write(step.command(options))
            expected.append(.handshake(step))
        }
    }

    /// Asks something. Before the session is ready the request is kept until it is. After it failed nothing is sent and no
    /// event follows: look at `failure` first.
    public mutating func send(_ request: RedisRequest) -> RequestIdentifier {
        lastNumber += 1
        let identifier = RequestIdentifier(number: lastNumber)
        switch state {
        case .ready: write(request, identifier)
        case .idle, .handshake:
            waiting.append((identifier, request))
            waitingBytes += request.approximateBytes
        case .failed: break
        }
        return identifier
    }

    /// Takes what the connection read.
    public mutating func receive(_ bytes: UnsafeRawBufferPointer) -> [Event] {
        var events: [Event] = []
        var input = bytes
        do throws(RESPProtocolError) {
            while failure == nil, let value = try reader.next(from: &input) { handle(value, &events) }
        } catch {
            fail(RedisFailure(.protocolViolation, error.description), &events)
        }
        return events
    }

    /// Ends the session because its connection ended, in whatever way.
    public mutating func end(_ failure: RedisFailure) -> [Event] {
        var events: [Event] = []
        fail(failure, &events)
        return events
    }
}

// MARK: - Requests and replies

extension RedisSession {
    private mutating func write(_ request: RedisRequest, _ identifier: RequestIdentifier) {
        switch request {
        case .command(let command):
            output.write(command)
            expected.append(.command(identifier))
        case .script(let call):
            write(call, identifier)
        }
    }

    private mutating func write(_ call: RedisScriptCall, _ identifier: RequestIdentifier) {
        switch scripts[call.script.name] {
        // Equal sources are mostly the same string in memory, which makes this comparison cheap.
        case .loaded(call.script.source, let digest)?:
            output.write(call, as: "EVALSHA", digest)
            expected.append(.script(identifier, call))
            return
        case nil: scripts[call.script.name] = .sent
        case .sent?:
            scripts[call.script.name] = .loading
            output.write(RedisCommand("SCRIPT", "LOAD", call.script.source))
            expected.append(.load(call.script))
        case .loading?, .loaded?: break
        }
        evaluate(call, identifier)
    }

    /// Whether that was the answer to a SCRIPT LOAD.
    private mutating func hasLoaded(_ script: RedisScript, _ value: RESPValue) -> Bool {
        guard let digest = value.bytes, digest.count == 40 else { return false }
        scripts[script.name] = .loaded(source: script.source, digest: digest)
        return true
    }

    private mutating func evaluate(_ call: RedisScriptCall, _ identifier: RequestIdentifier) {
        output.write(call, as: "EVAL", call.script.source.utf8)
        expected.append(.command(identifier))
    }

    private mutating func handle(_ value: RESPValue, _ events: inout [Event]) {
        if case .push(let elements) = value { return handlePush(elements, &events) }
        guard let next = expected.popFirst() else {
            return fail(unexpected(value), &events)
        }
        switch next {
        case .handshake(let step):
            handleHandshake(step, value, &events)
        case .script(let identifier, let call) where value.error?.code == "NOSCRIPT":
            // Nothing ran. This one goes again, at the end of the line; all others keep their places.
            evaluate(call, identifier)
        case .load(let script):
            _ = hasLoaded(script, value)  // Where it is refused, the calls say why, or work all the same.
        case .command(let identifier), .script(let identifier, _):
            deliver(value, to: identifier, &events)
        }
    }

    private mutating func deliver(_ value: RESPValue, to identifier: RequestIdentifier, _ events: inout [Event]) {
        events.append(.reply(identifier, value))
        guard let error = value.error, error.remedy == .reconnect else { return }
        fail(RedisFailure(.notMaster, error.description), &events)
    }

    private mutating func handlePush(_ elements: [RESPValue], _ events: inout [Event]) {
        switch elements.first?.string {
        case "message" where elements.count == 3:
            guard let channel = elements[1].bytes, let payload = elements[2].bytes else { return }
            events.append(.message(channel: channel, payload: payload))
        case "subscribe" where state == .handshake && expected.count == 1 && unconfirmedChannels > 0:
            // A SUBSCRIBE that succeeds is answered by pushes alone, one a channel, and then its place in the queue is free.
            unconfirmedChannels -= 1
            guard unconfirmedChannels == 0 else { return }
            _ = expected.popFirst()
            becomeReadyAfterHandshake(&events)
        default:
            return  // Redis may invent further kinds of push; a client is to ignore those it does not know.
        }
    }

    private mutating func forgetWaiting() {
        waiting = []
        waitingBytes = 0
    }

    private func unexpected(_ value: RESPValue) -> RedisFailure {
        // Before it closes a connection Redis may say why, without being asked.
        guard let error = value.error else { return RedisFailure(.protocolViolation, "a reply to no request") }
        return HandshakeStep.failure(error, doing: nil)
    }

    private mutating func fail(_ failure: RedisFailure, _ events: inout [Event]) {
        guard self.failure == nil else { return }
        state = .failed(failure)
        output.discard()
        for entry in expected {
            switch entry {
            case .handshake, .load: break
            case .command(let identifier), .script(let identifier, _): events.append(.lost(identifier))
            }
        }
        expected = []
        for (identifier, _) in waiting { events.append(.lost(identifier)) }
        forgetWaiting()
        events.append(.failed(failure))
    }
}

// MARK: - The handshake

extension RedisSession {
    private mutating func handleHandshake(_ step: HandshakeStep, _ value: RESPValue, _ events: inout [Event]) {
        if let error = value.error, !step.isOptional || error.remedy == .backOff {
            return fail(refusal(error, of: step), &events)
        }
        switch step {
        case .hello:
            let description = RedisServerDescription(hello: value)
            server = description
            if let misfit = description.misfit(for: options.wanted) { return fail(misfit, &events) }
        case .loadScript(let script):
            guard hasLoaded(script, value) else {
                let failure = RedisFailure(.protocolViolation, "SCRIPT LOAD of \(script.name) returned no digest")
                return fail(failure, &events)
            }
        case .subscribe:
            return fail(RedisFailure(.protocolViolation, "SUBSCRIBE was not answered by a push"), &events)
        case .select, .probe, .noEvict, .libraryName:
            break
        }
        becomeReadyAfterHandshake(&events)
    }

    private func refusal(_ error: RedisError, of step: HandshakeStep) -> RedisFailure {
        // Our scripts begin with flags, which an older Redis takes for an error in their first line.
        if case .loadScript = step, error.code == "ERR", let server, server.majorVersion.map({ $0 < 7 }) ?? false {
            return .tooOld(because: "it is \(server.version)")
        }
        return HandshakeStep.failure(error, doing: step)
    }

    private mutating func becomeReadyAfterHandshake(_ events: inout [Event]) {
        guard expected.isEmpty, state == .handshake else { return }
        state = .ready
        events.append(.ready)
        for (identifier, request) in waiting { write(request, identifier) }
        forgetWaiting()
    }
}

extension RedisServerDescription {
    fileprivate init(hello value: RESPValue) {
        func field(_ name: String) -> String {
            value.entries?.first { $0.key.string == name }?.value.string ?? ""
        }
        self.init(name: field("server"), version: field("version"), mode: field("mode"), role: field("role"))
    }
}
