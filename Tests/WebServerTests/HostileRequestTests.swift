// Requests that nobody would think of: pieces of real ones, mixed, cut and changed at random, from a seed that a failure tells.

import Testing
import WebServer

@Suite("requests that nobody would think of")
struct HostileRequestTests {
    private struct Mixer: RandomNumberGenerator {
        private var state: UInt64

        init(seed: UInt64) { state = seed }

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var mixed = state
            mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
            return mixed ^ (mixed >> 31)
        }

        /// Some pieces behind each other, of which bytes were changed, taken out or doubled.
        mutating func mixed(_ pieces: [String]) -> String {
            var bytes = (0..<Int.random(in: 1...5, using: &self)).flatMap { _ in
                Array(pieces.randomElement(using: &self)?.utf8 ?? "".utf8)
            }
            for _ in 0..<Int.random(in: 0...4, using: &self) where !bytes.isEmpty {
                let index = Int.random(in: bytes.indices, using: &self)
                switch Int.random(in: 0...3, using: &self) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &self)
                case 1: bytes.remove(at: index)
                case 2: bytes.insert(contentsOf: bytes[index...].prefix(8), at: index)
                default: bytes.removeLast(bytes.count - index)
                }
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    private static let seed = UInt64.random(in: 0...UInt64.max)

    private static let pieces = [
        "a=1&b=%41%zz", "line=shell%3A1%3A0", "state=failed", "&&==", "%", "%C3%A9", "+", "\u{0}", "[::1]:80",
        "localhost", ":8817",
        "127.0.0.1", "evil.example", "distcomp_token=0123456789abcdef; ", "Bearer 0123456789abcdef",
        "https://localhost", "://",
        "application/json", "<script>", "\"'&", "\u{202e}", "é", "GET", "POST", "/sign-in", "/api/retry",
    ]

    @Test("a query that is mixed of pieces is read without a trap, and what was read can be written and read again")
    func queries() {
        var mixer = Mixer(seed: Self.seed)
        for _ in 0..<20_000 {
            let query = WebQuery(mixer.mixed(Self.pieces))
            for name in ["a", "b", "line", "state", ""] {
                guard let value = query[name] else { continue }
                let address = PageAddress.to("/", [("x", value)])
                #expect(WebQuery(String(address.dropFirst(2)))["x"] == value, "seed \(Self.seed): \(value)")
            }
        }
    }

    @Test("no text becomes markup, and no markup is left of it")
    func texts() {
        var mixer = Mixer(seed: Self.seed)
        for _ in 0..<20_000 {
            let text = mixer.mixed(Self.pieces)
            let source = HTML(text: text).source
            let isText =
                !source.contains { "<>\"'".contains($0) }
                && source.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 || $0 == "\n" || $0 == "\t" }
            #expect(isText, "seed \(Self.seed): \(text)")
        }
    }

    @Test("whatever headers a request is mixed of, only those with our name, our token and from our pages pass")
    func headers() {
        var mixer = Mixer(seed: Self.seed)
        let token = Array("0123456789abcdef".utf8)
        let guarding = RequestGuard(token: token, allowsOrders: true)
        var passed = 0
        for _ in 0..<20_000 {
            var request = WebRequest(path: mixer.mixed(["/", "/api/retry", "/sign-in", "/tasks"]))
            request.method = mixer.mixed(["GET", "POST"])
            for name in ["host", "origin", "sec-fetch-site", "content-type", "authorization", "cookie"]
            where Bool.random(using: &mixer) {
                request.headers[name] = mixer.mixed(Self.pieces)
            }
            if Bool.random(using: &mixer) { request.headers["host"] = "localhost" }
            guard (try? guarding.check(request)) != nil else { continue }
            passed += 1
            let host = request.headers["host"]?.lowercased() ?? ""
            let isOurs = ["localhost", "127.0.0.1", "[::1]"].contains { host == $0 || host.hasPrefix($0 + ":") }
            let shown = (request.headers["authorization"] ?? "") + (request.headers["cookie"] ?? "")
            let isSignedIn = request.path == RequestGuard.signInPath || shown.contains("0123456789abcdef")
            #expect(isOurs && isSignedIn, "seed \(Self.seed): \(request)")
            if request.method == "POST" {
                let site = request.headers["sec-fetch-site"]
                #expect(site == nil || site == "same-origin" || site == "none", "seed \(Self.seed): \(request)")
            }
        }
        #expect(passed > 0, "some have to pass, or nothing was tried")
    }
}
