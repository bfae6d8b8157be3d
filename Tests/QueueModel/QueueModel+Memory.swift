// More memory for tasks that run out of it, and what a job learns of what its tasks need.

import TaskModel

extension QueueModel {
    /// Whether it is given more than it had; then it is noted.
    mutating func goesOnWithMore(_ line: String, _ entry: Held, _ arguments: Arguments) -> Bool {
        let job = Self.job(of: line)
        guard arguments.count >= 11, !job.isEmpty, var own = OwnSettings(text: arguments.text(10)) else { return false }
        if !arguments.text(11).isEmpty {
            if own.grownFromBytes == entry.memory, let learned = peaks[job]?.bytesAfterOom(of: entry.memory) {
                own.memoryBytes = learned + 4096
            }
            let most = arguments.unsigned(11)
            own.memoryBytes = min(own.memoryBytes, most > 0 ? most : nodes.values.map(\.memory).max() ?? 0)
        }
        guard own.memoryBytes > entry.memory else { return false }
        let plain = jobSizes[job]?.memory ?? 0
        if owns[line] != nil || plain > 0 && plain < own.memoryBytes { owns[line] = own.text }
        return true
    }

    mutating func learn(_ line: String, _ bytes: UInt64) {
        let job = Self.job(of: line)
        guard bytes > 0, let size = jobSizes[job] else { return }
        peaks[job, default: MemoryPeaks()].add(bytes)
        guard let most = jobsLearning[job], let known = peaks[job], known.isDue, let wanted = known.bytesToAskFor else {
            return
        }
        let memory = most > 0 ? min(wanted, most) : wanted
        let difference = max(memory, size.memory) - min(memory, size.memory)
        guard size.memory == 0 || difference * 20 >= size.memory else { return }
        jobSizes[job]?.memory = memory
        for (other, place) in waiting
        where Self.job(of: other) == job && place.memory == size.memory && place.millicores == size.millicores {
            waiting[other] = Place(memory: memory, millicores: place.millicores, score: place.score)
        }
        wake()
    }
}
