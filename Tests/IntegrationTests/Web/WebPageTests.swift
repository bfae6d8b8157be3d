// What a person sees who looks at the pages, and what a program gets.

import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("the pages of a queue", .aFewAtATime)
struct WebPageTests {
    @Test(
        "the first page tells what waits, what failed by cause and command, the jobs and the nodes; three clicks lead to why"
    )
    func overview() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            try await fleet.distcomp(
                "submit", "--name", "sweep", "--", "sh", "-c", "echo no such block >&2; exit {}", ":::", "3", "4")
            try await fleet.distcomp("submit", "--name", "fine", "--", "echo", "hello {}", ":::", "x")
            try await eventually("all have ended") {
                try await fleet.distcomp("status", "--json").output.contains(
                    "\"todo\":0,\"in_progress\":0,\"finished\":1,\"failed\":2")
            }
            let pages = try await WebPages(fleet)
            let first = try pages.get("/").body
            #expect(first.contains("What failed") && first.contains("no such block"))
            #expect(first.contains("sweep") && first.contains("fine"))
            #expect(!first.contains("data-order"), "no orders are offered where none are taken")
            #expect(first.contains("The last four hours") && first.contains("3, 2 failed"), "what ended is drawn")

            // The number of those that failed, one of them, and there it says why.
            let list = try #require(WebPages.links(first, to: "/tasks?state=failed&cause=exit").first)
            let task = try #require(WebPages.links(try pages.get(list).body, to: "/task?line").first)
            let detail = try pages.get(task).body
            #expect(detail.contains("no such block") && detail.contains("It has failed for good on a"))
            let output = try #require(WebPages.links(detail, to: "/output").first { $0.contains("stderr") })
            #expect(try pages.get(output).body.contains("<pre class=\"output\">no such block"))

