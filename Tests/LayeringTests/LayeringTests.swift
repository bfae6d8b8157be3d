// The house keeps its shape only if something holds it: these tests read what the sources import, and refuse what points upwards
// and what Package.swift does not declare.

import LinuxSystem
import Testing

/// What each room may import, besides the Swift standard library.
private let allowedImports: [String: Set<String>] = [
    "Notation": [],
    "LinuxSystem": ["CLinux", "Glibc", "Synchronization"],
    "Cryptography": ["COpenSSL"],
    "RedisClient": ["Notation", "LinuxSystem", "Cryptography", "DequeModule"],
    "TaskModel": ["Notation"],
    "TaskQueue": ["Notation", "Cryptography", "RedisClient", "TaskModel", "Synchronization"],
    "Scaling": ["TaskModel"],
    "Monitoring": ["RedisClient", "TaskModel", "TaskQueue"],
    "NodeSupervisor": ["TaskModel", "HeapModule", "DequeModule"],
    "NodeProtocol": ["RedisClient", "TaskModel", "TaskQueue", "NodeSupervisor", "DequeModule"],
    "distcompd": [
        "LinuxSystem", "RedisClient", "TaskModel", "TaskQueue", "NodeSupervisor", "NodeProtocol", "Logging",
        "DequeModule",
    ],
    "WebServer": ["LinuxSystem", "HTTPTypes", "Hummingbird", "HummingbirdCore", "Logging", "NIOCore", "Dispatch"],
    "distcomp": [
        "Notation", "LinuxSystem", "RedisClient", "TaskModel", "TaskQueue", "Scaling", "Monitoring", "ArgumentParser",
        "CZstd", "Dispatch", "GRDB", "WebServer",
    ],
    "distcomp-bench": ["LinuxSystem", "RedisClient", "TaskModel", "TaskQueue", "ArgumentParser"],
]

/// Rooms in C, which import nothing of ours.
private let roomsInC: Set<String> = ["CLinux", "COpenSSL", "CZstd", "distcomp-launch"]

/// What comes with Swift and with the system, and is declared nowhere.
private let toolchainModules: Set<String> = [
    "Dispatch", "Foundation", "FoundationEssentials", "Glibc", "Synchronization", "Testing",
]

@Test("every room imports only the rooms below it", arguments: allowedImports.keys.sorted())
func roomImportsOnlyWhatIsBelow(room: String) throws {
    let allowed = try #require(allowedImports[room])
    let folder = "Sources/" + room
    for (module, file) in try SourceTree.imports(below: folder) {
        #expect(allowed.contains(module), "\(file) imports \(module); \(room) may not")
    }
}

@Test("every folder of Sources is a room this test knows, and every room has its folder")
func everyRoomIsKnown() throws {
    let folders = Set(try FileSystem.entries(of: SourceTree.root + "Sources"))
    let rooms = Set(allowedImports.keys).union(roomsInC)
    #expect(folders.subtracting(rooms) == [], "rooms without a rule here")
    #expect(rooms.subtracting(folders) == [], "rooms without a folder")
}

@Test("every target declares what its files import, and imports what it declares")
func declaredIsImported() throws {
    let targets = try PackageManifest.targets()
    #expect(targets.count > 15, "Package.swift was not understood")
    for target in targets where !roomsInC.contains(target.name) {
        let imports = try SourceTree.imports(below: target.path)
        for (module, file) in imports where !toolchainModules.contains(module) {
            #expect(
                target.dependencies.contains(module),
                "\(file) imports \(module), which Package.swift does not declare for \(target.name)")
        }
        for dependency in target.dependencies {
            #expect(
                imports.contains { $0.module == dependency },
                "Package.swift declares \(dependency) for \(target.name), and no file below \(target.path) imports it")
        }
    }
}

@Test("targets are found in the text of a manifest, with their dependencies and where they are")
func manifestIsRead() {
    let text = """
        // .target(name: "no target: a comment", dependencies: ["A"]),
        .target(name: "A", linkerSettings: [.linkedLibrary("z")]),
        .executableTarget(
            name: "b-c",
            dependencies: [
                "A", .product(name: "P", package: "some-package"),
            ], exclude: ["clock"]),
        .testTarget(name: "ATests", dependencies: ["A"]),
        .target(name: "Tool", dependencies: ["A", "b-c"], path: "Tests/Tool"),
        """
    let targets = PackageManifest.targets(in: text)
    #expect(targets.map(\.name) == ["A", "b-c", "ATests", "Tool"])
    #expect(targets.map(\.dependencies) == [[], ["A", "P"], ["A"], ["A", "b_c"]])
    #expect(targets.map(\.path) == ["Sources/A", "Sources/b-c", "Tests/ATests", "Tests/Tool"])
}
