// swift-tools-version: 6.2
import PackageDescription

// The rooms of the house, lowest first. Dependencies point downwards only; Tests/LayeringTests holds the sources to it.
// `distcomp-launch` is C linked without Swift's runtime, so the Makefile builds it (see Sources/distcomp-launch/main.c).
let package = Package(
    name: "distcomp",
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
    ],
    targets: [
        .target(name: "Notation"),
        .target(name: "CLinux"),
        .target(name: "LinuxSystem", dependencies: ["CLinux"]),
        .target(name: "COpenSSL", linkerSettings: [.linkedLibrary("ssl"), .linkedLibrary("crypto")]),
        .systemLibrary(name: "CZstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "Cryptography", dependencies: ["COpenSSL"]),
        .target(
            name: "RedisClient",
            dependencies: [
                "Notation", "LinuxSystem", "Cryptography", .product(name: "DequeModule", package: "swift-collections"),
            ]),
        .target(name: "TaskModel", dependencies: ["Notation"]),
        .target(
            name: "TaskQueue", dependencies: ["Notation", "Cryptography", "RedisClient", "TaskModel"],
            resources: [.embedInCode("Scripts")]),
        .target(name: "Monitoring", dependencies: ["RedisClient", "TaskModel", "TaskQueue"]),
        .target(
            name: "NodeSupervisor",
            dependencies: [
                "TaskModel", .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "HeapModule", package: "swift-collections"),
            ]),
        .target(
            name: "NodeProtocol",
            dependencies: [
                "NodeSupervisor", "RedisClient", "TaskModel", "TaskQueue",
                .product(name: "DequeModule", package: "swift-collections"),
            ]),
        .target(name: "Scaling", dependencies: ["TaskModel"]),
        .executableTarget(
            name: "distcompd",
            dependencies: [
                "LinuxSystem", "RedisClient", "TaskModel", "TaskQueue", "NodeSupervisor", "NodeProtocol",
                .product(name: "DequeModule", package: "swift-collections"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .target(
            name: "WebServer",
            dependencies: [
                "LinuxSystem", .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "Logging", package: "swift-log"), .product(name: "NIOCore", package: "swift-nio"),
            ],
            resources: [.embedInCode("Assets")]),
        .executableTarget(
            name: "distcomp",
            dependencies: [
                "Notation", "LinuxSystem", "RedisClient", "TaskModel", "TaskQueue", "Scaling", "Monitoring", "CZstd",
                "WebServer",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            // Where the Makefile puts the archives of libsqlite3 and libzstd, and nothing else: found there, they become part of the
            // program, which then asks no machine for them.
            linkerSettings: [.unsafeFlags(["-L", Context.packageDirectory + "/.build/static"])]),
        .executableTarget(
            name: "distcomp-bench",
            dependencies: [
                "LinuxSystem", "RedisClient", "TaskModel", "TaskQueue",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            exclude: ["clock", "peers"]),

        // What the scripts of the queue do, in plain Swift, for whoever simulates.
        .target(
            name: "QueueModel", dependencies: ["RedisClient", "TaskModel", "TaskQueue"], path: "Tests/QueueModel",
            swiftSettings: [.unsafeFlags(["-O", "-enforce-exclusivity=unchecked"], .when(configuration: .debug))]),
        .target(
            name: "RedisServerFixture", dependencies: ["LinuxSystem", "RedisClient"], path: "Tests/RedisServerFixture",
            resources: [.embedInCode("stepped-clock.c")]),
        // `make chaos`: a test tool, never installed.
        .executableTarget(
            name: "distcomp-chaos",
            dependencies: [
                "LinuxSystem", "RedisClient", "TaskModel", "TaskQueue", "RedisServerFixture",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], path: "Tests/Chaos"),
        .testTarget(name: "ChaosTests", dependencies: ["distcomp-chaos"]),
        .testTarget(name: "LayeringTests", dependencies: ["LinuxSystem"]),
        .testTarget(name: "NotationTests", dependencies: ["Notation"]),
        .testTarget(name: "LinuxSystemTests", dependencies: ["CLinux", "LinuxSystem"]),
        .testTarget(name: "CryptographyTests", dependencies: ["Cryptography"]),
        .testTarget(name: "RedisClientTests", dependencies: ["LinuxSystem", "RedisClient", "RedisServerFixture"]),
        .testTarget(name: "WebServerTests", dependencies: ["WebServer"]),
        .testTarget(name: "TaskModelTests", dependencies: ["Notation", "TaskModel"]),
        .testTarget(name: "CommandLineTests", dependencies: ["distcomp", "LinuxSystem", "TaskModel", "TaskQueue"]),
        .testTarget(
            name: "IntegrationTests",
            dependencies: ["LinuxSystem", "Monitoring", "RedisClient", "TaskModel", "TaskQueue", "RedisServerFixture"],
            exclude: ["Golden"]),
        .testTarget(
            name: "distcompdTests",
            dependencies: [
                "distcompd", "LinuxSystem", "NodeSupervisor", "TaskModel", "TaskQueue",
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(
            name: "TaskQueueTests",
            dependencies: [
                "Notation", "LinuxSystem", "Monitoring", "QueueModel", "RedisClient", "TaskModel", "TaskQueue",
                "RedisServerFixture",
            ]),
        .testTarget(
            name: "MonitoringTests", dependencies: ["Monitoring"]),
        .testTarget(
            name: "NodeProtocolTests",
            dependencies: ["NodeProtocol", "NodeSupervisor", "RedisClient", "TaskModel", "TaskQueue"]),
        .testTarget(name: "ScalingTests", dependencies: ["Scaling", "TaskModel"]),
        .testTarget(name: "NodeSupervisorTests", dependencies: ["NodeSupervisor", "TaskModel"]),
        .testTarget(
            name: "SimulationTests",
            dependencies: [
                "NodeProtocol", "NodeSupervisor", "QueueModel", "RedisClient", "TaskModel", "TaskQueue",
                .product(name: "DequeModule", package: "swift-collections"),
            ],
            // Millions of simulated events: optimised even in a debug build, they take half a minute.
            swiftSettings: [.unsafeFlags(["-O", "-enforce-exclusivity=unchecked"], .when(configuration: .debug))]),
    ],
    swiftLanguageModes: [.v6]
)

// The tests of one room alone, to build and run them in a minute's loop: DISTCOMP_ROOM=SimulationTests swift test
if let room = Context.environment["DISTCOMP_ROOM"] {
    package.targets.removeAll { $0.type == .test && $0.name != room }
}

// A library without a main of its own, which libFuzzer brings; see the Makefile. Only where it is asked for: its code is compiled
// with the counters that guide the fuzzer.
if Context.environment["DISTCOMP_FUZZ"] != nil {
    package.products.append(.library(name: "Fuzzing", type: .static, targets: ["Fuzzing"]))
    package.targets.append(
        .target(
            name: "Fuzzing", dependencies: ["RedisClient", "TaskModel", "TaskQueue"], path: "Tests/Fuzz",
            exclude: ["Corpus"]))
}
