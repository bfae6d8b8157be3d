// Results as the programs see them that people read tables with. Where one is missing its test is skipped; DISTCOMP_TEST_PYTHON names a
// Python that has them.

import Foundation
import LinuxSystem
import Testing

@Suite("results of a sweep as tables", .aFewAtATime)
struct TableReaderTests {
    private static let python = Host.environment("DISTCOMP_TEST_PYTHON") ?? "/usr/bin/python3"

    /// How each program says what it makes of a file: the types of the columns, and the sum of the numbers in one.
    enum Program: String, CaseIterable, Sendable {
        case pandas, polars, duckdb

        var csv: String {
            switch self {
            case .pandas:
                "import pandas; t = pandas.read_csv('csv'); print(t.policy.dtype.kind in 'OTU', t['size'].dtype.kind, t.ratio.dtype.kind, t['size'].sum(), t.start.dtype.kind)"
            case .polars:
                "import polars; t = polars.read_csv('csv'); print(t['policy'].dtype == polars.String, 'i' if t['size'].dtype.is_integer() else '?', 'f' if t['ratio'].dtype.is_float() else '?', t['size'].sum(), 'f' if t['start'].dtype.is_float() else '?')"
            case .duckdb:
                "import duckdb; t = duckdb.sql(\"select typeof(policy) = 'VARCHAR', if(typeof(size) = 'BIGINT', 'i', '?'), if(typeof(ratio) = 'DOUBLE', 'f', '?'), sum(size) over (), if(typeof(start) = 'DOUBLE', 'f', '?') from 'table.csv'\"); print(*t.fetchall()[0])"
            }
        }

        var jsonl: String {
            switch self {
            case .pandas:
                "import pandas; t = pandas.json_normalize(pandas.read_json('jsonl', lines=True)['values']); print(t.policy.dtype.kind in 'OTU', t['size'].dtype.kind, t.ratio.dtype.kind, t['size'].sum())"
            case .polars:
                "import polars; t = polars.read_ndjson('jsonl').unnest('values'); print(t['policy'].dtype == polars.String, 'i' if t['size'].dtype.is_integer() else '?', 'f' if t['ratio'].dtype.is_float() else '?', t['size'].sum())"
            case .duckdb:
                "import duckdb; t = duckdb.sql(\"select typeof(values.policy) = 'VARCHAR', if(typeof(values.size) = 'BIGINT', 'i', '?'), if(typeof(values.ratio) = 'DOUBLE', 'f', '?'), sum(values.size) over () from read_json('jsonl', format='newline_delimited')\"); print(*t.fetchall()[0])"
            }
        }

        /// The same of an archive; nil where it reads none without more.
        var archive: String? {
            switch self {
            case .pandas:
                "import pandas, sqlite3; t = pandas.read_sql('select * from tasks', sqlite3.connect('archive.sqlite')); print(t.policy.dtype.kind in 'OTU', t['size'].dtype.kind, t.ratio.dtype.kind, t['size'].sum())"
            case .polars: nil
            case .duckdb: jsonl.replacing("'jsonl'", with: "'archive.jsonl.zst'")
            }
        }

        /// Whether it is there.
        var isInstalled: Bool {
            let process = Process()
            process.executableURL = URL(fileURLWithPath: TableReaderTests.python)
            process.arguments = ["-c", "import \(rawValue)"]
            process.standardError = FileHandle.nullDevice
            guard (try? process.run()) != nil else { return false }
            process.waitUntilExit()
            return process.terminationStatus == 0
        }
    }

    @Test(
        "pandas, polars and DuckDB find the values of the only sweep as typed columns, in csv, in jsonl and in archives"
    )
    func typedColumns() async throws {
        try await withScratch { scratch in
            try scratch.write("grid.tsv", "policy\tsize\tratio\nlru\t1\t1\nfifo\t2\t0.5\n\"odd\" one, of 3\t40\t1e-3\n")
            let state = ["--state", scratch.path + "/state"]
            func distcomp(_ words: String...) async throws -> String {
                let result = try await RunningProgram(
                    Products.distcomp, words.prefix(1) + state + words.dropFirst(), in: scratch
                ).result()
                #expect(result.status == 0, "\(words): \(result.errors)")
                return result.output
            }
            _ = try await distcomp(
                "run", "-q", "--header", ":", "-a", scratch.path + "/grid.tsv", "--", "echo", "{policy}",
                "--size={size}",
                "{ratio}")
            let csv = try await distcomp("results", "--format", "csv")
            #expect(csv.contains(",command,policy,size,ratio,job,"), "\(csv)")
            try scratch.write("csv", csv)
            try scratch.write("table.csv", csv)
            try scratch.write("jsonl", try await distcomp("results", "--format", "jsonl"))
            for name in ["archive.sqlite", "archive.jsonl.zst"] {
                _ = try await distcomp("results", "--archive", scratch.path + "/" + name)
            }
            for program in Program.allCases {
                guard program.isInstalled else {
                    print("skipped: \(Self.python) has no \(program); DISTCOMP_TEST_PYTHON can name one that has it")
                    continue
                }
                let archive = program.archive.map { [($0, "True i f 43\n")] } ?? []
                for (script, expected) in [(program.csv, "True i f 43 f\n"), (program.jsonl, "True i f 43\n")] + archive
                {
                    let script = "import os; os.chdir('\(scratch.path)'); " + script
                    let read = try await RunningProgram(Self.python, ["-c", script], in: scratch).result()
                    #expect(read.output == expected, "\(program): \(read.errors)")
                }
            }
            // Beside another job they are in one column.
            _ = try await distcomp("run", "-q", "--", "echo", "{}", ":::", "x")
            #expect(try await distcomp("results", "--format", "csv").contains(",command,values,job,"))
            #expect(
                try await distcomp("results", "echo", "--format", "csv").contains(",command,policy,size,ratio,job,"))
        }
    }
}
