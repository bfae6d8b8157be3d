// The house keeps its shape only if something holds it: this test reads the sources' imports and refuses what points upwards.

import LinuxSystem
import Testing

/// What each room may import, besides the Swift standard library.
private let allowedImports: [String: Set<String>] = [
    "LinuxSystem": ["CLinux", "Glibc", "Synchronization"],
    "Cryptography": ["COpenSSL"],
    "RedisClient": ["LinuxSystem", "Cryptography"],
    "TaskModel": ["FoundationEssentials"],
    "TaskQueue": ["Cryptography", "RedisClient", "TaskModel"],
    "NodeSupervisor": ["TaskModel", "HeapModule", "DequeModule"],
    "distcompd": ["LinuxSystem", "RedisClient", "TaskModel", "TaskQueue", "NodeSupervisor", "Logging", "DequeModule"],
    "distcomp": ["LinuxSystem", "RedisClient", "TaskModel", "TaskQueue", "ArgumentParser"],
    "distcomp-bench": ["LinuxSystem", "RedisClient", "TaskModel", "TaskQueue", "ArgumentParser", "Histogram"],
]

@Test("every room imports only the rooms below it", arguments: allowedImports.keys.sorted())
func roomImportsOnlyWhatIsBelow(room: String) throws {
    let allowed = try #require(allowedImports[room])
    for path in try swiftFiles(below: repositoryRoot + "/Sources/" + room) {
        let text = String(decoding: try FileSystem.contents(of: path), as: UTF8.self)
        for line in text.split(separator: "\n") where line.hasPrefix("import ") || line.contains(" import ") {
            let words = line.split(separator: " ")
            guard let position = words.firstIndex(of: "import"), words[..<position].allSatisfy(isAttribute) else {
                continue
            }
            // `import struct Foundation.Date` names its module last, before the dot.
            let module = String(words[words.count - 1].split(separator: ".")[0])
            let problem = "\(path.dropFirst(repositoryRoot.count + 1)) imports \(module); \(room) may not"
            #expect(allowed.contains(module), Comment(rawValue: problem))
        }
    }
}

@Test("every folder of Sources is a room this test knows")
func everyRoomIsKnown() throws {
    let rooms = Set(try FileSystem.entries(of: repositoryRoot + "/Sources"))
    #expect(rooms == Set(allowedImports.keys).union(["CLinux", "COpenSSL", "distcomp-launch"]))
}

private func isAttribute(_ word: Substring) -> Bool {
    word.hasPrefix("@") || ["public", "internal", "package", "private", "fileprivate"].contains(word)
}

private let repositoryRoot = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }

private func swiftFiles(below directory: String) throws -> [String] {
    try FileSystem.entries(of: directory).sorted().flatMap { name in
        let path = directory + "/" + name
        if try FileSystem.status(of: path).isDirectory { return try swiftFiles(below: path) }
        return name.hasSuffix(".swift") ? [path] : []
    }
}
