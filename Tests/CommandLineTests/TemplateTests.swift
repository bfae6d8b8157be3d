import Testing

@testable import distcomp

@Suite("marks of a command")
struct TemplateTests {
    /// The commands of a template, typed as one word for a shell, and of the words that follow it.
    private func commands(
        _ template: String, _ sources: String, _ options: SweepInput.Options = .init()
    ) throws -> [String] {
        let sweep = try madeSweep([template] + sources.split(separator: " ").map(String.init), options)
        return (0..<sweep.count).map(sweep.command)
    }

    private func mistake(_ template: String, _ sources: String, _ options: SweepInput.Options = .init()) -> String? {
        #expect(throws: SweepError.self, "\(template)") { try commands(template, sources, options) }?.description
    }

    // What GNU parallel 20221122 gives for them.
    @Test(
        "parts of a path are those of GNU parallel",
        arguments: [
            ("foo.tar.gz", ["foo.tar", "foo.tar.gz", ".", "foo.tar"]), ("a.b/foo", ["a.b/foo", "foo", "a.b", "foo"]),
            (".bashrc", ["", ".bashrc", ".", ""]), ("dir/.x", ["dir/", ".x", "dir", ""]),
            ("foo.", ["foo", "foo.", ".", "foo"]), ("a/b/", ["a/b/", "", "a", ""]), ("/a", ["/a", "a", "/", "a"]),
            ("/", ["/", "", "/", ""]), ("a//b", ["a//b", "b", "a", "b"]), ("", ["", "", ".", ""]),
            ("a/b.c/d.e", ["a/b.c/d", "d.e", "a/b.c", "d"]), ("//a", ["//a", "a", "/", "a"]),
            ("a/..", ["a/.", "..", "a", "."]), ("a//", ["a//", "", ".", ""]), ("///", ["///", "", "/", ""]),
            ("größe.ä/é.ü", ["größe.ä/é", "é.ü", "größe.ä", "é"]),
        ])
    func parts(value: String, expected: [String]) throws {
        let sweep = try madeSweep(["s", "[{.}]", "[{/}]", "[{//}]", "[{/.}]", ":::", value])
        #expect(sweep.command(0) == "s " + expected.map { "'[\($0)]'" }.joined(separator: " "))
        let numbered = try madeSweep(["s", "[{2.}]", "[{2/}]", "[{2//}]", "[{2/.}]", ":::", "x", ":::", value])
        #expect(numbered.command(0) == sweep.command(0))
    }

    @Test("{#} is the number of the command; it is no value, and none is appended beside it")
    func number() throws {
        #expect(try commands("s {#}:{1}", "::: a b ::: x y") == ["s 1:a", "s 2:a", "s 3:b", "s 4:b"])
        #expect(try commands("s {#}", "::: a b") == ["s 1", "s 2"])
    }

    @Test("a part of all values is that part of each")
    func partsOfAll() throws {
        #expect(try commands("s {/.}", "::: a/b.c ::: d/e.f") == ["s b e"])
        let sweep = try madeSweep(["s", "{/}", "-{/}-", ":::", "a/b", ":::", "c/d"])
        #expect(sweep.command(0) == "s b d '-b d-'")
    }

    @Test("a part of a value is quoted as the value is")
    func quoting() throws {
        let sweep = try madeSweep(["s {} {/.}", ":::", "a b/it's.c"])
        #expect(sweep.command(0) == #"s 'a b/it'\''s.c' 'it'\''s'"#)
    }

