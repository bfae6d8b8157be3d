// Tasks in one state, a page at a time, and what a search found.

import LinuxSystem
import TaskModel
import TaskQueue
import WebServer

/// What of an address says which tasks are wanted.
struct TaskQuery: Sendable {
    var state = TaskState.failed
    /// The name of a job.
    var job: String?
    var cause: String?
    var node: String?
    var text: String?
    var cursor = TaskCursor.start

    /// - Throws: a sentence, where something in it is wrong.
    init(_ query: WebQuery) throws(CommandError) {
        if let word = query["state"] {
            guard let state = TaskState(parsing: word) else {
                throw .usage("state: expected todo, running, finished or failed")
            }
            self.state = state
        }
        (job, node) = (query["job"], query["node"])
        if let word = query["cause"] {
            guard word == "unknown" || Cause.words.contains(word) else {
                throw .usage("cause: expected one of \(Cause.words.joined(separator: ", "))")
            }
            cause = word
        }
        if let text = query["text"] {
            guard text.utf8.count <= 1000 else { throw .usage("text: it has 1,000 bytes at most") }
            self.text = text
        }
        if let text = query["from"] {
            guard let cursor = TaskCursor(parsing: text) else { throw .usage("from: no place in a list of tasks") }
            self.cursor = cursor
        }
    }

    /// The address of such a page.
    func address(
        _ path: StaticString = "/tasks", state other: TaskState? = nil, from cursor: TaskCursor? = nil
    ) -> String {
        PageAddress.to(
            path,
            [
                ("state", (other ?? state).rawValue), ("job", job),
                // Only what has failed has a cause, and what is moved to another list keeps what it can have there.
                ("cause", (other ?? state) == .failed ? cause : nil), ("node", node), ("text", text),
                ("from", cursor?.text),
            ])
    }
}

extension QueueClient {
    /// A page of what is asked for.
    func page(of query: TaskQuery) throws(CommandError) -> TaskPage {
        var search = TaskSearch(state: query.state, cause: query.cause, node: query.node, text: query.text)
        if let name = query.job {
            if name == Job.defaultName {
                search.job = ""
            } else {
                guard let job = try job(named: name) else { throw try noSuchJob(name) }
                search.job = job.identifier
            }
        }
        return try page(of: search, from: query.cursor)
    }
}

struct TasksPage {
    let query: TaskQuery
    let page: TaskPage
    /// Of all tasks; nil where they are not asked for.
    let counts: QueueCounts

    var content: HTML { tabs + form + list + further }

    private var tabs: HTML {
        let all: [(TaskState, Int)] = [
            (.failed, counts.failed), (.inProgress, counts.inProgress), (.todo, counts.todo),
            (.finished, counts.finished),
        ]
        return "<nav class=\"tabs\" aria-label=\"States\">\n"
            + all.html { state, count in
                let current: HTML = state == query.state ? " aria-current=\"page\"" : ""
                return
                    "<a href=\"\(query.address(state: state))\"\(current)>\(state.label) <span class=\"count\">\(grouped(count))</span></a>\n"
            } + "</nav>\n"
    }

    private var form: HTML {
        let causes = (Cause.words + ["unknown"]).html { word in
            "<option\(word == query.cause ? " selected" as HTML : "")>\(word)</option>"
        }
        let cause: HTML =
            query.state == .failed
            ? "<label>Cause <select name=\"cause\"><option value=\"\">any</option>\(causes)</select></label>\n" : ""
        return """
            <form class="filter" action="/tasks" method="get">
            <input type="hidden" name="state" value="\(query.state.rawValue)">
            <label>Text or id <input name="text" value="\(query.text ?? "")" maxlength="1000"></label>
            <label>Job <input name="job" value="\(query.job ?? "")" maxlength="200"></label>
            <label>Node <input name="node" value="\(query.node ?? "")" maxlength="300"></label>
            \(cause)<button>Show</button>
            </form>

            """
    }

    private var list: HTML {
        guard !page.tasks.isEmpty else {
            return page.next == nil ? "<p>None.</p>\n" : "<p>None among those looked at so far.</p>\n"
        }
        let head = [("Id", false), ("State", false), ("Node", false), ("Command", false), ("Why", false)]
        let rows: [[HTML]] = page.tasks.map { task in
            [
                Piece.link(toTask: task.line), Piece.state(task.state.label),
                task.node.isEmpty ? "-" : Piece.link(Piece.address(ofNode: task.node), task.node),
                Piece.command(TaskLine.command(ofLine: task.line)),
                "\(TerminalText.shortened(task.remark, to: 200))",
            ]
        }
        return Piece.table("Tasks", head, rows)
    }

    private var further: HTML {
        var parts: [HTML] = []
        if query.cursor != .start { parts.append(Piece.link(query.address(), "From the beginning")) }
        if let next = page.next {
            let text =
                page.tasks.count < QueueClient.tasksPerPage
                ? "Look on (\(grouped(page.lookedAtCount)) looked at)" : "More"
            parts.append("<a rel=\"next\" href=\"\(query.address(from: next))\">\(text)</a>")
        }
        return parts.isEmpty ? HTML() : "<p class=\"further\">\(parts.html { $0 + " " })</p>\n"
    }
}

extension ListedTask {
    /// What there is to say of it beside its command.
    var remark: String {
        switch state {
        case .failed: explanation
        case .todo where !reason.isEmpty: "again after \(explanation)"
        case .todo where waitsForOthers: "waits for others"
        case .todo: beginsAtUnixSeconds.map { "not before \(LocalTime(unixSeconds: Int64($0)).text)" } ?? ""
        case .inProgress, .finished: ""
        }
    }
}

/// What a search found, in each state.
struct SearchPage {
    let text: String
    /// A page of each.
    let found: [(query: TaskQuery, page: TaskPage)]

    var content: HTML {
        found.html { query, page in
            let rows: [[HTML]] = page.tasks.prefix(20).map { task in
                [
                    Piece.link(toTask: task.line), Piece.command(TaskLine.command(ofLine: task.line)),
                    "\(TerminalText.shortened(task.remark, to: 200))",
                ]
            }
            let more: HTML =
                page.next != nil || page.tasks.count > 20
                ? "<p>\(Piece.link(query.address(), "Look on among what is \(query.state.label)"))</p>\n" : HTML()
            if rows.isEmpty, page.next == nil { return HTML() }
            let list: HTML =
                rows.isEmpty
                ? "<p>None among the \(grouped(page.lookedAtCount)) looked at so far.</p>\n"
                : Piece.table(
                    "Tasks that are \(query.state.label)", [("Id", false), ("Command", false), ("Why", false)], rows)
            return "<section><h2>\(query.state.label)</h2>\n\(list)\(more)</section>\n"
        }
    }
}
