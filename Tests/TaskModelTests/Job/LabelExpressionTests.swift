import TaskModel
import Testing

@Suite("Which nodes a job is for")
struct LabelExpressionTests {
    @Test(
        "not binds closer than &, and that closer than |; what is written back means the same",
        arguments: [
            ("ssd", "ssd"), (" ssd&!spot ", "ssd & !spot"), ("a|b&c", "a | b & c"), ("(a|b)&c", "(a | b) & c"),
            ("!(a&b)", "!(a & b)"), ("!!a", "!!a"), ("(((a)))", "a"), ("a && b || c", "a & b | c"),
            ("!(a | b) & c.d_e-f", "!(a | b) & c.d_e-f"), ("a&(b&c)", "a & (b & c)"),
        ])
    func text(_ written: String, _ read: String) throws {
        let expression = try #require(LabelExpression(text: written))
        #expect(expression.text == read)
        #expect(LabelExpression(text: read) == expression)
    }

    @Test(
        "what is no expression is none",
        arguments: [
            "", " ", "a b", "a &", "| a", "!", "(a", "a)", "a,b", "a & & b", "a\nb", "ä", "a$b", "()", "any",
            "ssd & any",
        ])
    func refused(_ text: String) { #expect(LabelExpression(text: text) == nil) }

    @Test("one of any length or depth is read or refused, and traps nothing")
    func bounds() {
        #expect(LabelExpression(text: String(repeating: "(", count: 1_000_000)) == nil)
        #expect(LabelExpression(text: String(repeating: "!", count: 255) + "a") != nil)
        #expect(LabelExpression(text: String(repeating: "!", count: 256) + "a") == nil)
        // With blanks around its signs it would be too long.
        #expect(LabelExpression(text: String(repeating: "a|", count: 100) + "a") == nil)
    }

    @Test(
        "it is true of a node by its labels",
        arguments: [
            ("ssd & !spot", ["ssd"], true), ("ssd & !spot", ["ssd", "spot"], false), ("ssd & !spot", [], false),
            ("a | b & c", ["a"], true), ("(a | b) & c", ["a"], false), ("(a | b) & c", ["b", "c"], true),
            ("!(a & b)", ["a"], true), ("!(a & b)", ["a", "b"], false), ("!a", [], true), ("ss", ["ssd"], false),
        ])
    func truth(_ text: String, _ labels: [String], _ isTrue: Bool) throws {
        #expect(try #require(LabelExpression(text: text)).matches(Set(labels)) == isTrue)
    }
}
