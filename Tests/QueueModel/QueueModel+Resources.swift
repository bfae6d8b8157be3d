// What tasks ask for besides memory and cores, said plainly: one task after the other gets what is free, or does not.

import RedisClient
import TaskModel

/// What is free on a node, as its claim says.
public struct FreeResources: Equatable, Sendable {
    /// In thousandths.
    public private(set) var amounts: [String: Int] = [:]
    /// Of each device what is left.
    public private(set) var devices: [String: [Int]] = [:]

    /// Reads `gpu@1000,500 licence:3000`.
    public init(text: String) {
        for word in text.split(separator: " ") {
            if let at = word.firstIndex(of: "@") {
                devices[String(word[..<at])] = word[word.index(after: at)...].split(separator: ",").compactMap {
                    Int($0)
                }
            } else if let colon = word.firstIndex(of: ":") {
                amounts[String(word[..<colon])] = Int(word[word.index(after: colon)...])
            }
        }
    }

    /// Gives a task what it asks for; says whether all of it was free, and gives nothing where it was not.
    public mutating func take(_ request: ResourceRequest) -> Bool {
        var left = self
        for (name, amount) in request.sorted {
            if let all = left.amounts[name] {
                guard all >= amount else { return false }
                left.amounts[name] = all - amount
            } else if var parts = left.devices[name] {
                if amount.isMultiple(of: 1000) {
                    let whole = parts.indices.filter { parts[$0] == 1000 }.prefix(amount / 1000)
                    guard whole.count == amount / 1000 else { return false }
                    for index in whole { parts[index] = 0 }
                } else {
                    let fitting = parts.indices.filter { parts[$0] >= amount }
                    guard let best = fitting.min(by: { parts[$0] < parts[$1] }) else { return false }
                    parts[best] -= amount
                }
                left.devices[name] = parts
            } else {
                return false
            }
        }
        self = left
        return true
    }
}

extension QueueModel {
    func needs(of line: String) -> ResourceRequest { jobNeeds[Self.job(of: line)] ?? ResourceRequest() }

    /// Whether a line needs some of what the tasks of a job need.
    func overlap(_ line: String, job: String) -> Bool {
        let names = Set((jobNeeds[job] ?? ResourceRequest()).sorted.map(\.name))
        return needs(of: line).sorted.contains { names.contains($0.name) }
    }

    /// Whether a node could ever run a line.
    func couldHold(_ incarnation: String, _ line: String) -> Bool {
        needs(of: line).isEmpty || resources[incarnation]?.canHold(needs(of: line)) ?? false
    }
}
