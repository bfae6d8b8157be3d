// What shows the output of tasks while a run goes on, in either of its two manners.

protocol OutputOfRun: AnyObject {
    var merger: LineMerger { get }
    /// Where the node is to note what begins and ends; nil where nobody wants to know.
    var notes: TemporaryFile? { get }

    /// Shows what has come; whether there may be more at once.
    func look() throws(CommandError) -> Bool

    /// Takes in what will not be there later. To be called now and then while our reader takes nothing.
    func lookWhileWaiting() throws(CommandError)

    /// Shows the rest. To be called when nothing runs any more.
    func finish() throws(CommandError)
}
