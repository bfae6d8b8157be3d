// What of a command line is hidden, and what is left for ps(1) to show.

import Testing

@testable import LinuxSystem

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
