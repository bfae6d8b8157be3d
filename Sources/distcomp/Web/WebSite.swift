// Which address is which page. Each answer is made of what the desks found; what they cannot find becomes a page that says so.

import LinuxSystem
import Monitoring
import TaskModel
import TaskQueue
import WebServer

/// The pages of a queue.
struct WebSite: Sendable {
    let settings: PageSettings
    let requestGuard: RequestGuard
    /// For what is quick.
    let desk: QueueDesk
    /// For what waits for a node, and for orders: it holds nobody up who only looks.
    let slowDesk: QueueDesk
    /// Where outputs are on this machine.
    let files: Handed<OutputFiles>

    /// Answers a request that may be answered.
    func answer(_ request: WebRequest) async -> WebResponse {
        do throws(CommandError) {
            return try await response(to: request)
        } catch {
            return refusal(error, request)
        }
    }

    private func refusal(_ error: CommandError, _ request: WebRequest) -> WebResponse {
        let status =
            switch error {
            case .usage: 400
            case .noSuchTask: 404
            case .notPermitted: 403
            case .unreachable, .queueGone: 503
            case .failed, .tasksFailed, .reported, .readerGone, .interrupted: 500
            }
        let message = error.message ?? "something went wrong"
        if request.path.hasPrefix("/api/") {
            var writer = JSONObjectWriter()
            writer.field("error", message)
            return .json(writer.text + "\n", status: status)
        }
        let title =
            switch status {
            case 403: "Not permitted"
            case 404: "Not found"
            case 503: "Redis is away"
            default: "This did not work"
            }
        return .page(
            PageFrame(settings: settings, title: title).page("<p class=\"error\">\(message)</p>\n"), status: status)
    }

    private func response(to request: WebRequest) async throws(CommandError) -> WebResponse {
        if request.method == "POST" { return try await order(request) }
        let query = request.query
        switch request.path {
        case "/":
            let look = try await desk.lookAtAll()
            return page("/", "Overview", OverviewPage(look: look, settings: settings).content, isLive: true)
        case "/jobs":
            return page("/jobs", "Jobs", JobsPage(jobs: try await desk.lookAtAll().jobs).content, isLive: true)
        case "/job": return try await job(query["id"] ?? "")
        case "/nodes": return page("/nodes", "Nodes", NodesPage(fleet: try await desk.nodes()).content, isLive: true)
        case "/node": return try await node(query["name"] ?? "")
        case "/tasks": return try await tasks(try TaskQuery(query))
        case "/task": return try await task(try needed(query, "line"))
        case "/output": return try await output(query)
        case "/search": return try await search(query)
        case RequestGuard.signInPath: return signIn(isWrong: false)
        case "/metrics": return try await metrics(request.headers["accept"] ?? "")
        case "/style.css": return WebResponse(contentType: "text/css; charset=utf-8", body: PageAssets.style)
        case "/icon.svg": return WebResponse(contentType: "image/svg+xml", body: PageAssets.icon)
        case "/page.js": return WebResponse(contentType: "text/javascript; charset=utf-8", body: PageAssets.script)
        case "/openapi.json": return WebResponse(contentType: "application/json", body: PageAssets.interface)
        case let path where path.hasPrefix("/api/"): return try await data(path, query)
        default: throw .noSuchTask("there is no page \(TerminalText.shortened(request.path, to: 100))")
        }
    }

    private func page(_ path: String?, _ title: String, _ content: HTML, isLive: Bool = false) -> WebResponse {
        .page(PageFrame(settings: settings, path: path, title: title, isLive: isLive).page(content))
    }

    private func needed(_ query: WebQuery, _ name: String) throws(CommandError) -> String {
        guard let value = query[name] else { throw .usage("the address does not say \(name)") }
        return value
    }

    // MARK: Pages

    private func tasks(_ query: TaskQuery) async throws(CommandError) -> WebResponse {
        let counts = try await desk.lookAtAll().overview.counts
        let found = try await found(query)
        return page("/tasks", "Tasks", TasksPage(query: query, page: found, counts: counts).content)
    }

    private func found(_ query: TaskQuery) async throws(CommandError) -> TaskPage {
        try await desk.shared(query.address(from: query.cursor)) { queue throws(CommandError) in
            try queue.page(of: query)
        }
    }

    private func job(_ identifier: String) async throws(CommandError) -> WebResponse {
        let fleet = try await desk.nodes()
        let view = try await desk.shared("job \(identifier)") { queue throws(CommandError) in
            try queue.view(ofJob: identifier, fleet)
        }
        return page(nil, "Job \(view.job.name)", JobPage(view: view, settings: settings).content, isLive: true)
    }

    private func node(_ name: String) async throws(CommandError) -> WebResponse {
        let fleet = try await desk.nodes()
        guard let node = fleet.nodes.first(where: { $0.name == name }) else {
            throw .noSuchTask("there is no node of that name, or not any more")
        }
        var query = try TaskQuery(WebQuery("state=running"))
        query.node = name
        let running = try await found(query)
        let content = NodePage(node: node, fleet: fleet, running: running, settings: settings).content
        return page(nil, "Node \(name)", content, isLive: true)
    }

    private func view(ofTask line: String) async throws(CommandError) -> TaskView {
        let fleet = try await desk.nodes()
        return try await desk.shared("task \(line)") { queue throws(CommandError) in try queue.view(of: line, fleet) }
    }

    private func task(_ line: String) async throws(CommandError) -> WebResponse {
        let view = try await view(ofTask: line)
        let content = TaskDetailPage(view: view, settings: settings).content
        return page(nil, "Task \(TaskLine.identifier(of: line).prefix(8))", content)
    }

