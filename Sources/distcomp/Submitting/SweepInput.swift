// What was typed after `--`, and the options about values: which command, and where its values come from. Nothing is read here.

import TaskModel

/// A command and the sources of its values.
struct SweepInput {
    enum Source: Equatable {
        case values([String])
        case file(String)
        case standardInput

        init(path: String) { self = path == "-" ? .standardInput : .file(path) }

        /// What messages call it.
        var name: String {
            switch self {
            case .values: "the values after :::"
            case .file(let path): path
            case .standardInput: "standard input"
            }
        }
    }

    struct PlacedSource: Equatable {
        let source: Source
        /// Whether its values go along with those of the source before it.
        var isLinked = false
    }

    /// What options say of values.
    struct Options {
        var files: [String] = []
        var linksAll = false
        var columnSeparator: String?
        var header: String?
        var separatesByNull = false

        /// Whether any of them asks for values.
        var areGiven: Bool {
            !files.isEmpty || linksAll || columnSeparator != nil || header != nil || separatesByNull
        }
    }

    let template: [String]
    let sources: [PlacedSource]
    let form: ValueTable.Form
    let linksAll: Bool
    /// Whether standard input is read because the command has a mark, and nothing says where its values are.
    let readsStandardInputUnasked: Bool

    static let separators = [":::", ":::+", "::::", "::::+"]

    /// - Parameter words: the words after `--`.
    init(_ words: [String], _ options: Options = Options()) throws(SweepError) {
        template = Array(words.prefix { !Self.separators.contains($0) })
        guard template.contains(where: { !$0.allSatisfy(\.isWhitespace) }) else {
            throw SweepError("no command before \(words.first.map { "`\($0)`" } ?? "the end")")
        }
        form = try Self.form(options)
        linksAll = options.linksAll
        var sources = options.files.map { PlacedSource(source: Source(path: $0)) }
        try Self.read(words.dropFirst(template.count), into: &sources)
        readsStandardInputUnasked = sources.isEmpty && (options.areGiven || Template.hasMark(template))
        if readsStandardInputUnasked { sources = [PlacedSource(source: .standardInput)] }
        guard sources.filter({ $0.source == .standardInput }).count < 2 else {
            throw SweepError("standard input (-) can be read only once")
        }
        self.sources = sources
    }

    /// The values of a source that were typed.
    func table(of values: [String]) throws(SweepError) -> ValueTable {
        var table = ValueTable(named: Source.values(values).name, form)
        for value in values { try table.append(Array(value.utf8)[...], at: "`\(value)`") }
        return table
    }

    private static func form(_ options: Options) throws(SweepError) -> ValueTable.Form {
        var form = ValueTable.Form()
        if options.separatesByNull { form.separator = 0 }
        if let text = options.columnSeparator { form.columnSeparator = try ColumnSeparator(text) }
        if let header = options.header {
            guard header == ":" else {
                throw SweepError(
                    "--header \(header): only `:` is known here, by which the first line of a source names it")
            }
            form.hasHeader = true
        }
        return form
    }

    private static func read(_ words: ArraySlice<String>, into sources: inout [PlacedSource]) throws(SweepError) {
        var rest = words
        while let separator = rest.popFirst() {
            let values = Array(rest.prefix { !separators.contains($0) })
            rest = rest.dropFirst(values.count)
            let areFiles = separator.hasPrefix("::::")
            guard !values.isEmpty else { throw SweepError("no \(areFiles ? "files" : "values") after `\(separator)`") }
            let isLinked = separator.hasSuffix("+")
            guard !isLinked || !sources.isEmpty else {
                throw SweepError("`\(separator)` links to the values before it, and there are none")
            }
            // Each file is a source of its own, as for GNU parallel.
            sources += (areFiles ? values.map(Source.init(path:)) : [.values(values)])
                .map { PlacedSource(source: $0, isLinked: isLinked) }
        }
    }
}
