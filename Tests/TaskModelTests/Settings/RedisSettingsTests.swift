// The settings that say where Redis is, and with which user and password: many ways to say it, and one at a time.

import Notation
import Testing

@testable import TaskModel

@Suite("Settings of Redis")
struct RedisSettingsTests {
    private func parse(_ json: String) throws(ConfigurationError) -> Configuration {
        try Configuration.parse(Array(json.utf8), file: "conf.json").configuration
    }

    private func problems(_ json: String) throws -> [String] {
        try #require(throws: ConfigurationError.self) { try parse(json) }.problems.map(\.description)
    }

    @Test("redis_pass and redis_pass_file exclude each other")
    func twoPasswords() throws {
        #expect(
            try problems(#"{"redis_pass": "x", "redis_pass_file": "/p"}"#) == [
                "conf.json:1:40: redis_pass_file is \"/p\"; allowed together with redis_pass: null"
            ])
    }

    @Test("sentinels are named by host and port, or not at all")
    func sentinels() throws {
        let json = #"{"redis_sentinels": ["a:7000", "b", "[::1]:7001", "[fe80::1]"], "redis_master_name": "m"}"#
        #expect(
            try parse(json).redisSentinels == [
                ServerAddress(host: "a", port: 7000), ServerAddress(host: "b", port: 26379),
                ServerAddress(host: "::1", port: 7001), ServerAddress(host: "fe80::1", port: 26379),
            ])
        #expect(try parse(#"{"redis_sentinels": null}"#).redisSentinels.isEmpty)
        #expect(try parse(#"{"redis_sentinels": []}"#).redisSentinels.isEmpty)
        let wrong = [
            #""a:1""#, #"[1]"#, #"[""]"#, #"["a:0"]"#, #"["a:65536"]"#, #"["a:"]"#, #"["a:+1"]"#, #"[":1"]"#,
            #"["a b"]"#,
            #"["::1"]"#, #"["[::1"]"#, #"["[::1]1"]"#, #"["redis://a:1"]"#, #"["u:p@a"]"#, #"["u@a:1"]"#,
        ]
        for value in wrong {
            let json = "{\"redis_sentinels\": \(value), \"redis_master_name\": \"m\"}"
            #expect(try problems(json).count == 1, "\(value)")
        }
    }

    @Test("of several sentinels the one that is wrong is named")
    func wrongSentinel() throws {
        let json = #"{"redis_sentinels": ["a", "b", "c:x", "d"], "redis_master_name": "m"}"#
        let problem = try #require(try problems(json).first)
        #expect(problem.contains(#"; element 3, "c:x" is wrong; allowed: an array of strings such as"#), "\(problem)")
    }

    @Test(
        "where Redis is, and the user and password, are set once: a setting that sets them again is named, and no other",
        arguments: [
            (
                #"{"redis_sentinels": ["a"]}"#,
                [
                    "conf.json: redis_master_name is null by default; with redis_sentinels it must be what they call the master"
                ]
            ),
            (
                #"{"redis_master_name": "m"}"#,
                ["conf.json:1:23: redis_master_name is \"m\"; allowed together with redis_sentinels only"]
            ),
            (
                #"{"redis_sentinel_user": "u", "redis_sentinel_pass_file": "/p"}"#,
                [
                    "conf.json:1:25: redis_sentinel_user is \"u\"; allowed together with redis_sentinels only",
                    "conf.json:1:58: redis_sentinel_pass_file is \"/p\"; allowed together with redis_sentinels only",
                ]
            ),
            (
                #"{"redis_url": "redis://u:s3cret@h", "redis_sentinels": ["a"], "redis_master_name": "m"}"#,
                [
                    "conf.json:1:15: redis_url is a value not shown here; allowed together with redis_sentinels: null; they say where Redis is"
                ]
            ),
            (
                #"{"redis_host": "h", "redis_port": 1, "redis_db": 2, "redis_sentinels": ["a"], "redis_master_name": "m"}"#,
                [
                    "conf.json:1:16: redis_host is \"h\"; redis_sentinels says it already: leave this out",
                    "conf.json:1:35: redis_port is 1; redis_sentinels says it already: leave this out",
                ]
            ),
            (
                #"{"redis_host": "h", "redis_port": 1, "redis_db": 2, "redis_url": "redis://h"}"#,
                [
                    "conf.json:1:16: redis_host is \"h\"; redis_url says it already: leave this out",
                    "conf.json:1:35: redis_port is 1; redis_url says it already: leave this out",
                    "conf.json:1:50: redis_db is 2; redis_url says it already: leave this out",
                ]
            ),
            // Wrong by itself: told once.
            (
                #"{"redis_sentinels": ["a"], "redis_master_name": 5}"#,
                ["conf.json:1:49: redis_master_name is 5; allowed: a string that is not empty, or null"]
            ),
        ] as [(String, [String])])
    func contradictions(json: String, expected: [String]) throws {
        #expect(try problems(json) == expected)
    }

    @Test("the defaults of an installed conf.json contradict neither a URL nor sentinels")
    func defaultsBesideOthers() throws {
        let usual = #""redis_host": "127.0.0.1", "redis_port": 6379, "redis_pass": null, "redis_user": "u", "#
        let sentinels = #""redis_sentinels": ["a"], "redis_master_name": "m", "redis_db": 3"#
        for place in [#""redis_url": "redis://h", "redis_db": 0"#, sentinels] {
            #expect(throws: Never.self) { try parse("{\(usual)\(place)}") }
        }
    }
}
