import Testing

@testable import TaskModel

@Suite("What tasks ask for besides memory and cores")
struct ResourceRequestTests {
    @Test(
        "what is typed is noted in thousandths, and read back as it was",
        arguments: [
            ("gpu=1", "gpu:1000", "gpu=1"),
            ("scratch_gb=0.0001,gpu=.5", "gpu:500 scratch_gb:1", "gpu=0.5,scratch_gb=0.001"),
            ("gpu=0.33334", "gpu:333", "gpu=0.333"), ("gpu=0.33350", "gpu:334", "gpu=0.334"),
            ("gpu=0.16667,licence=1.6666", "gpu:167 licence:1667", "gpu=0.167,licence=1.667"),
            ("gpu=0.9999", "gpu:1000", "gpu=1"), ("gpu=0.00000000001", "gpu:1", "gpu=0.001"),
            ("licence=1.5", "licence:1500", "licence=1.5"), ("gpu=1000000", "gpu:1000000000", "gpu=1000000"),
        ])
    func forms(typed: String, noted: String, shown: String) throws {
        let request = try #require(ResourceRequest(typed: typed))
        #expect(request.text == noted && request.typed == shown)
        #expect(ResourceRequest(text: noted) == request)
    }

    @Test(
        "what cannot be asked for is none",
        arguments: [
            "", "gpu", "gpu=", "gpu=0", "gpu=-1", "gpu=1.5", "gpu=1.0001", "gpu=1000001", "GPU=1", "1a=1", "a b=1",
            "é=1",
            "gpu=1,gpu=1", "a=1,",
            "a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1,i=1", "a=1e3", "a=1G",
        ])
    func refused(typed: String) { #expect(ResourceRequest(typed: typed) == nil) }

    @Test(
        "a job's record has it; one that cannot be read is an error, for without it tasks would share what is to be their own"
    )
    func record() throws {
        var settings = Job.Settings()
        settings.resources = try #require(ResourceRequest(typed: "gpu=0.5,licence=2"))
        let job = Job(identifier: "k2x", name: "sim", settings: settings, definition: .init())
        #expect(job.record.contains(#""resources":"gpu:500 licence:2000""#))
        #expect(try Job(identifier: "k2x", record: Array(job.record.utf8)) == job)
        let later = "sim\n{\"resources\":\"gpu:1000@a100\"}\n{}"
        #expect(throws: JobRecordError.self) { try Job(identifier: "k2x", record: Array(later.utf8)) }
    }

    @Test(
        "a node can hold so many whole devices, or a part of one, or so much of an amount",
        arguments: [
            ("gpu=1", true), ("gpu=2", true), ("gpu=3", false), ("gpu=0.5", true), ("tape=0.1", false),
            ("licence=1.5", true),
            ("licence=2.001", false), ("gpu=2,licence=2", true), ("gpu=1,tape=1", false), ("cut=1.5", false),
            ("none=0.5", false),
        ])
    func holding(typed: String, canHold: Bool) throws {
        let kinds: [String: NodeResources.Kind] = [
            "gpu": .devices(["a", "b"]), "licence": .amount(2000), "cut": .devices(["c", "d"]), "none": .devices([]),
        ]
        let totals = NodeResources(kinds).totals
        #expect(totals.text == "cut:d2 gpu:d2 licence:2000 none:d0" && ResourceTotals(text: totals.text) == totals)
        #expect(totals.canHold(try #require(ResourceRequest(typed: typed))) == canHold)
    }

    @Test("lines of a file say for which nodes they are, other lines may not")
    func nodes() throws {
        let line = #"{"command": "x", "where": "ssd&!spot"}"#
        let read = try TaskLine(parsing: Array(line.utf8).span, isOfFile: true)
        #expect(read.surroundings?.nodeLabels?.text == "ssd & !spot")
        #expect(throws: TaskLineError.self) { try TaskLine(parsing: line) }
        for wrong in ["1", "\"\"", "\"a b\"", "[\"a\"]"] {
            let text = "{\"command\": \"x\", \"where\": \(wrong)}"
            #expect(throws: TaskLineError.self, "\(wrong)") {
                try TaskLine(parsing: Array(text.utf8).span, isOfFile: true)
            }
        }
    }

    @Test("lines of a file say it as an object, other lines may not")
    func lines() throws {
        let line = #"{"command": "x", "resources": {"gpu": 0.5, "licence": "2"}}"#
        let read = try TaskLine(parsing: Array(line.utf8).span, isOfFile: true)
        #expect(read.surroundings?.resources?.text == "gpu:500 licence:2000")
        let third = try TaskLine(
            parsing: Array(#"{"command": "x", "resources": {"gpu": 0.33334}}"#.utf8).span, isOfFile: true)
        #expect(third.surroundings?.resources?.text == "gpu:333")
        #expect(throws: TaskLineError.self) { try TaskLine(parsing: line) }
        for wrong in ["1", "\"gpu=1\"", "{\"gpu\": 1.5}", "{\"gpu\": null}", "{\"gpu\": 0}", "[]"] {
            let text = "{\"command\": \"x\", \"resources\": \(wrong)}"
            #expect(throws: TaskLineError.self, "\(wrong)") {
                try TaskLine(parsing: Array(text.utf8).span, isOfFile: true)
            }
        }
    }
}
