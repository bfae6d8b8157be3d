// A command with values to put into it, as GNU parallel writes it: `./cachesim {1} {2} ::: lru fifo ::: 1G 4G`. The commands
// are made one at a time, so a sweep of ten million needs no more memory than its values.

import TaskModel

/// One command, or one for each combination of the values of its sources.
struct Sweep {
    /// Sources whose values go together, row by row.
    private struct Group {
        var tables: [ValueTable]
        /// How many rows; a shorter table begins anew where this is more than it has.
        var rowCount: Int

        func values(_ row: Int) -> [String] { tables.flatMap { $0.row(row % $0.rowCount) } }
    }

    private let template: Template
    /// What the values are called and are, where there are any.
    let columns: [JobTemplate.Column]
    private let groups: [Group]
    /// How many commands there are.
    let count: Int

    /// - Parameter tables: what the sources of `input` hold, in their order.
    init(_ input: SweepInput, _ tables: [ValueTable]) throws(SweepError) {
        groups = Self.groups(input, tables)
        // Where a source is empty nothing comes of the template, and how many columns there would be nobody knows.
        let sizes = tables.compactMap(\.columnCount)
        if tables.isEmpty || sizes.count < tables.count {
            template = Template(text: input.template, texts: input.texts)
            columns = []
        } else {
            let names = try Self.columns(tables, sizes)
            template = try Template(input.template, texts: input.texts, names)
            columns = zip(names.names, tables.flatMap(\.columnKinds)).enumerated().map { index, column in
                JobTemplate.Column(name: column.0 ?? "\(index + 1)", kind: column.1)
            }
        }
        var count = 1
        for group in groups {
            let (product, overflow) = count.multipliedReportingOverflow(by: group.rowCount)
            guard !overflow else { throw SweepError("more combinations than there are numbers") }
            count = product
        }
        self.count = count
    }

    /// The command of one combination; the last source changes fastest.
    func command(_ index: Int) -> String { template.command(values(index), number: index + 1) }

    /// What options say of that command, in the order of `SweepInput.texts`.
    func texts(_ index: Int) -> [String] { template.texts(values(index), number: index + 1) }

    /// By which the values are found again in the commands; nil where there are none, or it would be too long.
    var made: JobTemplate? {
        columns.isEmpty || !Template.hasMark(template.typed, Template.Columns(columns))
            ? nil : JobTemplate(words: template.typed, columns: columns)
    }

    /// The values of one combination, in the order of ``columns``.
    func values(_ index: Int) -> [String] {
        var rest = index
        var rows: [Int] = []
        for group in groups.reversed() {
            rows.append(rest % group.rowCount)
            rest /= group.rowCount
        }
        return zip(groups, rows.reversed()).flatMap { $0.values($1) }
    }

    private static func groups(_ input: SweepInput, _ tables: [ValueTable]) -> [Group] {
        if input.linksAll && !tables.isEmpty {
            let counts = tables.map(\.rowCount)
            return [Group(tables: tables, rowCount: counts.contains(0) ? 0 : counts.max() ?? 0)]
        }
        var groups: [Group] = []
        for (source, table) in zip(input.sources, tables) {
            if source.isLinked, var group = groups.popLast() {
                group.tables.append(table)
                group.rowCount = min(group.rowCount, table.rowCount)
                groups.append(group)
            } else {
                groups.append(Group(tables: [table], rowCount: table.rowCount))
            }
        }
        return groups
    }

    private static func columns(_ tables: [ValueTable], _ sizes: [Int]) throws(SweepError) -> Template.Columns {
        let names = zip(tables, sizes).flatMap { table, size -> [String?] in
            table.columnNames ?? Array(repeating: nil, count: size)
        }
        var seen: Set<String> = []
        for name in names.compactMap(\.self) where !seen.insert(name).inserted {
            throw SweepError("two columns are named `\(name)`, so {\(name)} could be either")
        }
        return Template.Columns(names: names, noun: sizes.allSatisfy { $0 == 1 } ? "source" : "column")
    }
}

/// Why words are not a sweep.
struct SweepError: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
