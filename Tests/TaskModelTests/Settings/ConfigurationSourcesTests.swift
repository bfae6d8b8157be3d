import Testing

@testable import TaskModel

@Suite("Where settings come from")
struct ConfigurationSourcesTests {
    private struct NoFile: Error, CustomStringConvertible { let description: String }

    private func load(
        _ path: String? = "conf.json", _ files: [String: String] = [:], environment: [String] = []
    ) throws(ConfigurationError) -> LoadedConfiguration {
        try Configuration.load(path, environment: environment.map { Array($0.utf8) }) { path throws(NoFile) in
            guard let text = files[path] else { throw NoFile(description: "open \(path): No such file or directory") }
            return Array(text.utf8)
        }
    }

    @Test("the environment overrides the file, and words need no quotes")
    func environment() throws {
        let variables = [
            "DISTCOMP_REDIS_PORT=6400", "DISTCOMP_LOG_LEVEL=debug", "DISTCOMP_REDIS_TLS=false", "DISTCOMP_NODE_NAME=7",
            "DISTCOMP_MAX_TASK_PER_WORKER=null", "DISTCOMP_MIN_DRAM_GB_ACCEPT_NEW_TASK=20%",
            "DISTCOMP_REDIS_SENTINELS=[]",
            "PATH=/bin", "REDIS_PORT=1", "DISTCOMP_TASK=1", "DISTCOMP_OUTPUT_DIR=/x",
        ]
        let files = ["conf.json": #"{"redis_port": 6380, "redis_host": "queue", "max_task_per_worker": 3}"#]
        let loaded = try load("conf.json", files, environment: variables)
        #expect(loaded.configuration.redisPort == 6400)
        #expect(loaded.configuration.redisHost == "queue")
        #expect(loaded.configuration.logLevel == .debug)
        #expect(loaded.configuration.nodeName == "7")
        #expect(loaded.configuration.maxTaskPerWorker == nil)
        #expect(loaded.configuration.minDramAcceptNewTask == .share(partsPerMillion: 200_000))
        #expect(loaded.warnings.isEmpty)
    }

    @Test("a variable that is wrong is told by its own name, a secret without its value")
    func wrongVariables() throws {
        let error = try #require(throws: ConfigurationError.self) {
            try load(nil, environment: ["DISTCOMP_REDIS_PORT=high", "DISTCOMP_REDIS_URL=http://user:s3cret@h"])
        }
        #expect(
            error.description == """
                environment: DISTCOMP_REDIS_PORT is high; allowed: a whole number from 1 to 65535
                environment: DISTCOMP_REDIS_URL is a value not shown here; allowed: a string that begins with redis://, \
                rediss:// or unix://, or null
                """)
    }

    @Test("a variable that means nothing warns, with the nearest that does")
    func unknownVariables() throws {
        let loaded = try load(nil, environment: ["DISTCOMP_REDIS_PROT=1", "DISTCOMPX=1", "DISTCOMP_", "DISTCOMP_Q=2"])
        #expect(
            loaded.warnings.map(\.description) == [
                "environment: there is no setting for DISTCOMP_, it is ignored",
                "environment: there is no setting for DISTCOMP_Q, it is ignored",
                "environment: there is no setting for DISTCOMP_REDIS_PROT, it is ignored; did you mean DISTCOMP_REDIS_PORT?",
            ])
    }

    @Test("each setting tells its value and where that is from; secrets are not shown")
    func origins() throws {
        let files = ["c": "{\n \"redis_pass\": \"s3cret\",\n \"task_umask\": \"27\", \"lease_seconds\": 2.50}"]
        let loaded = try load("c", files, environment: ["DISTCOMP_REDIS_DB=2"])
        func shown(_ key: String) -> String? {
            loaded.settings.first { $0.key == key }.map { "\($0.text) \($0.origin)" }
        }
        #expect(shown("redis_pass") == "\"(not shown)\" c:2")
        #expect(shown("task_umask") == "\"027\" c:3")
        #expect(shown("lease_seconds") == "2.5 c:3")
        #expect(shown("redis_db") == "2 DISTCOMP_REDIS_DB")
        #expect(shown("redis_host") == "\"127.0.0.1\" default")
        #expect(shown("min_dram_gb_accept_new_task") == "\"10%\" default")
        #expect(loaded.settings.map(\.key) == Configuration.keys)
    }

    @Test("every setting's value, as it is shown, can be read again and means the same")
    func roundTrip() throws {
        let shown = try load(nil).settings.map { "\"\($0.key)\": \($0.text)" }.joined(separator: ",\n")
        #expect(try load("c", ["c": "{\(shown)}"]).configuration == Configuration())
    }

    @Test("a file that cannot be read is an error that names it")
    func missingFile() throws {
        let error = try #require(throws: ConfigurationError.self) { try load("conf.json") }
        #expect(error.description == "conf.json: open conf.json: No such file or directory")
    }

    @Test("a running daemon takes the settings that apply live, also back to their default, and names those that wait")
    func liveSettings() throws {
        var running = Configuration()
        running.maxTaskPerWorker = 4
        running.redisHost = "old"
        var new = Configuration()
        new.killGraceSeconds = 1
        new.redisHost = "new"
        let change = running.takingLiveSettings(of: new)
        #expect(change.configuration.maxTaskPerWorker == nil)
        #expect(change.configuration.killGraceSeconds == 1)
        #expect(change.configuration.redisHost == "old")
        #expect(change.taken == ["max_task_per_worker", "kill_grace_seconds"])
        #expect(change.waiting == ["redis_host"])
    }
}
