// `distcomp web` for a test, and a browser of a few lines: what is sent and what comes back, byte by byte.

import Glibc
import LinuxSystem
import TaskQueue
import Testing

/// The pages of a queue.
final class WebPages {
    let program: RunningProgram
    /// Where they are: a port of this machine, or a socket.
    private let port: UInt16?
    private let socketPath: String?

    /// Serves the pages of a fleet's queue, or those that `words` say.
    ///
    /// - Parameter access: what its user of Redis may do.
    init(
        _ fleet: Fleet, _ words: [String] = [], as access: QueueAccess = .watcher, socketPath: String? = nil
    ) async throws {
        self.socketPath = socketPath
        let place = socketPath.map { "unix:" + $0 } ?? "0"
        let program = try RunningProgram(
            Products.distcomp, ["web", "--redis", fleet.url(access), "--listen", place] + words, in: fleet.scratch)
        self.program = program
        try await eventually("the pages are served", program.errors) { program.errors.contains("the pages are at") }
        port = program.errors.firstRange(of: "localhost:").flatMap { found in
            UInt16(program.errors[found.upperBound...].prefix { $0.isNumber })
        }
    }

    /// The pages that a run serves at a socket.
    init(of run: RunningProgram, socketPath: String) async throws {
        (program, self.socketPath, port) = (run, socketPath, nil)
        try await eventually("the pages are served", run.errors) { run.errors.contains("the pages are at") }
    }

    /// An answer.
    struct Answer {
        let status: Int
        /// By their names in small letters.
        let headers: [String: String]
        let body: String
    }

    func get(_ path: String, _ headers: [String: String] = [:]) throws -> Answer { try ask("GET", path, headers) }

    func post(_ path: String, _ body: String, _ headers: [String: String] = [:]) throws -> Answer {
        var headers = headers
        headers["content-type"] = headers["content-type"] ?? "application/json"
        return try ask("POST", path, headers, body)
    }

    func ask(
        _ method: String, _ path: String, _ headers: [String: String] = [:], _ body: String = ""
    ) throws -> Answer {
        var all = ["host": "localhost", "connection": "close"]
        if !body.isEmpty { all["content-length"] = "\(body.utf8.count)" }
        all.merge(headers) { $1 }
        let head = all.map { "\($0.key): \($0.value)\r\n" }.sorted().joined()
        let bytes = try exchange(Array("\(method) \(path) HTTP/1.1\r\n\(head)\r\n\(body)".utf8))
        return try #require(Self.parse(bytes), "no answer: \(String(decoding: bytes, as: UTF8.self))")
    }

    /// Sends bytes and reads until the other side ends.
    func exchange(_ bytes: [UInt8]) throws -> [UInt8] {
        let connection = try connect()
        try connection.writeAll(bytes, subject: "pages")
        return try connection.readToEnd(subject: "pages", bytesMax: 64 << 20)
    }

    func connect() throws -> OwnedDescriptor {
        let isUnix = socketPath != nil
        let raw = socket(isUnix ? AF_UNIX : AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard raw >= 0 else { throw SystemError.last("socket", "pages") }
        let descriptor = OwnedDescriptor(adopting: raw)
        let code: Int32
        if let socketPath {
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socketPath.utf8) }
            code = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
        } else {
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = (port ?? 0).bigEndian
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            code = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(raw, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
        }
        guard code == 0 else { throw SystemError.last("connect", "pages") }
        return descriptor
    }

    private static func parse(_ bytes: [UInt8]) -> Answer? {
        let text = String(decoding: bytes, as: UTF8.self)
        guard let end = text.firstRange(of: "\r\n\r\n") else { return nil }
        let lines = text[..<end.lowerBound].split(separator: "\r\n")
        guard let status = lines.first?.split(separator: " ").dropFirst().first.flatMap({ Int($0) }) else { return nil }
        var headers: [String: String] = [:]
        for line in lines.dropFirst() {
            let halves = line.split(separator: ":", maxSplits: 1)
            if halves.count == 2 { headers[halves[0].lowercased()] = String(halves[1].drop { $0 == " " }) }
        }
        return Answer(status: status, headers: headers, body: String(text[end.upperBound...]))
    }

    /// Every link of a page that begins so, as the browser would follow it.
    static func links(_ page: String, to path: String) -> [String] {
        page.split(separator: "href=\"").dropFirst().map { rest in
            rest.prefix { $0 != "\"" }.split(separator: "&amp;", omittingEmptySubsequences: false)
                .joined(separator: "&")
        }.filter { $0.hasPrefix(path) }
    }
}
