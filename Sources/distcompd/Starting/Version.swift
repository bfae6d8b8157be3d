/// The version of this daemon; the same as the command line's and the package's.
let version = "1.1.0"
