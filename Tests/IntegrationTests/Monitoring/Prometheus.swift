// A real Prometheus for a test, on a free port of the loopback device, and pages for it to read.

import Foundation
import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

/// Whether Debian's package is there, with both of its programs.
let hasPrometheus = ["/usr/bin/prometheus", "/usr/bin/promtool"].allSatisfy(FileSystem.isExecutable)

/// Why a test is left out.
let needsPrometheus: Comment = "needs Debian's package prometheus"

/// Serves files of a directory as pages: `NAME` in the older text format, `NAME.openmetrics` as OpenMetrics.
final class MetricsPages {
    let port: Int
    private let scratch: Scratch
    private let program: RunningProgram

    init(in scratch: Scratch) async throws {
        self.scratch = scratch
        let script = """
            from http import server
            from os import path
            from sys import argv
            class Page(server.BaseHTTPRequestHandler):
                def do_GET(self):
                    name = path.basename(self.path)
                    with open(path.join(argv[1], name), "rb") as file:
                        text = file.read()
                    kind = "application/openmetrics-text; version=1.0.0" if name.endswith(".openmetrics") else "text/plain; version=0.0.4"
                    self.send_response(200)
                    self.send_header("Content-Type", kind + "; charset=utf-8")
                    self.end_headers()
                    self.wfile.write(text)
                def log_message(self, *words):
                    pass
            pages = server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
            print(pages.server_port, flush=True)
            pages.serve_forever()
            """
        let program = try RunningProgram("/usr/bin/python3", ["-c", script, scratch.path], in: scratch)
        self.program = program
        var port: Int?
        try await eventually("pages are served", program.errors) {
            port = program.output.split(separator: "\n").first.flatMap { Int($0) }
            return port != nil || program.hasEnded
        }
        self.port = try #require(port, "\(program.errors)")
    }

    /// Replaces a page as a whole.
    func show(_ text: String, as name: String) throws { try scratch.write(name, text) }

    func stop() async throws {
        program.send(SIGTERM)
        try await program.result()
    }
}

/// A server that scrapes such pages every second.
final class PrometheusServer {
    struct Sample {
        let labels: [String: String]
        let value: Double
    }

    private let port: UInt16
    private let program: RunningProgram

    /// - Parameters:
    ///   - pages: by their names, with the labels that their series get.
    ///   - rules: a file of alerts; none.
    init(
        scraping pages: MetricsPages, _ targets: [(page: String, labels: [String: String])], rules: String? = nil,
        in scratch: Scratch
    ) async throws {
        let jobs = targets.map { page, labels in
            let texts = labels.map { "\($0.key): \"\($0.value)\"" }.sorted().joined(separator: ", ")
            return """
                  - {job_name: "\(page)", metrics_path: "/\(page)", static_configs: [{targets: ["127.0.0.1:\(pages.port)"], labels: {\(texts)}}]}
                """
        }
        let configuration = """
            global: {scrape_interval: 1s, evaluation_interval: 1s}
            rule_files: [\(rules.map { "\"\($0)\"" } ?? "")]
            scrape_configs:
            \(jobs.joined(separator: "\n"))

            """
        let file = try scratch.write("prometheus.yml", configuration)
        let port = try PrometheusServer.freePort()
        self.port = port
        let program = try RunningProgram(
            "/usr/bin/prometheus",
            [
                "--config.file=\(file)", "--storage.tsdb.path=\(scratch.path)/tsdb",
                "--web.listen-address=127.0.0.1:\(port)",
            ], in: scratch)
        self.program = program
        try await eventually("Prometheus is ready", program.errors) {
            if program.hasEnded { throw NeverHappened(description: "Prometheus ended: \(program.errors)") }
            return (try? Self.get("/-/ready", port: port)) != nil
        }
    }

    func stop() async throws {
        program.send(SIGTERM)
        try await program.result()
    }

    /// What a query comes to now.
    func query(_ text: String) throws -> [Sample] {
        let data = try data(of: "query?query=" + Self.escaped(text))
        return (data["result"] as? [[String: Any]] ?? []).map { row in
            let value = (row["value"] as? [Any])?.last as? String
            return Sample(
                labels: row["metric"] as? [String: String] ?? [:], value: value.flatMap { Double($0) } ?? .nan)
        }
    }

    /// Names of alerts, and the labels with which they fire.
    func firing() throws -> [String: [[String: String]]] {
        var firing: [String: [[String: String]]] = [:]
        for alert in try data(of: "alerts")["alerts"] as? [[String: Any]] ?? [] {
            guard alert["state"] as? String == "firing", let labels = alert["labels"] as? [String: String] else {
                continue
            }
            firing[labels["alertname"] ?? "", default: []].append(labels)
        }
        return firing
    }

    private func data(of path: String) throws -> [String: Any] {
        let text = try Self.get("/api/v1/\(path)", port: port)
        let answer = try jsonObject(text)
        return try #require(answer["data"] as? [String: Any], "\(path): \(text.prefix(500))")
    }

    /// The body of what is at this path of a server on this machine.
    private static func get(_ path: String, port: UInt16) throws -> String {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError(call: "socket", subject: path, code: errno) }
        defer { close(descriptor) }
        let isConnected = withLoopbackAddress(port) { connect(descriptor, $0, $1) == 0 }
        guard isConnected else { throw SystemError(call: "connect", subject: path, code: errno) }
        // Of HTTP 1.0 the end of the connection is the end of the answer.
        let request = Array("GET \(path) HTTP/1.0\r\nHost: localhost\r\n\r\n".utf8)
        guard write(descriptor, request, request.count) == request.count else {
            throw SystemError(call: "write", subject: path, code: errno)
        }
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(descriptor, &buffer, buffer.count)
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { break }
            answer += buffer[..<count]
        }
        let parts = String(decoding: answer, as: UTF8.self).split(separator: "\r\n\r\n", maxSplits: 1)
        guard parts.count == 2, parts[0].hasPrefix("HTTP/1.0 200") || parts[0].hasPrefix("HTTP/1.1 200") else {
            throw NeverHappened(description: "\(path): \(String(decoding: answer.prefix(1000), as: UTF8.self))")
        }
        return String(parts[1])
    }

    private static func withLoopbackAddress<Result>(
        _ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
    ) -> Result {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }

    private static func escaped(_ text: String) -> String {
        text.utf8.map { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) || (0x30...0x39).contains(byte)
                ? String(UnicodeScalar(byte)) : "%" + String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
    }

    private static func freePort() throws -> UInt16 {
        for _ in 0..<100 {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            defer { close(descriptor) }
            // Below those that the kernel gives to connections by itself.
            let port = UInt16.random(in: 15_000..<32_000)
            if withLoopbackAddress(port, { bind(descriptor, $0, $1) == 0 }) { return port }
        }
        throw SystemError(call: "bind", subject: "127.0.0.1", code: EADDRINUSE)
    }
}
