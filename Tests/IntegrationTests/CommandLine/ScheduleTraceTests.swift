// A trace in the Standard Workload Format, by the rules that the suite knows. All of it is simulated, on a clock of its own.

import Testing

@Suite("a trace of many users")
struct ScheduleTraceTests {
    /// Made up here, in the form that is described at https://www.cs.huji.ac.il/labs/parallel/workload/swf.html. Four tasks of three users want
    /// most of a node for an hour; two nodes of 8 cores have 4 left for those that come then. The 10th was cancelled before it ran.
    private static let trace = """
        ; Version: 2.2
        ; Computer: none; made up for a test of DistComp
        ; MaxJobs: 30
        ; Note: job submit wait run procs cpu memory procs-wanted time-wanted memory-wanted status user group ...
          1     0   -1  3600   6   -1 -1   6  4000 -1  1   1  1 -1 -1 -1 -1 -1
          2     1   -1  3600   6   -1 -1   6  4000 -1  1   1  1 -1 -1 -1 -1 -1
          3    20   -1  3600   6   -1 -1   6  4000 -1  1   5  1 -1 -1 -1 -1 -1
          4    21   -1  3600   6   -1 -1   6  4000 -1  1   6  1 -1 -1 -1 -1 -1
          5    60   -1   120   1   -1 -1   1   200 -1  1   2  1 -1 -1 -1 -1 -1
          6    61   -1   110   1   -1 -1   1   200 -1  1   2  1 -1 -1 -1 -1 -1
          7    62   -1    90   1   -1 -1   1   200 -1  1   2  1 -1 -1 -1 -1 -1
          8    63   -1   130   1   -1 -1   1   200 -1  1   2  1 -1 -1 -1 -1 -1
          9    64   -1   100   1   -1 -1   1   200 -1  1   2  1 -1 -1 -1 -1 -1
         10    70   -1    -1   1   -1 -1   1   200 -1  5   2  1 -1 -1 -1 -1 -1
         11   300   -1   240   2   -1 -1   2   300 -1  1   3  1 -1 -1 -1 -1 -1
         12   301   -1   200   2   -1 -1   2   300 -1  1   3  1 -1 -1 -1 -1 -1
         13   400   -1    60   1   -1 -1   1   100 -1  1   2  1 -1 -1 -1 -1 -1
         14   500   -1    60   1   -1 -1   1   100 -1  1   2  1 -1 -1 -1 -1 -1
         15   640   -1    60  -1   -1 -1   1   100 -1  1   2  1 -1 -1 -1 -1 -1
         16   700   -1   180   1   -1 -1   1   240 -1  1   4  1 -1 -1 -1 -1 -1
         17   720   -1   170   1   -1 -1   1   240 -1  1   4  1 -1 -1 -1 -1 -1
         18   740   -1   160   1   -1 -1   1   240 -1  1   4  1 -1 -1 -1 -1 -1
         19   760   -1   150   1   -1 -1   1   240 -1  1   4  1 -1 -1 -1 -1 -1
         20   900   -1    80   2   -1 -1   2   100 -1  1   3  1 -1 -1 -1 -1 -1
         21  1100   -1    80   2   -1 -1   2   100 -1  1   3  1 -1 -1 -1 -1 -1
         22  1300   -1    80   2   -1 -1   2   100 -1  1   3  1 -1 -1 -1 -1 -1
         23  1500   -1    90   1   -1 -1   1   120 -1  1   2  1 -1 -1 -1 -1 -1
         24  1700   -1    90   1   -1 -1   1   120 -1  1   2  1 -1 -1 -1 -1 -1
         25  2000   -1    90   1   -1 -1   1   120 -1  1   4  1 -1 -1 -1 -1 -1
         26  2300   -1    90   1   -1 -1   1   120 -1  1   4  1 -1 -1 -1 -1 -1
         27  2600   -1    90   1   -1 -1   1   120 -1  1   2  1 -1 -1 -1 -1 -1
         28  2900   -1    90   1   -1 -1   1   120 -1  1   3  1 -1 -1 -1 -1 -1
         29  3200   -1    90   1   -1 -1   1   120 -1  1   4  1 -1 -1 -1 -1 -1
         30  3500   -1    90   1   -1 -1   1   120 -1  1   2  1 -1 -1 -1 -1 -1

        """

    @Test("small tasks do not wait behind large ones, and these begin by when their node has room at the latest")
    func trace() async throws {
        try await withScratch { scratch in
            let path = try scratch.write("sample.swf", Self.trace)
            let words = [
                "TMPDIR=\(scratch.path)", Products.bench, "schedule", "--trace", path, "--nodes", "2", "--cores", "8",
                "--json",
            ]
            let result = try await RunningProgram("/usr/bin/env", words, in: scratch).result()
            try #require(result.status == 0, "\(result.errors)\(result.output)")
            let figures = try #require(try jsonObject(result.output)["figures"] as? [[String: Any]])
            func value(_ name: String) throws -> Double {
                try #require(
                    figures.first { $0.string("figure") == name }?["value"] as? Double, "\(name): \(result.output)")
            }
            #expect(try value("tasks") == 29 && value("users") == 6)
            #expect(try value("DistComp: slowdown to that of first come first served") <= 0.5)
            #expect(try value("nodes that were reserved") >= 1)
            #expect(try value("the latest began after it had to by") == 0)
            #expect(
                try value("DistComp: fairness between users (Jain)")
                    > value("first come first served: fairness between users (Jain)"))
        }
    }
}
