// What the old system took as the value of a setting, though no setting of ours is written so: its files load as they are. Whoever
// starts with one is told what is used instead.

/// What is used for a value that only the old system took.
enum OldForm {
    /// This value, which says the same.
    case sameAs(JSONValue.Content)
    /// The setting's default: the value would be of no use to us.
    case byDefault
}

extension Setting {
    private static let oldKeys = Set(old.map(\.key))
    private static let intervals: Set = [
        "sleep_sec_between_accepting_task", "health_report_interval", "task_timeout_check_interval",
    ]

    /// nil for what the old system did not take either.
    func oldForm(of content: JSONValue.Content) -> OldForm? {
        guard Self.oldKeys.contains(key) else { return nil }
        // It slept for no time at all between two looks, and wrote to the directory it was started in.
        if Self.intervals.contains(key), content.double == 0 { return .byDefault }
        guard case .string(let text) = content else { return nil }
        if key == "result_dir", text.isEmpty { return .byDefault }
        guard let number = try? JSONReader.read(Array(text.utf8)).content, number.double != nil else { return nil }
        return oldForm(of: number) ?? .sameAs(number)
    }
}

extension ConfigurationReader {
    /// Takes a value as the old system did, with a warning; whether it could.
    mutating func readOldForm(
        _ setting: Setting, _ member: JSONMember, into configuration: inout Configuration
    ) -> Bool {
        guard let form = setting.oldForm(of: member.value.content) else { return false }
        switch form {
        case .sameAs(let content):
            guard setting.read(content, &configuration) else { return false }
            warn(member.value, of: setting.key, "\(setting.text(configuration)) is used")
        case .byDefault:
            warn(member.value, of: setting.key, "\(setting.text(configuration)) is used, its default")
        }
        return true
    }

    /// The old system gave tasks back above the amount at which it took new ones, if it was told to. Half of that amount is what comes
    /// nearest to it and lets tasks run.
    mutating func settleOldThresholds(_ configuration: inout Configuration) {
        let key = "min_dram_gb_trigger_return"
        guard case .bytes(let accept) = configuration.minDramAcceptNewTask,
            case .bytes(let giveBack) = configuration.minDramTriggerReturn, giveBack >= accept, giveBack > 0,
            !wasRefused([key, "min_dram_gb_accept_new_task"]), let member = member(key)
        else { return }
        configuration.minDramTriggerReturn = .bytes(accept / 2)
        warn(
            member.value, of: key,
            "that is not below min_dram_gb_accept_new_task, \(configuration.minDramAcceptNewTask), so "
                + "\(configuration.minDramTriggerReturn) is used, half of it")
    }
}