    private func output(_ query: WebQuery) async throws(CommandError) -> WebResponse {
        let line = try needed(query, "line")
        guard let stream = OutputStream(rawValue: query["stream"] ?? "stdout") else {
            throw .usage("stream: expected stdout or stderr")
        }
        let files = files
        let view = try await slowDesk.shared("output \(stream.rawValue) \(line)") { queue throws(CommandError) in
            try queue.output(of: line, stream, files.value)
        }
        let back = Piece.link(Piece.address(ofTask: line), "Back to the task")
        return page(
            nil, "\(stream.rawValue) of \(TaskLine.identifier(of: line).prefix(8))", "<p>\(back)</p>\n\(view.content)")
    }

    private func search(_ query: WebQuery) async throws(CommandError) -> WebResponse {
        guard let text = query["text"] else { return page(nil, "Search", "<p>Give an id, a text or a value.</p>\n") }
        var found: [(TaskQuery, TaskPage)] = []
        for state in [TaskState.failed, .inProgress, .todo, .finished] {
            var query = try TaskQuery(query)
            (query.state, query.text) = (state, text)
            found.append((query, try await self.found(query)))
        }
        // One task and nothing else that could be meant: there it is.
        let tasks = found.flatMap(\.1.tasks)
        if tasks.count == 1, found.allSatisfy({ $0.1.next == nil }), tasks[0].line.utf8.count <= 4000 {
            return .seeOther(Piece.address(ofTask: tasks[0].line))
        }
        let content = SearchPage(text: text, found: found).content
        return page(
            nil, "Search for \(TerminalText.shortened(text, to: 60))",
            content == HTML() ? "<p>No task has this.</p>\n" : content)
    }

    // MARK: Signing in

    private func signIn(isWrong: Bool) -> WebResponse {
        let content: HTML = """
            \(isWrong ? "<p class=\"error\">This is not the token.</p>" as HTML : "")
            <form action="\(RequestGuard.signInPath)" method="post">
            <label>Token <input type="password" name="token" autocomplete="current-password" required maxlength="4096"></label>
            <button>Sign in</button>
            </form>

            """
        return .page(
            PageFrame(settings: settings, title: "Sign in").page(content), status: isWrong ? 403 : 200)
    }

    private func signIn(_ request: WebRequest) -> WebResponse {
        let fields = WebQuery(String(decoding: request.body, as: UTF8.self))
        guard let token = fields["token"], requestGuard.isToken(Array(token.utf8)),
            token.utf8.allSatisfy({ $0 > 32 && $0 < 127 && $0 != UInt8(ascii: ";") })
        else { return signIn(isWrong: true) }
        var response = WebResponse.seeOther("/")
        response.headers.append(
            ("set-cookie", "\(RequestGuard.cookieName)=\(token); HttpOnly; SameSite=Strict; Path=/"))
        return response
    }

    // MARK: Orders

    private func order(_ request: WebRequest) async throws(CommandError) -> WebResponse {
        if request.path == RequestGuard.signInPath { return signIn(request) }
        let body = try OrderBody(request.body)
        let order = try WebOrder(path: request.path, body)
        let isOnlyCounted = body.isOnlyCounted
        let answer = try await slowDesk.ask { queue throws(CommandError) in
            try queue.carryOut(order, isOnlyCounted: isOnlyCounted)
        }
        if !isOnlyCounted { await desk.forget() }
        return .json(answer.json + "\n")
    }

    // MARK: For programs

    private func metrics(_ accepted: String) async throws(CommandError) -> WebResponse {
        let jobsMax = settings.metricsJobsMax
        let snapshot = try await desk.shared("metrics") { queue throws(CommandError) in
            try queue.metrics(jobsMax: jobsMax)
        }
        let format = MetricsFormat(accept: accepted)
        return WebResponse(contentType: format.contentType, body: Array(snapshot.render(as: format).utf8))
    }

    private func data(_ path: String, _ query: WebQuery) async throws(CommandError) -> WebResponse {
        switch path {
        case "/api/status": return .json(try await desk.lookAtAll().overview.json + "\n")
        case "/api/jobs": return .json(array(try await desk.lookAtAll().jobs.map(\.object)))
        case "/api/nodes":
            let fleet = try await desk.nodes()
            return .json(array(fleet.nodes.map { $0.object(fleet) }))
        case "/api/failures": return .json(array(try await desk.lookAtAll().failures.groups.map(\.object)))
        case "/api/tasks":
            let found = try await found(try TaskQuery(query))
            var writer = JSONObjectWriter()
            writer.field("tasks", json: Array(array(found.tasks.map(\.object)).utf8))
            writer.field("from", found.next?.text)
            return .json(writer.text + "\n")
        case "/api/task":
            let view = try await view(ofTask: try needed(query, "line"))
            var writer = JSONObjectWriter()
            writer.field("because", view.diagnosis.because)
            writer.field("explanation", view.diagnosis.sentence)
            writer.field("details", json: Array(view.details.value.json(kept: []).utf8))
            return .json(writer.text + "\n")
        default: throw .noSuchTask("there is no \(TerminalText.shortened(path, to: 100)): see /openapi.json")
        }
    }

    private func array(_ objects: [JSONObjectWriter]) -> String {
        "[" + objects.map(\.text).joined(separator: ",\n ") + "]\n"
    }
}

extension FailureGroup {
    /// As programs read it.
    var object: JSONObjectWriter {
        var writer = JSONObjectWriter()
        writer.field("tasks", count)
        writer.field("cause", cause)
        writer.field("command", shape.text)
        writer.field("job", jobName)
        writer.field("job_id", job)
        writer.field("example", example)
        writer.field("explanation", explanation)
        return writer
    }
}
