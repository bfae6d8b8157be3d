// The HTTP of the pages: Hummingbird carries requests and answers, and everything that decides something is in RequestGuard and in whoever
// answers. It listens on loopback or on a Unix socket and nowhere else, so what crosses a network does so by SSH or behind a proxy with TLS.

import HTTPTypes
import Hummingbird
import HummingbirdCore
import LinuxSystem
import Logging
import NIOCore

/// Serves pages.
public struct PageServer: Sendable {
    /// Where it listens.
    public enum Address: Sendable, Equatable {
        /// 127.0.0.1; port 0: any that is free.
        case loopback(port: Int)
        /// A socket. Who may connect to it is decided by the file mode creation mask (umask(2)) of this process.
        case unixSocket(path: String)
    }

    /// Answers one request.
    public typealias Answer = @Sendable (WebRequest) async -> WebResponse

    /// A longer body is refused.
    public static let bodyBytesMax = 64 << 10
    /// A request whose first line and headers are longer is refused; task lines are part of links.
    private static let headBytesMax = 64 << 10
    private static let headersMax = 64
    /// More wait to be accepted.
    private static let connectionsMax = 4096
    /// A connection on which nothing comes for so long is closed, also in the middle of a request.
    private static let idleSecondsMax: Int64 = 30

    private let address: Address
    private let requestGuard: RequestGuard
    private let answer: Answer

    public init(address: Address, guard requestGuard: RequestGuard, answer: @escaping Answer) {
        self.address = address
        self.requestGuard = requestGuard
        self.answer = answer
    }

    /// Serves until SIGINT or SIGTERM.
    ///
    /// - Parameter started: called once, when requests are taken, with the port, or 0 for a Unix socket.
    /// - Throws: where it cannot listen there.
    public func run(started: @escaping @Sendable (_ port: Int) async -> Void) async throws {
        // Hummingbird puts its socket in the place of another, whoever still listens at that.
        if case .unixSocket(let path) = address, Self.isInUse(path) {
            throw SystemError(call: "bind", subject: path, code: ErrorCode.addressInUse)
        }
        let bindAddress: BindAddress
        switch address {
        case .loopback(let port): bindAddress = .hostname("127.0.0.1", port: port)
        case .unixSocket(let path): bindAddress = .unixDomainSocket(path: path)
        }
        let logger = Logger(label: "web") { _ in SwiftLogNoOpLogHandler() }
        let responder = CallbackResponder<BasicRequestContext> { request, _ in await respond(to: request) }
        let http = HTTP1Channel.Configuration(
            idleTimeout: .seconds(Self.idleSecondsMax),
            httpDecoderConfiguration: .init(
                maxHeaderFieldSize: Self.headBytesMax, maxHeaderListSize: Self.headBytesMax,
                maxHeaderFieldCount: Self.headersMax))
        let application = Application(
            responder: responder, server: .http1(configuration: http),
            configuration: ApplicationConfiguration(
                address: bindAddress,
                availableConnectionsDelegate: .maximum(Self.connectionsMax, logger: logger)),
            onServerRunning: { channel in
                await started(channel.localAddress?.port ?? 0)
            },
            logger: logger)
        try await application.runService()
        if case .unixSocket(let path) = address, !Self.isInUse(path) {
            try? FileSystem.remove(path)  // What cannot be removed is taken over by the next.
        }
    }

    /// Whether somebody listens there.
    private static func isInUse(_ path: String) -> Bool {
        do throws(SystemError) {
            _ = try StreamSocket(connectingTo: .unix(path: path))
            return true
        } catch {
            // One that may not be asked, or has too many who wait, is in use all the same.
            return ![ErrorCode.connectionRefused, ErrorCode.notFound].contains(error.code)
        }
    }

    private func respond(to request: Request) async -> Response {
        var asked = WebRequest(
            method: request.method.rawValue, path: request.uri.path, query: WebQuery(request.uri.query ?? ""))
        if let host = request.head.authority { asked.headers["host"] = host }
        for name in Self.headersRead {
            if let field = HTTPField.Name(name), let value = request.headers[field] { asked.headers[name] = value }
        }
        var answered: WebResponse
        do {
            try requestGuard.check(asked)
            do {
                asked.body = Array(buffer: try await request.body.collect(upTo: Self.bodyBytesMax))
            } catch {
                throw RequestGuard.Refusal(status: 413, reason: "a request has 64 KiB at most")
            }
            answered = await answer(asked)
        } catch let refusal as RequestGuard.Refusal {
            answered = .text(refusal.reason + "\n", status: refusal.status)
        } catch {
            answered = .text("the request could not be read\n", status: 400)
        }
        return Self.response(answered, toHead: request.method == .head)
    }

    private static let headersRead = [
        "host", "origin", "sec-fetch-site", "content-type", "authorization", "cookie", "accept",
    ]

    /// Nothing is loaded from elsewhere, nothing is run that stands in a page, no page of others shows ours.
    private static let safety = [
        (
            "content-security-policy",
            "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
                + "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ), ("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"), ("cross-origin-resource-policy", "same-origin"),
    ]

    private static func response(_ answer: WebResponse, toHead: Bool) -> Response {
        var headers = HTTPFields()
        for (name, value) in safety + [("content-type", answer.contentType), ("cache-control", "no-store")]
            + answer.headers.map({ ($0.name, $0.value) })
        {
            if let field = HTTPField.Name(name) { headers[field] = value }
        }
        let body = ResponseBody(byteBuffer: ByteBuffer(bytes: answer.body))
        let response = Response(status: .init(code: answer.status), headers: headers, body: body)
        return toHead ? response.createHeadResponse() : response
    }
}
