// The GPUs of AMD, as the kernel's compute driver tells of them (amdkfd): a folder for each processor of the machine, in which a GPU has
// SIMD units and a number of its own. ROCm calls it `GPU-` and that number in hexadecimal.

import Glibc

public enum AMDDevices {
    public static let usualTopology = "/sys/class/kfd/kfd/topology"

    /// All of them, in the driver's order, and why one may be missing; none where there is no such driver.
    ///
    /// - Parameter topology: where the driver tells of them.
    public static func find(topology: String = usualTopology) -> (identifiers: [String], notes: [String]) {
        let nodes = topology + "/nodes"
        var (found, notes): ([String], [String]) = ([], [])
        for number in entries(of: nodes, &notes).compactMap({ Int($0) }).sorted() {
            guard let text = text(of: "\(nodes)/\(number)/properties", &notes) else { continue }
            let properties = properties(text)
            guard properties["simd_count"] ?? 0 > 0 else { continue }
            let unique = properties["unique_id"] ?? 0
            // Older ones have none, and go by their place among the GPUs.
            found.append(unique == 0 ? "\(found.count)" : "GPU-" + hexadecimal(unique))
        }
        return (found, notes)
    }

    private static func entries(of nodes: String, _ notes: inout [String]) -> [String] {
        do {
            return try FileSystem.entries(of: nodes)
        } catch {
            if error.code != ENOENT { notes.append("\(error)") }  // No such driver.
            return []
        }
    }

    private static func text(of properties: String, _ notes: inout [String]) -> String? {
        do {
            return try FileSystem.text(of: properties)
        } catch {
            // So it is of a GPU that the container around us may not use; of others the file is empty.
            if error.code != EPERM { notes.append("\(error)") }
            return nil
        }
    }

    private static func properties(_ text: String) -> [Substring: UInt64] {
        var properties: [Substring: UInt64] = [:]
        for line in text.split(separator: "\n") {
            let words = line.split(separator: " ")
            if words.count == 2, let value = UInt64(words[1]) { properties[words[0]] = value }
        }
        return properties
    }

    private static func hexadecimal(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
