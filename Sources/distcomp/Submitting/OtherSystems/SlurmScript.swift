// Reads a Slurm batch script as far as tasks go: the directives after `#SBATCH` that ask for memory, cores, time and an array of
// indices. What they mean is from sbatch(1). The others are named, since a script that asked for a GPU and got none should not be a
// surprise.

import TaskModel

/// What a batch script asks for.
struct SlurmScript {
    /// The program of its first line, with that line's arguments.
    let interpreter: [String]
    /// The indices of its array, in order; nil where it is none.
    private(set) var indices: [Int]?
    private(set) var memory: String?
    private(set) var cores: String?
    private(set) var timeout: String?
    private(set) var jobName: String?
    private(set) var gpus: String?
    /// What is not done here, as messages name it.
    private(set) var ignored: [String] = []

    private let text: String
    private let name: String
    private var memoryPerCore: MemoryAmount?

    private struct Place: CustomStringConvertible {
        let name: String
        let line: Int
        var description: String { "\(name):\(line)" }
    }

    private struct MemoryAmount {
        let count: Int
        let unit: Character
    }

    /// The most indices an array may have.
    private static let indicesMax = 10_000_000

    /// - Parameters:
    ///   - text: the script.
    ///   - name: what messages call it.
    init(_ text: String, named name: String) throws(SweepError) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard let first = lines.first, first.hasPrefix("#!"),
            case let words = first.dropFirst(2).split(whereSeparator: \.isWhitespace).map(String.init), !words.isEmpty
        else { throw SweepError("\(name): no `#!` in its first line, as a batch script has (`#!/bin/bash`)") }
        interpreter = words
        self.text = text
        self.name = name
        for (index, line) in lines.enumerated().dropFirst() {
            guard line.first == "#" || line.allSatisfy(\.isWhitespace) else { break }  // As Slurm does.
            guard line.hasPrefix("#SBATCH"), let next = line.dropFirst(7).first, next.isWhitespace else { continue }
            try read(line.dropFirst(7), at: Place(name: name, line: index + 1))
        }
        if let memoryPerCore, memory == nil {
            memory = "\(memoryPerCore.count * (cores.flatMap { Int($0) } ?? 1))\(memoryPerCore.unit)"
        }
    }

    private mutating func read(_ text: Substring, at place: Place) throws(SweepError) {
        var words = try Self.words(text, at: place)[...]
        while let word = words.popFirst() {
            guard word.hasPrefix("-"), word.count > 1 else {
                throw SweepError("\(place): `\(word)`: expected an option such as --mem=4G")
            }
            var value: String?
            var name = word
            if word.hasPrefix("--") {
                if let equals = word.firstIndex(of: "=") {
                    name = String(word[..<equals])
                    value = String(word[word.index(after: equals)...])
                }
            } else if word.count > 2 {
                name = String(word.prefix(2))
                value = String(word.dropFirst(2))
            }
            if value == nil, let next = words.first, !next.hasPrefix("-") {
                value = next
                words.removeFirst()
            }
            try take(name, value ?? "", at: place)
        }
    }

    private mutating func take(_ name: String, _ value: String, at place: Place) throws(SweepError) {
        func expected(_ what: String) -> SweepError { SweepError("\(place): \(name) `\(value)`: expected \(what)") }
        switch name {
        case "--array", "-a":
            let list = value.prefix { $0 != "%" }
            guard let found = Self.indices(list) else { throw expected("indices such as 0-15, 1,3,7 or 0-30:5") }
            indices = found
            if list.endIndex < value.endIndex {
                ignored.append(
                    "the limit \(value[list.endIndex...]) of --array (line \(place.line)): pause and --slots limit what runs"
                )
            }
        case "--mem":
            guard let amount = Self.memory(value) else {
                throw expected("an amount such as 4G; without a unit it is MB")
            }
            memory = amount.count == 0 ? "0" : "\(amount.count)\(amount.unit)"
        case "--mem-per-cpu":
            guard let amount = Self.memory(value) else {
                throw expected("an amount such as 4G; without a unit it is MB")
            }
            memoryPerCore = amount
        case "--cpus-per-task", "-c":
            guard let count = Int(value), count > 0 else { throw expected("how many cores") }
            cores = String(count)
        case "--time", "-t":
            guard let seconds = Self.seconds(value) else {
                throw expected("minutes, minutes:seconds, hours:minutes:seconds, or days-hours and so on")
            }
            timeout = seconds == 0 ? "0" : "\(seconds)s"
        case "--job-name", "-J": jobName = value
        case "--gpus", "-G", "--gpus-per-task", "--gpus-per-node", "--gres":
            try takeGPUs(name, value, at: place)
        // What a task here is anyhow.
        case "--ntasks", "-n", "--nodes", "-N", "--ntasks-per-node":
            if value != "1" { ignored.append("\(name)=\(value) (line \(place.line))") }
        default: ignored.append("\(name) (line \(place.line))")
        }
    }

    /// `2`, or `a100:2`; of --gres `gpu:2`, `gpu:a100:2`, `gpu`. What kind of them it is to be is not done here.
    private mutating func takeGPUs(_ name: String, _ value: String, at place: Place) throws(SweepError) {
        var parts = value.split(separator: ":", omittingEmptySubsequences: false)[...]
        if name == "--gres" {
            guard !value.contains(","), parts.first == "gpu" else {
                return ignored.append("\(name)=\(value) (line \(place.line))")
            }
            parts = parts.dropFirst()
        }
        let count = parts.last.flatMap { Int($0) }
        if count != nil || parts.isEmpty { parts = parts.dropLast() }
        guard parts.count <= 1, count ?? 1 > 0, count != nil || name == "--gres" else {
            throw SweepError("\(place): \(name) `\(value)`: expected how many GPUs")
        }
        if let kind = parts.first {
            ignored.append("the kind \(kind) of \(name) (line \(place.line)): --where names nodes")
        }
        gpus = "\(count ?? 1)"
    }

    /// The words of a directive: quotes keep blanks, and a comment ends them.
    private static func words(_ text: Substring, at place: Place) throws(SweepError) -> [String] {
        var words: [String] = []
        var word: String?
        var quote: Character?
        for character in text {
            if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\"" || character == "'" {
                quote = character
                word = word ?? ""
            } else if character.isWhitespace {
                if let word { words.append(word) }
                word = nil
            } else if character == "#", word == nil {
                return words
            } else {
                word = (word ?? "") + String(character)
            }
        }
        guard quote == nil else { throw SweepError("\(place): a quote that is never closed") }
        if let word { words.append(word) }
        return words
    }

    /// `0-15`, `0,6,16-32`, `0-15:4`: each once, in order.
    private static func indices(_ text: Substring) -> [Int]? {
        var found: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let range = part.prefix { $0 != ":" }
            var step = 1
            if range.endIndex < part.endIndex {
                guard let number = natural(part[range.endIndex...].dropFirst()), number > 0 else { return nil }
                step = number
            }
            let ends = range.split(separator: "-", omittingEmptySubsequences: false).map(natural)
            guard (1...2).contains(ends.count), let first = ends[0], let last = ends[ends.count - 1], first <= last,
                ends.count == 2 || step == 1, (last - first) / step < indicesMax
            else { return nil }
            found.formUnion(stride(from: first, through: last, by: step))
        }
        return found.count <= indicesMax ? found.sorted() : nil
    }

    private static func natural(_ text: some StringProtocol) -> Int? {
        guard !text.isEmpty, text.count < 10, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int(text)
    }

    /// In megabytes where there is no unit.
    private static func memory(_ text: String) -> MemoryAmount? {
        var digits = text[...]
        if let last = digits.last, last == "B" || last == "b" { digits.removeLast() }
        var unit: Character = "M"
        if let last = digits.last, let found = last.uppercased().first, "KMGT".contains(found) {
            unit = found
            digits.removeLast()
        } else if digits.endIndex < text.endIndex {
            return nil
        }
        return natural(digits).map { MemoryAmount(count: $0, unit: unit) }
    }

    /// 0: no limit.
    private static func seconds(_ text: String) -> Int? {
        if ["UNLIMITED", "INFINITE"].contains(text.uppercased()) { return 0 }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        let fields = (parts.last ?? "").split(separator: ":", omittingEmptySubsequences: false).map { natural($0) }
        let numbers = fields.compactMap(\.self)
        guard numbers.count == fields.count, (1...3).contains(numbers.count) else { return nil }
        if parts.count == 2 {
            guard let days = natural(parts[0]) else { return nil }
            // With days the first number is hours, without them minutes, or hours where there are three.
            let padded = numbers + Array(repeating: 0, count: 3 - numbers.count)
            return ((days * 24 + padded[0]) * 60 + padded[1]) * 60 + padded[2]
        }
        guard parts.count == 1 else { return nil }
        switch numbers.count {
        case 1: return numbers[0] * 60
        case 2: return numbers[0] * 60 + numbers[1]
        default: return (numbers[0] * 60 + numbers[1]) * 60 + numbers[2]
        }
    }
}

