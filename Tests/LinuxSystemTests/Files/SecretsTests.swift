// A secret is read only from where nobody else can, and hidden where others could.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("Files with a secret")
struct SecretFileTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func refusal(_ path: String) -> String {
        do {
            _ = try SecretFile.contents(of: path)
            return "none"
        } catch {
            return "\(error)"
        }
    }

    @Test("a file of ours that nobody else can use is read", arguments: [UInt32(0o600), 0o400])
    func read(mode: UInt32) throws {
        let path = try folder.file("key", "secret".utf8, mode: mode)
        #expect(try SecretFile.contents(of: path) == Array("secret".utf8))
    }

    @Test(
        "a file that others can read or write is refused, with the remedy",
        arguments: [UInt32(0o640), 0o604, 0o620, 0o602, 0o644])
    func shared(mode: UInt32) throws {
        let path = try folder.file("key", "secret".utf8, mode: mode)
        #expect(chmod(path, mode) == 0)
        let expected = "others than its owner can use \(path) (mode \(String(mode, radix: 8))): chmod 600 \(path)"
        #expect(refusal(path) == expected)
    }

    @Test("a file of another user is refused", .enabled(if: Host.isRoot))
    func foreign() throws {
        let path = try folder.file("key", "secret".utf8, mode: 0o600)
        #expect(chown(path, 4242, 4242) == 0)
        #expect(refusal(path) == "\(path) belongs to 4242, who can change it: chown root \(path)")
    }

    @Test("what is no file is refused, and a FIFO is not waited for")
    func noFile() throws {
        let fifo = folder.path + "/fifo"
        #expect(mkfifo(fifo, 0o600) == 0)
        #expect(refusal(fifo) == "\(fifo) is not a file")
        #expect(refusal(folder.path) == "\(folder.path) is not a file")
        #expect(refusal(folder.path + "/none") == "open \(folder.path)/none: No such file or directory")
        let long = try folder.file("long", Array(repeating: 65, count: 5000), mode: 0o600)
        #expect(refusal(long) == "read \(long): File too large")
    }

    @Test("a new one is for us alone, and never in the place of another")
    func create() throws {
        let path = folder.path + "/key"
        try SecretFile.create(path, Array("secret".utf8))
        #expect(try FileSystem.status(of: path).permissions == 0o600)
        #expect(try SecretFile.contents(of: path) == Array("secret".utf8))
        let again = #expect(throws: SystemError.self) { try SecretFile.create(path, [1]) }
        #expect(again?.code == EEXIST)
        #expect(try FileSystem.text(of: path) == "secret")
        let link = folder.path + "/link"
        #expect(symlink(folder.path + "/elsewhere", link) == 0)
        #expect(throws: SystemError.self) { try SecretFile.create(link, [1]) }
        #expect(!FileSystem.exists(folder.path + "/elsewhere"))
    }
}

// MARK: - Arguments

@Test(
    "user and password of a URL are hidden, nothing else is",
    arguments: [
        ("redis://u:s3cret@host:1/2", "redis://********@host:1/2"),
        ("--redis=redis://:s@h", "--redis=redis://**@h"),
        ("unix://u:p@/run/a@b.sock", "unix://**********@b.sock"),
        ("redis://host:1", "redis://host:1"),
        ("mail@example", "mail@example"), ("a@b://c", "a@b://c"), ("", ""), ("://", "://"), ("://@", "://@"),
    ])
func hiddenUserInformation(word: String, hidden: String) {
    var characters = word.utf8.map { CChar(bitPattern: $0) }
    characters.withUnsafeMutableBufferPointer { Host.hideUserInformation(in: $0) }
    #expect(String(decoding: characters.map { UInt8(bitPattern: $0) }, as: UTF8.self) == hidden)
}

@Test(
    "the value of an option is hidden in its own word, or the next word is known to be it",
    arguments: [
        ("--redis_pass=s3cret", "--redis_pass=******", false), ("--redis_pass", "--redis_pass", true),
        ("--redis_password=x", "--redis_password=x", false), ("--redis_pass=", "--redis_pass=", false),
        ("redis_pass", "redis_pass", false),
    ])
func hiddenOptionValue(word: String, hidden: String, nextIsValue: Bool) {
    var characters = word.utf8.map { CChar(bitPattern: $0) }
    let next = characters.withUnsafeMutableBufferPointer { Host.hideValue(of: "--redis_pass", in: $0) }
    #expect(String(decoding: characters.map { UInt8(bitPattern: $0) }, as: UTF8.self) == hidden)
    #expect(next == nextIsValue)
}
