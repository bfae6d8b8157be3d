import Foundation
import Testing

@testable import TaskModel

@Suite("Configuration")
struct ConfigurationTests {
    private func parse(_ json: String) throws(ConfigurationError) -> Configuration {
        try Configuration.parse(Array(json.utf8), file: "conf.json").configuration
    }

    private func problems(_ json: String) throws -> [String] {
        try #require(throws: ConfigurationError.self) { try parse(json) }.problems.map(\.description)
    }

    private func warnings(_ json: String) throws -> [String] {
        try Configuration.parse(Array(json.utf8), file: "conf.json").warnings.map(\.description)
    }

    /// As the old system has it: thirteen keys, whole numbers.
    private static let oldFile = """
        {
            "min_dram_gb_accept_new_task": 8,
            "min_dram_gb_trigger_return": 4,
            "sleep_sec_between_accepting_task": 2,
            "health_report_interval": 60,
            "max_task_per_worker": 16,
            "max_retry_per_task": 2,
            "default_task_timeout_seconds": 7200,
            "task_timeout_check_interval": 15,
            "result_dir": "/data/result",
            "redis_host": "queue.example.org",
            "redis_port": 6380,
            "redis_pass": "s3cret",
            "redis_db": 3
        }
        """

    @Test("a conf.json of the old system loads as it is, and all else has its default")
    func oldConfiguration() throws {
        var expected = Configuration()
        expected.minDramAcceptNewTask = .bytes(8 << 30)
        expected.minDramTriggerReturn = .bytes(4 << 30)
        expected.sleepBetweenAcceptingTaskSeconds = 2
        expected.healthReportIntervalSeconds = 60
        expected.maxTaskPerWorker = 16
        expected.maxRetryPerTask = 2
        expected.defaultTaskTimeoutSeconds = 7200
        expected.taskTimeoutCheckIntervalSeconds = 15
        expected.resultDirectory = "/data/result"
        expected.redisHost = "queue.example.org"
        expected.redisPort = 6380
        expected.redisPassword = "s3cret"
        expected.redisDatabase = 3
        #expect(try parse(Self.oldFile) == expected)
        #expect(try warnings(Self.oldFile).isEmpty)
    }

