// What a short-lived program prints, within a time: for what may hang where this process must not.

import Glibc

extension ChildProcesses {
    /// Starts a program that is no task, and waits until it has printed all and ended; nil where it takes longer than that. It is killed
    /// then, and waited for so long at most: one that hangs in a driver does not even end by that.
    ///
    /// Throws where it cannot be started, or its output cannot be read.
    public static func output(
        of path: String, _ arguments: [String], withinSeconds seconds: Double, killedSecondsMax: Double = 5,
        bytesMax: Int = 64 << 10
    ) throws(SystemError) -> (bytes: [UInt8], ending: ProcessEnding)? {
        let ends = try OwnedDescriptor.pipe()
        let reading = SharedDescriptor(ends.reading)
        var writing: SharedDescriptor? = SharedDescriptor(ends.writing)
        let null = try OwnedDescriptor.open("/dev/null", [.readWrite])
        let process = try start(path, arguments, descriptors: [null.raw, writing?.raw ?? null.raw, null.raw])
        writing = nil
        let deadline = SystemClock.monotonicNanoseconds() + Int64(seconds * 1e9)
        var bytes: [UInt8] = []
        var isAtEnd = false
        while true {
            let left = deadline - SystemClock.monotonicNanoseconds()
            guard left > 0, bytes.count <= bytesMax else { break }
            if isAtEnd {
                if let ending = try endingIfEnded(process) { return (bytes, ending) }
                usleep(1000)
            } else if try DescriptorWait.until(
                reading.raw, readable: true, writable: false, atMostMilliseconds: Int32(left / 1_000_000) + 1)
            {
                let count = try next(of: reading, path, into: &bytes)
                isAtEnd = count == 0
            }
        }
        kill(process: process)
        // Who waits for any child of this process, as the exit tests of Swift Testing do, would meet this one for ever.
        let givenUp = SystemClock.monotonicNanoseconds() + Int64(killedSecondsMax * 1e9)
        while SystemClock.monotonicNanoseconds() < givenUp, try endingIfEnded(process) == nil { usleep(1000) }
        return nil
    }

    private static func next(
        of reading: SharedDescriptor, _ path: String, into bytes: inout [UInt8]
    ) throws(SystemError) -> Int {
        var buffer = [UInt8](repeating: 0, count: 4096)
        let count = retryingInterrupted { Glibc.read(reading.raw, &buffer, buffer.count) }
        guard count >= 0 else { throw .last("read", "what \(path) prints") }
        bytes += buffer[..<count]
        return count
    }
}
