// `run --output`: whether what tasks write is shown while they run, and how what many write at once is told apart.

import ArgumentParser

/// How what tasks write is shown by the `run` that runs them.
enum ShownOutput: String, CaseIterable, ExpressibleByArgument {
    /// Each line as it comes.
    case stream
    /// A whole task at a time, in the order of the input.
    case ordered
    case none
}

struct OutputOptions: ParsableArguments {
    static let help = """
        --output shows what tasks write, their standard output on ours and their standard error on ours; the summary then goes \
        to standard error. stream: line by line as it comes, of every attempt, and never two lines mixed: an unfinished last line \
        gets its newline, and one longer than 64 KiB comes in pieces. ordered: all of a task when it has ended, in the order of the \
        input; of one that was tried again, its last attempt. What had ended before is not shown again. Whatever is shown or \
        not, the output of every task stays in its files: distcomp logs, distcomp results. On a terminal control characters are \
        shown escaped.
        """

    @Option(
        name: .customLong("output"),
        help: .init(
            "Show what tasks write: as it comes, or each task's whole in the order of input.",
            valueName: "stream|ordered|none"))
    var shown = ShownOutput.none

    @Flag(help: "Begin each line shown with the values of its task (or its name, or its command, shortened) and a tab.")
    var tag = false

    func validate() throws {
        if tag, shown == .none { throw ValidationError("--tag is for what --output stream or --output ordered shows") }
    }
}
