// Who may ask for what. A browser sends requests for whatever page it shows, so one that comes from this machine need not be meant by its
// person: a page from elsewhere may have a name that it lets point at us (the Host tells), or send orders of its own (Sec-Fetch-Site and
// Origin tell). Pure: what is known of a request goes in, why it is refused comes out.

/// Decides which requests are answered.
public struct RequestGuard: Sendable {
    /// The names under which the pages may be asked for, without ports.
    private let hosts: Set<String>
    /// What has to be shown; nil where whoever reaches us may look.
    private let token: [UInt8]?
    private let allowsOrders: Bool

    /// The cookie that holds the token.
    public static let cookieName = "distcomp_token"
    /// Where a person shows the token.
    public static let signInPath = "/sign-in"

    /// - Parameter hosts: names and addresses besides those of this machine's loopback.
    public init(hosts: some Sequence<String> = [], token: [UInt8]? = nil, allowsOrders: Bool = false) {
        self.hosts = Set(["localhost", "127.0.0.1", "[::1]"] + hosts.map { $0.lowercased() })
        self.token = token
        self.allowsOrders = allowsOrders
    }

    /// Why a request is not answered.
    public struct Refusal: Error, Equatable, Sendable {
        public let status: Int
        /// What to do, in a sentence.
        public let reason: String

        public init(status: Int, reason: String) {
            self.status = status
            self.reason = reason
        }
    }

    /// - Throws: why the request is not answered.
    public func check(_ request: WebRequest) throws(Refusal) {
        try checkHost(request)
        let isSignIn = request.path == Self.signInPath
        if !isSignIn, let token, !shows(token, request) {
            throw Refusal(status: 401, reason: "these pages ask for a token: give it at \(Self.signInPath)")
        }
        switch request.method {
        case "GET", "HEAD": return
        case "POST": break
        default: throw Refusal(status: 405, reason: "only GET, HEAD and POST are understood here")
        }
        try checkOrigin(request)
        if isSignIn { return }
        guard allowsOrders else {
            throw Refusal(status: 403, reason: "no orders are taken here: distcomp web --allow-orders takes them")
        }
        guard mediaType(request) == "application/json" else {
            throw Refusal(status: 415, reason: "an order is sent as application/json")
        }
    }

    /// Whether this is the token that has to be shown.
    public func isToken(_ shown: [UInt8]) -> Bool { token.map { Self.areEqual($0, shown) } ?? true }

    private func checkHost(_ request: WebRequest) throws(Refusal) {
        guard let host = request.headers["host"] else {
            throw Refusal(status: 400, reason: "the request does not say which host it is for")
        }
        guard hosts.contains(Self.withoutPort(host)) else {
            throw Refusal(
                status: 421,
                reason: "these pages are not asked for under this name: distcomp web --host NAME adds it")
        }
    }

    /// A program says nothing of where an order comes from; a browser always does.
    private func checkOrigin(_ request: WebRequest) throws(Refusal) {
        let refusal = Refusal(status: 403, reason: "orders are taken from these pages only, and not from others")
        if let site = request.headers["sec-fetch-site"], site != "same-origin", site != "none" { throw refusal }
        guard let origin = request.headers["origin"] else { return }
        // The scheme does not count: behind a proxy it is another than ours.
        guard let scheme = origin.firstRange(of: "://"), let host = request.headers["host"],
            origin[scheme.upperBound...].lowercased() == host.lowercased()
        else { throw refusal }
    }

    private func mediaType(_ request: WebRequest) -> String? {
        request.headers["content-type"].map { type in
            String(type.prefix { $0 != ";" && $0 != " " }).lowercased()
        }
    }

    private func shows(_ token: [UInt8], _ request: WebRequest) -> Bool {
        if let shown = request.headers["authorization"], shown.lowercased().hasPrefix("bearer ") {
            return Self.areEqual(token, Array(shown.utf8.dropFirst("bearer ".utf8.count)))
        }
        for cookie in (request.headers["cookie"] ?? "").split(separator: ";") {
            let halves = cookie.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            if halves.count == 2, halves[0] == Self.cookieName, Self.areEqual(token, Array(halves[1].utf8)) {
                return true
            }
        }
        return false
    }

    /// Takes as long wherever the two differ.
    private static func areEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
        guard left.count == right.count else { return false }
        return zip(left, right).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }

    private static func withoutPort(_ host: String) -> String {
        let host = host.lowercased()
        if host.hasPrefix("["), let end = host.firstIndex(of: "]") {
            let port = host[host.index(after: end)...]
            return port.isEmpty || isPort(port) ? String(host[...end]) : host
        }
        guard let colon = host.lastIndex(of: ":"), isPort(host[colon...]) else { return host }
        return String(host[..<colon])
    }

    private static func isPort(_ text: Substring) -> Bool {
        text.first == ":" && text.count <= 6 && text.dropFirst().utf8.allSatisfy { (48...57).contains($0) }
    }
}
