import Testing

@testable import distcomp

/// The sweep of these words and options, with files that hold what `files` says.
func madeSweep(
    _ words: [String], _ options: SweepInput.Options = .init(), files: [String: String] = [:]
) throws -> Sweep {
    let input = try SweepInput(words, options)
    let tables = try input.sources.map { source in
        if case .values(let values) = source.source { return try input.table(of: values) }
        var reader = ValueReader(named: source.source.name, input.form)
        try Array(try #require(files[source.source.name]).utf8).withUnsafeBytes { try reader.read($0) }
        try reader.finish()
        return reader.table
    }
    return try Sweep(input, tables)
}

@Suite("sweeps")
struct SweepTests {
    /// The commands of what a person types after `--`, split at spaces.
    private func commands(_ text: String) throws -> [String] {
        try commands(text.split(separator: " ").map(String.init))
    }

    private func commands(_ words: [String]) throws -> [String] {
        let sweep = try sweep(words)
        return (0..<sweep.count).map(sweep.command)
    }

    private func sweep(_ words: [String], _ options: SweepInput.Options = .init()) throws -> Sweep {
        try madeSweep(words, options)
    }

    @Test("each value of one list meets each of the others, the last list changing fastest")
    func product() throws {
        #expect(try commands("s {1} {2} ::: a b ::: 1 2") == ["s a 1", "s a 2", "s b 1", "s b 2"])
        #expect(try sweep(["s", ":::"] + Array(repeating: "x", count: 1000) + [":::"] + ["y", "z"]).count == 2000)
    }

    @Test("a linked list goes along with the one before it, and the shorter of the two ends both")
    func linked() throws {
        #expect(try commands("s {1}{2} ::: a b :::+ 1 2 3") == ["s a1", "s b2"])
        #expect(try commands("s {3}{2}{1} ::: a b :::+ 1 2 ::: x y") == ["s x1a", "s y1a", "s x2b", "s y2b"])
    }

    @Test("{} is all values, as words of their own where it stands alone; without a place they are appended")
    func all() throws {
        #expect(try commands("s -{}- {} ::: a ::: b") == ["s '-a b-' a b"])
        #expect(try commands("s ::: a b ::: c") == ["s a c", "s b c"])
        #expect(try commands(["s | t", ":::", "a b"]) == ["s | t 'a b'"])
    }

    @Test("several words stay the words they are; a single one is text for a shell, values quoted in it")
    func quoting() throws {
        #expect(try commands(["sh", "-c", "exit 3"]) == ["sh -c 'exit 3'"])
        #expect(try commands(["echo {} > {}.out", ":::", "it's"]) == [#"echo 'it'\''s' > 'it'\''s'.out"#])
        #expect(try commands(["run", "--out={}", ":::", "a b"]) == ["run '--out=a b'"])
        #expect(try commands(["X=1 a; b"]) == ["X=1 a; b"])
    }

    @Test(
        "what is no sweep says why",
        arguments: [
            ("::: a", "no command"), ("s :::", "no values after `:::`"), ("s ::: a ::: ::: b", "no values after `:::`"),
            ("s :::+ a", "links to the values before it"), ("s {2} ::: a", "`{2}`"), ("s {0} ::: a", "`{0}`"),
            ("s {99999999999999999999} ::: a", "only 1 source"), ("s :::: ::: a", "no files after `::::`"),
            ("s ::::+ f", "links to the values before it"), ("s :::: - -", "only once"),
        ])
    func mistakes(words: String, message: String) {
        let error = #expect(throws: SweepError.self) { try commands(words) }
        #expect(error?.description.contains(message) == true, "\(String(describing: error))")
    }

    @Test("more combinations than can be counted are refused")
    func overflow() {
        let lists = (0..<64).flatMap { _ in [":::", "0", "1"] }
        #expect(throws: SweepError.self) { try sweep(["s"] + lists) }
    }
}
