// Makes a Configuration of the text of a conf.json, or says everything that is wrong with it. Below, each setting is
// one line: key, where it goes, what is allowed (SettingRule.swift).

extension Configuration {
    /// Reads the text of a conf.json; `file` is what messages call it. Settings it does not name keep their defaults.
    ///
    /// Throws all that is wrong with it at once. Warnings are for names that are unknown or come twice.
    public static func parse(
        _ json: [UInt8], file: String
    ) throws(ConfigurationError) -> (configuration: Configuration, warnings: [ConfigurationProblem]) {
        var reader = try ConfigurationReader(json, file: file)
        var configuration = Configuration()
        reader.readAll(into: &configuration)
        reader.checkRelations(configuration)
        reader.warnOfUnknownKeys()
        guard reader.problems.isEmpty else { throw reader.error }
        return (configuration, reader.warnings)
    }

    /// The key of every setting, in the order of the repository's conf.json.
    public static var keys: [String] {
        guard var reader = try? ConfigurationReader(Array("{}".utf8), file: "") else { return [] }
        var configuration = Configuration()
        reader.readAll(into: &configuration)
        return reader.knownKeys
    }

    /// What would be wrong with these settings on a machine with `total` bytes of memory: thresholds given as amounts
    /// and as shares can be compared only there.
    public func problems(onMachineWithMemoryBytes total: UInt64, file: String) -> [ConfigurationProblem] {
        func problem(_ key: String, _ value: MemoryThreshold, _ message: String) -> ConfigurationProblem {
            ConfigurationProblem(
                file: file, line: nil, column: nil, key: key, value: value.description,
                message: "\(key) is \(value), which \(message)")
        }
        let accept = minDramAcceptNewTask.bytes(ofTotal: total)
        let giveBack = minDramTriggerReturn.bytes(ofTotal: total)
        var problems: [ConfigurationProblem] = []
        if giveBack >= accept {
            let message =
                "is not below min_dram_gb_accept_new_task, \(minDramAcceptNewTask), of this machine's "
                + AmountText.memory(total)
            problems.append(problem("min_dram_gb_trigger_return", minDramTriggerReturn, message))
        }
        if accept >= total {
            let message = "is all this machine has (\(AmountText.memory(total))): it would never take a task"
            problems.append(problem("min_dram_gb_accept_new_task", minDramAcceptNewTask, message))
        }
        return problems
    }
}

extension ConfigurationReader {
    /// Settings whose function is still to come. Set to anything but their default they are refused, since a setting
    /// that is silently ignored (TLS above all) is worse than none. Strike a name when its function is there.
    static let keysToCome: Set<String> = [
        "redis_sentinels", "redis_master_name", "redis_tls", "redis_tls_ca_file", "redis_tls_cert_file",
        "redis_tls_key_file", "redis_tls_server_name", "restart_mode", "task_key_file",
    ]

    mutating func readAll(into configuration: inout Configuration) {
        readOldSettings(into: &configuration)
        readRedisSettings(into: &configuration)
        readNodeSettings(into: &configuration)
        readTaskSettings(into: &configuration)
    }

    private mutating func readOldSettings(into configuration: inout Configuration) {
        read("min_dram_gb_accept_new_task", into: &configuration.minDramAcceptNewTask, .memoryThreshold)
        read("min_dram_gb_trigger_return", into: &configuration.minDramTriggerReturn, .memoryThreshold)
        read("sleep_sec_between_accepting_task", into: &configuration.sleepBetweenAcceptingTaskSeconds, .interval)
        read("health_report_interval", into: &configuration.healthReportIntervalSeconds, .interval)
        read("max_task_per_worker", into: &configuration.maxTaskPerWorker, .orNull(.integer(1...1_000_000)))
        read("max_retry_per_task", into: &configuration.maxRetryPerTask, .integer(0...1000))
        read("default_task_timeout_seconds", into: &configuration.defaultTaskTimeoutSeconds, .seconds(0...1e9))
        read("task_timeout_check_interval", into: &configuration.taskTimeoutCheckIntervalSeconds, .interval)
        read("result_dir", into: &configuration.resultDirectory, .text)
        read("redis_host", into: &configuration.redisHost, .text)
        read("redis_port", into: &configuration.redisPort, .integer(1...65535))
        read("redis_pass", into: &configuration.redisPassword, .password)
        read("redis_db", into: &configuration.redisDatabase, .integer(0...1_000_000))
    }

