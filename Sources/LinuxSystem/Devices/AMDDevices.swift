// The GPUs of AMD, as the kernel's compute driver tells of them (amdkfd): a folder for each processor of the machine, in which a GPU has
// SIMD units and a number of its own. ROCm calls it `GPU-` and that number in hexadecimal.

public enum AMDDevices {
    public static let usualTopology = "/sys/class/kfd/kfd/topology"

    /// All of them, in the driver's order; none where there is no such driver.
    ///
    /// - Parameter topology: where the driver tells of them.
    public static func find(topology: String = usualTopology) -> [String] {
        let nodes = topology + "/nodes"
        let numbers = ((try? FileSystem.entries(of: nodes)) ?? []).compactMap { Int($0) }.sorted()
        var found: [String] = []
        for number in numbers {
            // Of a GPU that a container may not use the file is empty, or cannot be read.
            guard let text = try? FileSystem.text(of: "\(nodes)/\(number)/properties") else { continue }
            let properties = properties(text)
            guard properties["simd_count"] ?? 0 > 0 else { continue }
            let unique = properties["unique_id"] ?? 0
            // Older ones have none, and go by their place among the GPUs.
            found.append(unique == 0 ? "\(found.count)" : "GPU-" + hexadecimal(unique))
        }
        return found
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
