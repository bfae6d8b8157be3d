// One owner, one close. Numbers of descriptors are shared by the whole process: the tests that look at one use a number so high
// that nobody else is given it.

import Glibc
import Testing

@testable import LinuxSystem

private func isOpen(_ raw: Int32) -> Bool { fcntl(raw, F_GETFD) != -1 }

@Suite("Descriptors")
struct OwnedDescriptorTests {
    @Test("a descriptor is closed when its owner goes, and never a second time")
    func closesOnce() throws {
        let null = try OwnedDescriptor.open("/dev/null", [.readOnly])
        let number: Int32 = 900
        #expect(dup2(null.raw, number) == number)
        do {
            let owner = OwnedDescriptor(adopting: number)
            #expect(owner.raw == number && isOpen(number))
        }
        #expect(!isOpen(number))
        // The number is given out again; an owner that closed late or twice would close this one.
        #expect(dup2(null.raw, number) == number)
        #expect(isOpen(number))
        #expect(close(number) == 0)
    }

    @Test("a shared descriptor is closed with its last holder")
    func sharedClosesLast() throws {
        let null = try OwnedDescriptor.open("/dev/null", [.readOnly])
        let number: Int32 = 901
        #expect(dup2(null.raw, number) == number)
        var holders = [SharedDescriptor(OwnedDescriptor(adopting: number))]
        holders.append(holders[0])
        holders.removeFirst()
        #expect(isOpen(number))
        holders.removeAll()
        #expect(!isOpen(number))
    }

    @Test("what is opened is close-on-exec, duplicates and pipes too")
    func closeOnExec() throws {
        let file = try OwnedDescriptor.open("/dev/null", [.readOnly])
        let copy = try OwnedDescriptor.duplicate(of: file.raw)
        let pipe = try OwnedDescriptor.pipe()
        for raw in [file.raw, copy.raw, pipe.reading.raw, pipe.writing.raw] {
            #expect(fcntl(raw, F_GETFD) == FD_CLOEXEC)
        }
    }

    @Test("low numbers that were reserved are not given out again")
    func reserves() async {
        await #expect(processExitsWith: .success) {
            // Again and again, for the test library may still be closing descriptors of its own.
            try waitUntil("the low numbers are taken") {
                try reserveDescriptors(below: ProcessLauncher.reservedDescriptors)
                return try OwnedDescriptor.open("/dev/null", [.readOnly]).raw >= ProcessLauncher.reservedDescriptors
            }
        }
    }

    @Test("a link is not followed where that was asked for")
    func doesNotFollow() throws {
        let folder = try TemporaryFolder()
        #expect(symlink("/dev/null", folder.path + "/link") == 0)
        #expect(throws: SystemError(call: "open", subject: "link", code: ELOOP)) {
            let directory = SharedDescriptor(try OwnedDescriptor.open(folder.path, [.readOnly, .directory]))
            _ = try OwnedDescriptor.open("link", [.readOnly, .doNotFollow], below: directory)
        }
    }

    @Test("only one holder at a time gets the lock of a file")
    func locks() throws {
        let folder = try TemporaryFolder()
        let path = try folder.file("lock")
        do {
            let first = try OwnedDescriptor.open(path, [.readWrite])
            let second = try OwnedDescriptor.open(path, [.readWrite])
            let both = [try first.tryLock(subject: path), try second.tryLock(subject: path)]
            #expect(both == [true, false])
        }
        let later = try OwnedDescriptor.open(path, [.readWrite])
        let isLocked = try later.tryLock(subject: path)
        #expect(isLocked)
    }

    @Test("where a file cannot be locked at all, that is told, and not that another holds it")
    func noLocks() throws {
        // What flock(2) says where a file system has no locks differs; here it is that this is no open file.
        let folder = try TemporaryFolder()
        let path = try folder.file("lock")
        let file = try OwnedDescriptor.open(path, [.pathOnly])
        do throws(SystemError) {
            let isLocked = try file.tryLock(subject: path)
            Issue.record("\(isLocked) instead of an error")
        } catch {
            #expect(error == SystemError(call: "flock", subject: path, code: EBADF))
        }
    }
}

// MARK: - System errors

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
        #expect(errorText(ENOSPC) == "No space left on device")
    }
}
