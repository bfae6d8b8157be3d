// Who may look, who may give orders, and what slow or hostile visitors can do to others.

import Glibc
import LinuxSystem
import RedisClient
import RedisServerFixture
import Testing

@Suite("the pages and their visitors", .aFewAtATime)
struct WebSafetyTests {
    @Test(
        "orders are counted, then carried out, and only where they are taken; those that failed alike are tried again together"
    )
    func orders() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            let go = fleet.scratch.path + "/go"
            try await fleet.distcomp(
                "submit", "--name", "sweep", "--", "sh", "-c", "test -e \(go) || exit 3", "{}", ":::", "1", "2", "3")
            try await fleet.submit(["shell:1:0:0:exit 4"])
            try await eventually("all have failed") { try fleet.count("failed_tasks") == 1 && fleet.failures() == 4 }
            let reading = try await WebPages(fleet)
            #expect(try reading.post("/api/retry", "{}").status == 403)
            let pages = try await WebPages(fleet, ["--allow-orders"], as: .submitter)
            let first = try pages.get("/").body
            #expect(first.contains("Retry these 3"))
            let bodies = first.split(separator: "data-body=\"").dropFirst().map { rest in
                String(rest.prefix { $0 != "\"" }).split(separator: "&quot;", omittingEmptySubsequences: false)
                    .joined(separator: "\"").split(separator: "&#39;", omittingEmptySubsequences: false).joined(
                        separator: "'")
            }
            let body = try #require(bodies.first { $0.contains("exit 3") })
            #expect(try pages.post("/api/retry", body, ["sec-fetch-site": "cross-site"]).status == 403)
            let counted = try pages.post("/api/retry", body.dropLast() + ",\"dry_run\":true}")
            #expect(counted.status == 200 && counted.body.contains("\"count\":3"), "\(counted.body)")
            #expect(try fleet.failures() == 4, "nothing was done yet")
            try fleet.scratch.write("go", "")
            #expect(try pages.post("/api/retry", body).body.contains("\"count\":3"))
            try await eventually("these three finish") { try fleet.failures() == 1 }
            for (order, status) in [
                ("{", 400), ("[]", 400), ("{\"line\":1}", 400), ("{\"like\":\"x\"}", 400),
                ("{\"line\":\"nothing\"}", 404),
            ] {
                #expect(try pages.post("/api/retry", order).status == status, "\(order)")
            }
            #expect(try pages.post("/api/drain", "{\"node\":\"a\"}").status == 200)
            #expect(try await fleet.distcomp("workers", "--json").output.contains("\"drained\":true"))
            #expect(try pages.post("/api/undrain", "{\"node\":\"a\"}").status == 200)
            #expect(try pages.post("/api/drain", "{\"node\":\"none\"}").status == 404)
            #expect(try pages.post("/api/format", "{}").status == 404)
            try await node.stop()
        }
    }

    @Test("as a user of Redis that may only look, all pages are there, and orders are refused by Redis")
    func watcher() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.submit(["shell:1:0:0:echo out; echo err >&2; exit 3"])
            try await eventually("it has failed") {
                try fleet.count("failed_tasks") == 1 && fleet.count("in_progress_tasks") == 0
            }
            let pages = try await WebPages(fleet, ["--allow-orders"])
            var addresses = [
                "/", "/tasks", "/jobs", "/nodes", "/node?name=a", "/api/status", "/api/failures", "/search?text=out",
            ]
            let task = try #require(WebPages.links(try pages.get("/tasks").body, to: "/task?line").first)
            addresses += [task] + WebPages.links(try pages.get(task).body, to: "/output")
            for address in addresses {
                let answer = try pages.get(address)
                #expect(answer.status < 400, "\(address): \(answer.body)")
            }
            let refused = try pages.post("/api/retry", "{\"line\":\"shell:1:0:0:echo out; echo err >&2; exit 3\"}")
            #expect(refused.status == 403 && refused.body.contains("lacks a permission"), "\(refused.body)")
            #expect(try fleet.count("failed_tasks") == 1)
            try await node.stop()
        }
    }

    @Test(
        "with a token nothing is shown without it; a person gives it once, on a page, and a program with each request")
    func token() async throws {
        try await withFleet { fleet in
            let file = try fleet.scratch.write("token", "0123456789abcdef0123\n")
            chmod(file, 0o600)
            let socket = fleet.scratch.path + "/pages"
            let pages = try await WebPages(fleet, ["--token-file", file], socketPath: socket)
            var status = stat()
            stat(socket, &status)
            #expect(status.st_mode & 0o002 == 0, "not everybody may connect: \(String(status.st_mode, radix: 8))")
            for path in ["/", "/tasks", "/api/status", "/style.css", "/openapi.json"] {
                #expect(try pages.get(path).status == 401)
            }
            #expect(try pages.get("/sign-in").body.contains("type=\"password\""))
            #expect(
                try pages.post("/sign-in", "token=wrong", ["content-type": "application/x-www-form-urlencoded"]).status
                    == 403)
            let right = try pages.post(
                "/sign-in", "token=0123456789abcdef0123", ["content-type": "application/x-www-form-urlencoded"])
            #expect(right.status == 303)
            let cookie = try #require(right.headers["set-cookie"])
            #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"))
            #expect(try pages.get("/", ["cookie": String(cookie.prefix { $0 != ";" })]).status == 200)
            #expect(try pages.get("/api/status", ["authorization": "Bearer 0123456789abcdef0123"]).status == 200)
            chmod(file, 0o644)
            let refused = try await fleet.distcomp("web", "--listen", "0", "--token-file", file)
            #expect(refused.status == 2 && refused.errors.contains("token"), "\(refused.errors)")
        }
    }

    @Test("a thousand connections that say nothing, and requests that are no requests, keep nobody from the pages")
    func crowd() async throws {
        try await withFleet { fleet in
            let pages = try await WebPages(fleet)
            var idle: [Holder] = []
            for index in 0..<1000 {
                let holder = Holder(try pages.connect())
                // Some are in the middle of a request.
                if index % 2 == 0 {
                    try holder.descriptor.writeAll(Array("GET / HTTP/1.1\r\nhost: local".utf8), subject: "pages")
                }
                idle.append(holder)
            }
            #expect(try pages.get("/").status == 200)
            for bytes in [
                Array("\0\0\0\0\r\n\r\n".utf8), Array("GET\r\n\r\n".utf8),
                Array("GET / HTTP/9.9\r\nhost: localhost\r\n\r\n".utf8),
                Array(
                    "POST /sign-in HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999999\r\nconnection: close\r\n\r\n"
                        .utf8),
                Array("GET / HTTP/1.1\r\nhost: localhost\r\nx: ".utf8) + Array(repeating: 97, count: 1 << 20),
                Array("GET /\(String(repeating: "a", count: 200_000)) HTTP/1.1\r\nhost: localhost\r\n\r\n".utf8),
            ] {
                // It is answered with a refusal, or the connection is closed while we still send.
                _ = try? pages.exchange(bytes)
                #expect(try pages.get("/").status == 200)
            }
            let large = String(repeating: "a", count: 100_000)
            #expect(
                try pages.post("/sign-in", "token=\(large)", ["content-type": "application/x-www-form-urlencoded"])
                    .status == 413)
            #expect(!pages.program.hasEnded)
            idle.removeAll()
        }
    }

    @Test("pages that were started to end with another program do so, though root's become nobody's")
    func orphaned() async throws {
        try await withFleet { fleet in
            let socket = fleet.scratch.path + "/pages"
            let web = "\(Products.distcomp) web --redis '\(fleet.url(.watcher))' --listen unix:\(socket)"
            let script = "setpriv --pdeathsig TERM \(web) & wait"
            let parent = try RunningProgram("/bin/sh", ["-c", script], in: fleet.scratch)
            let pages = try await WebPages(of: parent, socketPath: socket)
            #expect(try pages.get("/").status == 200)
            parent.send(SIGKILL)
            try await eventually("they end, and remove their socket") { !FileSystem.exists(socket) }
            _ = try await parent.result()
        }
    }

    @Test("while Redis is away the pages say so, and when it is back they are there again")
    func away() async throws {
        // Root's pages are nobody's by the time they connect anew.
        try await withFleet(redis: ["unixsocketperm 777"]) { fleet in
            let socket = fleet.redis.socketPath
            chmod(String(socket[..<(socket.lastIndex(of: "/") ?? socket.startIndex)]), 0o711)
            try await fleet.submit(["shell:1:0:0:true 1"])
            let pages = try await WebPages(fleet)
            #expect(try pages.get("/").status == 200)
            fleet.redis.kill9()
            try await eventually("it is said that Redis is away") {
                try pages.get("/api/tasks?state=todo&text=new").status == 503
            }
            #expect(try pages.get("/tasks?state=todo&text=newer").body.contains("Redis is away"))
            try fleet.redis.restart()
            try await eventually("the pages are there again") {
                try pages.get("/tasks?state=todo&text=newest").status == 200
            }
        }
    }

    @Test("a socket that killed pages have left is taken over, one in use and any other file are left alone")
    func leftSocket() async throws {
        try await withFleet { fleet in
            let socket = fleet.scratch.path + "/pages"
            let killed = try await WebPages(fleet, socketPath: socket)
            let second = try await fleet.distcomp("web", "--listen", "unix:\(socket)")
            #expect(second.status == 1 && second.errors.contains("cannot serve pages"), "\(second.errors)")
            #expect(try killed.get("/").status == 200)
            killed.program.send(SIGKILL)
            try await killed.program.result()
            let pages = try await WebPages(fleet, socketPath: socket)
            #expect(try pages.get("/").status == 200)
            let file = try fleet.scratch.write("precious", "mine")
            #expect(try await fleet.distcomp("web", "--listen", "unix:\(file)").status == 1)
            #expect(text(of: file) == "mine")
        }
    }

    @Test("numbers that make no sense, in whatever Redis holds, end neither the pages nor a command")
    func numbers() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:true 1"])
            // More together than a machine's numbers can hold.
            var running = ["HSET", "in_progress_tasks"]
            for index in 0..<3000 { running += ["shell:1:8000000:1000:x \(index)", "a"] }
            let client = try fleet.redis.client()
            _ = try client.call(.command(RedisCommand(running[0], Array(running.dropFirst()))))
            let record =
                #"{"cause":"exit","exit_code":3,"worker":"a","end":1e308,"wall_seconds":1e308,"finished_at":-1e308,"#
                + #""memory_peak_bytes":18446744073709551615,"attempts":-9223372036854775808}"#
            for (index, end) in ["1e308", "-1e308", "1e18", "9e999"].enumerated() {
                let line = "shell:1:0:0:failed \(index)"
                _ = try fleet.call("HSET", "failed_tasks", line, "a")
                _ = try fleet.call(
                    "HSET", "distcomp:outcomes", line,
                    "0 " + record.split(separator: "1e308", omittingEmptySubsequences: false).joined(separator: end))
            }
            _ = try fleet.call("HSET", "worker_status", "a", "999999999999999:0:999999999999:999999999999:1")
            for key in try fleet.call("KEYS", "distcomp:metrics*").elements ?? [] {
                guard let name = key.string, try fleet.call("TYPE", name).string == "hash" else { continue }
                for field in try fleet.hash(name).keys {
                    _ = try fleet.call("HSET", name, field, "9223372036854775807")
                }
            }
            let least = "-9223372036854775808"
            _ = try fleet.call(
                "HSET", "distcomp:scaling", "node n1", "s \(least) \(least) \(least) 1", "surplus s", "\(least) 1")
            let pages = try await WebPages(fleet)
            var addresses = [
                "/", "/nodes", "/jobs", "/job?id=", "/tasks", "/tasks?state=running", "/node?name=a", "/metrics",
            ]
            addresses += WebPages.links(try pages.get("/tasks").body, to: "/task?line")
            addresses += ["/api/status", "/api/jobs", "/api/nodes", "/api/tasks", "/api/failures"]
            #expect(addresses.count >= 17)
            for address in addresses { #expect(try pages.get(address).status == 200, "\(address)") }
            _ = try fleet.call("HSET", "distcomp:attempts", "shell:1:0:0:failed 0", "9223372036854775807")
            for words in [
                ["metrics"], ["workers"], ["scale", "--json"], ["status"], ["results", "--format", "jsonl"],
                ["results", "--summary"], ["show", "*failed*"], ["why", "*failed*"], ["tasks"],
            ] {
                let result = try await fleet.distcomp(words)
                #expect(result.status == 0, "\(words): \(result.ending) \(result.errors)")
            }
        }
    }

    @Test("where it cannot listen, or is told to listen on a network, it says so and ends")
    func places() async throws {
        try await withFleet { fleet in
            for place in ["0.0.0.0:80", "70000", "unix:", "-1", "localhost"] {
                let result = try await fleet.distcomp("web", "--listen=\(place)")
                #expect(result.status == 2 && result.errors.contains("--listen"), "\(place): \(result.errors)")
            }
            let result = try await fleet.distcomp("web", "--listen", "unix:/nowhere/pages")
            #expect(result.status == 1 && result.errors.contains("cannot serve pages"), "\(result.errors)")
        }
    }

    private final class Holder {
        let descriptor: OwnedDescriptor
        init(_ descriptor: consuming OwnedDescriptor) { self.descriptor = descriptor }
    }
}

extension Fleet {
    /// How many have failed for good, of all jobs.
    fileprivate func failures() throws -> Int {
        var count = 0
        for key in try call("KEYS", "*failed_tasks").elements ?? [] { count += try self.count(key.string ?? "") }
        return count
    }
}
