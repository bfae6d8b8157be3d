// Where a measurement works: a place for files that is gone afterwards, and programs that end with this one.

import LinuxSystem

struct BenchError: Error, CustomStringConvertible {
    let description: String
}

enum Workplace {
    /// Gives `body` a directory, in TMPDIR or /tmp, and removes it afterwards; if this process is killed, a shell that waits for its end
    /// removes it.
    static func with(_ body: (String) throws -> Void) throws {
        let place = try FileSystem.makeTemporaryDirectory((Host.environment("TMPDIR") ?? "/tmp") + "/distcomp-bench-")
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        // Servers and daemons end with this process, see `startHelper`; they are given a second to.
        let guardian = try ChildProcesses.start(
            "/bin/sh",
            ["-c", #"tail --pid="$1" -f /dev/null; sleep 1; rm -rf "$0""#, place, "\(Host.processIdentifier)"],
            descriptors: [null.raw, null.raw, null.raw])
        defer {
            try? FileSystem.removeTree(place)
            ChildProcesses.kill(processGroup: guardian)
            _ = try? ChildProcesses.wait(for: guardian)
        }
        try body(place)
    }
}

/// Starts a program that ends with this one, however that ends.
func startHelper(_ words: [String], descriptors: [Int32]) throws -> Int32 {
    try ChildProcesses.start(
        "/usr/bin/env", ["setpriv", "--pdeathsig", "TERM"] + words, descriptors: descriptors)
}

/// The path of another of our programs: it stands beside this one.
func program(_ name: String) throws -> String {
    let program = try FileSystem.destination(ofLink: "/proc/self/exe")
    return (program.lastIndex(of: "/").map { String(program[..<$0]) } ?? ".") + "/" + name
}

/// Tries again until there is a result.
func waited<Result>(_ what: String, _ attempt: () throws -> Result?) throws -> Result {
    let deadline = SystemClock.bootNanoseconds() + 300_000_000_000
    while SystemClock.bootNanoseconds() < deadline {
        if let result = try attempt() { return result }
        pause(milliseconds: 10)
    }
    throw BenchError(description: "waited 300 s in vain for \(what)")
}