    /// A file of the repository these tests are in.
    private func repositoryFile(_ name: String) throws -> [UInt8] {
        var folder = URL(filePath: #filePath)
        while folder.pathComponents.count > 1,
            !FileManager.default.fileExists(atPath: folder.appending(path: "conf.json").path)
        {
            folder.deleteLastPathComponent()
        }
        return Array(try Data(contentsOf: folder.appending(path: name)))
    }

    @Test("docs/OPERATIONS.md has a row for every setting, which says whether it is taken live")
    func documented() throws {
        let page = String(decoding: try repositoryFile("docs/OPERATIONS.md"), as: UTF8.self)
        let rows = page.split(separator: "\n").drop { $0 != "## Settings" }.prefix { !$0.hasPrefix("### ") }
        var isLive: [String: Bool] = [:]
        for row in rows where row.hasPrefix("| `") {
            let cells = row.split(separator: "|", omittingEmptySubsequences: false)
            for key in cells[1].split(separator: "`") where key.allSatisfy({ $0.isLetter || $0 == "_" }) {
                isLive[String(key)] = cells[3] == " yes "
            }
        }
        let settings = try Configuration.parse(Array("{}".utf8), file: "defaults").settings
        #expect(isLive == Dictionary(uniqueKeysWithValues: settings.map { ($0.key, $0.appliesLive) }))
    }

    @Test("the repository's conf.json names every setting, each with its default, and loads without a warning")
    func shippedConfiguration() throws {
        let bytes = try repositoryFile("conf.json")
        let loaded = try Configuration.parse(bytes, file: "conf.json")
        let (configuration, warnings) = (loaded.configuration, loaded.warnings)
        #expect(configuration == Configuration())
        #expect(warnings.isEmpty)
        guard case .object(let members) = try JSONReader.read(bytes).content else {
            Issue.record("no object")
            return
        }
        #expect(members.map(\.name) == Configuration.keys)
        for total in [UInt64(256) << 20, 16 << 30, 4 << 40] {
            #expect(configuration.problems(onMachineWithMemoryBytes: total, file: "conf.json").isEmpty)
        }
    }

    @Test("an empty object is all defaults")
    func empty() throws {
        #expect(try parse("{}") == Configuration())
        #expect(try parse(" {\n} ") == Configuration())
    }

    @Test("every new setting is read")
    func newSettings() throws {
        let configuration = try parse(
            """
            {"min_dram_gb_accept_new_task": "12.5%", "min_dram_gb_trigger_return": "512M", "max_task_per_worker": null,
             "sleep_sec_between_accepting_task": 0.25, "default_task_timeout_seconds": 0, "redis_pass": "",
             "redis_url": "unix:///run/redis.sock", "redis_user": "node", "redis_pass_file": "/etc/secret",
             "redis_sentinels": [], "redis_tls": false, "allow_insecure_redis": true, "key_prefix": "{q1}:",
             "node_name": "node-1.rack_2", "labels": ["ssd", "rack.2"],
             "resources": {"gpu": ["GPU-0a1b", "MIG-1/2"], "licence": 4, "scratch_gb": 0.5}, "state_dir": "/s", "stop_grace_seconds": 1, "lease_seconds": 2.5,
             "when_cut_off": "kill", "retry_delay_seconds": 0, "reserve_after_seconds": 0.5, "idle_exit_seconds": 90,
             "restart_mode": "keep", "log_level": "debug", "log_format": "json", "metrics_textfile": "/run/d.prom",
             "task_user": "root", "memory_caps": "best-effort", "cpu_limit": "hard", "max_processes_per_task": 64,
             "output_store": "files", "max_output_bytes": 1048576, "task_umask": "0077", "kill_grace_seconds": 0.5, "task_key_file": "/k"}
            """)
        var expected = Configuration()
        expected.minDramAcceptNewTask = .share(partsPerMillion: 125_000)
        expected.minDramTriggerReturn = .bytes(512 << 20)
        expected.sleepBetweenAcceptingTaskSeconds = 0.25
        expected.defaultTaskTimeoutSeconds = 0
        expected.redisURL = "unix:///run/redis.sock"
        expected.redisUser = "node"
        expected.redisPasswordFile = "/etc/secret"
        expected.allowInsecureRedis = true
        expected.keyPrefix = "{q1}:"
        expected.nodeName = "node-1.rack_2"
        expected.labels = ["ssd", "rack.2"]
        expected.resources = [
            "gpu": .devices(["GPU-0a1b", "MIG-1/2"]), "licence": .amount(4000), "scratch_gb": .amount(500),
        ]
        expected.stateDirectory = "/s"
        expected.metricsTextfile = "/run/d.prom"
        expected.stopGraceSeconds = 1
        expected.leaseSeconds = 2.5
        expected.whenCutOff = .kill
        expected.retryDelaySeconds = 0
        expected.reserveAfterSeconds = 0.5
        expected.idleExitSeconds = 90
        expected.restartMode = .keep
        expected.logLevel = .debug
        expected.logFormat = .json
        expected.taskUser = "root"
        expected.memoryCaps = .bestEffort
        expected.cpuLimit = .hard
        expected.maxProcessesPerTask = 64
        expected.outputStore = .files
        expected.maxOutputBytes = 1 << 20
        expected.taskUmask = 0o077
        expected.killGraceSeconds = 0.5
        expected.taskKeyFile = "/k"
        #expect(configuration == expected)
    }

    @Test("all errors are told at once, in the order of the file, each with key, value and what is allowed")
    func allErrors() throws {
        #expect(
            try problems(
                """
                {
                    "redis_port": 99999,
                    "redis_db": -1,
                    "max_task_per_worker": 0,
                    "health_report_interval": -1,
                    "result_dir": 1,
                    "memory_caps": "optional",
                    "min_dram_gb_accept_new_task": NaN,
                    "default_task_timeout_seconds": 1e30,
                    "max_retry_per_task": "three",
                    "node_name": "a b"
                }
                """) == [
                    "conf.json:2:19: redis_port is 99999; allowed: a whole number from 1 to 65535",
                    "conf.json:3:17: redis_db is -1; allowed: a whole number from 0 to 1000000",
                    "conf.json:4:28: max_task_per_worker is 0; allowed: a whole number from 1 to 1000000, or null",
                    "conf.json:5:31: health_report_interval is -1; allowed: seconds, above 0 and at most 86400",
                    "conf.json:6:19: result_dir is 1; allowed: a string that is not empty",
                    "conf.json:7:20: memory_caps is \"optional\"; allowed: \"required\" or \"best-effort\"",
                    "conf.json:8:36: min_dram_gb_accept_new_task is NaN; allowed: GB from 0 to 8388608, fractions "
                        + "allowed, or a string such as \"512M\" or \"10%\" (of the machine)",
                    "conf.json:9:37: default_task_timeout_seconds is 1e30; allowed: seconds from 0 to 1000000000",
                    "conf.json:10:27: max_retry_per_task is \"three\"; allowed: a whole number from 0 to 1000",
                    "conf.json:11:18: node_name is \"a b\"; allowed: a string of 1 to 64 letters, digits, dots, "
                        + "underscores and hyphens, or null",
                ])
    }

