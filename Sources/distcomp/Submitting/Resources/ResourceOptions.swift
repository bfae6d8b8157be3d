// What each command has of its node besides memory and cores: `--gpus 1 --resources licence=2`.

import ArgumentParser
import LinuxSystem
import TaskModel
import TaskQueue

struct ResourceOptions: ParsableArguments {
    @Option(
        help: .init(
            "Of each command: so many GPUs of its node are its own, or that part of one, such as 2 or 0.5.",
            valueName: "count"))
    var gpus: String?

    @Option(
        help: .init(
            """
            Of each command: so much of what its node has besides ("resources" of the node's conf.json), such as \
            licence=1,scratch_gb=20.
            """, valueName: "name=count,..."))
    var resources: String?

    func validate() throws {
        guard areGiven else { return }
        if let gpus, Self.request(gpus: gpus, nil) == nil {
            throw ValidationError(
                "--gpus \(TerminalText.escaped(gpus)): expected a whole number of GPUs, or a part of one such as 0.5")
        }
        if let resources, Self.request(gpus: nil, resources) == nil {
            throw ValidationError(
                "--resources \(TerminalText.escaped(resources)): expected \(ResourceRequest.expected)")
        }
        if request == nil { throw ValidationError("--resources: say how many GPUs once, by --gpus or as gpu=N") }
    }

    var areGiven: Bool { gpus != nil || resources != nil }

    /// Nil where neither is given.
    var request: ResourceRequest? { areGiven ? Self.request(gpus: gpus, resources) : nil }

    /// By the names of the options, as they were given.
    var given: [(key: String, value: String?)] { [("gpus", gpus), ("resources", resources)] }

    private static func request(gpus: String?, _ resources: String?) -> ResourceRequest? {
        var request = ResourceRequest()
        if let resources {
            guard let read = ResourceRequest(typed: resources) else { return nil }
            request = read
        }
        guard let gpus else { return request }
        guard let count = ResourceRequest.thousandths(gpus), request.add(ResourceRequest.gpu, thousandths: count)
        else { return nil }
        return request
    }
}

extension QueueClient {
    /// What to say of a job whose tasks ask for what no node that is alive has; nil for nothing.
    func noteOfResources(_ job: Job) throws(CommandError) -> String? {
        let request = job.settings.resources
        guard !request.isEmpty else { return nil }
        let alive = try fleet(countingTasks: false).alive.filter { $0.isMeant(by: job) }
        guard !alive.isEmpty, !alive.contains(where: { $0.resources.canHold(request) }) else { return nil }
        return
            "\(job.name): its tasks ask for \(request.words), and no live node has that (\(alive.mostOf(request))): it waits for one"
    }
}

extension Collection<FleetNode> {
    /// Who has most of what is asked for, in words.
    func mostOf(_ request: ResourceRequest) -> String {
        let shares = request.sorted.map { name, _ in
            let most = self.max { $0.thousandths(of: name) < $1.thousandths(of: name) }
            guard let most, most.thousandths(of: name) > 0 else { return "none has \(name)" }
            return "the most, \(most.name), has \(ResourceRequest.amountText(most.thousandths(of: name))) \(name)"
        }
        return shares.joined(separator: "; ")
    }
}

/// What tasks have of devices of which others may have the rest.
struct DeviceParts {
    private(set) var count = 0
    private(set) var thousandths = 0

    mutating func add(_ amount: Int) {
        count += 1
        // Of several devices nobody can ask for a part; what is noted so comes from elsewhere.
        thousandths += min(amount, 1000)
    }
}

extension FleetNode {
    /// What it has of a resource altogether.
    fileprivate func thousandths(of name: String) -> Int { resources.byName[name]?.thousandths ?? 0 }

    /// Whether what its tasks ask for leaves so much.
    func hasLeft(_ request: ResourceRequest) -> Bool { left(of: request) == .enough }

    /// What its tasks leave of what is asked for.
    enum Left { case tooLittle, inParts, enough }

    func left(of request: ResourceRequest) -> Left {
        let all = request.thousandths.map { left(of: $0, for: $1) }
        return all.contains(.tooLittle) ? .tooLittle : all.contains(.inParts) ? .inParts : .enough
    }

    /// Which of its tasks have parts of the same device only the node knows: there is enough where there is however they are laid out.
    private func left(of name: String, for amount: Int) -> Left {
        let asked = resourcesAsked[name] ?? 0
        guard case .devices(let count)? = resources.byName[name] else {
            return amount <= thousandths(of: name) - asked ? .enough : .tooLittle
        }
        let parts = partsAsked[name] ?? DeviceParts()
        let notWhole = count - (asked - parts.thousandths) / 1000
        if amount.isMultiple(of: 1000) {
            if amount / 1000 <= notWhole - parts.count { return .enough }
            return amount / 1000 <= notWhole - (parts.thousandths + 999) / 1000 ? .inParts : .tooLittle
        }
        let left = notWhole * 1000 - parts.thousandths
        if amount > left { return .tooLittle }
        return parts.count < notWhole || amount <= (left + notWhole - 1) / notWhole ? .enough : .inParts
    }

    /// `2/8 gpu 0/4 licence`; where it is known what is used of devices, `2/8 gpu (12.4/640.0 GB, 57 %) 0/4 licence`.
    var resourcesText: String {
        resources.sorted.map { name, total in
            let asked = ResourceRequest.amountText(resourcesAsked[name] ?? 0)
            let used = name == ResourceRequest.gpu ? devicesText : ""
            return "\(asked)/\(ResourceRequest.amountText(total.thousandths)) \(name)\(used)"
        }.joined(separator: " ")
    }

    /// What is used of its devices together, ` (12.4/80.0 GB, 57 %)`; "" where nothing is known.
    private var devicesText: String {
        var parts: [String] = []
        let used = devices.compactMap(\.usedBytes).reduce(0, &+)
        let total = devices.compactMap(\.totalBytes).reduce(0, &+)
        if total > 0 { parts.append("\(gigabytes(used))/\(gigabytes(total)) GB") }
        let percents = devices.compactMap(\.percent)
        if !percents.isEmpty { parts.append("\(percents.reduce(0, +) / percents.count) %") }
        return parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
    }

    private func gigabytes(_ bytes: UInt64) -> String { oneDecimal(Double(bytes) / 1_073_741_824) }

    /// What is used of each of its devices; nil where nothing is known.
    var devicesJSON: [UInt8]? {
        guard !devices.isEmpty else { return nil }
        let objects = devices.map { device in
            var writer = JSONObjectWriter()
            writer.field("device", device.name)
            writer.field("used_bytes", device.usedBytes)
            writer.field("total_bytes", device.totalBytes)
            writer.field("utilization", device.percent.map { Double($0) / 100 })
            return writer.bytes
        }
        return [UInt8(ascii: "[")] + objects.joined(separator: [UInt8(ascii: ",")]) + [UInt8(ascii: "]")]
    }

    /// By name, what there is and what its tasks ask for.
    var resourcesJSON: [UInt8] {
        var writer = JSONObjectWriter()
        for (name, total) in resources.sorted {
            var one = JSONObjectWriter()
            one.field("total", Double(total.thousandths) / 1000)
            one.field("asked", Double(resourcesAsked[name] ?? 0) / 1000)
            writer.field(name, json: one.bytes)
        }
        return writer.bytes
    }
}
