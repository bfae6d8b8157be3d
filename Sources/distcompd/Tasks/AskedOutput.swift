// What a task writes here, read for somebody elsewhere. A task owns the folder of its output and may put anything in the place of its
// files: so of what runs the file is read that was made for it, by the descriptor that was kept; and of what has ended nothing but a
// plain file of the task's own, or what a segment holds under its name. Neither can be a link, and neither keeps the daemon waiting as a FIFO would.

import LinuxSystem
import NodeSupervisor
import TaskQueue

extension TaskRunner {
    /// A piece of what an attempt wrote.
    func output(askedFor request: OutputRequest) -> OutputAnswer {
        if let output = output(ofTask: request.task, request.attempt) {
            return piece(of: output.sizeBytes(request.taskStream), request) { offset, count throws(SystemError) in
                try output.read(request.taskStream, at: offset, count: count)
            }
        }
        // What lies in the folder may be of an earlier count of attempts.
        if request.isRunning { return .notBegun }
        do throws(SystemError) {
            let opened = try outputs.openOutput(
                named: request.task, request.taskStream, ofAttempt: request.attempt,
                at: request.packed.flatMap { SegmentPlace($0) })
            guard let opened else { return .absent }
            return piece(of: opened.sizeBytes, request) { offset, count throws(SystemError) in
                try opened.read(at: offset, count: count, subject: request.stream.rawValue)
            }
        } catch {
            return .unreadable("\(error)")
        }
    }

    /// The output of a task that runs here, or whose report has not been answered.
    private func output(ofTask identifier: String, _ attempt: Int) -> TaskOutput? {
        kept.filter { $0.value.attempt == attempt && $0.value.folderPath.hasSuffix("/" + identifier) }
            .max { $0.key.rawValue < $1.key.rawValue }?.value
    }

    private func piece(
        of size: Int64?, _ request: OutputRequest, read: (Int64, Int) throws(SystemError) -> [UInt8]
    ) -> OutputAnswer {
        guard let size else { return .absent }
        let count = max(0, min(size - request.offset, Int64(OutputRequest.pieceBytesMax)))
        do throws(SystemError) {
            return .piece(try read(request.offset, Int(count)), sizeBytes: size)
        } catch {
            return .unreadable("\(error)")
        }
    }
}

extension OutputRequest {
    fileprivate var taskStream: TaskStream {
        switch stream {
        case .stdout: .stdout
        case .stderr: .stderr
        }
    }
}
