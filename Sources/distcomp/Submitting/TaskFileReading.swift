// Files of task lines, as commands are given them: read in pieces, so that ten million lines need no more memory than ten thousand.

import LinuxSystem
import TaskModel

extension TaskFile {
    /// Hands over every task of a file, in order, and every line that is none; `-` is standard input.
    static func read(
        _ path: String, counting: (Int) -> Void = { _ in }, _ use: (Entry) throws(CommandError) -> Void
    ) throws(CommandError) {
        let descriptor: SharedDescriptor
        do throws(SystemError) {
            descriptor = SharedDescriptor(
                path == "-" ? try OwnedDescriptor.duplicate(of: 0) : try OwnedDescriptor.open(path, [.readOnly]))
        } catch {
            throw .usage("\(error)")
        }
        var file = TaskFile(named: path == "-" ? "standard input" : path)
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        while true {
            let count: Int
            do throws(SystemError) {
                count = try descriptor.readNext(into: buffer, subject: path)
            } catch {
                throw .usage("\(error)")
            }
            if count == 0 { break }
            counting(count)
            try file.read(UnsafeRawBufferPointer(rebasing: buffer[..<count]), use)
        }
        try file.finish(use)
    }
}
