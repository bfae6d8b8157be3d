import TaskModel
import Testing

@testable import distcomp

@Suite("values from files")
struct ValueTests {
    /// The rows of a file that is read in pieces of `pieceSize` bytes.
    private func rows(
        _ bytes: [UInt8], _ form: ValueTable.Form = .init(), pieceSize: Int = .max
    ) throws -> [[String]] {
        var reader = ValueReader(named: "values.txt", form)
        try bytes.withUnsafeBytes { all in
            for start in stride(from: 0, to: all.count, by: min(pieceSize, max(1, all.count))) {
                let end = start + min(pieceSize, all.count - start)
                try reader.read(UnsafeRawBufferPointer(rebasing: all[start..<end]))
            }
        }
        try reader.finish()
        return (0..<reader.table.rowCount).map(reader.table.row)
    }

    private func rows(
        _ text: String, _ form: ValueTable.Form = .init(), pieceSize: Int = .max
    ) throws -> [[String]] { try rows(Array(text.utf8), form, pieceSize: pieceSize) }

    private func columns(_ pattern: String, hasHeader: Bool = false) throws -> ValueTable.Form {
        ValueTable.Form(columnSeparator: try ColumnSeparator(pattern), hasHeader: hasHeader)
    }

    private func mistake(_ text: String, _ form: ValueTable.Form = .init()) -> String? {
        #expect(throws: SweepError.self) { try rows(text, form) }?.description
    }

    @Test("each line is a value, an empty one and one of blanks too; CR LF and a last line without an end are taken")
    func lines() throws {
        #expect(try rows("a\n\n b \r\nlast") == [["a"], [""], [" b "], ["last"]])
        #expect(try rows("\u{FEFF}a\n\u{FEFF}b\n") == [["a"], ["\u{FEFF}b"]])
        #expect(try rows("").isEmpty)
        #expect(try rows("\n") == [[""]])
    }

    @Test("with -0 newlines and CR are part of the value")
    func null() throws {
        let form = ValueTable.Form(separator: 0)
        #expect(try rows("a\nb\r\0c\r\n\0\0d", form) == [["a\nb\r"], ["c\r\n"], [""], ["d"]])
    }