    @Test("with --header the first value of each source is its name, and a mark by name is that source's value")
    func names() throws {
        let header = SweepInput.Options(header: ":")
        #expect(
            try commands("s {size} {policy/} {1}", "::: policy p/lru p/fifo ::: size 1G", header) == [
                "s 1G lru p/lru", "s 1G fifo p/fifo",
            ])
        #expect(try commands("s", "::: policy lru ::: size 1G", header) == ["s lru 1G"])
        // A name may be anything between braces.
        #expect(
            try madeSweep(["s {a b} {x/y/}", ":::", "a b", "1", ":::", "x/y", "p/q"], header).command(0) == "s 1 q")
        #expect(try commands("s {name}", "::: name", header) == [])
    }

    @Test(
        "what looks like a mark and is none known is an error that says what there is",
        arguments: [
            ("s {3}", "::: a ::: b", "`{3}`, but there are only 2 sources"), ("s {0}", "::: a", "only 1 source"),
            ("s {%}", "::: a", "no mark `{%}`: there are {} {.}"), ("s {+/}", "::: a", "no mark `{+/}`"),
            ("s {..}", "::: a", "no mark `{..}`"), ("s {...}", "::: a", "no mark `{...}`"),
            ("s {-1}", "::: a", "no mark `{-1}`"), ("s {1..}", "::: a", "no mark `{1..}`"),
            ("s {3.}", "::: a", "no mark `{3.}`"), ("s {1/..}", "::: a", "no mark `{1/..}`"),
            ("s {= s/a/b/ =}", "::: a", "no mark `{= s/a/b/ =}`"), ("s {2= $_++ =}", "::: a", "no mark `{2= $_++ =}`"),
            ("s {##}", "::: a", "no mark `{##}`"), ("s {%.gz}", "::: a", "no mark `{%.gz}`"),
            ("s {:2}", "::: a", "no mark `{:2}`"), ("s {^x}", "::: a", "no mark `{^x}`"),
            ("s {name.}", "::: a", "names need --header :"), ("s {name/}", "::: a", "names need --header :"),
        ])
    func mistakes(template: String, sources: String, message: String) {
        let found = mistake(template, sources)
        #expect(found?.contains(message) == true, "\(found ?? "nothing")")
    }

    @Test("where values have names a word between braces is one of them, or an error with the nearest")
    func mistypedNames() throws {
        let header = SweepInput.Options(header: ":")
        let nearest = mistake("s {nme}", "::: name a ::: size 1", header)
        #expect(nearest?.contains("no mark `{nme}`; did you mean {name}?") == true, "\(nearest ?? "")")
        #expect(nearest?.contains("{name} {size}") == true, "\(nearest ?? "")")
        #expect(mistake("s {nme/.}", "::: name a", header) != nil)
        #expect(mistake("s {name..}", "::: name a", header) != nil)
        let twice = mistake("s {name}", "::: name a ::: name b", header)
        #expect(twice?.contains("two columns are named `name`") == true, "\(twice ?? "")")
    }

    @Test(
        "what a shell, awk, jq or a pattern has between braces is text",
        arguments: [
            "${HOME}", "${1}", "${#}", "${x%.gz}", #"\{}"#, #"\{3\}"#, "{a,b}", "{1..3}", "{a..z}", "{-5..5}",
            "{01..10..2}",
            "{print $1}", "{print}", "{ cmd; }", "{x}", "{3,}", "{3,5}", "{ }", "{a:.b}", "{\"a\":1}", "{'}",
            "{(.a):1}",
            "{a.b}", "{/foo/p}", "{$1}", "a{", "}", "{{x}}", "{_}", "@{u}",
        ])
    func text(text: String) throws {
        #expect(try commands("s \(text)", "::: v") == ["s \(text) v"])
        #expect(try commands("s \(text) {1}", "::: v") == ["s \(text) v"])
    }

    @Test("a mark within braces that are text is a mark")
    func nested() throws {
        #expect(try commands("s {a{1}b} {{}} ${{1}}", "::: v") == ["s {avb} {v} ${v}"])
    }

    @Test("what looks like a mark in a value is part of the value")
    func marksInValues() throws {
        #expect(try commands("s {1} {2}", "::: {2} {%} ::: {1}") == ["s '{2}' '{1}'", "s '{%}' '{1}'"])
    }

    @Test("without values, and without a mark that wants some, a command is one and all text")
    func noValues() throws {
        #expect(try madeSweep(["echo {x} {3} {%} {name.}"]).command(0) == "echo {x} {3} {%} {name.}")
        #expect(try madeSweep(["awk", "{print $1}", #"\{}"#]).command(0) == #"awk '{print $1}' '\{}'"#)
        #expect(try !SweepInput(["echo {3}"]).readsStandardInputUnasked)
    }
}
