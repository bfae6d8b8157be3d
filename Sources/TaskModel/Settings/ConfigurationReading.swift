// Makes a Configuration of the text of a conf.json, or says everything that is wrong with it. What settings there are is in
// SettingTable.swift.

extension Configuration {
    /// Reads the text of a conf.json; `file` is what messages call it. Settings it does not name keep their defaults, and
    /// `environment` (`NAME=value`) overrides it.
    ///
    /// Throws all that is wrong with it at once. Warnings are for names that are unknown or come twice, and for values that only the old
    /// system took.
    public static func parse(
        _ json: [UInt8], file: String, environment: [[UInt8]] = []
    ) throws(ConfigurationError) -> LoadedConfiguration {
        var reader = try ConfigurationReader(json, file: file, environment: environment)
        var configuration = Configuration()
        for setting in Setting.all { reader.read(setting, into: &configuration) }
        reader.settleOldThresholds(&configuration)
        reader.checkRelations(configuration)
        reader.warnOfUnknownKeys()
        guard reader.problems.isEmpty else { throw reader.error }
        let settings = Setting.all.map { setting in
            EffectiveSetting(
                key: setting.key, text: setting.shownText(configuration), origin: reader.origin(of: setting),
                appliesLive: setting.appliesLive, allowed: setting.allowed)
        }
        return LoadedConfiguration(configuration: configuration, warnings: reader.warnings, settings: settings)
    }

    /// The key of every setting, in the order of the repository's conf.json.
    public static var keys: [String] { Setting.all.map(\.key) }

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
        if giveBack >= accept, giveBack > 0 {
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
    /// What must hold between settings; a setting that is wrong by itself is not judged twice.
    fileprivate mutating func checkRelations(_ configuration: Configuration) {
        let accept = configuration.minDramAcceptNewTask
        let giveBack = configuration.minDramTriggerReturn
        let thresholds = ["min_dram_gb_trigger_return", "min_dram_gb_accept_new_task"]
        if !wasRefused(thresholds), !giveBack.mayBeBelow(accept) {
            report(thresholds[0], "must be below min_dram_gb_accept_new_task, \(accept)", shown: "\(giveBack)")
        }
        checkRedisRelations(configuration)
    }

    /// Where Redis is, and the user and password for it, may each be set in one way only.
    private mutating func checkRedisRelations(_ configuration: Configuration) {
        if configuration.redisPasswordFile != nil, configuration.redisPassword != nil {
            reportUnlessRefused("redis_pass_file", with: "redis_pass", "allowed together with redis_pass: null")
        }
        if configuration.redisURL != nil { checkPlace(configuration, isSaidBy: "redis_url") }
        checkTLS(configuration)
        guard !configuration.redisSentinels.isEmpty else {
            let needing = [
                ("redis_master_name", configuration.redisMasterName),
                ("redis_sentinel_user", configuration.redisSentinelUser),
                ("redis_sentinel_pass_file", configuration.redisSentinelPasswordFile),
            ]
            for (key, value) in needing where value != nil {
                reportUnlessRefused(key, with: "redis_sentinels", "allowed together with redis_sentinels only")
            }
            return
        }
        if configuration.redisMasterName == nil {
            let explanation = "with redis_sentinels it must be what they call the master"
            reportUnlessRefused("redis_master_name", with: "redis_sentinels", explanation, shown: "null")
        }
        if configuration.redisURL != nil {
            reportUnlessRefused(
                "redis_url", with: "redis_sentinels",
                "allowed together with redis_sentinels: null; they say where Redis is")
        } else {
            checkPlace(configuration, isSaidBy: "redis_sentinels")
        }
    }

    /// A setting of TLS without TLS is a mistake, and not to be passed over.
    private mutating func checkTLS(_ configuration: Configuration) {
        let url = configuration.redisURL ?? ""
        if configuration.redisTLS, url.hasPrefix("unix://") {
            reportUnlessRefused("redis_tls", with: "redis_url", "allowed for a Redis that is reached over the network")
        }
        let details = [
            ("redis_tls_ca_file", configuration.redisTLSAuthorityFile),
            ("redis_tls_cert_file", configuration.redisTLSCertificateFile),
            ("redis_tls_key_file", configuration.redisTLSKeyFile),
            ("redis_tls_server_name", configuration.redisTLSServerName),
        ]
        if !configuration.redisTLS, !url.hasPrefix("rediss://") {
            for (key, value) in details where value != nil {
                reportUnlessRefused(key, with: "redis_tls", "allowed together with redis_tls: true")
            }
        } else if (configuration.redisTLSCertificateFile == nil) != (configuration.redisTLSKeyFile == nil) {
            let keys = ["redis_tls_cert_file", "redis_tls_key_file"]
            let (given, missing) = configuration.redisTLSKeyFile == nil ? (keys[0], keys[1]) : (keys[1], keys[0])
            reportUnlessRefused(given, with: missing, "allowed together with \(missing)")
        }
    }

    /// Beside `key`, the settings of the old system that say where Redis is may have their defaults, as they do in the conf.json
    /// that is installed; they have no effect then.
    private mutating func checkPlace(_ configuration: Configuration, isSaidBy key: String) {
        let usual = Configuration()
        var differing: [String] = []
        if configuration.redisHost != usual.redisHost { differing.append("redis_host") }
        if configuration.redisPort != usual.redisPort { differing.append("redis_port") }
        if key == "redis_url", configuration.redisDatabase != usual.redisDatabase { differing.append("redis_db") }
        for other in differing {
            reportUnlessRefused(other, with: key, "\(key) says it already: leave this out")
        }
    }

    private mutating func reportUnlessRefused(
        _ key: String, with other: String, _ explanation: String, shown: String = "not set"
    ) {
        if !wasRefused([key, other]) { report(key, explanation, shown: shown) }
    }
}

extension MemoryThreshold {
    /// False when it is certain that this is not below `other`. An amount and a share compare only on a machine.
    fileprivate func mayBeBelow(_ other: MemoryThreshold) -> Bool {
        switch (self, other) {
        case (.bytes(0), _): true  // Nothing is ever given back.
        case (.bytes(let left), .bytes(let right)): left < right
        case (.share(let left), .share(let right)): left < right
        case (.bytes, .share), (.share, .bytes): true
        }
    }
}
