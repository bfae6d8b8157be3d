// Every setting, one line each: key, where it goes, what is allowed (SettingRule.swift), and `live` where a running daemon takes
// a new value. In the order of the repository's conf.json.

extension Setting {
    static var all: [Setting] { old + redis + node + task }

    /// Those of the old system.
    static var old: [Setting] {
        [
            Setting("min_dram_gb_accept_new_task", \.minDramAcceptNewTask, .memoryThreshold, live: true),
            Setting("min_dram_gb_trigger_return", \.minDramTriggerReturn, .memoryThreshold),
            Setting("sleep_sec_between_accepting_task", \.sleepBetweenAcceptingTaskSeconds, .interval, live: true),
            Setting("health_report_interval", \.healthReportIntervalSeconds, .interval, live: true),
            Setting("max_task_per_worker", \.maxTaskPerWorker, .orNull(.integer(1...1_000_000)), live: true),
            Setting("max_retry_per_task", \.maxRetryPerTask, .integer(0...1000), live: true),
            Setting("default_task_timeout_seconds", \.defaultTaskTimeoutSeconds, .seconds(0...1e9), live: true),
            Setting("task_timeout_check_interval", \.taskTimeoutCheckIntervalSeconds, .interval, live: true),
            Setting("result_dir", \.resultDirectory, .text),
            Setting("redis_host", \.redisHost, .text),
            Setting("redis_port", \.redisPort, .integer(1...65535)),
            Setting("redis_pass", \.redisPassword, .password),
            Setting("redis_db", \.redisDatabase, .integer(0...1_000_000)),
        ]
    }

    private static var redis: [Setting] {
        [
            Setting("redis_url", \.redisURL, .orNull(.redisURL)),
            Setting("redis_user", \.redisUser, .orNull(.text)),
            Setting("redis_pass_file", \.redisPasswordFile, .orNull(.text)),
            Setting("redis_sentinels", \.redisSentinels, .serverAddresses(defaultPort: 26379)),
            Setting("redis_master_name", \.redisMasterName, .orNull(.text)),
            Setting("redis_sentinel_user", \.redisSentinelUser, .orNull(.text)),
            Setting("redis_sentinel_pass_file", \.redisSentinelPasswordFile, .orNull(.text)),
            Setting("redis_tls", \.redisTLS, .flag),
            Setting("redis_tls_ca_file", \.redisTLSAuthorityFile, .orNull(.text)),
            Setting("redis_tls_cert_file", \.redisTLSCertificateFile, .orNull(.text)),
            Setting("redis_tls_key_file", \.redisTLSKeyFile, .orNull(.text)),
            Setting("redis_tls_server_name", \.redisTLSServerName, .orNull(.text)),
            Setting("allow_insecure_redis", \.allowInsecureRedis, .flag),
            Setting("key_prefix", \.keyPrefix, .keyPrefix),
        ]
    }

    private static var node: [Setting] {
        [
            Setting("node_name", \.nodeName, .orNull(.nodeName)),
            Setting("labels", \.labels, .labels, live: true),
            Setting("resources", \.resources, .resources),
            Setting("state_dir", \.stateDirectory, .text),
            Setting("stop_grace_seconds", \.stopGraceSeconds, .seconds(0...86_400), live: true),
            Setting("lease_seconds", \.leaseSeconds, .seconds(0.1...86_400)),
            Setting("when_cut_off", \.whenCutOff, .choice(), live: true),
            Setting("retry_delay_seconds", \.retryDelaySeconds, .seconds(0...86_400), live: true),
            Setting("reserve_after_seconds", \.reserveAfterSeconds, .seconds(0...1e9), live: true),
            Setting("idle_exit_seconds", \.idleExitSeconds, .seconds(0...1e9), live: true),
            Setting("restart_mode", \.restartMode, .choice(), live: true),
            Setting("results_keep_days", \.resultsKeepDays, .days(0...36_500), live: true),
            Setting("results_keep_count", \.resultsKeepCount, .integer(0...1_000_000_000), live: true),
            Setting("results_redis_bytes_max", \.resultsRedisBytesMax, .integer(0...(1 << 50)), live: true),
            Setting("log_level", \.logLevel, .choice(), live: true),
            Setting("log_format", \.logFormat, .choice()),
            Setting("metrics_textfile", \.metricsTextfile, .orNull(.metricsFile), live: true),
        ]
    }

    private static var task: [Setting] {
        [
            Setting("task_user", \.taskUser, .orNull(.text)),
            Setting("memory_caps", \.memoryCaps, .choice()),
            Setting("cpu_limit", \.cpuLimit, .choice(), live: true),
            Setting("max_processes_per_task", \.maxProcessesPerTask, .integer(1...4_194_304), live: true),
            Setting("output_store", \.outputStore, .choice()),
            Setting("max_output_bytes", \.maxOutputBytes, .integer(1...(1 << 62))),
            Setting("task_umask", \.taskUmask, .umask),
            Setting("kill_grace_seconds", \.killGraceSeconds, .seconds(0...3600), live: true),
            Setting("task_key_file", \.taskKeyFile, .orNull(.text)),
        ]
    }
}
