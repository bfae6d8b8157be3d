// What a session says first, all in one round trip, and what it makes of a refusal.

enum GreetingStep: Equatable, Sendable {
    case hello
    case select
    case probe
    case noEvict
    case libraryName
    case loadScript(RedisScript)
    case subscribe

    /// SUBSCRIBE is the last: its confirmations are pushes, so no reply may be expected behind it.
    static func all(for options: RedisSessionOptions) -> [GreetingStep] {
        var steps: [GreetingStep] = [.hello]
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
    static func failure(_ error: RedisError, doing step: GreetingStep?) -> RedisFailure {
        let context = step.map { "\($0.name): " } ?? ""
        switch error.remedy {
        case .backOff: return RedisFailure(.notReady, "not ready: \(error)")
        case .reconnect: return RedisFailure(.notMaster, "\(context)\(error)")
        case .giveUp: return RedisFailure(.authentication, refusal(error, context))
        case .none: break
        }
        guard let step else { return RedisFailure(.protocolViolation, "an error in reply to no request: \(error)") }
        if step == .hello && (error.code == "NOPROTO" || error.message.hasPrefix("unknown command")) {
            return RedisFailure(.unsupported, "too old: Redis 6 or newer is needed (\(error))")
        }
        return RedisFailure(.unsupported, "\(context)\(error)")
    }

    private static func refusal(_ error: RedisError, _ context: String) -> String {
        switch error.code {
        case "WRONGPASS": "wrong user name or password (\(error))"
        case "NOAUTH": "a password is needed (\(error))"
        case "NOPERM": "this user lacks a permission: \(context)\(error)"
        default: "\(error)"
        }
    }

    /// CLIENT SETNAME takes the visible characters of ASCII only.
    private static func allowedName(_ name: String) -> String {
        let bytes = name.utf8.map { $0 > 0x20 && $0 < 0x7F ? $0 : UInt8(ascii: "_") }
        return String(decoding: bytes, as: UTF8.self)
    }
}
