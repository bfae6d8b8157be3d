// Which queue a command is about: the settings', the one of --redis, or the private one of a `distcomp run`.

import ArgumentParser
import LinuxSystem
import RedisClient
import TaskModel
import TaskQueue

struct ConnectionOptions: ParsableArguments {
    @OptionGroup var server: ServerOptions

    @Option(
        help: .init(
            "Look at the `distcomp run` that keeps its state there (default: .distcomp, where there is one and no conf.json).",
            valueName: "directory"))
    var state: String?

    /// Opens the queue for `body`; the Redis of a run that is over is started for as long.
    func withQueue<Result>(_ body: (QueueClient) throws -> Result) throws -> Result {
        try server.withQueue(stateDirectory: state ?? server.runBeside(), body)
    }

    /// The same for what is meant for nodes, and not for a run that is over.
    func withFleetQueue<Result>(_ body: (QueueClient) throws -> Result) throws -> Result {
        try server.withQueue(stateDirectory: state, body)
    }
}

/// Where the Redis of a fleet is.
struct ServerOptions: ParsableArguments {
    @Option(help: .init("Settings (default: ./conf.json, then /etc/distcomp/conf.json).", valueName: "file"))
    var config: String?

    @Option(help: .init("redis://[user[:password]@]host[:port][/db] or unix:///path.", valueName: "url"))
    var redis: String?

    /// The state directory of a run that was begun here, where nobody said which queue is meant; that it is taken is said.
    func runBeside() -> String? {
        let usual = ".distcomp"
        guard config == nil, redis == nil, FileSystem.exists(usual + "/lock"), !FileSystem.exists("conf.json"),
            !isToldByEnvironment
        else { return nil }
        standardError.write("distcomp: this is of the run in \(usual); --config or --redis names another queue\n")
        return usual
    }

    /// Whether the environment names a setting, and so perhaps a queue.
    private var isToldByEnvironment: Bool {
        Host.environment.contains { variable in
            let name = String(decoding: variable.prefix { $0 != UInt8(ascii: "=") }, as: UTF8.self)
            return name.hasPrefix(TaskVariables.ownPrefix) && !TaskVariables.isOwn(name)
        }
    }

    /// Opens the queue for `body`: that of the run in `stateDirectory`, where one is given.
    ///
    /// - Parameter change: what else is to be different from the settings.
    func withQueue<Result>(
        stateDirectory: String?, changing change: (inout Configuration) -> Void = { _ in },
        _ body: (QueueClient) throws -> Result
    ) throws -> Result {
        if let stateDirectory { return try withQueue(ofRun: stateDirectory, body) }
        var configuration = try loadConfiguration()
        change(&configuration)
        let target: RedisTarget
        do {
            target = try RedisTarget(configuration, urlFromCommandLine: redis)
        } catch {
            throw CommandError.usage(error.description)
        }
        // Nodes refuse such a Redis. A command only warns: it runs no tasks, and may be needed to find out what is wrong.
        if let problem = OpenRedis.problem(with: target, configuration) {
            standardError.write("distcomp: warning: \(problem)\n")
        }
        let queue = try connected(to: target, prefix: configuration.keyPrefix)
        queue.settings = configuration
        return try body(queue)
    }

    private func connected(to target: RedisTarget, prefix: String) throws(CommandError) -> QueueClient {
        do {
            return try QueueClient(target, prefix: prefix)
        } catch {
            guard case .unreachable(let message) = error, config == nil, redis == nil, !isToldByEnvironment,
                usualConfigurationPath() == nil
            else { throw error }
            throw .unreachable(
                message + "; no queue was named (--redis, --config), and no run was begun here (--state)")
        }
    }

    private func withQueue<Result>(ofRun path: String, _ body: (QueueClient) throws -> Result) throws -> Result {
        guard FileSystem.exists(path + "/lock") else {
            throw CommandError.usage(
                "no run has been started in \(path): `distcomp run FILE --state \(path)` starts one")
        }
        if let directory = try StateDirectory.tryOpen(path, create: false) {
            let redis = try PrivateRedis(in: directory)
            defer { redis.stop() }
            let queue = try QueueClient(.server(redis.endpoint))
            queue.stateOfRun = path
            return try body(queue)
        }
        return try body(try QueueClient(ofRunGoingOnIn: path))
    }

    /// The settings of --config or of the usual files, and of the environment.
    func loadConfiguration() throws -> Configuration {
        var path = config ?? usualConfigurationPath()
        // Only root can read a node's settings; with --redis they are not needed.
        if config == nil, redis != nil, let usual = path, !FileSystem.isReadable(usual) { path = nil }
        let loaded = try loadSettings(path)
        for warning in loaded.warnings { standardError.write("distcomp: \(warning)\n") }
        return loaded.configuration
    }
}

extension QueueClient {
    /// That of a run that is going on, and its Redis with it.
    ///
    /// - Parameter path: of its state directory.
    convenience init(ofRunGoingOnIn path: String) throws(CommandError) {
        let endpoint: RedisEndpoint
        do {
            endpoint = try RedisEndpoint(privateSocket: StateDirectory.socketPath(path))
        } catch {
            throw .usage("cannot look at the run in \(path): \(error)")
        }
        try self.init(.server(endpoint))
    }
}

/// Where settings are looked for when nobody says where.
func usualConfigurationPath() -> String? {
    ["conf.json", Configuration.usualPath].first { FileSystem.exists($0) }
}

/// Reads settings; all that is wrong with them is one error.
func loadSettings(
    _ path: String?, environment: [[UInt8]] = Host.environment
) throws -> LoadedConfiguration {
    do {
        return try Configuration.load(path, environment: environment) { path throws(SystemError) in
            try FileSystem.guardedContents(of: path)
        }
    } catch {
        throw CommandError.usage(error.problems.map(\.description).joined(separator: "\ndistcomp: "))
    }
}
