import Testing

@testable import TaskModel

@Suite("Shapes of commands")
struct CommandShapeTests {
    private func shape(_ commands: String...) throws -> String {
        let shapes = try commands.map { CommandShape(try TaskLine(parsing: "shell:1:0:0:" + $0)) }
        var all = try #require(shapes.first)
        for shape in shapes.dropFirst() {
            #expect(shape.key == all.key)
            all.add(shape)
        }
        return all.text
    }

    @Test("words that differ become stars, words that are shared stay")
    func stars() throws {
        #expect(try shape("./cachesim lru 1G") == "./cachesim lru 1G")
        #expect(try shape("./cachesim lru 1G", "./cachesim lru 4G", "./cachesim fifo 1G") == "./cachesim * *")
        #expect(try shape("a --seed 1 | wc -l", "a --seed 2 | wc -l") == "a --seed * | wc -l")
    }

    @Test("what is quoted is one word, and stays as it is written")
    func quotes() throws {
        #expect(try shape(#"sh -c "a b" 'c d' e\ f"#) == #"sh -c "a b" 'c d' e\ f"#)
        #expect(try shape("sh -c 'a b'", "sh -c 'c d e'") == "sh -c *")
        #expect(try shape("echo 'it is not closed") == "echo 'it is not closed")
        #expect(try shape(#"echo "a \" b" c"#, #"echo "a \" b" d"#) == #"echo "a \" b" *"#)
    }

    @Test("other programs, other types and other numbers of words are other shapes")
    func keys() throws {
        let lines = ["shell:1:0:0:a b", "shell:1:0:0:a", "shell:1:0:0:c b", "python:1:0:0:a b"]
        #expect(Set(try lines.map { CommandShape(try TaskLine(parsing: $0)).key }).count == 4)
        #expect(CommandShape(try TaskLine(parsing: "python:1:0:0:t.py 1")).text == "python: t.py 1")
    }

    @Test("a program given as text is known by its first words")
    func long() throws {
        let text = CommandShape(try TaskLine(parsing: "shell:1:0:0:" + String(repeating: "word ", count: 5000))).text
        #expect(text.utf8.count < 1000 && text.hasSuffix(" …"))
    }
}
