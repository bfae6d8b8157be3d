import Testing
import WebServer

@Suite("pages as text")
struct HTMLTests {
    @Test("what is put into a page is text, whatever it holds")
    func escaping() {
        let hostile = "<script>alert(1)</script> & \"quoted\" 'too'"
        let page: HTML = "<a title=\"\(hostile)\">\(hostile)</a>"
        let text = "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quoted&quot; &#39;too&#39;"
        #expect(page.source == "<a title=\"\(text)\">\(text)</a>")
    }

    @Test("what nobody sees is told by its number, and line breaks and tabs are kept")
    func unseen() {
        let page: HTML = "\("a\u{1b}[2J\u{202e}b\u{0}\u{200b}\u{85}\n\tc")"
        #expect(page.source == "a\\u{1b}[2J\\u{202e}b\\u{0}\\u{200b}\\u{85}\n\tc")
    }

    @Test("a piece of a page is put into another as it is, and pieces of a list one behind the other")
    func pieces() {
        let list = ["<1>", "2"].html { "<li>\($0)</li>" }
        let page: HTML = "<ul>\(list)</ul>\(3)"
        #expect(page.source == "<ul><li>&lt;1&gt;</li><li>2</li></ul>3")
    }

    @Test("an address says what it was given, byte by byte, and is read back as it was")
    func addresses() {
        let line = "shell:1:0:0:a&b=c+d %41 \"é\"\n#?/"
        let address = PageAddress.to("/task", [("line", line), ("none", nil), ("state", "failed")])
        #expect(address.unicodeScalars.allSatisfy { $0.isASCII && $0.value > 32 })
        #expect(!address.contains("none"))
        let query = WebQuery(String(address.split(separator: "?", maxSplits: 1)[1]))
        #expect(query["line"] == line)
        #expect(query["state"] == "failed")
    }

    @Test(
        "a query that is broken is no field, and never a trap",
        arguments: ["a=%", "a=%4", "a=%zz", "a=%ff%fe", "=%", "&&&=&", "a=%C3%28"])
    func broken(text: String) {
        #expect(WebQuery(text)["a"] == nil)
    }

    @Test("a field that is empty is as none, and of two the first counts")
    func fields() {
        #expect(WebQuery("a=&b=1")["a"] == nil)
        #expect(WebQuery("b=1&b=2")["b"] == "1")
        #expect(WebQuery("b")["b"] == nil)
        #expect(WebQuery((0..<1000).map { "f\($0)=1" }.joined(separator: "&"))["f999"] == nil)
    }
}
