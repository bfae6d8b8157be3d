// The two texts in which Prometheus and others read metrics: OpenMetrics 1.0, and the older one, which node_exporter's files and promtool want.
// They differ in three things: how a counter is named above its samples, the units, and the end.

/// In which form metrics are told.
public enum MetricsFormat: Sendable {
    case openMetrics
    /// The text format of Prometheus, version 0.0.4.
    case prometheusText

    /// What a scraper wants that sends this Accept header: OpenMetrics where that is named, and not refused.
    public init(accept: String) {
        let wants = accept.split(separator: ",").contains { range in
            let parts = range.split(separator: ";").map { part in
                String(part.filter { !$0.isWhitespace }).lowercased()
            }
            return parts.first == "application/openmetrics-text" && !parts.contains { $0 == "q=0" || $0 == "q=0.0" }
        }
        self = wants ? .openMetrics : .prometheusText
    }

    /// For the Content-Type header.
    public var contentType: String {
        switch self {
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        case .prometheusText: "text/plain; version=0.0.4; charset=utf-8"
        }
    }
}

/// Metrics as text, one family after the other.
struct MetricsText {
    enum Kind: String { case gauge, counter, histogram }

    private(set) var text = ""
    private let format: MetricsFormat
    private var name = ""

    init(_ format: MetricsFormat) { self.format = format }

    /// Begins a family. Of a counter the name is without `_total`, which its samples have.
    mutating func family(_ name: String, _ kind: Kind, unit: String? = nil, _ help: String) {
        assert(unit.map { name.hasSuffix("_" + $0) } ?? true, "\(name) does not end with its unit")
        self.name = kind == .counter ? name + "_total" : name
        let shown = format == .openMetrics ? name : self.name
        text +=
            "# HELP \(shown) \(Self.escaped(help, alsoQuotes: format == .openMetrics))\n# TYPE \(shown) \(kind.rawValue)\n"
        if format == .openMetrics, let unit { text += "# UNIT \(shown) \(unit)\n" }
    }

    mutating func sample(_ value: Double, _ labels: KeyValuePairs<String, String> = [:]) {
        line(name, Array(labels), Self.number(value))
    }

    mutating func sample(_ value: Int, _ labels: KeyValuePairs<String, String> = [:]) {
        line(name, Array(labels), "\(value)")
    }

    /// The samples of a histogram without labels.
    mutating func samples(_ histogram: MetricsHistogram) {
        var count = 0
        for (bound, inBucket) in zip(histogram.bounds.map(Self.number) + ["+Inf"], histogram.counts) {
            count += inBucket
            line(name + "_bucket", [("le", bound)], "\(count)")
        }
        line(name + "_sum", [], Self.number(histogram.sum))
        line(name + "_count", [], "\(count)")
    }

    private mutating func line(_ name: String, _ labels: [(key: String, value: String)], _ value: String) {
        let shown = labels.map { "\($0.key)=\"\(Self.escaped($0.value, alsoQuotes: true))\"" }
        text += name + (shown.isEmpty ? "" : "{" + shown.joined(separator: ",") + "}") + " " + value + "\n"
    }

    /// The whole text.
    consuming func finished() -> String { format == .openMetrics ? text + "# EOF\n" : text }

    /// As all of them write and read it: `12` for 12, which Swift calls 12.0, is as good.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        return "\(value)"
    }

    private static func escaped(_ text: String, alsoQuotes: Bool) -> String {
        var escaped = ""
        for character in text.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\n": escaped += "\\n"
            case "\"" where alsoQuotes: escaped += "\\\""
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }
}
