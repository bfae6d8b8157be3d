// A program of an administrator's choice that is asked for something: executed as it is, by no shell, with what it is to know on its
// standard input, within a time, and with what it prints bounded.

import CLinux
import Glibc

extension ChildProcesses {
    public enum HookEnding: Equatable, Sendable {
        case ended(ProcessEnding)
        /// It took too long, and was killed with what it had started and left in its session.
        case tookTooLong
    }

    /// Starts a program in a session of its own and waits for its end, not for that of what it has started. Standard output and standard
    /// error are one to us.
    ///
    /// - Parameters:
    ///   - input: its standard input.
    ///   - bytesMax: of what it prints; the rest is dropped.
    ///   - killedSecondsMax: so long its end is waited for once it was killed.
    public static func callHook(
        _ path: String, _ arguments: [String], variables: [String], input: [UInt8], withinSeconds seconds: Double,
        bytesMax: Int = 64 << 10, killedSecondsMax: Double = 5
    ) throws(SystemError) -> (printed: [UInt8], ending: HookEnding) {
        let file = try OwnedDescriptor.memoryFile("distcomp-hook-input", input)
        let ends = try OwnedDescriptor.pipe()
        let reading = SharedDescriptor(ends.reading)
        var writing: SharedDescriptor? = SharedDescriptor(ends.writing)
        let process = try start(
            path, arguments, variables: variables, descriptors: [file.raw, writing?.raw ?? -1, writing?.raw ?? -1])
        writing = nil
        let deadline = SystemClock.monotonicNanoseconds() + Int64(seconds * 1e9)
        var printed: [UInt8] = []
        var ending: ProcessEnding?
        while ending == nil, SystemClock.monotonicNanoseconds() < deadline {
            // What it has started may hold the pipe open for as long as it likes: the end of the program is what counts.
            ending = try endingIfEnded(process)
            let isReadable = try DescriptorWait.until(
                reading.raw, readable: true, writable: false, atMostMilliseconds: ending == nil ? 20 : 0)
            if isReadable, try takeSome(of: reading, path, into: &printed, bytesMax: bytesMax) == 0, ending == nil {
                usleep(5000)  // It has closed both, and goes on.
            }
        }
        if let ending {
            try takeRest(of: reading, path, into: &printed, bytesMax: bytesMax)
            return (printed, .ended(ending))
        }
        kill(processGroup: process)
        let givenUp = SystemClock.monotonicNanoseconds() + Int64(killedSecondsMax * 1e9)
        while SystemClock.monotonicNanoseconds() < givenUp, try endingIfEnded(process) == nil { usleep(1000) }
        return (printed, .tookTooLong)
    }

    /// What is in the pipe when the program has ended.
    private static func takeRest(
        of reading: SharedDescriptor, _ path: String, into printed: inout [UInt8], bytesMax: Int
    ) throws(SystemError) {
        // More than a pipe holds is of others who still write.
        for _ in 0..<64 {
            guard try DescriptorWait.until(reading.raw, readable: true, writable: false, atMostMilliseconds: 0),
                try takeSome(of: reading, path, into: &printed, bytesMax: bytesMax) > 0
            else { return }
        }
    }

    private static func takeSome(
        of reading: SharedDescriptor, _ path: String, into printed: inout [UInt8], bytesMax: Int
    ) throws(SystemError) -> Int {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = retryingInterrupted { Glibc.read(reading.raw, &buffer, buffer.count) }
        guard count >= 0 else { throw .last("read", "what \(path) prints") }
        printed += buffer[..<count].prefix(max(0, bytesMax - printed.count))
        return count
    }
}
