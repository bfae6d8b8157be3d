import TaskModel
import TaskQueue
import Testing

@Suite("Signed lines")
struct TaskKeyTests {
    private let contents = Array("0123456789abcdef0123456789abcdef".utf8)

    private func line(_ text: String) throws -> TaskLine { try TaskLine(parsing: text) }

    @Test("a signature is what openssl makes of prefix, newline and line")
    func form() throws {
        // printf '%s\n%s' q1: 'shell:5:8:2:300:echo hello' | openssl dgst -sha256 -hmac 0123456789abcdef0123456789abcdef
        let signature = try TaskKey(contents: contents, prefix: "q1:").signature(of: line("shell:5:8:2:300:echo hello"))
        #expect(
            signature.map { String(decoding: $0, as: UTF8.self) }
                == "e3947676de403419b6640d73fca265e4307ea178e055aa35e92f4a0b3d2ace6b")
    }

    @Test("a line is accepted with its own signature, by its own key, in its own queue, and not otherwise")
    func acceptance() throws {
        let key = try TaskKey(contents: contents, prefix: "q1:")
        let task = try line("shell:5:8:2:300:echo hello")
        let signature = try #require(key.signature(of: task))
        #expect(key.problem(with: task, signature: signature) == nil)
        #expect(key.problem(with: task, signature: nil) == .missing)
        #expect(key.problem(with: task, signature: []) == .missing)
        for altered in ["shell:5:8:2:300:echo hellp", "shell:5:9:2:300:echo hello", "shell:5:8:2:echo hello"] {
            #expect(key.problem(with: try line(altered), signature: signature) == .wrong)
        }
        let otherKey = try TaskKey(contents: contents.reversed(), prefix: "q1:")
        #expect(otherKey.problem(with: task, signature: signature) == .wrong)
        let otherQueue = try TaskKey(contents: contents, prefix: "q2:")
        #expect(otherQueue.problem(with: task, signature: signature) == .wrong)
    }

    @Test("what is no signature at all is refused like a wrong one")
    func nonsense() throws {
        let key = try TaskKey(contents: contents, prefix: "")
        let task = try line("shell:1:0:0:true")
        let signature = try #require(key.signature(of: task))
        let forgeries: [[UInt8]] = [
            [0], Array("true".utf8), Array(signature.dropLast()), signature + [0x30], signature.map { $0 ^ 0x80 },
            Array(repeating: 0x67, count: 64), Array(repeating: 0x30, count: 64),
            Array(repeating: 0x61, count: 1 << 20),
        ]
        for forgery in forgeries {
            #expect(key.problem(with: task, signature: forgery) == .wrong)
        }
    }

    @Test("a prefix cannot pass for the beginning of a line, nor the other way round")
    func boundary() throws {
        let task = try line("shell:1:0:0:true")
        let signature = try #require(try TaskKey(contents: contents, prefix: "a").signature(of: task))
        for prefix in ["", "a\n", "as", "A"] {
            #expect(try TaskKey(contents: contents, prefix: prefix).problem(with: task, signature: signature) == .wrong)
        }
    }

    @Test("a key of less than 32 bytes is refused, and a newline at its end does not count as part of it")
    func contentsOfFile() throws {
        #expect(throws: TaskKeyError.self) { try TaskKey(contents: Array(self.contents.dropLast()), prefix: "") }
        #expect(throws: TaskKeyError.self) { try TaskKey(contents: [], prefix: "") }
        let task = try line("shell:1:0:0:true")
        let plain = try TaskKey(contents: contents, prefix: "")
        let withNewline = try TaskKey(contents: contents + [0x0A], prefix: "")
        #expect(plain.signature(of: task) == withNewline.signature(of: task))
        let other = try TaskKey(contents: contents + [0x20], prefix: "")
        #expect(plain.signature(of: task) != other.signature(of: task))
    }

    @Test("a new key is 64 hexadecimal digits and never the same twice")
    func newKey() throws {
        var generator = SystemRandomNumberGenerator()
        let keys = (0..<10).map { _ in TaskKey.newContents(using: &generator) }
        #expect(Set(keys).count == 10)
        for key in keys {
            #expect(key.count == 65 && key.last == 0x0A)
            #expect(key.dropLast().allSatisfy { "0123456789abcdef".utf8.contains($0) })
            _ = try TaskKey(contents: key, prefix: "")
        }
    }
}
