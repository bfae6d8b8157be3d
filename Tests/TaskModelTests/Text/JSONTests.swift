import Foundation
import Testing

@testable import TaskModel

@Suite("JSON")
struct JSONTests {
    // MARK: Writing

    @Test(
        "quotes, backslashes and controls are escaped, all other text is kept",
        arguments: [
            ("", #""""#), ("plain", #""plain""#), (#"a"b\c"#, #""a\"b\\c""#), ("\n\r\t\u{8}\u{c}", #""\n\r\t\b\f""#),
            ("\u{0}\u{1b}\u{1f}", #""\u0000\u001b\u001f""#),
            ("\u{7f}\u{80}\u{9f}\u{a0}", "\"\\u007f\\u0080\\u009f\u{a0}\""),
            ("é 日本 😀 \u{202e}", "\"é 日本 😀 \u{202e}\""), ("12345678\"12345678", #""12345678\"12345678""#),
            ("1234567\n", #""1234567\n""#), ("12345678\u{85}", #""12345678\u0085""#), ("1234567Â", #""1234567Â""#),
        ])
    func quoting(text: String, json: String) {
        #expect(JSONText.quoted(text) == json)
        #expect(JSONText.quoted(bytes: Array(text.utf8)) == Array(json.utf8))
    }

    @Test(
        "bytes that are not UTF-8 become replacement characters, the rest is kept",
        arguments: [
            ([0xFF], "\u{FFFD}"), ([0x41, 0xC3], "A\u{FFFD}"), ([0xC2], "\u{FFFD}"), ([0xE2, 0x82, 0x41], "\u{FFFD}A"),
            ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"), ([0xC2, 0x22], "\u{FFFD}\\\""),
            ([0xF0, 0x9F, 0x98, 0x80, 0x80], "😀\u{FFFD}"),
        ] as [([UInt8], String)])
    func repair(bytes: [UInt8], content: String) {
        #expect(JSONText.quoted(bytes: bytes) == Array("\"\(content)\"".utf8))
    }

    @Test("random bytes are quoted to JSON that Foundation reads as the repaired text")
    func quotingAgainstFoundation() throws {
        var random = SeededGenerator(seed: 1)
        let alphabet = Array("ab\"\\\n\u{1b}\u{7f}é\u{85}日😀".utf8)
        for _ in 0..<500 {
            let bytes = random.bytes(countMax: 60, alphabet: alphabet)
            let json = JSONText.quoted(bytes: bytes)
            let text = try JSONDecoder().decode(String.self, from: Data(json))
            #expect(Array(text.utf8) == Array(String(decoding: bytes, as: UTF8.self).utf8))
        }
    }

    @Test("an object is written in order, with null for what is not there")
    func objects() {
        var writer = JSONObjectWriter()
        #expect(writer.text == "{}")
        writer.field("a", "x\n")
        writer.field("b", String?.none)
        writer.field("c", UInt64.max)
        writer.field("d", 0.1 + 0.2)
        writer.field("e", Double.infinity)
        writer.field("f", 1e300)
        writer.field("g", true)
        writer.field("h", ["x", "y"])
        writer.field("i", json: Array("[1]".utf8))
        writer.field("j", -1.5)
        #expect(
            writer.text == #"{"a":"x\n","b":null,"c":18446744073709551615,"d":0.3,"e":null,"f":1e+300,"g":true,"#
                + #""h":["x","y"],"i":[1],"j":-1.5}"#)
    }

    // MARK: Reading

    @Test("values are read with their kind and place")
    func values() throws {
        let text = #" { "a" : [ null , true , -0.5e1 , 12 ] , "b" : "x\ty" , "b" : {} } "#
        let value = try JSONReader.read(Array(text.utf8))
        #expect(shown(value) == #"{"a":[null,true,-5.0,12],"b":"x\ty","b":{}}"#)
        guard case .object(let members) = value.content else {
            Issue.record("not an object")
            return
        }
        #expect(members.map(\.nameOffset) == [3, 41, 56])
        #expect(members.map(\.value.range) == [9..<38, 47..<53, 62..<64])
    }

    @Test(
        "whole numbers stay whole up to 64 bits; beyond, and with a fraction or exponent, they are doubles",
        arguments: [
            ("0", "0"), ("-0", "0"), ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"), ("9223372036854775808", "9.223372036854776e+18"),
            ("5.0", "5.0"), ("1e2", "100.0"), ("1E-2", "0.01"), ("1e30", "1e+30"), ("1e400", "inf"), ("-1e400", "-inf"),
            ("1e-400", "0.0"), ("NaN", "nan"), ("-Infinity", "-inf"), ("Infinity", "inf"),
        ])
    func numbers(text: String, number: String) throws {
        #expect(shown(try JSONReader.read(Array(text.utf8))) == number)
    }

    @Test(
        "what is not JSON is refused where it goes wrong",
        arguments: [
            ("", 0, "the end", "a value"), ("  ", 2, "the end", "a value"), ("tru", 0, "`t`", "a value"),
            ("nulls", 4, "`s`", "the end of the text"), ("01", 0, "`0`", "a number"), ("-", 0, "`-`", "a number"),
            ("+1", 0, "`+`", "a value"), (".5", 0, "`.`", "a value"),
            ("1.", 2, "the end", "a digit after the decimal point"),
            ("1e", 2, "the end", "a digit in the exponent"), ("[1,]", 3, "`]`", "a value"),
            ("[1 2]", 3, "`2`", "a comma or a closing bracket"), ("{\"a\" 1}", 5, "`1`", "a colon after the name"),
            ("{a:1}", 1, "`a`", "a name in double quotes"), ("{\"a\":1,}", 7, "`}`", "a name in double quotes"),
            ("\"a\nb\"", 2, "`\\n`", "an escape; controls may not stand in a string as they are"),
            ("\"\\x\"", 2, "`x`", "one of \" \\ / b f n r t u after the backslash"),
            ("\"\\u12g4\"", 5, "`g`", "four hexadecimal digits"),
            ("\"\\ud800\"", 1, "half a surrogate pair", "both halves"),
            ("\"\\ud800\\u0041\"", 1, "half a surrogate pair", "both halves"),
            ("\"\\udc00\"", 1, "half a surrogate pair", "both halves"), ("// x\n{}", 0, "`/`", "a value"),
            ("é", 0, "`é`", "a value"), ("\u{FEFF}{}", 0, "`\\u{feff}`", "a value"),
        ])
    func syntax(text: String, offset: Int, found: String, expected: String) throws {
        let error = try #require(throws: JSONError.self) { try JSONReader.read(Array(text.utf8)) }
        #expect(error.offset == offset)
        #expect(error.found == found)
        #expect(error.expected == expected)
    }

    @Test("a hundred thousand brackets end as an error, not as the stack", arguments: ["[", "{\"a\":"])
    func depth(opening: String) throws {
        let bomb = Array(String(repeating: opening, count: 100_000).utf8)
        let error = try #require(throws: JSONError.self) { try JSONReader.read(bomb) }
        #expect(error.expected == "at most 64 levels of nesting")
        let deepest = String(repeating: "[", count: 64) + String(repeating: "]", count: 64)
        #expect(throws: Never.self) { try JSONReader.read(Array(deepest.utf8)) }
    }

    @Test("random documents: what Foundation refuses we refuse, what we take means the same to Foundation")
    func readingAgainstFoundation() {
        var random = SeededGenerator(seed: 2)
        var takenCount = 0
        for _ in 0..<4000 {
            var document = Array(randomDocument(depth: 3, &random).utf8)
            if Int.random(in: 0..<3, using: &random) == 0, !document.isEmpty {
                document[Int.random(in: 0..<document.count, using: &random)] = Array("{}[]\",:0e-. \\utn".utf8)
                    .randomElement(using: &random)!
            }
            let foundation = try? JSONSerialization.jsonObject(with: Data(document), options: .fragmentsAllowed)
            // Foundation refuses numbers that are too large for a double; to us they are infinite.
            guard let value = try? JSONReader.read(document), !hasInfinity(value) else { continue }
            takenCount += 1
            #expect(foundation != nil, "\(String(decoding: document, as: UTF8.self))")
            guard let foundation else { continue }
            #expect(sameMeaning(value, foundation), "\(String(decoding: document, as: UTF8.self))")
        }
        #expect(takenCount > 2000)
    }

    private func randomDocument(depth: Int, _ random: inout SeededGenerator) -> String {
        switch Int.random(in: 0..<(depth > 0 ? 8 : 6), using: &random) {
        case 0: return ["null", "true", "false"].randomElement(using: &random)!
        case 1: return String(Int.random(in: -1000...1000, using: &random))
        case 2: return String(Double.random(in: -1000...1000, using: &random))
        case 3: return ["1e5", "-0", "0.0", "2E+3", "1e-7", "9223372036854775807"].randomElement(using: &random)!
        case 4, 5: return JSONText.quoted(bytes: random.bytes(countMax: 8, alphabet: Array("aé\\\"\n/".utf8))).text
        case 6:
            let count = Int.random(in: 0...3, using: &random)
            return "[" + (0..<count).map { _ in randomDocument(depth: depth - 1, &random) }.joined(separator: ", ")
                + "]"
        default:
            let count = Int.random(in: 0...3, using: &random)
            let members = (0..<count).map { "\"k\($0)\" : " + randomDocument(depth: depth - 1, &random) }
            return "{" + members.joined(separator: ",") + "}"
        }
    }

    private func hasInfinity(_ value: JSONValue) -> Bool {
        switch value.content {
        case .number(let number): number.isInfinite
        case .array(let elements): elements.contains(where: hasInfinity)
        case .object(let members): members.contains { hasInfinity($0.value) }
        default: false
        }
    }

    private func sameMeaning(_ value: JSONValue, _ foundation: Any) -> Bool {
        switch value.content {
        case .null: return foundation is NSNull
        case .boolean(let flag): return foundation as? Bool == flag
        case .integer(let number): return (foundation as? NSNumber)?.int64Value == number
        case .number(let number):
            // Foundation's last digit is not always the nearest.
            guard let other = (foundation as? NSNumber)?.doubleValue else { return false }
            return (other - number).magnitude <= number.magnitude * 1e-14
        case .string(let text): return foundation as? String == text
        case .array(let elements):
            guard let others = foundation as? [Any], others.count == elements.count else { return false }
            return zip(elements, others).allSatisfy { sameMeaning($0, $1) }
        case .object(let members):
            guard let others = foundation as? [String: Any] else { return false }
            return members.allSatisfy { member in
                // Of two equal names Foundation keeps one, and does not say which.
                if members.count(where: { $0.name == member.name }) > 1 { return true }
                return others[member.name].map { sameMeaning(member.value, $0) } ?? false
            }
        }
    }

    private func shown(_ value: JSONValue) -> String {
        switch value.content {
        case .null: "null"
        case .boolean(let flag): "\(flag)"
        case .integer(let number): "\(number)"
        case .number(let number): "\(number)"
        case .string(let text): JSONText.quoted(text)
        case .array(let elements): "[" + elements.map(shown).joined(separator: ",") + "]"
        case .object(let members):
            "{" + members.map { "\(JSONText.quoted($0.name)):\(shown($0.value))" }.joined(separator: ",") + "}"
        }
    }
}

extension [UInt8] {
    fileprivate var text: String { String(decoding: self, as: UTF8.self) }
}