            let nodes = try pages.get("/nodes").body
            #expect(WebPages.links(nodes, to: "/node?name=a").count == 1)
            #expect(try pages.get("/node?name=a").body.contains("distcompd"))
            let job = try #require(WebPages.links(try pages.get("/jobs").body, to: "/job?id=").first)
            #expect(try pages.get(job).body.contains("When its tasks ran"))
            try await node.stop()
        }
    }

    @Test(
        "tasks come in pages, and each task stands in one of them; a search finds one by its id, its text, and among all states"
    )
    func paging() async throws {
        try await withFleet { fleet in
            try await fleet.submit((1...1500).map { "shell:1:0:0:true number-\($0)-" })
            try await fleet.distcomp("submit", "--name", "other", "--", "true", "value-{}", ":::", "a", "b", "c")
            let pages = try await WebPages(fleet)
            var seen: [String] = []
            var address: String? = "/tasks?state=todo"
            var pageCount = 0
            while let next = address {
                let page = try pages.get(next).body
                seen += WebPages.links(page, to: "/task?line")
                address = WebPages.links(page, to: "/tasks").first { $0.contains("from=") }
                pageCount += 1
            }
            #expect(Set(seen).count == 1503 && seen.count == 1503)
            #expect(pageCount > 5)

            // One that nothing else can be meant by is led to.
            let found = try pages.get("/search?text=number-77-")
            #expect(found.status == 303)
            let task = try pages.get(try #require(found.headers["location"])).body
            #expect(task.contains("true number-77-"))
            let identifier = try #require(task.split(separator: "<title>Task ").dropFirst().first?.prefix(8))
            #expect(try pages.get("/search?text=\(identifier)").headers["location"] == found.headers["location"])
            let several = try pages.get("/search?text=value-").body
            #expect(WebPages.links(several, to: "/task?line").count == 3)
            // What a glob would take for special is text.
            #expect(try pages.get("/search?text=number-%2A").body.contains("No task has this"))
            #expect(try pages.get("/tasks?state=todo&job=other").body.contains("value-b"))
        }
    }

    @Test("what tasks are called and write never becomes markup, and no page loads or runs anything from elsewhere")
    func hostile() async throws {
        try await withFleet { fleet in
            let node = try await fleet.startedNode("a", ["max_retry_per_task": "1"])
            let mark = "<script>alert(1)</script><img src=x onerror=alert(2)>"
            try await fleet.submit([
                "shell:1:0:0:printf '%s\\033[2J\\n' '\(mark)'; printf '%s' '\(mark)' >&2; exit 1"
            ])
            try await eventually("it has failed") {
                try fleet.count("failed_tasks") == 1 && fleet.count("in_progress_tasks") == 0
            }
            let pages = try await WebPages(fleet)
            var answers = [
                "/", "/tasks", "/search?text=%3Cscript%3E", "/nothing%3Cscript%3E", "/node?name=%3Cscript%3E",
                "/job?id=%3Cb%3E",
            ]
            let task = try #require(WebPages.links(try pages.get("/tasks").body, to: "/task?line").first)
            answers += [task] + WebPages.links(try pages.get(task).body, to: "/output")
            #expect(answers.count == 9)
            for address in answers {
                let answer = try pages.get(address)
                #expect(!answer.body.contains("<script>alert") && !answer.body.contains("<img"), "\(address)")
                #expect(!answer.body.utf8.contains(27), "\(address)")
                #expect(answer.headers["content-security-policy"]?.hasPrefix("default-src 'none'") == true)
                #expect(answer.headers["x-content-type-options"] == "nosniff")
                for link in WebPages.links(answer.body, to: "") {
                    #expect(link.hasPrefix("/") || link.hasPrefix("#"), "\(link)")
                }
            }
            try await node.stop()
        }
    }

    @Test("the answers to programs are JSON, and each address of the description is answered")
    func interface() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:true 1", "shell:1:0:0:true 2"])
            let pages = try await WebPages(fleet)
            let description = try pages.get("/openapi.json")
            #expect(description.headers["content-type"] == "application/json")
            for path in ["status", "jobs", "nodes", "failures", "tasks?state=todo"] {
                let answer = try pages.get("/api/\(path)")
                #expect(answer.status == 200 && answer.headers["content-type"] == "application/json", "\(path)")
                #expect(description.body.contains("\"/api/\(path.prefix { $0 != "?" })\""))
            }
            #expect(try pages.get("/api/status").body.contains("\"todo\":2"))
            #expect(try pages.get("/api/tasks?state=todo").body.contains("\"from\":null"))
            let task = try pages.get("/api/task?line=shell%3A1%3A0%3A0%3Atrue+1")
            #expect(task.body.contains("\"because\":\"no-node\""), "\(task.body)")
            for (path, status) in [
                ("/api/task?line=no", 404), ("/api/nothing", 404), ("/api/tasks?state=x", 400),
                ("/api/tasks?cause=x", 400),
                ("/api/tasks?from=x", 400), ("/api/task", 400),
            ] {
                let answer = try pages.get(path)
                #expect(answer.status == status && answer.body.contains("\"error\":"), "\(path): \(answer.body)")
            }
        }
    }

    @Test(
        "metrics are told in the format that is asked for, of the queue as a whole, and of jobs only where that is wanted"
    )
    func metrics() async throws {
        try await withFleet { fleet in
            try await fleet.submit(["shell:1:0:0:true 1"])
            try await fleet.distcomp("submit", "--name", "sweep", "--", "true", ":::", "1", "2")
            let pages = try await WebPages(fleet)
            let plain = try pages.get("/metrics")
            #expect(plain.headers["content-type"]?.hasPrefix("text/plain; version=0.0.4") == true)
            #expect(plain.body.contains("distcomp_queue_tasks{state=\"waiting\"} 3\n"), "\(plain.body)")
            #expect(!plain.body.contains("sweep") && !plain.body.contains("# EOF"))
            let open = try pages.get("/metrics", ["accept": "application/openmetrics-text;version=1.0.0"])
            #expect(open.headers["content-type"]?.hasPrefix("application/openmetrics-text") == true)
            #expect(open.body.hasSuffix("# EOF\n"))
            #expect(try pages.get("/").body.contains("the oldest for"))
            let ofJobs = try await WebPages(fleet, ["--metrics-by-job", "5"])
            #expect(try ofJobs.get("/metrics").body.contains("job_name=\"sweep\""))
        }
    }

    @Test("a run serves its pages where it is told to, with what its tasks write, and they end with it")
    func ownPages() async throws {
        try await withScratch { scratch in
            try scratch.write(
                "tasks", "shell:1:0:0:echo early; while ! test -e \(scratch.path)/go; do sleep 0.05; done\n")
            let socket = scratch.path + "/pages"
            let run = try RunningProgram(
                Products.distcomp, ["run", "tasks", "--state", scratch.path + "/state", "--web", "unix:\(socket)"],
                in: scratch)
            let pages = try await WebPages(of: run, socketPath: socket)
            try await eventually("it runs") { scratch.tasks(with: "echo early").count == 1 }
            let task = try #require(WebPages.links(try pages.get("/tasks?state=running").body, to: "/task?line").first)
            let output = try #require(
                WebPages.links(try pages.get(task).body, to: "/output").first { $0.contains("stdout") })
            try await eventually("what it wrote is shown") { try pages.get(output).body.contains("early") }
            try scratch.write("go", "")
            #expect(try await run.result().status == 0)
            #expect(!FileSystem.exists(socket))
        }
    }

    @Test("a run on one machine has pages while it goes on, and when it is over, where they are not root's")
    func run() async throws {
        try await withScratch { scratch in
            try scratch.write(
                "tasks", "shell:1:0:0:echo hello; while ! test -e \(scratch.path)/go; do sleep 0.05; done\n")
            let run = try RunningProgram(
                Products.distcomp, ["run", "tasks", "--state", scratch.path + "/state"], in: scratch)
            try await eventually("it runs", run.errors) { scratch.tasks(with: "echo hello").count == 1 }
            let web = try RunningProgram(
                Products.distcomp,
                ["web", "--state", scratch.path + "/state", "--listen", "unix:\(scratch.path)/pages"],
                in: scratch)
            try await eventually("the pages are served", web.errors) { web.errors.contains("the pages are at") }
            if Host.isRoot {
                let status = text(of: "/proc/\(web.process)/status")
                #expect(status.contains("\nUid:\t65534\t65534\t65534\t65534\n"), "it is not root any more")
                #expect(status.contains("\nCapEff:\t0000000000000000\n"))
            }
            web.send(SIGTERM)
            #expect(try await web.result().status == 0)
            #expect(!FileSystem.exists(scratch.path + "/pages"), "the socket is removed")
            try scratch.write("go", "")
            #expect(try await run.result().status == 0)
        }
    }
}
