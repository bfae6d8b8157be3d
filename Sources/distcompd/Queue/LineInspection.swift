// Whether a line that Redis hands out may be run here. Redis is not trusted with that: what it says about a line beside the line
// itself (memory, priority) has served to find it a node, and is not looked at again.

import NodeSupervisor
import TaskModel
import TaskQueue

struct LineInspection {
    enum Result {
        case task(NodeSupervisor.ClaimedTask)
        case refused(Refusal)
    }

    struct Refusal {
        let reason: String
        let result: ReportTask.Result
    }

    private let node: NodeIdentity

    init(_ node: NodeIdentity) { self.node = node }

    func result(of claimed: ClaimTasks.Claimed) -> Result {
        let line: TaskLine
        do {
            line = try TaskLine(parsing: claimed.line)
        } catch {
            // It got into the index by no hand of ours.
            return .refused(refusal(of: claimed, step: "read the line", "\(error)", attemptsMax: 0))
        }
        switch node.taskKey?.problem(with: line, signature: claimed.signature) {
        case nil: return .task(NodeSupervisor.ClaimedTask(line: line, token: claimed.token, attempt: claimed.attempt))
        case .missing?:
            let message = SignatureProblem.missing.description
            return .refused(refusal(of: claimed, step: "check the signature", message, attemptsMax: 0))
        case .wrong?:
            // Perhaps it is this node that has the wrong key: others are to try it, as they try what failed here.
            let message = SignatureProblem.wrong.description
            let attemptsMax = node.configuration.maxRetryPerTask
            return .refused(refusal(of: claimed, step: "check the signature", message, attemptsMax: attemptsMax))
        }
    }

    private func refusal(
        of claimed: ClaimTasks.Claimed, step: String, _ message: String, attemptsMax: Int
    ) -> Refusal {
        let outcome = TaskOutcome(
            cause: .launch(step: step, errno: 0, message: message), usage: Usage(wallSeconds: 0), node: node.name,
            attempt: claimed.attempt)
        return Refusal(
            reason: outcome.reason,
            result: .failed(
                reason: outcome.reason, record: outcome.record, attemptsMax: attemptsMax,
                retryMilliseconds: Int(node.configuration.retryDelaySeconds * 1000)))
    }
}
