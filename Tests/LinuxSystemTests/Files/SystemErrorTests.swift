// One form for every refusal of the kernel.

import Glibc
import Testing

@testable import LinuxSystem

@Suite("System errors")
struct SystemErrorTests {
    @Test("an error names the call, what it was about and the kernel's reason")
    func text() {
        let error = SystemError(call: "write", subject: "task-42/memory.max", code: EBUSY)
        #expect("\(error)" == "write task-42/memory.max: Device or resource busy")
    }

    @Test("the error of a call that has just failed carries its errno")
    func last() {
        #expect(throws: SystemError(call: "open", subject: "/nonexistent/file", code: ENOENT)) {
            _ = try OwnedDescriptor.open("/nonexistent/file", [.readOnly])
        }
    }

    @Test("a number that is no errno still has a text")
    func unknownNumber() {
        #expect(errorText(99_999) == "Unknown error")
        #expect(errorText(-1) == "Unknown error")
        #expect(errorText(ErrorCode.noSpace) == "No space left on device")
    }
}
