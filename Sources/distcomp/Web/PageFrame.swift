// What every page has: its head, the way to the others, and the pieces they are put together from.

import LinuxSystem
import TaskModel
import WebServer

/// What the pages know of the program that serves them.
struct PageSettings: Sendable {
    /// Whether these pages take orders.
    var allowsOrders = false
    /// /metrics tells of so many jobs.
    var metricsJobsMax = 0
    /// Which queue this is, for people: an address without a password.
    var queueName = ""
}

/// A whole page.
struct PageFrame {
    let settings: PageSettings
    /// Path of the page among those at its top; nil for one that is below them.
    var path: String?
    let title: String
    /// Whether it is shown anew every few seconds.
    var isLive = false

    private static let places: [(path: String, name: String)] = [
        ("/", "Overview"), ("/tasks", "Tasks"), ("/jobs", "Jobs"), ("/nodes", "Nodes"),
    ]

    func page(_ content: HTML) -> HTML {
        let places = Self.places.html { place in
            place.path == path
                ? "<a href=\"\(place.path)\" aria-current=\"page\">\(place.name)</a>"
                : "<a href=\"\(place.path)\">\(place.name)</a>"
        }
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>\(title) - DistComp</title>
            <link rel="stylesheet" href="/style.css">
            <link rel="icon" href="/icon.svg" type="image/svg+xml">
            <script src="/page.js" defer></script>
            </head>
            <body>
            <a class="skip" href="#content">Skip to content</a>
            <header>
            <nav aria-label="Pages"><strong>DistComp</strong>\(places)</nav>
            <form role="search" action="/search" method="get">
            <input type="search" name="text" aria-label="Find tasks" placeholder="id, text or value" maxlength="200">
            <button>Find</button>
            </form>
            <span class="queue">\(settings.queueName)</span>
            </header>
            <main id="content" tabindex="-1"\(isLive ? " data-live" as HTML : "")>
            <h1>\(title)</h1>
            \(content)
            </main>
            <footer><span id="state" role="status"></span> <a href="/metrics">metrics</a> <a href="/openapi.json">interface for programs</a></footer>
            </body>
            </html>

            """
    }
}

/// Pieces of pages.
enum Piece {
    /// A table.
    ///
    /// - Parameters:
    ///   - caption: what it shows, for who does not see it.
    ///   - head: a heading for each column; those of numbers stand right.
    static func table(
        _ caption: String, _ head: [(name: String, isNumber: Bool)], _ rows: [[HTML]]
    ) -> HTML {
        let heads = head.html { column in
            "<th scope=\"col\"\(column.isNumber ? " class=\"number\"" as HTML : "")>\(column.name)</th>"
        }
        let body = rows.html { cells in
            let columns = zip(head, cells).html { column, cell in
                "<td data-name=\"\(column.name)\"\(column.isNumber ? " class=\"number\"" as HTML : "")>\(cell)</td>"
            }
            return "<tr>\(columns)</tr>\n"
        }
        return """
            <div class="wide"><table>
            <caption>\(caption)</caption>
            <thead><tr>\(heads)</tr></thead>
            <tbody>
            \(body)</tbody>
            </table></div>

            """
    }

    /// Names and values.
    static func facts(_ facts: [(name: String, value: HTML)]) -> HTML {
        "<dl class=\"facts\">\n\(facts.html { "<div><dt>\($0.name)</dt><dd>\($0.value)</dd></div>\n" })</dl>\n"
    }

    /// A share of what there is, as a bar and in words; the words are what counts.
    static func share(_ part: Double, of whole: Double, _ words: String) -> HTML {
        let ratio = part / whole
        let percent = ratio.isFinite ? Int(min(100, max(0, (ratio * 100).rounded()))) : 0
        return """
            <span class="share"><svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">\
            <rect class="whole" width="100" height="8"/><rect class="part" width="\(percent)" height="8"/></svg>\
            <span>\(words)</span></span>
            """
    }

    /// A link to a page of ours.
    static func link(_ address: String, _ text: String) -> HTML { "<a href=\"\(address)\">\(text)</a>" }

    static func link(toTask line: String) -> HTML {
        link(address(ofTask: line), String(TaskLine.identifier(of: line).prefix(8)))
    }

    /// By its line, which leads to it at once; one that would make too long an address is searched by its id.
    static func address(ofTask line: String) -> String {
        line.utf8.count <= 4000
            ? PageAddress.to("/task", [("line", line)])
            : PageAddress.to("/search", [("text", TaskLine.identifier(of: line))])
    }

    static func address(ofJob identifier: String) -> String { PageAddress.to("/job", [("id", identifier)]) }
    static func address(ofNode name: String) -> String { PageAddress.to("/node", [("name", name)]) }

    /// A command, shortened for a row.
    static func command(_ text: String, max: Int = 160) -> HTML {
        "<code title=\"\(TerminalText.shortened(text, to: 1000))\">\(TerminalText.shortened(text, to: max))</code>"
    }

    /// How a state is shown: by a sign and a word, and only then by a color.
    static func state(_ word: String) -> HTML {
        let sign =
            switch word {
            case "failed": "✕"
            case "finished", "well": "✓"
            case "running", "in_progress": "▶"
            case "paused", "halted", "drained", "draining": "‖"
            case "gone", "in trouble": "!"
            default: "…"
            }
        return
            "<span class=\"state \(word.split(separator: " ").joined(separator: "-"))\"><span aria-hidden=\"true\">\(sign)</span> \(word == "in_progress" ? "running" : word)</span>"
    }

    /// A moment as seconds since 1970, which the browser shows by its own clock.
    static func time(_ unixSeconds: Double?) -> HTML {
        guard let unixSeconds, let seconds = Int64(exactly: unixSeconds.rounded()) else { return "-" }
        return "<time data-seconds=\"\(Int(seconds))\">\(LocalTime(unixSeconds: seconds).text)</time>"
    }

    /// A button that gives an order; the browser asks before it does.
    static func order(_ path: String, _ fields: [(String, String)], _ text: String) -> HTML {
        var writer = JSONObjectWriter()
        for (name, value) in fields { writer.field(name, value) }
        return "<button type=\"button\" data-order=\"\(path)\" data-body=\"\(writer.text)\">\(text)</button>"
    }
}

/// An amount of memory that a node reported, which may be any number.
func memoryText(_ bytes: Double) -> String {
    AmountText.memory(UInt64(exactly: min(max(0, bytes.rounded()), 1e18)) ?? 0)
}
