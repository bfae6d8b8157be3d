// Everything a Redis can answer instead of serving, against real servers: what a running node does about it (tasks go on), what
// one that starts says, and what the command line says.

import Glibc
import LinuxSystem
import RedisServerFixture
import Testing

@Suite("a Redis in trouble", .aFewAtATime)
struct RedisTroubleTests {
    /// A node with one task that ends when the test says so.
    private func busyNode(_ fleet: Fleet, _ settings: [String: String] = [:]) async throws -> Node {
        let log = try fleet.scratch.write("log", "")
        chmod(log, 0o666)
        let node = try await fleet.startedNode("a", settings)
        try await fleet.submit(["shell:1:0:0:0:echo held >> \(log); while ! test -e \(log).go; do sleep 0.05; done"])
        try await eventually("it runs", node.log) { fleet.scratch.lines("log") == ["held"] }
        return node
    }

    /// The task ends, is reported once, and has run once.
    private func expectItFinishes(_ node: Node, _ fleet: Fleet) async throws {
        try fleet.scratch.write("log.go", "")
        try await fleet.untilFinished(1)
        #expect(fleet.scratch.lines("log") == ["held"], "it ran once")
        #expect(try await node.stop().status == 0)
    }

    /// One line for whoever typed a command, and exit status 3.
    private func expectRefusal(
        _ fleet: Fleet, saying text: String, _ words: String..., sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let result = try await RunningProgram(
            Products.distcomp, words + ["--redis", fleet.redisURL], in: fleet.scratch
        ).result()
        #expect(result.status == 3, "\(result.errors)", sourceLocation: sourceLocation)
        #expect(result.errorLines.count == 1, "\(result.errors)", sourceLocation: sourceLocation)
        #expect(
            result.errors.contains("Redis at \(fleet.redis.socketPath): ") && result.errors.contains(text),
            "\(result.errors)", sourceLocation: sourceLocation)
    }

    /// A node that does not start: one line, exit status 3.
    private func expectNoStart(
        _ fleet: Fleet, _ settings: [String: String] = [:], place: [String]? = nil, saying text: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let result = try await fleet.node("late", settings).launch(place).result()
        let told = result.errorLines.filter { $0.hasPrefix("distcompd: ") }
        #expect(result.status == 3, "\(result.errors)", sourceLocation: sourceLocation)
        #expect(told.count == 1 && told[0].contains(text), "\(result.errors)", sourceLocation: sourceLocation)
    }

    private func count(_ text: String, in node: Node) -> Int {
        node.log.split(separator: "\n").count { $0.contains(text) }
    }

    @Test("READONLY: a node goes on with its task while its master is a replica, and reports when it is a master again")
    func readOnly() async throws {
        try await withFleet { fleet in
            let node = try await busyNode(fleet)
            _ = try fleet.call("REPLICAOF", "127.0.0.1", "1")
            try await eventually("the node notices", node.log) { node.log.contains("READONLY") }
            try await eventually("it looks for the master", node.log) { node.log.contains("it is a replica") }
            let file = try fleet.scratch.write("more", "shell:1:0:0:true\n")
            try await expectRefusal(fleet, saying: "READONLY", "submit", file)
            try await expectNoStart(fleet, saying: "it is a replica, which takes no writes: its master is wanted")
            _ = try fleet.call("REPLICAOF", "NO", "ONE")
            try await expectItFinishes(node, fleet)
        }
    }

    @Test("LOADING: a node waits for it, at its start too; the command line says so")
    func loading() async throws {
        // Each of the keys takes ten milliseconds to load, until it is told to take none.
        let slow = [
            "appendonly yes", "appendfsync always", "key-load-delay 10000",
            "loading-process-events-interval-bytes 1024",
        ]
        try await withFleet(redis: slow) { fleet in
            let fill = "for i = 1, 6000 do redis.call('SET', 'filler' .. i, string.rep('x', 100)) end"
            _ = try fleet.call("EVAL", fill, "0")
            _ = try fleet.call("BGREWRITEAOF")
            try await eventually("one file of 6,000 keys") {
                try fleet.call("INFO", "persistence").string?.contains("aof_rewrite_in_progress:0") == true
                    && fleet.call("INFO", "persistence").string?.contains("aof_rewrite_scheduled:0") == true
            }
            let node = try await busyNode(fleet)
            fleet.redis.kill9()
            try fleet.redis.launch()
            // Its socket is there from its last life on, and refuses before it is bound anew.
            try await eventually("it answers, but is loading") { isLoading(fleet) }
            let late = try fleet.node("late").launch()
            try await eventually("both wait", node.log + late.errors) {
                [node.log, late.errors].allSatisfy {
                    $0.contains("not ready: LOADING") && $0.contains("; retrying in ")
                }
            }
            try await expectRefusal(fleet, saying: "not ready: LOADING", "status")
            try await hastenLoading(fleet)
            try await eventually("it has loaded") { (try? fleet.redis.client()) != nil }
            try await eventually("the late one is a node", late.errors) {
                try fleet.hash("worker_status")["late"] != nil
            }
            late.send(SIGTERM)
            #expect(try await late.result().status == 0)
            try await expectItFinishes(node, fleet)
        }
    }

    private func isLoading(_ fleet: Fleet) -> Bool {
        do {
            _ = try fleet.redis.client()
            return false
        } catch {
            return "\(error)".contains("LOADING")
        }
    }

    private func hastenLoading(_ fleet: Fleet) async throws {
        let words = ["-s", fleet.redis.socketPath, "CONFIG", "SET", "key-load-delay", "0"]
        let said = try await RunningProgram("/usr/bin/redis-cli", words, in: fleet.scratch).result()
        #expect(said.output == "OK\n")
    }

    @Test("BUSY: a node asks again until the script is killed; the command line says so")
    func busy() async throws {
        try await withFleet(redis: ["busy-reply-threshold 50"]) { fleet in
            let node = try await busyNode(fleet, ["lease_seconds": "600"])
            let blocker = try RunningProgram(
                "/usr/bin/redis-cli", ["-s", fleet.redis.socketPath, "EVAL", "while true do end", "0"],
                in: fleet.scratch)
            try await eventually("the node notices", node.log) { node.log.contains("busy with a script") }
            try await expectRefusal(fleet, saying: "not ready: BUSY", "status")
            try fleet.scratch.write("log.go", "")
            _ = try await RunningProgram(
                "/usr/bin/redis-cli", ["-s", fleet.redis.socketPath, "SCRIPT", "KILL"], in: fleet.scratch
            ).result()
            try await blocker.result()
            try await expectItFinishes(node, fleet)
        }
    }

    @Test("MISCONF: while Redis cannot save, nothing is lost and the log says it once; a submit says it too")
    func cannotSave() async throws {
        try await withFleet(redis: ["save 3600 1", "stop-writes-on-bgsave-error yes"]) { fleet in
            let node = try await busyNode(fleet)
            // A directory where the file should go: the snapshot cannot be put there.
            let obstacle = fleet.redis.directory + "/dump.rdb"
            #expect(mkdir(obstacle, 0o755) == 0)
            func save(succeeding: Bool) async throws {
                _ = try fleet.call("BGSAVE")
                try await eventually("the snapshot") {
                    let status = try fleet.call("INFO", "persistence").string ?? ""
                    return status.contains("rdb_bgsave_in_progress:0")
                        && status.contains("rdb_last_bgsave_status:\(succeeding ? "ok" : "err")")
                }
            }
            try await save(succeeding: false)
            try await eventually("the node notices", node.log) { node.log.contains("it cannot save its data") }
            let file = try fleet.scratch.write("more", "shell:1:0:0:true\n")
            let refused = try await fleet.distcomp("submit", file)
            #expect(refused.status == 1 && refused.errorLines.count == 1, "\(refused.errors)")
            #expect(refused.errors.contains("it cannot save its data"), "\(refused.errors)")
            try fleet.scratch.write("log.go", "")
            try await eventually("the task has ended") { fleet.scratch.tasks(with: "log.go").isEmpty }
            #expect(rmdir(obstacle) == 0)
            try await save(succeeding: true)
            try await expectItFinishes(node, fleet)
            #expect(count("it cannot save its data", in: node) <= 3, "\(node.log)")
        }
    }

    @Test("a Redis that falls silent is given up while the lease still holds, and the task goes on")
    func silent() async throws {
        try await withFleet { fleet in
            let node = try await busyNode(fleet, ["lease_seconds": "12"])
            fleet.redis.pause()
            try await eventually("the node gives it up", node.log) { node.log.contains("no reply for 4 s") }
            fleet.redis.resume()
            try await expectItFinishes(node, fleet)
            #expect(!node.log.contains("the lease is lost"))
        }
    }

    @Test("a password that is changed does not stop what runs; when it is right again the node is back")
    func passwordChanged() async throws {
        try await withFleet { fleet in
            let redis = fleet.redis
            func set(password: String) throws {
                let user = ["SETUSER", "worker", "reset", "on", ">" + password, "~*", "&*", "+@all"]
                #expect(try redis.client().call(.command(.init("ACL", user))).string == "OK")
                _ = try redis.client().call(.command(.init("CLIENT", "KILL", "USER", "worker")))
            }
            try set(password: "s3cret")
            let settings = ["redis_user": #""worker""#, "redis_pass": #""s3cret""#]
            let node = try await busyNode(fleet, settings)
            try set(password: "another")
            try await eventually("the node notices", node.log) { node.log.contains("wrong user name or password") }
            try await expectNoStart(fleet, settings, saying: "wrong user name or password")
            try set(password: "s3cret")
            try await expectItFinishes(node, fleet)
            #expect(!node.log.contains("s3cret"))
        }
    }

    @Test("NOPERM: a user that lacks what a node needs is told at the start; one that loses it later keeps its task")
    func permissions() async throws {
        try await withFleet { fleet in
            func set(_ rules: String...) throws {
                let user = ["SETUSER", "worker"] + rules
                #expect(try fleet.redis.client().call(.command(.init("ACL", user))).string == "OK")
            }
            let settings = ["redis_user": #""worker""#, "redis_pass": #""pw""#]
            try set("reset", "on", ">pw", "~*", "&*", "+@all", "-hset")
            try await expectNoStart(fleet, settings, saying: "this user lacks a permission")
            try set("reset", "on", ">pw", "~*", "&*", "+@all", "-script")
            try await expectNoStart(fleet, settings, saying: "this user lacks a permission: SCRIPT LOAD of ")
            try set("reset", "on", ">pw", "~*", "resetchannels", "+@all")
            try await expectNoStart(fleet, settings, saying: "this user lacks a permission: SUBSCRIBE: NOPERM")

            try set("reset", "on", ">pw", "~*", "&*", "+@all")
            let node = try await busyNode(fleet, settings)
            try set("-hset", "-hdel")
            try await eventually("the node notices", node.log) { node.log.contains("this user lacks a permission") }
            let configuration = try fleet.scratch.write(
                "user.json", #"{"redis_user": "worker", "redis_pass": "pw"}"#)
            let file = try fleet.scratch.write("more", "shell:1:0:0:true\n")
            try await expectRefusal(
                fleet, saying: "this user lacks a permission", "submit", file, "--config", configuration)
            try set("+@all")
            try await expectItFinishes(node, fleet)
        }
    }

    @Test("a Redis that takes no more clients is waited for by a node, and told by the command line")
    func tooManyClients() async throws {
        try await withFleet { fleet in
            let node = try await busyNode(fleet)
            let administrator = try fleet.redis.client()
            #expect(try administrator.call(.command(.init("CONFIG", "SET", "maxclients", "1"))).string == "OK")
            _ = try administrator.call(.command(.init("CLIENT", "KILL", "TYPE", "pubsub")))
            try await eventually("the node notices", node.log) { node.log.contains("max number of clients") }
            try await expectRefusal(fleet, saying: "not ready: ERR max number of clients reached", "status")
            #expect(try administrator.call(.command(.init("CONFIG", "SET", "maxclients", "100"))).string == "OK")
            try await expectItFinishes(node, fleet)
        }
    }

    @Test("a cluster, a sentinel and a Redis that is too old are refused in one line each")
    func unsupported() async throws {
        func expectRefused(_ redis: RedisServerFixture, saying text: String) async throws {
            defer { redis.stop() }
            try await withScratch { scratch in
                let fleet = Fleet(scratch: scratch, redis: redis)
                try await expectRefusal(fleet, saying: text, "status")
                try await expectNoStart(fleet, saying: text)
            }
        }
        try await expectRefused(
            try RedisServerFixture.clusterNode(), saying: "it is part of a Redis Cluster")
        try await expectRefused(
            try SentinelFixture.sentinel(watching: "127.0.0.1 6379"),
            saying: "it is a sentinel: name it in redis_sentinels")
        try await withFleet { fleet in
            let old = try ScriptedServer(
                in: fleet.scratch.path, answering: "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n")
            let place = ["--redis", "unix://\(old.socketPath)"]
            try await expectNoStart(fleet, place: place, saying: "too old: Redis 7 or newer is needed")
            let result = try await RunningProgram(Products.distcomp, ["status"] + place, in: fleet.scratch).result()
            #expect(result.status == 3 && result.errorLines.count == 1)
            #expect(result.errors.contains("too old: Redis 7 or newer is needed"), "\(result.errors)")
        }
    }
}