    private mutating func readRedisSettings(into configuration: inout Configuration) {
        read("redis_url", into: &configuration.redisURL, .orNull(.redisURL))
        read("redis_user", into: &configuration.redisUser, .orNull(.text))
        read("redis_pass_file", into: &configuration.redisPasswordFile, .orNull(.text))
        read("redis_sentinels", into: &configuration.redisSentinels, .texts)
        read("redis_master_name", into: &configuration.redisMasterName, .orNull(.text))
        read("redis_tls", into: &configuration.redisTLS, .flag)
        read("redis_tls_ca_file", into: &configuration.redisTLSAuthorityFile, .orNull(.text))
        read("redis_tls_cert_file", into: &configuration.redisTLSCertificateFile, .orNull(.text))
        read("redis_tls_key_file", into: &configuration.redisTLSKeyFile, .orNull(.text))
        read("redis_tls_server_name", into: &configuration.redisTLSServerName, .orNull(.text))
        read("allow_insecure_redis", into: &configuration.allowInsecureRedis, .flag)
        read("key_prefix", into: &configuration.keyPrefix, .keyPrefix)
    }

    private mutating func readNodeSettings(into configuration: inout Configuration) {
        read("node_name", into: &configuration.nodeName, .orNull(.nodeName))
        read("state_dir", into: &configuration.stateDirectory, .text)
        read("stop_grace_seconds", into: &configuration.stopGraceSeconds, .seconds(0...86_400))
        read("lease_seconds", into: &configuration.leaseSeconds, .seconds(0.1...86_400))
        read("when_cut_off", into: &configuration.whenCutOff, .choice())
        read("retry_delay_seconds", into: &configuration.retryDelaySeconds, .seconds(0...86_400))
        read("restart_mode", into: &configuration.restartMode, .choice())
        read("log_level", into: &configuration.logLevel, .choice())
        read("log_format", into: &configuration.logFormat, .choice())
    }

    private mutating func readTaskSettings(into configuration: inout Configuration) {
        read("task_user", into: &configuration.taskUser, .orNull(.text))
        read("memory_caps", into: &configuration.memoryCaps, .choice())
        read("cpu_limit", into: &configuration.cpuLimit, .choice())
        read("max_processes_per_task", into: &configuration.maxProcessesPerTask, .integer(1...4_194_304))
        read("max_output_bytes", into: &configuration.maxOutputBytes, .integer(1...(1 << 62)))
        read("task_umask", into: &configuration.taskUmask, .umask)
        read("kill_grace_seconds", into: &configuration.killGraceSeconds, .seconds(0...3600))
        read("task_key_file", into: &configuration.taskKeyFile, .orNull(.text))
    }

    /// What must hold between settings; a setting that is wrong by itself is not judged twice.
    fileprivate mutating func checkRelations(_ configuration: Configuration) {
        let accept = configuration.minDramAcceptNewTask
        let giveBack = configuration.minDramTriggerReturn
        let thresholds = ["min_dram_gb_trigger_return", "min_dram_gb_accept_new_task"]
        if !wasRefused(thresholds), !giveBack.mayBeBelow(accept) {
            report(thresholds[0], "must be below min_dram_gb_accept_new_task, \(accept)", shown: "\(giveBack)")
        }
        let passwords = ["redis_pass_file", "redis_pass"]
        if !wasRefused(passwords), configuration.redisPasswordFile != nil, configuration.redisPassword != nil {
            report(passwords[0], "allowed together with redis_pass: null")
        }
    }
}

extension MemoryThreshold {
    /// False when it is certain that this is not below `other`. An amount and a share compare only on a machine.
    fileprivate func mayBeBelow(_ other: MemoryThreshold) -> Bool {
        switch (self, other) {
        case (.bytes(let left), .bytes(let right)): left < right
        case (.share(let left), .share(let right)): left < right
        case (.bytes, .share), (.share, .bytes): true
        }
    }
}
