import Testing
import WebServer

@Suite("who may ask the pages for what")
struct RequestGuardTests {
    private static let token = Array("0123456789abcdef".utf8)

    private func refusal(
        _ guarding: RequestGuard, _ method: String = "GET", _ path: String = "/", _ headers: [String: String] = [:]
    ) -> Int? {
        var headers = headers
        headers["host"] = headers["host"] ?? "localhost:8817"
        do throws(RequestGuard.Refusal) {
            try guarding.check(WebRequest(method: method, path: path, headers: headers))
            return nil
        } catch {
            return error.status
        }
    }

    @Test(
        "the names of this machine's loopback are answered to, with any port or none",
        arguments: ["localhost", "localhost:8817", "LOCALHOST:1", "127.0.0.1:80", "[::1]:8817", "[::1]"])
    func own(host: String) {
        #expect(refusal(RequestGuard(), headers: ["host": host]) == nil)
    }

    @Test(
        "any other name is refused, however it is made to look like ours",
        arguments: [
            "evil.example", "localhost.evil.example", "evil.example:8817", "localhost:80:80", "localhost:x",
            "127.0.0.1.evil",
            "[::1]evil", "", "localhost@evil.example", "0.0.0.0", "localhost:123456",
        ])
    func foreign(host: String) {
        #expect(refusal(RequestGuard(), headers: ["host": host]) == 421)
    }

    @Test("a name that was added is answered to as well, and a request without any is refused")
    func added() {
        let guarding = RequestGuard(hosts: ["Pages.example.org"])
        #expect(refusal(guarding, headers: ["host": "pages.example.org"]) == nil)
        #expect(throws: RequestGuard.Refusal.self) { try guarding.check(WebRequest(path: "/")) }
    }

    @Test(
        "where there is a token it has to be shown, as a cookie or a bearer, and the page to give it is there without")
    func token() {
        let guarding = RequestGuard(token: Self.token)
        #expect(refusal(guarding) == 401)
        #expect(refusal(guarding, "GET", "/metrics") == 401)
        #expect(refusal(guarding, headers: ["authorization": "Bearer 0123456789abcdef"]) == nil)
        #expect(refusal(guarding, headers: ["authorization": "Bearer 0123456789abcdeg"]) == 401)
        #expect(refusal(guarding, headers: ["authorization": "Bearer 0123456789abcde"]) == 401)
        #expect(refusal(guarding, headers: ["cookie": "a=b; distcomp_token=0123456789abcdef"]) == nil)
        #expect(refusal(guarding, headers: ["cookie": "other=0123456789abcdef"]) == 401)
        #expect(refusal(guarding, "GET", RequestGuard.signInPath) == nil)
    }

    private static let json = ["content-type": "application/json; charset=utf-8"]

    @Test("orders are refused where none are taken, and only those are taken that a page of ours sends as JSON")
    func orders() {
        #expect(refusal(RequestGuard(), "POST", "/api/retry", Self.json) == 403)
        let guarding = RequestGuard(allowsOrders: true)
        #expect(refusal(guarding, "POST", "/api/retry", Self.json) == nil)
        #expect(refusal(guarding, "POST", "/api/retry", ["content-type": "text/plain"]) == 415)
        #expect(refusal(guarding, "POST", "/api/retry") == 415)
        let own = ["sec-fetch-site": "same-origin", "origin": "http://localhost:8817"]
        #expect(refusal(guarding, "POST", "/api/retry", own.merging(Self.json) { $1 }) == nil)
    }

    @Test(
        "an order that a page from elsewhere sends is refused",
        arguments: [
            ["sec-fetch-site": "cross-site"], ["sec-fetch-site": "same-site"], ["origin": "https://evil.example"],
            ["origin": "null"], ["origin": "http://localhost:1"],
        ])
    func crossSite(headers: [String: String]) {
        let guarding = RequestGuard(allowsOrders: true)
        #expect(refusal(guarding, "POST", "/api/retry", headers.merging(Self.json) { $1 }) == 403)
        #expect(refusal(RequestGuard(token: Self.token), "POST", RequestGuard.signInPath, headers) == 403)
    }

    @Test("other methods are refused", arguments: ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"])
    func methods(name: String) {
        #expect(refusal(RequestGuard(allowsOrders: true), name) == 405)
    }

    private func refusal(_ guarding: RequestGuard, headers: [String: String]) -> Int? {
        refusal(guarding, "GET", "/", headers)
    }
}
