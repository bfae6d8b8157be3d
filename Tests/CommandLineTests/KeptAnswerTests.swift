import Testing

@testable import distcomp

extension KeptAnswers {
    fileprivate func shown(_ question: String, at now: Double) -> Int? {
        answer(to: question, atSeconds: now) as? Int
    }
}

@Suite("answers that are shown more than once")
struct KeptAnswerTests {
    @Test("each is shown for two seconds, and for fifty times as long as Redis worked for it")
    func fresh() {
        var answers = KeptAnswers()
        #expect(answers.shown("quick", at: 100) == nil)
        answers.keep(1, to: "quick", workSeconds: 0.001, atSeconds: 100)
        #expect(answers.shown("quick", at: 101.9) == 1 && answers.shown("quick", at: 102.1) == nil)
        answers.keep(2, to: "slow", workSeconds: 0.1, atSeconds: 200)
        #expect(answers.shown("slow", at: 204.9) == 2 && answers.shown("slow", at: 205.1) == nil)
        #expect(answers.shown("another", at: 201) == nil, "what nobody has asked is asked at once")
    }

    @Test("where Redis has worked enough for others, it is shown as it was, for a minute at most")
    func together() {
        var answers = KeptAnswers()
        answers.keep(1, to: "mine", workSeconds: 0.001, atSeconds: 100)
        for index in 0..<20 { answers.keep(index, to: "theirs \(index)", workSeconds: 0.02, atSeconds: 101) }
        // 0.4 s of work are 20 s of rest.
        #expect(answers.shown("mine", at: 120.9) == 1 && answers.shown("mine", at: 121.1) == nil)
        for index in 0..<2000 { answers.keep(index, to: "all \(index)", workSeconds: 1, atSeconds: 200) }
        answers.keep(1, to: "mine", workSeconds: 0.001, atSeconds: 201)
        answers.keep(2, to: "other", workSeconds: 1, atSeconds: 260)
        #expect(answers.shown("mine", at: 260.9) == 1)
        #expect(answers.shown("mine", at: 261.1) == nil, "a minute is the most, however much is asked")
    }

    @Test("all that look at different pages for an hour make Redis work 20 ms of a second")
    func load() {
        var answers = KeptAnswers()
        var workSeconds = 0.0
        for second in 0..<3600 {
            for page in 0..<15 where answers.shown("\(page)", at: Double(second)) == nil {
                workSeconds += 0.05
                answers.keep(page, to: "\(page)", workSeconds: 0.05, atSeconds: Double(second))
            }
        }
        #expect(workSeconds / 3600 < 0.021 && workSeconds / 3600 > 0.01, "\(workSeconds)")
    }
}