    @Test("values are the same in pieces of any size", arguments: 1...12)
    func pieces(size: Int) throws {
        #expect(
            try rows("é,1\r\n漢,2\n,\n", try columns(","), pieceSize: size) == [["é", "1"], ["漢", "2"], ["", ""]])
    }

    @Test(
        "columns are separated by a regular expression, as GNU parallel's are",
        arguments: [
            (",", "a,b", ["a", "b"]), (#"\t"#, "a\tb c", ["a", "b c"]), ("\t", "a\tb", ["a", "b"]),
            (" +", "a   b c", ["a", "b", "c"]), (#"\|"#, "a|b|", ["a", "b", ""]), ("[,;]", "a,b;c", ["a", "b", "c"]),
            ("::", "a::b:c", ["a", "b:c"]), (#"\s+"#, "é \t b", ["é", "b"]), (#"\."#, "a.b", ["a", "b"]),
            ("a+", "XaaY", ["X", "Y"]), ("→", "a→b", ["a", "b"]),
        ])
    func columnSeparators(pattern: String, line: String, expected: [String]) throws {
        #expect(try rows(line, try columns(pattern)) == [expected])
    }

    @Test(
        "what separates by nothing, or is no regular expression, says how the sign itself is written",
        arguments: ["|", " *", "(", "["])
    func wrongSeparators(pattern: String) {
        let error = #expect(throws: SweepError.self) { try ColumnSeparator(pattern) }
        #expect(error?.description.contains(#"is written `\|`"#) == true)
    }

    @Test("a row of another width is an error with its place: a value would stand where another belongs")
    func ragged() throws {
        #expect(
            mistake("1,2\n3\n", try columns(","))?.hasPrefix("values.txt:2 has 1 column, and the first row 2") == true)
        let header = try columns(",", hasHeader: true)
        #expect(mistake("n,m\n3,4,5\n", header)?.hasPrefix("values.txt:2 has 3 columns, and the header 2") == true)
    }

    @Test("the header's columns are separated as the values are, by a tab where nothing says by what")
    func header() throws {
        var sweep = try madeSweep(
            ["s {size} {policy}", "::::", "f"], .init(columnSeparator: ",", header: ":"),
            files: ["f": "policy,size\nlru,1\n"])
        #expect(sweep.command(0) == "s 1 lru")
        sweep = try madeSweep(
            ["s {size} {policy} {3}", "::::", "f", ":::", "name", "a b"], .init(header: ":"),
            files: ["f": "policy\tsize\r\nlru\t1\r\n"])
        #expect(sweep.command(0) == "s 1 lru 'a b'")
        #expect(sweep.count == 1)
    }

    @Test("each file is a source, those of -a the first; columns count on from source to source")
    func sources() throws {
        func commands(_ words: [String], _ options: SweepInput.Options = .init()) throws -> [String] {
            let sweep = try madeSweep(
                words, options, files: ["f": "1\n2\n", "g": "x\ny\n", "c": "p q\nr s\n", "e": ""])
            return (0..<sweep.count).map(sweep.command)
        }
        #expect(try commands(["s {1}{2}", "::::", "f", "g"]) == ["s 1x", "s 1y", "s 2x", "s 2y"])
        #expect(try commands(["s {1}{2}", ":::", "a"], .init(files: ["f"])) == ["s 1a", "s 2a"])
        #expect(try commands(["s", ":::", "a", "b", "::::+", "f", "g"]) == ["s a 1 x", "s b 2 y"])
        #expect(try commands(["s {3}{2}", "::::", "c", ":::", "z"], .init(columnSeparator: " ")) == ["s zq", "s zs"])
        // As for GNU parallel: linked by --link the shorter goes round, by + the shorter is the end.
        #expect(
            try commands(["s", ":::", "a", "b", "c", "::::", "f"], .init(linksAll: true)) == [
                "s a 1", "s b 2", "s c 1",
            ])
        #expect(try commands(["s", ":::", "a", "b", "c", "::::+", "f"]) == ["s a 1", "s b 2"])
        #expect(try commands(["s {7}", ":::", "a", "::::", "e"]).isEmpty)
        #expect(try commands(["s", ":::", "a", "::::", "e"], .init(linksAll: true)).isEmpty)
    }

    @Test("standard input has the values where the command has a place for one, or an option asks for some")
    func standardInput() throws {
        func reads(_ words: [String], _ options: SweepInput.Options = .init()) throws -> Bool {
            try SweepInput(words, options).readsStandardInputUnasked
        }
        for mark in ["{}", "{.}", "{/}", "{//}", "{/.}", "{1}", "{1/.}", "{#}"] {
            #expect(try reads(["s", mark]), "\(mark)")
        }
        #expect(try reads(["s"], .init(columnSeparator: ",")))
        #expect(try reads(["s"], .init(separatesByNull: true)))
        #expect(try !reads(["s", "{2}", "${1}", "{x}"]))
        #expect(try !reads(["s {}", ":::", "a"]))
        #expect(try !reads(["s {}"], .init(files: ["f"])))
        let sweep = try madeSweep(["s {}"], files: ["standard input": "a\nb c\n"])
        #expect((0..<sweep.count).map(sweep.command) == ["s a", "s 'b c'"])
    }

    @Test("what no argument can hold is refused with its place")
    func refused() throws {
        #expect(mistake("a\nb\0c\n")?.hasPrefix("values.txt:2: a NUL character") == true)
        #expect(
            mistake("a\n" + String(repeating: "x", count: TaskLine.byteCountMax + 1))?.contains(":2: a value of more")
                == true)
        let error = #expect(throws: SweepError.self) { try rows([0x61, 0x0A, 0x63, 0xE9, 0x0A]) }
        #expect(error?.description.hasPrefix("values.txt:2: the byte 0xe9 is not UTF-8") == true)
    }

    @Test("a header that is not : is refused")
    func otherHeaders() {
        let error = #expect(throws: SweepError.self) { try SweepInput(["s", ":::", "a"], .init(header: ".*")) }
        #expect(error?.description.contains("only `:` is known") == true)
    }

    @Test("a million values are a million commands")
    func million() throws {
        var reader = ValueReader(named: "values.txt", .init())
        for thousand in 0..<1000 {
            let piece = Array((0..<1000).map { "\(thousand * 1000 + $0)\n" }.joined().utf8)
            try piece.withUnsafeBytes { try reader.read($0) }
        }
        try reader.finish()
        let sweep = try Sweep(try SweepInput(["s {}", "::::", "-"]), [reader.table])
        #expect(sweep.count == 1_000_000)
        #expect(sweep.command(999_999) == "s 999999")
        #expect(sweep.command(123_456) == "s 123456")
    }
}