    @Test("a problem also tells key, value and place apart")
    func problemParts() throws {
        let error = try #require(throws: ConfigurationError.self) { try parse("{\"redis_port\": 0}") }
        let problem = try #require(error.problems.first)
        #expect(problem.key == "redis_port")
        #expect(problem.value == "0")
        #expect(problem.line == 1)
        #expect(problem.column == 16)
    }

    @Test(
        "a value of the wrong kind or size is refused for every setting", arguments: Configuration.keys,
        [
            #"{"a": null}"#, "[1]", "-1", "1e30", "1000000000000000000000000000000", "NaN", "Infinity", "-Infinity",
            "\"\\u0000\"",
            "1e400",
        ])
    func wrongValues(key: String, value: String) throws {
        let problems = try problems("{\"\(key)\": \(value)}")
        #expect(problems.count == 1)
        #expect(problems.first?.hasPrefix("conf.json:1:") == true)
        #expect(problems.first?.contains(" \(key) is ") == true)
        #expect(problems.first?.contains("; allowed: ") == true)
    }

    @Test(
        "limits are where the message says they are",
        arguments: [
            ("redis_port", ["1", "65535"], ["0", "65536", "6379.0", "\"6379x\"", "\"0\"", "null", "true"]),
            ("redis_db", ["0", "15"], ["-1", "null"]),
            ("max_task_per_worker", ["null", "1", "1000000"], ["0", "1000001", "1.5"]),
            ("max_retry_per_task", ["0", "1000"], ["-1", "1001"]),
            ("health_report_interval", ["0.001", "86400"], ["-0.001", "86400.1"]),
            ("sleep_sec_between_accepting_task", ["0.5", "5"], ["-1", "null"]),
            ("default_task_timeout_seconds", ["0", "0.5", "1e9"], ["-1", "1000000001", "null"]),
            (
                "task_umask", ["\"0\"", "\"022\"", "\"0777\"", "\"777\""],
                ["22", "\"\"", "\"088\"", "\"1000\"", "\"00022\"", "\"+22\""]
            ),
            ("lease_seconds", ["0.1", "86400"], ["0", "86401"]),
            ("kill_grace_seconds", ["0", "3600"], ["3601"]),
            ("max_output_bytes", ["1", "4611686018427387904"], ["0", "4611686018427387905"]),
            ("max_processes_per_task", ["1", "4194304"], ["0", "4194305"]),
            (
                "min_dram_gb_accept_new_task", ["9", "8388608", "\"9GB\"", "\"99%\"", "\"100%\""],
                ["-1", "8388609", "\"-1\"", "\"101%\"", "\"%\"", "\"ten\"", "true", "\"1%%\"", "\"\""]
            ),
            (
                "redis_url", ["\"redis://h\"", "\"unix:///s\"", "null"],
                ["\"\"", "\"h:1\"", "\"redis://\"", "\"rediss://\"", "\"http://h\""]
            ),
            ("key_prefix", ["\"\"", "\"{a}:\""], ["\"a b\"", "\"é\"", "\"\\n\"", "null"]),
            (
                "node_name", ["\"a\"", "null"],
                ["\"\"", "\"a:b\"", "\"a,b\"", "\"é\"", "\"\(String(repeating: "a", count: 65))\""]
            ),
            (
                "labels", ["[]", "[\"ssd\", \"spot\"]"],
                [
                    "\"ssd\"", "[\"\"]", "[\"a b\"]", "[\"!a\"]", "[1]", "null",
                    "[\"\(String(repeating: "a", count: 65))\"]",
                ]
            ),
            (
                "resources",
                ["{}", #"{"gpu": "auto"}"#, #"{"gpu": []}"#, #"{"gpu": 0}"#, #"{"a_1": 0, "b": 1000000}"#],
                [
                    "[]", "null", #"{"licence": "auto"}"#, #"{"gpu": ["a", "a"]}"#, #"{"gpu": ["a,b"]}"#,
                    #"{"gpu": [""]}"#,
                    #"{"gpu": -1}"#, #"{"gpu": 2}"#, #"{"b": 1000001}"#, #"{"GPU": 1}"#, #"{"1a": 1}"#,
                    #"{"a": 1, "a": 2}"#,
                    #"{"gpu": [0]}"#, #"{"gpu": ["a b"]}"#,
                ]
            ),
            ("redis_tls", ["false"], ["0", "\"false\"", "null"]),
            ("log_level", ["\"debug\"", "\"error\""], ["\"DEBUG\"", "\"trace\"", "1"]),
            ("log_format", ["\"auto\"", "\"journal\""], ["\"xml\""]),
            ("metrics_textfile", ["null", "\"/a/b.prom\""], ["\"b.prom\"", "\"/a/b\"", "\"/a/.prom\"", "\"\""]),
            ("when_cut_off", ["\"keep\"", "\"kill\""], ["\"wait\"", "null"]),
            ("cpu_limit", ["\"weight\"", "\"hard\"", "\"pin\""], ["\"soft\"", "null"]),
        ] as [(String, [String], [String])])
    func limits(key: String, allowed: [String], refused: [String]) throws {
        for value in allowed { #expect(throws: Never.self) { try parse("{\"\(key)\": \(value)}") } }
        for value in refused { #expect(try problems("{\"\(key)\": \(value)}").count == 1, "\(value)") }
    }

    @Test("min_dram_gb_trigger_return must be below min_dram_gb_accept_new_task")
    func thresholdRelation() throws {
        #expect(
            try problems(#"{"min_dram_gb_accept_new_task": "5%"}"#) == [
                "conf.json: min_dram_gb_trigger_return is 5% by default; must be below min_dram_gb_accept_new_task, 5%"
            ])
        #expect(throws: Never.self) {
            try parse(#"{"min_dram_gb_accept_new_task": 0.2, "min_dram_gb_trigger_return": 0.1}"#)
        }
        // Wrong by itself: told once, not compared.
        #expect(try problems(#"{"min_dram_gb_accept_new_task": -2, "min_dram_gb_trigger_return": 2}"#).count == 1)
    }

    @Test(
        "values that only the old system took are taken, with a warning that says what is used",
        arguments: [
            (#"{"redis_port": "6400"}"#, #"conf.json:1:16: redis_port is "6400"; 6400 is used"#),
            (#"{"max_task_per_worker": "4"}"#, #"conf.json:1:25: max_task_per_worker is "4"; 4 is used"#),
            (
                #"{"default_task_timeout_seconds": "1.5"}"#,
                #"conf.json:1:34: default_task_timeout_seconds is "1.5"; 1.5 is used"#
            ),
            (
                #"{"sleep_sec_between_accepting_task": 0}"#,
                "conf.json:1:38: sleep_sec_between_accepting_task is 0; 5 is used, its default"
            ),
            (
                #"{"task_timeout_check_interval": "0.0"}"#,
                #"conf.json:1:33: task_timeout_check_interval is "0.0"; 30 is used, its default"#
            ),
            (#"{"result_dir": ""}"#, #"conf.json:1:16: result_dir is ""; "./result" is used, its default"#),
            (
                #"{"min_dram_gb_accept_new_task": 2, "min_dram_gb_trigger_return": 2}"#,
                "conf.json:1:66: min_dram_gb_trigger_return is 2; that is not below min_dram_gb_accept_new_task, 2 GB, so "
                    + "1 GB is used, half of it"
            ),
        ])
    func oldForms(json: String, warning: String) throws {
        #expect(try warnings(json) == [warning])
    }

    @Test("what is used instead is what is in effect")
    func oldFormsInEffect() throws {
        let configuration = try parse(
            #"{"redis_port": "6400", "health_report_interval": 0, "min_dram_gb_accept_new_task": 3, "min_dram_gb_trigger_return": 8}"#
        )
        #expect(configuration.redisPort == 6400)
        #expect(configuration.healthReportIntervalSeconds == Configuration().healthReportIntervalSeconds)
        #expect(configuration.minDramTriggerReturn == .bytes(3 << 29))
        let none = try parse(#"{"min_dram_gb_accept_new_task": 0, "min_dram_gb_trigger_return": 0}"#)
        #expect(none.minDramTriggerReturn == .bytes(0))
        #expect(none.problems(onMachineWithMemoryBytes: 8 << 30, file: "conf.json").isEmpty)
    }

    @Test("an amount and a share are compared on the machine they are for")
    func mixedThresholds() throws {
        let configuration = try parse(#"{"min_dram_gb_accept_new_task": 8}"#)
        #expect(configuration.problems(onMachineWithMemoryBytes: 64 << 30, file: "conf.json").isEmpty)
        #expect(
            configuration.problems(onMachineWithMemoryBytes: 160 << 30, file: "conf.json").map(\.description) == [
                "conf.json: min_dram_gb_trigger_return is 5%, which is not below min_dram_gb_accept_new_task, 8 GB, of "
                    + "this machine's 160 GB"
            ])
        #expect(
            configuration.problems(onMachineWithMemoryBytes: 4 << 30, file: "conf.json").map(\.description) == [
                "conf.json: min_dram_gb_accept_new_task is 8 GB, which is all this machine has (4 GB): it would never "
                    + "take a task"
            ])
    }

    @Test("a share of any amount of memory is computed without overflow")
    func shares() {
        #expect(MemoryThreshold.share(partsPerMillion: 100_000).bytes(ofTotal: 16 << 30) == 1_717_986_918)
        #expect(MemoryThreshold.share(partsPerMillion: 1_000_000).bytes(ofTotal: .max) == .max)
        #expect(MemoryThreshold.share(partsPerMillion: .max).bytes(ofTotal: .max) == .max)
        #expect(MemoryThreshold.bytes(5).bytes(ofTotal: 1) == 5)
        #expect(MemoryThreshold.share(partsPerMillion: 125_000).description == "12.5%")
    }

    @Test("unknown names warn, with the nearest known one; the value is not repeated, it may be a secret")
    func unknownNames() throws {
        #expect(
            try warnings("{\n  \"redis_prot\": 1,\n  \"wibble\": {\"a\": 1},\n  \"redis_password\": \"s3cret\"\n}") == [
                "conf.json:2:3: there is no setting \"redis_prot\", it is ignored; did you mean redis_port?",
                "conf.json:3:3: there is no setting \"wibble\", it is ignored",
                "conf.json:4:3: there is no setting \"redis_password\", it is ignored; did you mean redis_pass?",
            ])
    }

    @Test("a name that comes twice warns, and the last one counts")
    func duplicates() throws {
        let json = #"{"redis_port": 1, "redis_port": 2}"#
        #expect(try parse(json).redisPort == 2)
        #expect(try warnings(json) == ["conf.json:1:19: redis_port is set a second time; the last one counts"])
    }

    @Test(
        "what is said of TLS must make sense together",
        arguments: [
            (#""redis_tls_ca_file": "/c""#, "redis_tls_ca_file is \"/c\"; allowed together with redis_tls: true"),
            (#""redis_tls_server_name": "s""#, "redis_tls_server_name is \"s\"; allowed together with redis_tls: true"),
            (
                #""redis_tls": true, "redis_tls_cert_file": "/c""#,
                "redis_tls_cert_file is \"/c\"; allowed together with redis_tls_key_file"
            ),
            (
                #""redis_url": "rediss://h", "redis_tls_key_file": "/k""#,
                "redis_tls_key_file is \"/k\"; allowed together with redis_tls_cert_file"
            ),
            (
                #""redis_tls": true, "redis_url": "unix:///s""#,
                "redis_tls is true; allowed for a Redis that is reached over the network"
            ),
        ])
    func transport(settings: String, problem: String) throws {
        let told = try problems("{\(settings)}")
        #expect(told.count == 1 && told.first?.hasSuffix(problem) == true, "\(told)")
    }

    @Test("TLS with all its details is taken, by its own setting or by the URL's")
    func transportTaken() throws {
        let details = #""redis_tls_ca_file": "/a", "redis_tls_cert_file": "/c", "redis_tls_key_file": "/k""#
        var expected = Configuration()
        expected.redisTLSAuthorityFile = "/a"
        expected.redisTLSCertificateFile = "/c"
        expected.redisTLSKeyFile = "/k"
        expected.redisURL = "rediss://h"
        #expect(try parse(#"{"redis_url": "rediss://h", \#(details)}"#) == expected)
        expected.redisURL = nil
        expected.redisTLS = true
        expected.redisTLSServerName = "s"
        #expect(try parse(#"{"redis_tls": true, "redis_tls_server_name": "s", \#(details)}"#) == expected)
    }

    @Test("secrets do not appear in messages", arguments: ["redis_pass", "redis_url"])
    func secrets(key: String) throws {
        let error = try #require(throws: ConfigurationError.self) { try parse("{\"\(key)\": [\"s3cret\"]}") }
        #expect(!"\(error) \(error.problems)".contains("s3cret"))
        #expect(error.description.contains("\(key) is a value not shown here; allowed: "))
    }

    @Test(
        "invalid JSON is told with line and column",
        arguments: [
            ("", "conf.json:1:1: this is not valid JSON: found the end, expected a value"),
            (
                "{\n  \"redis_port\": 6379\n  \"redis_db\": 0\n}",
                "conf.json:3:3: this is not valid JSON: found `\"`, expected a comma or a closing brace"
            ),
            ("{\n\n  \"é\": tru\n}", "conf.json:3:8: this is not valid JSON: found `t`, expected a value"),
            (
                "{\r\n  \"a\": 1,\r\n}",
                "conf.json:3:1: this is not valid JSON: found `}`, expected a name in double quotes"
            ),
            ("[]", "conf.json:1:1: found `[]`, expected an object: settings between { and }"),
            ("# x", "conf.json:1:1: this is not valid JSON: found `#`, expected a value"),
        ])
    func invalidJSON(json: String, message: String) throws {
        #expect(try problems(json) == [message])
    }

    @Test("text that is not UTF-8 is told with line and column")
    func invalidText() throws {
        let bytes = Array("{\n \"a\": \"".utf8) + [0xFF]
        let error = try #require(throws: ConfigurationError.self) { try Configuration.parse(bytes, file: "conf.json") }
        #expect(error.description == "conf.json:2:8: this is not valid JSON: found the byte 0xff, expected UTF-8 text")
    }

    @Test("a file of more than a mebibyte is some other file")
    func hugeFile() throws {
        let json = "{}" + String(repeating: " ", count: 1 << 20)
        #expect(try problems(json) == ["conf.json:1:1: found 1048578 bytes, expected at most 1048576"])
    }

    @Test("a hostile configuration cannot write to the terminal through its messages")
    func hostileMessages() throws {
        let error = try #require(throws: ConfigurationError.self) {
            try Configuration.parse(Array("{\"log_level\": \"\u{9b}2J\u{202e}\"}".utf8), file: "a\u{1b}b")
        }
        #expect(error.description.hasPrefix("a\\x1bb:1:15: log_level is \"\\u{9b}2J\\u{202e}\"; allowed: "))
        let warning = try warnings("{\"\u{9b}2J\": 1}")
        #expect(warning == ["conf.json:1:2: there is no setting \"\\u{9b}2J\", it is ignored"])
    }
}
