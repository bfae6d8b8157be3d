import Testing

@testable import distcomp

@Suite("batch scripts of Slurm")
struct SlurmScriptTests {
    private func script(_ directives: String, _ body: String = "echo\n") throws -> SlurmScript {
        try SlurmScript("#!/bin/bash -l\n\(directives)\n\(body)", named: "dir/array.sh")
    }

    private func commands(_ script: SlurmScript, _ arguments: [String] = []) -> [String] {
        let command = script.commands(path: "/home/a b/array.sh", arguments: arguments, directory: "/home/a b")
        return (0..<script.taskCount).map(command)
    }

    @Test("memory, cores, time, name and an array, in each way to write them")
    func directives() throws {
        for text in [
            "#SBATCH --array=1-3\n#SBATCH --mem=4G\n#SBATCH --cpus-per-task=2\n#SBATCH --time=1:30:00\n#SBATCH --job-name=\"my sim\"",
            "#SBATCH -a 1-3 --mem 4G # a comment\n\n# another\n#SBATCH -c2 -t 90 -J 'my sim'",
        ] {
            let script = try script(text)
            #expect(script.indices == [1, 2, 3])
            #expect(
                script.memory == "4G" && script.cores == "2" && script.timeout == "5400s" && script.jobName == "my sim")
            #expect(script.ignored.isEmpty)
            #expect(script.interpreter == ["/bin/bash", "-l"])
        }
    }

    @Test("directives end where commands begin; what is commented out, or another's, is none")
    func ends() throws {
        let script = try script(
            "##SBATCH --mem=1G\n# SBATCH --mem=1G\n#SBATCHX --mem=1G\n#PBS -l mem=1G", "cd x\n#SBATCH --array=1-9\n")
        #expect(script.memory == nil && script.indices == nil && script.ignored.isEmpty && script.taskCount == 1)
    }

    @Test(
        "arrays",
        arguments: [
            ("0-3", [0, 1, 2, 3]), ("7", [7]), ("1,3,5-6", [1, 3, 5, 6]), ("0-15:4", [0, 4, 8, 12]),
            ("5,1-2,2", [1, 2, 5]),
        ])
    func arrays(text: String, expected: [Int]) throws {
        #expect(try script("#SBATCH --array=\(text)").indices == expected)
    }

    @Test("a limit of what runs at once is named, and the array is taken")
    func limit() throws {
        let script = try script("#SBATCH --array=0-1%2")
        #expect(script.indices == [0, 1])
        #expect(script.ignored.count == 1 && script.ignored[0].hasPrefix("the limit %2 of --array (line 2)"))
    }

    @Test(
        "amounts of memory are megabytes without a unit",
        arguments: [("4000", "4000M"), ("4G", "4G"), ("512MB", "512M"), ("1t", "1T"), ("0", "0")])
    func memory(text: String, expected: String) throws {
        #expect(try script("#SBATCH --mem=\(text)").memory == expected)
    }

    @Test("memory per core is that of all cores together, wherever these are said")
    func memoryPerCore() throws {
        #expect(try script("#SBATCH --mem-per-cpu=2G\n#SBATCH -c 4").memory == "8G")
        #expect(try script("#SBATCH --mem-per-cpu=500").memory == "500M")
    }

    @Test(
        "times are those of sbatch",
        arguments: [
            ("90", "5400s"), ("1:30", "90s"), ("2:00:05", "7205s"), ("1-0", "86400s"), ("1-2:30", "95400s"),
            ("0-0:00:05", "5s"), ("0", "0"), ("UNLIMITED", "0"), ("infinite", "0"),
        ])
    func times(text: String, expected: String) throws {
        #expect(try script("#SBATCH -t \(text)").timeout == expected)
    }

    @Test("what is not done is named with its line; one node and one task are what there is anyhow")
    func ignored() throws {
        let script = try script(
            "#SBATCH -p long --gres=craynetwork:1\n#SBATCH --ntasks=1 -N 1\n#SBATCH --exclusive\n#SBATCH --ntasks=4")
        #expect(
            script.ignored == [
                "-p (line 2)", "--gres=craynetwork:1 (line 2)", "--exclusive (line 4)", "--ntasks=4 (line 5)",
            ])
    }

    @Test(
        "GPUs are asked for in each of the ways that there are; what kind they are to be is not done",
        arguments: [
            ("--gres=gpu", "1", 0), ("--gres=gpu:2", "2", 0), ("--gres=gpu:a100:2", "2", 1), ("-G 4", "4", 0),
            ("--gpus-per-task=h200:1", "1", 1), ("--gres=gpu:1,ssd:1", nil, 1),
        ] as [(String, String?, Int)])
    func gpus(directive: String, expected: String?, ignoredCount: Int) throws {
        let script = try script("#SBATCH \(directive)")
        #expect(script.gpus == expected && script.ignored.count == ignoredCount, "\(script.ignored)")
    }

    @Test(
        "what cannot be read is an error with its line",
        arguments: [
            "--array=3-1", "--array=a", "--array=1-5:0", "--array=", "--array=1,,2", "--array=0-99999999999",
            "--mem=much", "--mem=5B",
            "--mem", "-c none", "-c 0", "--time=1:2:3:4", "--time=1-", "--time=x", "--array=5:2", "stray",
            "--job-name='open", "--gpus=a100", "-G 0", "--gres=gpu:a:b:1",
        ])
    func mistakes(directive: String) {
        let error = #expect(throws: SweepError.self) { try script("# one\n#SBATCH \(directive)") }
        #expect(error?.description.hasPrefix("dir/array.sh:3: ") == true, "\(String(describing: error))")
    }

    @Test("a file that is no script says so")
    func noScript() {
        let error = #expect(throws: SweepError.self) { try SlurmScript("#SBATCH --mem=1G\n", named: "x.sh") }
        #expect(error?.description.contains("no `#!` in its first line") == true)
    }

    @Test("a task for each index runs the script, with its index and such variables as the script names")
    func tasks() throws {
        #expect(
            commands(try script("#SBATCH -a 3,5"), ["in put"]) == [
                "SLURM_ARRAY_TASK_ID=3 /bin/bash -l '/home/a b/array.sh' 'in put'",
                "SLURM_ARRAY_TASK_ID=5 /bin/bash -l '/home/a b/array.sh' 'in put'",
            ])
        #expect(commands(try script("")) == ["/bin/bash -l '/home/a b/array.sh'"])
        let body =
            "echo $SLURM_ARRAY_TASK_COUNT ${SLURM_ARRAY_TASK_MIN} $SLURM_SUBMIT_DIR $SLURM_JOB_NAME $SLURM_JOB_ID\n"
        let script = try script("#SBATCH -a 3,5 -c 2", body)
        #expect(
            commands(script)[1]
                == "SLURM_JOB_NAME=array.sh SLURM_SUBMIT_DIR='/home/a b' SLURM_ARRAY_TASK_COUNT=2 SLURM_ARRAY_TASK_MIN=3 SLURM_CPUS_PER_TASK=2 SLURM_ARRAY_TASK_ID=5 /bin/bash -l '/home/a b/array.sh'"
        )
        #expect(script.variablesMissing == ["SLURM_JOB_ID"])
    }
}
