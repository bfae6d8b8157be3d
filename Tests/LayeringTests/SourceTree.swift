// What there is to compare: the imports that stand in the sources, and the targets that Package.swift declares.

import LinuxSystem

enum SourceTree {
    /// The root of the repository, with a slash at its end.
    static let root = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/"

    /// Every import in the Swift files below `folder`: the module, and the file it stands in.
    static func imports(below folder: String) throws -> [(module: String, file: String)] {
        try swiftFiles(below: folder).flatMap { file in
            let text = String(decoding: try FileSystem.contents(of: root + file), as: UTF8.self)
            return text.split(separator: "\n").compactMap { line in importedModule(line).map { ($0, file) } }
        }
    }

    /// The module that a line imports; nil for every other line.
    private static func importedModule(_ line: Substring) -> String? {
        guard line.hasPrefix("import ") || line.contains(" import ") else { return nil }
        let words = line.split(separator: " ")
        guard let position = words.firstIndex(of: "import"), words[..<position].allSatisfy(isAttribute) else {
            return nil
        }
        // `import struct Foundation.Date` names its module last, before the dot.
        return String(words[words.count - 1].split(separator: ".")[0])
    }

    private static func isAttribute(_ word: Substring) -> Bool {
        word.hasPrefix("@") || ["public", "internal", "package", "private", "fileprivate"].contains(word)
    }

    private static func swiftFiles(below folder: String) throws -> [String] {
        try FileSystem.entries(of: root + folder).sorted().flatMap { name in
            let path = folder + "/" + name
            if try FileSystem.status(of: root + path).isDirectory { return try swiftFiles(below: path) }
            return name.hasSuffix(".swift") ? [path] : []
        }
    }
}

/// Package.swift, read as text: `swift package dump-package` would wait for the build that runs this test.
enum PackageManifest {
    struct Target {
        let name: String
        /// The modules it may import: names of targets and of products.
        var dependencies: [String] = []
        /// Where its files are, from the root of the repository.
        var path: String
    }

    static func targets() throws -> [Target] {
        targets(in: String(decoding: try FileSystem.contents(of: SourceTree.root + "Package.swift"), as: UTF8.self))
    }

    static func targets(in manifest: String) -> [Target] {
        // Comments are whole lines in it.
        let lines = manifest.split(separator: "\n").filter { line in !line.drop { $0 == " " }.hasPrefix("//") }
        let text = lines.joined(separator: " ")
        var targets: [Target] = []
        var rest = text[...]
        while let call = rest.firstRange(of: /\.(target|executableTarget|testTarget)\(/) {
            let isTest = rest[call].hasPrefix(".testTarget")
            rest = rest[call.upperBound...]
            let arguments = upToClosing("(", ")", of: rest)
            if let target = target(from: arguments, isTest: isTest) { targets.append(target) }
            rest = rest[arguments.endIndex...]
        }
        return targets
    }

    private static func target(from arguments: Substring, isTest: Bool) -> Target? {
        guard let name = arguments.firstMatch(of: /^\s*name: "([^"]+)"/) else { return nil }
        var target = Target(name: String(name.1), path: (isTest ? "Tests/" : "Sources/") + name.1)
        if let path = arguments.firstMatch(of: /path: "([^"]+)"/) { target.path = String(path.1) }
        if let list = arguments.firstRange(of: "dependencies: [") {
            let entries = upToClosing("[", "]", of: arguments[list.upperBound...])
            // The package of a product is no module.
            let names = entries.replacing(/package: "[^"]+"/, with: "").matches(of: /"([^"]+)"/)
            target.dependencies = names.map { String($0.1).replacing("-", with: "_") }
        }
        return target
    }

    /// What stands before the bracket that closes one opened just before `text`.
    private static func upToClosing(_ opening: Character, _ closing: Character, of text: Substring) -> Substring {
        var depth = 1
        for index in text.indices {
            if text[index] == opening { depth += 1 }
            if text[index] == closing { depth -= 1 }
            if depth == 0 { return text[..<index] }
        }
        return text
    }
}
