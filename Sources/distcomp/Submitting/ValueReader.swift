// Reads the values of a file as it comes, in pieces of any size: each line is one, its end being LF or CR LF, or what stands
// between two NUL characters. What is no text, or too long to be part of a task, ends the reading: a sweep without some of its
// values is not the one that was meant.

import Notation
import TaskModel

/// A file of values, read piece by piece.
struct ValueReader {
    private(set) var table: ValueTable
    private let separator: UInt8
    private var unfinished: [UInt8] = []
    private var count = 0

    init(named name: String, _ form: ValueTable.Form) {
        table = ValueTable(named: name, form)
        separator = form.separator
    }

    /// Reads the next piece of the file.
    mutating func read(_ piece: UnsafeRawBufferPointer) throws(SweepError) {
        var rest = piece[...]
        while let end = rest.firstIndex(of: separator) {
            let value = rest[..<end]
            rest = rest[(end + 1)...]
            unfinished += value
            try take()
        }
        unfinished += rest
        // Nothing that long becomes a task, so there is no need to wait for its end.
        if unfinished.count > TaskLine.byteCountMax { try take() }
    }

    /// Reads what is left after the last separator; to be called once, when the file has ended.
    mutating func finish() throws(SweepError) { if !unfinished.isEmpty { try take() } }

    private mutating func take() throws(SweepError) {
        defer { unfinished.removeAll(keepingCapacity: true) }
        count += 1
        var value = unfinished[...]
        if separator == UInt8(ascii: "\n") {
            if count == 1, value.starts(with: [0xEF, 0xBB, 0xBF]) { value = value.dropFirst(3) }
            if value.last == UInt8(ascii: "\r") { value = value.dropLast() }
        }
        let (name, number) = (table.name, count)
        if let problem = Self.problem(with: value) {
            throw SweepError("\(name):\(number): \(problem); nothing was done")
        }
        try table.append(value, at: "\(name):\(number)")
    }

    private static func problem(with value: ArraySlice<UInt8>) -> String? {
        if value.count > TaskLine.byteCountMax { return "a value of more than \(TaskLine.byteCountMax) bytes" }
        if value.contains(0) { return "a NUL character, which no argument can hold (with -0 it separates values)" }
        do throws(UTF8.ValidationError) {
            _ = try UTF8Span(validating: value.span)
            return nil
        } catch {
            let byte = value[value.startIndex + error.byteOffsets.lowerBound]
            return "the byte 0x\(Hexadecimal.text(byte)) is not UTF-8, as all text of a task is"
        }
    }
}
