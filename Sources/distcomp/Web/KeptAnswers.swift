// Answers that are shown more than once, so that Redis works a fiftieth of the time for all who look.

/// What was asked lately. Its clock is one that only goes on, in seconds.
struct KeptAnswers {
    /// An answer is as good as a new one for so long, at least.
    static let freshSecondsMin = 2.0
    /// It is better than none for so long, where Redis has worked enough for others.
    static let keptSecondsMax = 60.0
    /// Redis rests for so many seconds from each that it works.
    static let restPerWork = 50.0
    /// So many are kept.
    static let countMax = 256

    private struct Answer {
        let value: any Sendable
        let freshUntilSeconds: Double
        let untilSeconds: Double
    }

    private var answers: [String: Answer] = [:]
    /// When Redis will have rested from all that it was asked.
    private var restsUntilSeconds = 0.0

    /// What is to be shown without asking; nil where the question is to be asked.
    ///
    /// - Parameter question: what tells it from others.
    func answer(to question: String, atSeconds now: Double) -> (any Sendable)? {
        guard let found = answers[question] else { return nil }
        return now < found.freshUntilSeconds || now < min(found.untilSeconds, restsUntilSeconds) ? found.value : nil
    }

    /// - Parameter workSeconds: for how long Redis worked for it.
    mutating func keep(
        _ value: any Sendable, to question: String, workSeconds: Double, atSeconds now: Double
    ) {
        let rest = workSeconds * Self.restPerWork
        // What many ask for the first time does not keep the others from news for longer than this.
        restsUntilSeconds = min(max(restsUntilSeconds, now) + rest, now + Self.keptSecondsMax)
        if answers.count >= Self.countMax { answers = answers.filter { $0.value.untilSeconds > now } }
        if answers.count >= Self.countMax { answers.removeAll() }
        let freshUntil = now + max(Self.freshSecondsMin, rest)
        answers[question] = Answer(
            value: value, freshUntilSeconds: freshUntil, untilSeconds: max(freshUntil, now + Self.keptSecondsMax))
    }
}
