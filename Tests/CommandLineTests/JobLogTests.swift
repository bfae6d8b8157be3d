import Testing

@testable import distcomp

@Suite("job logs of GNU parallel")
struct JobLogTests {
    private static let heading = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n"

    private func log(_ text: String, pieceSize: Int = .max) throws -> JobLog {
        var log = JobLog(named: "par.log")
        try Array(text.utf8).withUnsafeBytes { all in
            for start in stride(from: 0, to: all.count, by: min(pieceSize, max(1, all.count))) {
                try log.read(UnsafeRawBufferPointer(rebasing: all[start..<(start + min(pieceSize, all.count - start))]))
            }
        }
        try log.finish()
        return log
    }

    // Written by GNU parallel 20221122, but for the fifth and sixth.
    private static let example =
        heading + """
            1\t:\t1795944464.118\t     0.020\t0\t4\t0\t0\techo 'a b'; test 'a b' != c
            2\t:\t1795944464.139\t     0.006\t0\t2\t1\t0\techo c; test c != c
            3\t:\t1795944464.149\t     0.022\t0\t5\t0\t0\techo 'it'"'"'s'; test 'it'"'"'s' != c
            5\tn1\t1795944464.161\t     0.000\t0\t2\t0\t9\tsleep 9
            6\t:\t1795944464.171\t     0.000\t0\t2\t0\t0\tprintf 'x\0y'\t1
            7\t:\t1795944464.171\t     0.000\t0\t2\t0\t0\ttrue 1

            """

    @Test("commands that ended with exit 0 have finished, no others", arguments: [1, 7, 1000])
    func finished(pieceSize: Int) throws {
        let log = try log(Self.example, pieceSize: pieceSize)
        for command in [
            "echo 'a b'; test 'a b' != c", #"echo a\ b;  test "a b" != c"#, #"echo 'it'\''s'; test 'it'\''s' != c"#,
            "printf 'x\ny' 1", "true 1",
        ] {
            #expect(log.hasFinished(command), "\(command)")
        }
        for command in ["echo c; test c != c", "sleep 9", "true", "echo a b; test a b != c", "printf x y 1"] {
            #expect(!log.hasFinished(command), "\(command)")
        }
    }

    @Test("the last line of a command counts, and one that was cut off does not")
    func lastLine() throws {
        func line(_ exit: Int, _ command: String) -> String { "1\t:\t1\t1\t0\t0\t\(exit)\t0\t\(command)\n" }
        let log = try log(
            Self.heading + line(1, "a") + line(0, "b") + line(0, "a") + line(2, "b") + "9\t:\t1\t1\t0\t0\t0\t0\tc")
        #expect(log.hasFinished("a") && !log.hasFinished("b") && !log.hasFinished("c"))
        #expect(try !self.log(Self.heading).hasFinished(""))
    }

    @Test("what is no job log says so", arguments: ["", "a\tb\n", "Seq\tHost\n", "shell:1:0:0:true"])
    func noLog(text: String) {
        let error = #expect(throws: SweepError.self) { try log(text) }
        #expect(error?.description.contains("no job log") == true)
    }

    @Test(
        "commands that a shell reads alike are one",
        arguments: [
            ("s 'a b'", #"s a\ b"#), ("s 'a b'", #"s "a b""#), ("s  x\t y ", "s x y"), ("s 'abc'", "s abc"),
            ("s ''", #"s """#), (#"s 'it'"'"'s'"#, #"s it\'s"#), ("s 'größe'", "s größe"),
        ])
    func alike(one: String, other: String) {
        #expect(ShellText.canonical(one) == ShellText.canonical(other))
    }

    @Test(
        "and those that it does not are two",
        arguments: [
            ("s $x", "s '$x'"), (#"s "$x""#, "s '$x'"), ("s a b", "s 'a b'"), ("s *", #"s \*"#), ("A=1 s", "'A=1' s"),
            ("s ''", "s"), ("s a\nb", "s a b"), ("s # it's  x", "s # it's x"), ("cat <<E\na  b\nE", "cat <<E\na b\nE"),
            ("s ~", "s '~'"), ("s a;b", "s 'a;b'"), (#"s "a\b""#, #"s 'ab'"#), ("s {1,2}", "s '{1,2}'"),
        ])
    func different(one: String, other: String) {
        #expect(ShellText.canonical(one) != ShellText.canonical(other))
    }
}
