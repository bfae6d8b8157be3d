// Replies and what they mean, one of each kind at least.

import RedisClient
import Testing

struct RESPVector: Sendable, CustomTestStringConvertible {
    let wire: String
    let value: RESPValue

    init(_ wire: String, _ value: RESPValue) {
        self.wire = wire
        self.value = value
    }

    var testDescription: String { wire.debugDescription }

    static let all: [RESPVector] = scalars + strings + aggregates + attributes

    static let scalars = [
        RESPVector("+OK\r\n", .simpleString("OK")),
        RESPVector("+\r\n", .simpleString("")),
        RESPVector("+größer\r\n", .simpleString("größer")),
        RESPVector("-ERR no such key\r\n", .error(RedisError(code: "ERR", message: "no such key"))),
        RESPVector("-LOADING\r\n", .error(RedisError(code: "LOADING", message: ""))),
        RESPVector(":0\r\n", .integer(0)),
        RESPVector(":-17\r\n", .integer(-17)),
        RESPVector(":9223372036854775807\r\n", .integer(.max)),
        RESPVector(":-9223372036854775808\r\n", .integer(.min)),
        RESPVector("_\r\n", .null),
        RESPVector("#t\r\n", .boolean(true)),
        RESPVector("#f\r\n", .boolean(false)),
        RESPVector(",3.25\r\n", .double(3.25)),
        RESPVector(",-1e-3\r\n", .double(-0.001)),
        RESPVector(",+10\r\n", .double(10)),
        RESPVector(",inf\r\n", .double(.infinity)),
        RESPVector(",-inf\r\n", .double(-.infinity)),
        RESPVector(
            "(3492890328409238509324850943850943825024385\r\n",
            .bigNumber("3492890328409238509324850943850943825024385")),
        RESPVector("(-12\r\n", .bigNumber("-12")),
    ]

    static let strings = [
        RESPVector("$5\r\nhello\r\n", .bulkString(Array("hello".utf8))),
        RESPVector("$0\r\n\r\n", .bulkString([])),
        RESPVector("$-1\r\n", .null),
        RESPVector("$8\r\n\r\n$5\r\n+x\r\n", .bulkString(Array("\r\n$5\r\n+x".utf8))),
        RESPVector("!21\r\nSYNTAX invalid syntax\r\n", .error(RedisError(code: "SYNTAX", message: "invalid syntax"))),
        RESPVector("=15\r\ntxt:Some string\r\n", .verbatimString(format: "txt", bytes: Array("Some string".utf8))),
        RESPVector("=4\r\nmkd:\r\n", .verbatimString(format: "mkd", bytes: [])),
    ]

    static let aggregates = [
        RESPVector("*0\r\n", .array([])),
        RESPVector("*-1\r\n", .null),
        RESPVector("*3\r\n:1\r\n$-1\r\n*-1\r\n", .array([.integer(1), .null, .null])),
        RESPVector("*2\r\n*2\r\n:1\r\n:2\r\n*0\r\n", .array([.array([.integer(1), .integer(2)]), .array([])])),
        RESPVector("~2\r\n+a\r\n+b\r\n", .set([.simpleString("a"), .simpleString("b")])),
        RESPVector("~0\r\n", .set([])),
        RESPVector("%0\r\n", .map([])),
        RESPVector(
            "%2\r\n+a\r\n:1\r\n*1\r\n:5\r\n%1\r\n#t\r\n_\r\n",
            .map([
                RESPMapEntry(key: .simpleString("a"), value: .integer(1)),
                RESPMapEntry(
                    key: .array([.integer(5)]), value: .map([RESPMapEntry(key: .boolean(true), value: .null)])),
            ])),
        RESPVector(
            ">3\r\n+message\r\n$1\r\nc\r\n$2\r\nhi\r\n",
            .push([.simpleString("message"), .bulkString([99]), .bulkString([104, 105])])),
        RESPVector("*1\r\n-ERR inside\r\n", .array([.error(RedisError(code: "ERR", message: "inside"))])),
    ]

    static let attributes = [
        RESPVector("|1\r\n+ttl\r\n:3600\r\n+value\r\n", .simpleString("value")),
        RESPVector("|0\r\n:7\r\n", .integer(7)),
        RESPVector("|1\r\n+a\r\n:1\r\n|1\r\n+b\r\n:2\r\n:7\r\n", .integer(7)),
        RESPVector("|1\r\n+a\r\n%1\r\n|1\r\n+b\r\n*1\r\n:9\r\n+c\r\n:1\r\n*0\r\n", .array([])),
        RESPVector("*3\r\n:1\r\n:2\r\n|1\r\n+ttl\r\n:3600\r\n:3\r\n", .array([.integer(1), .integer(2), .integer(3)])),
        RESPVector(
            "%1\r\n|1\r\n+x\r\n*2\r\n:1\r\n:2\r\n+k\r\n|0\r\n:1\r\n",
            .map([RESPMapEntry(key: .simpleString("k"), value: .integer(1))])),
        RESPVector("|1\r\n+x\r\n:1\r\n>1\r\n+p\r\n", .push([.simpleString("p")])),
    ]
}
