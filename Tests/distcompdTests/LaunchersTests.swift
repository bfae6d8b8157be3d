import Glibc
import LinuxSystem
import Testing

@testable import distcompd

@Suite("The launchers of a node")
struct LaunchersTests {
    @Test("end by themselves when they are dismissed, and have ended when that is done")
    func dismissed() throws {
        let folder = try StoreFolder()
        // As distcomp-launch does, it ends with its socket.
        let program = folder.path + "/launcher"
        try folder.write("launcher", "#!/bin/sh\nexec cat <&4 > /dev/null\n")
        #expect(chmod(program, 0o700) == 0)
        let settings = LaunchSettings(
            account: nil, umask: 0o022, fileSizeBytesMax: nil, descriptorsMax: 64, resetsOomScore: false)
        let launchers = Launchers(
            try ProcessLauncher(path: program, settings: settings), processorCount: 16, RecordedLog().logger)
        #expect(launchers.standBy(joining: [], bornIn: nil) != nil)
        let processes = Array(launchers.staying.keys)
        #expect(processes.count == 4 && processes.allSatisfy { ChildProcesses.isUnreaped($0) })
        launchers.dismiss()
        #expect(!processes.contains { ChildProcesses.isUnreaped($0) })
    }
}