// MARK: - Tasks

extension SlurmScript {
    var taskCount: Int { indices?.count ?? 1 }

    /// The commands of the tasks.
    ///
    /// - Parameters:
    ///   - path: where the script is, from wherever a task runs.
    ///   - arguments: what it is called with.
    ///   - directory: where it was submitted from.
    func commands(path: String, arguments: [String], directory: String) -> (Int) -> String {
        let call = (interpreter + [path] + arguments).map(ShellWord.quoted).joined(separator: " ")
        let fixed = variables(directory: directory).map { "\($0.name)=\(ShellWord.quoted($0.value)) " }.joined()
        return { number in
            guard let indices else { return fixed + call }
            return "\(fixed)SLURM_ARRAY_TASK_ID=\(indices[number]) \(call)"
        }
    }

    /// Slurm's variables that the script names and none of its tasks has.
    var variablesMissing: [String] {
        let given = variables(directory: "").map(\.name) + (indices == nil ? [] : ["SLURM_ARRAY_TASK_ID"])
        return variablesNamed.subtracting(given).sorted()
    }

    /// Slurm's variables that are the same for all tasks, as far as the script names them.
    private func variables(directory: String) -> [(name: String, value: String)] {
        var all = [
            ("SLURM_JOB_NAME", jobName ?? String(name.split(separator: "/").last ?? "")),
            ("SLURM_SUBMIT_DIR", directory),
        ]
        if let indices, let first = indices.first, let last = indices.last {
            all += [
                ("SLURM_ARRAY_TASK_COUNT", String(indices.count)), ("SLURM_ARRAY_TASK_MIN", String(first)),
                ("SLURM_ARRAY_TASK_MAX", String(last)),
            ]
        }
        let named = variablesNamed
        // Libraries look for this one, named or not.
        return all.filter { named.contains($0.0) } + (cores.map { [("SLURM_CPUS_PER_TASK", $0)] } ?? [])
    }

    private var variablesNamed: Set<String> {
        var found: Set<String> = []
        for part in text.split(separator: "SLURM_", omittingEmptySubsequences: false).dropFirst() {
            found.insert("SLURM_" + part.prefix { $0.isASCII && ($0.isUppercase || $0.isNumber || $0 == "_") })
        }
        return found
    }
}
