// What the programs people run write when they fail, as they wrote it.

import TaskModel
import Testing

@Suite("The line of an error")
struct ErrorTextTests {
    @Test(
        "is the one that names it, whatever a language prints around it",
        arguments: [
            ("exit.sh", "reading\nno such trace\n", "no such trace"),
            (
                "Java",
                "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space\n\tat Fill.grow(Fill.java:9)\n"
                    + "\tat Fill.main(Fill.java:4)\n",
                "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space"
            ),
            (
                "Java, with a cause",
                "Exception in thread \"main\" java.lang.RuntimeException: no\n\tat A.main(A.java:3)\n"
                    + "Caused by: java.io.IOException: disk\n\tat A.b(A.java:7)\n\t... 1 more\n",
                "Caused by: java.io.IOException: disk"
            ),
            (
                "Python",
                "Traceback (most recent call last):\n  File \"a.py\", line 3, in <module>\n    f()\n    ~^^\n"
                    + "ValueError: no\n", "ValueError: no"
            ),
            (
                "Rust",
                "\nthread 'main' (4711) panicked at src/main.rs:2:5:\nindex out of bounds: the len is 3\n"
                    + "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n",
                "index out of bounds: the len is 3"
            ),
            (
                "Rust, with a trace",
                "thread 'main' panicked at src/main.rs:2:5:\nno\nstack backtrace:\n   0: rust_begin_unwind\n"
                    + "             at /rustc/1/library/std/src/panicking.rs:697:5\nnote: Some details are omitted\n",
                "no"
            ),
            (
                "C++",
                "terminate called after throwing an instance of 'std::runtime_error'\n  what():  bad trace\n"
                    + "Aborted (core dumped)\n", "what():  bad trace"
            ),
            (
                "Go",
                "panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n"
                    + "\t/tmp/x.go:8 +0x1d\nexit status 2\n",
                "panic: runtime error: index out of range [5] with length 3"
            ),
            ("R", "Error in f() : no\nCalls: g -> f\nExecution halted\n", "Error in f() : no"),
            (
                "Node.js",
                "/tmp/a.js:1\nthrow new Error('no')\n^\n\nError: no\n    at Object.<anonymous> (/tmp/a.js:1:7)\n\n"
                    + "Node.js v20.1.0\n", "Error: no"
            ),
        ])
    func ofLanguages(_ language: String, _ text: String, _ line: String) {
        #expect(ErrorText.line(in: text).map { String($0) } == line, "\(language)")
    }

    @Test("is the last one where none stands out, and none where nothing was written")
    func otherwise() {
        #expect(ErrorText.line(in: "\tat A.b(A.java:7)\n\tat A.c(A.java:8)\n") == "at A.c(A.java:8)")
        #expect(ErrorText.line(in: "Aborted\n") == "Aborted")
        #expect(ErrorText.line(in: "goroutine 1 [running]:\nmain.main()\n") == "main.main()")
        #expect(ErrorText.line(in: "") == nil)
        #expect(ErrorText.line(in: "\n  \n") == nil)
    }

    @Test("is kept before the end of what was written, if it stands before that")
    func endKeepsIt() {
        let frames = (1...200).map { "\tat Deep.down(Deep.java:\($0))\n" }.joined()
        let text = "starting\nException in thread \"main\" java.lang.StackOverflowError\n" + frames
        let end = ErrorText.end(of: Array(text.utf8), bytesMax: 500)
        #expect(
            end.hasPrefix("Exception in thread \"main\" java.lang.StackOverflowError\n  [...]\n\tat Deep"), "\(end)")
        #expect(end.hasSuffix("\tat Deep.down(Deep.java:200)\n") && end.utf8.count <= 500)
        #expect(ErrorText.line(in: end) == "Exception in thread \"main\" java.lang.StackOverflowError")

        let long = String(repeating: "x", count: 600) + "\n" + frames
        #expect(ErrorText.end(of: Array(long.utf8), bytesMax: 500) == String(long.suffix(500)))
        #expect(ErrorText.end(of: Array("a\nb\n".utf8), bytesMax: 3) == "\nb\n")
        #expect(ErrorText.end(of: [], bytesMax: 500) == "")
    }
}
