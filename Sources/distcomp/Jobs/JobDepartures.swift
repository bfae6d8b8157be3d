// What is said of jobs whose results have left Redis.

import LinuxSystem
import TaskModel
import TaskQueue

extension QueueClient {
    /// When the results of a job left, and how it had ended, to stand behind `left Redis on`; nil while they are there.
    func departure(ofJob identifier: String) throws(CommandError) -> String? {
        guard !identifier.isEmpty,
            let departure = try perform(ReadJobDeparture(keys: keys.of(job: identifier)))
        else { return nil }
        return
            "\(LocalTime(unixSeconds: Int64(departure.atUnixSeconds)).text): \(grouped(departure.finished)) had finished and "
            + "\(grouped(departure.failed)) failed; an archive may have them (results --from FILE)"
    }
}
