// The programs under test: the real ones, as the build left them.

import Foundation
import LinuxSystem

enum Products {
    static let distcomp = path("distcomp")
    static let distcompd = path("distcompd")
    static let bench = path("distcomp-bench")

    /// Where the programs are: DISTCOMP_PRODUCTS, or the `.build/debug` of the package these tests belong to.
    private static let directory: String = {
        if let given = ProcessInfo.processInfo.environment["DISTCOMP_PRODUCTS"] { return given }
        var folder = URL(fileURLWithPath: #filePath)
        while folder.path != "/" {
            folder.deleteLastPathComponent()
            let candidate = folder.appendingPathComponent(".build/debug").path
            if FileManager.default.isExecutableFile(atPath: candidate + "/distcompd") { return candidate }
        }
        return ".build/debug"
    }()

    /// The package's own folder, found from where this file is.
    static let package: String = {
        var folder = URL(fileURLWithPath: #filePath)
        while folder.path != "/" {
            folder.deleteLastPathComponent()
            let manifest = folder.appendingPathComponent("Package.swift").path
            if FileManager.default.fileExists(atPath: manifest) { return folder.path }
        }
        return "."
    }()

    /// Whether a user without rights could run them: a checkout below /root is closed to all but root.
    static let areReachableByAnybody: Bool = {
        var folder = URL(fileURLWithPath: directory).resolvingSymlinksInPath()
        while folder.path != "/" {
            let status = try? FileSystem.status(of: folder.path)
            guard let status, status.permissions & 0o005 == 0o005 else { return false }
            folder.deleteLastPathComponent()
        }
        return true
    }()

    private static func path(_ name: String) -> String { directory + "/" + name }
}
