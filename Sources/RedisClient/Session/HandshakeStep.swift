// The handshake: what a session sends first, all in one round trip, and what a refusal means.

enum HandshakeStep: Equatable, Sendable {
    case hello
    case select
    case probe
    case noEvict
    case libraryName
    case loadScript(RedisScript)
    case subscribe

    /// SUBSCRIBE is the last: its confirmations are pushes, so no reply may be expected behind it.
    static func all(for options: RedisSessionOptions) -> [HandshakeStep] {
        var steps: [HandshakeStep] = [.hello]
        if options.database != 0 { steps.append(.select) }
        steps += [.probe, .noEvict, .libraryName]
        steps += options.scripts.map { .loadScript($0) }
        if !options.channels.isEmpty { steps.append(.subscribe) }
        return steps
    }

    func command(_ options: RedisSessionOptions) -> RedisCommand {
        switch self {
        case .hello:
            var hello = RedisCommand("HELLO", "3")
            if let credentials = options.credentials {
                for word in ["AUTH", credentials.user, credentials.password] { hello.append(word) }
            }
            hello.append("SETNAME")
            hello.append(Self.allowedName(options.clientName))
            return hello
        case .select: return RedisCommand("SELECT", String(options.database))
        case .probe: return RedisCommand("PING")
        case .noEvict: return RedisCommand("CLIENT", "NO-EVICT", "ON")
        case .libraryName: return RedisCommand("CLIENT", "SETINFO", "LIB-NAME", "distcomp")
        case .loadScript(let script): return RedisCommand("SCRIPT", "LOAD", script.source)
        case .subscribe: return RedisCommand("SUBSCRIBE", options.channels)
        }
    }

    /// Whether the session works without it. NO-EVICT needs Redis 7.0 and a permission few users have; SETINFO needs 7.2.
    /// The probe is there for the errors that say Redis is not ready: HELLO succeeds even while it is loading.
    var isOptional: Bool {
        switch self {
        case .probe, .noEvict, .libraryName: true
        case .hello, .select, .loadScript, .subscribe: false
        }
    }

    private var name: String {
        switch self {
        case .hello: "HELLO"
        case .select: "SELECT"
        case .probe: "PING"
        case .noEvict: "CLIENT NO-EVICT"
        case .libraryName: "CLIENT SETINFO"
        case .loadScript(let script): "SCRIPT LOAD of \(script.name)"
        case .subscribe: "SUBSCRIBE"
        }
    }

    /// What an error reply to `step`, or to nothing we asked, means for the session.
    static func failure(_ error: RedisError, doing step: HandshakeStep?) -> RedisFailure {
        guard let step else {
            let refusal = RedisFailure(refusing: error)
            guard refusal.kind == .unsupported else { return refusal }
            return RedisFailure(.protocolViolation, "an error in reply to no request: \(error)")
        }
        if step == .hello, error.code == "NOPROTO" { return .tooOld(because: "\(error)") }
        if step == .hello, error.message.hasPrefix("unknown command") {
            return .tooOld(because: "or one whose HELLO was not renamed: \(error)")
        }
        return RedisFailure(refusing: error, context: "\(step.name): ")
    }

    /// CLIENT SETNAME takes the visible characters of ASCII only.
    private static func allowedName(_ name: String) -> String {
        let bytes = name.utf8.map { $0 > 0x20 && $0 < 0x7F ? $0 : UInt8(ascii: "_") }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension RedisFailure {
    /// A connection is of no use because of an error reply; `context` says to what, where that matters.
    init(refusing error: RedisError, context: String = "") {
        switch error.remedy {
        case .backOff: self.init(.notReady, "not ready: \(error)")
        case .reconnect: self.init(.notMaster, "\(context)\(error)")
        case .giveUp where error.code == "NOPERM":
            self.init(.authentication, "this user lacks a permission: \(context)\(error)")
        case .giveUp where error.code == "NOAUTH" || error.code == "WRONGPASS" || error.code == "DENIED":
            self.init(.authentication, error.explanation)
        case .giveUp: self.init(.unsupported, error.explanation)
        case .none: self.init(.unsupported, "\(context)\(error)")
        }
    }

    static func tooOld(because reason: String) -> RedisFailure {
        RedisFailure(.unsupported, "too old: Redis 7 or newer is needed (\(reason))")
    }
}

extension RedisServerDescription {
    /// Why this server is not what is wanted, from what it said of itself; nil when it is.
    func misfit(for wanted: RedisSessionOptions.Wanted) -> RedisFailure? {
        switch (mode, wanted) {
        case ("sentinel", .sentinel): nil
        case ("sentinel", .data), ("sentinel", .master):
            RedisFailure(
                .unsupported, "it is a sentinel: name it in redis_sentinels, and its master in redis_master_name")
        case (_, .sentinel): RedisFailure(.unsupported, "it is no sentinel")
        case ("cluster", .data), ("cluster", .master): RedisFailure(.unsupported, RedisError.clusterRefusal)
        case (_, .master) where role != "master":
            RedisFailure(.notMaster, "it is a \(role), which takes no writes: its master is wanted")
        case (_, .master), (_, .data): nil
        }
    }
}
