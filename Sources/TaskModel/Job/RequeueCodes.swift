// The exit codes by which a task asks to go back to the queue: it has saved what it has, or cannot go on for now, and wants to be begun
// again later, here or elsewhere. That is no failure. 85 is what HTCondor's tasks say so with.

/// By which exit codes the tasks of a job go back to the queue.
public struct RequeueCodes: Hashable, Sendable {
    /// Rising, each from 1 to 255.
    public let codes: [Int32]

    public static let byDefault = RequeueCodes([85])
    /// Every exit code but 0 is a failure.
    public static let none = RequeueCodes([])
    /// How often a task goes back at most: after that it has failed.
    public static let countMax = 100
    public static let expected = "exit codes from 1 to 255, such as 85,99, or none"

    private init(_ codes: Set<Int32>) { self.codes = codes.sorted() }

    /// Reads `85,99` or `none`; nil for what is neither.
    public init?(text: some StringProtocol) {
        if text == "none" {
            self = .none
            return
        }
        var codes: Set<Int32> = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            guard word.utf8.allSatisfy(\.isDigit), let code = Int32(word), (1...255).contains(code) else { return nil }
            codes.insert(code)
        }
        self.init(codes)
    }

    /// As it is noted and read back.
    public var text: String { codes.isEmpty ? "none" : codes.map { "\($0)" }.joined(separator: ",") }
}

extension TaskLine {
    /// Whether it asked to go back to the queue by ending so. What is of no job never does: old workers may have it, to whom any exit code
    /// but 0 is a failure.
    public func asksToGoBack(by outcome: TaskOutcome) -> Bool {
        guard case .exit(let code) = outcome.cause, let settings = job?.settings else { return false }
        return settings.requeueCodes.codes.contains(code)
    }
}
