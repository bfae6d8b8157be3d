// Where our control groups are, from texts of /proc as real machines show them.

import Testing

@testable import LinuxSystem

@Suite("Control group mounts")
struct ControlGroupMountsTests {
    private let unifiedMount =
        "29 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"

    @Test("a systemd unit on a v2 machine")
    func systemdUnit() {
        let found = ControlGroupMounts(
            memberships: "0::/system.slice/distcompd.service\n",
            mounts: """
                22 28 0:20 / /sys rw,nosuid,nodev,noexec,relatime shared:7 - sysfs sysfs rw
                28 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,discard
                \(unifiedMount)
                """)
        #expect(found.unified == "/sys/fs/cgroup/system.slice/distcompd.service")
        #expect(found.unifiedMount == "/sys/fs/cgroup")
        #expect(found.legacyMemory == nil)
        #expect(found.legacyProcesses == nil)
    }

    @Test("the root group is the mount itself")
    func rootGroup() {
        let found = ControlGroupMounts(memberships: "0::/\n", mounts: unifiedMount)
        #expect(found.unified == "/sys/fs/cgroup")
    }

    private let hybridMounts = """
        31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
        32 31 0:29 / /sys/fs/cgroup/unified rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate
        33 31 0:30 / /sys/fs/cgroup/systemd rw,nosuid shared:10 - cgroup cgroup rw,xattr,name=systemd
        34 31 0:31 / /sys/fs/cgroup/memory rw,nosuid shared:14 - cgroup cgroup rw,memory
        35 31 0:32 / /sys/fs/cgroup/pids rw,nosuid shared:15 - cgroup cgroup rw,pids
        36 31 0:33 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid shared:16 - cgroup cgroup rw,cpu,cpuacct
        """

    @Test("a hybrid machine, with a group of its own under each controller")
    func hybrid() {
        let found = ControlGroupMounts(
            memberships: """
                12:memory:/user.slice/user-0.slice
                8:cpu,cpuacct:/
                3:pids:/user.slice/user-0.slice/session-1.scope
                1:name=systemd:/user.slice/user-0.slice/session-1.scope
                0::/user.slice/user-0.slice/session-1.scope
                """,
            mounts: hybridMounts)
        #expect(found.unified == "/sys/fs/cgroup/unified/user.slice/user-0.slice/session-1.scope")
        #expect(found.unifiedMount == "/sys/fs/cgroup/unified")
        #expect(found.legacyMemory == "/sys/fs/cgroup/memory/user.slice/user-0.slice")
        #expect(found.legacyProcesses == "/sys/fs/cgroup/pids/user.slice/user-0.slice/session-1.scope")
    }

    @Test("a container with a control group namespace of its own")
    func privateNamespace() {
        let found = ControlGroupMounts(
            memberships: "0::/\n",
            mounts: """
                611 540 0:54 / / rw,relatime master:210 - overlay overlay rw,lowerdir=/l/A:/l/B
                641 640 0:26 / /sys/fs/cgroup ro,nosuid,nodev,noexec,relatime - cgroup2 cgroup rw,nsdelegate
                """)
        #expect(found.unified == "/sys/fs/cgroup")
    }

    @Test("a container that sees its part of the host's v1 hierarchies")
    func dockerLegacy() {
        let found = ControlGroupMounts(
            memberships: "9:memory:/docker/4f5e\n4:pids:/docker/4f5e\n1:name=systemd:/docker/4f5e\n",
            mounts: """
                700 699 0:31 /docker/4f5e /sys/fs/cgroup/memory ro,nosuid,nodev master:14 - cgroup cgroup rw,memory
                701 699 0:32 /docker/4f5e /sys/fs/cgroup/pids ro,nosuid,nodev master:15 - cgroup cgroup rw,pids
                """)
        #expect(found.unified == nil)
        #expect(found.unifiedMount == nil)
        #expect(found.legacyMemory == "/sys/fs/cgroup/memory")
        #expect(found.legacyProcesses == "/sys/fs/cgroup/pids")
    }

    @Test("a v1 machine, with controllers that share a mount")
    func legacyOnly() {
        let found = ControlGroupMounts(
            memberships: "5:cpu,memory,pids:/batch\n",
            mounts: "40 30 0:40 / /cgroup/all rw - cgroup none rw,cpu,memory,pids\n")
        #expect(found.unified == nil)
        #expect(found.legacyMemory == "/cgroup/all/batch")
        #expect(found.legacyProcesses == "/cgroup/all/batch")
    }

    @Test("white space and backslashes in mount points are unescaped")
    func escapes() {
        let found = ControlGroupMounts(
            memberships: "0::/a b\n",
            mounts: #"29 22 0:26 / /mnt/my\040groups\134x\011y\012z rw - cgroup2 none rw"#)
        #expect(found.unified == "/mnt/my groups\\x\ty\nz/a b")
    }

    @Test("an unfinished escape is left as it is", arguments: [#"/mnt\"#, #"/mnt\04"#, #"/mnt\xyz"#, #"/mnt\777"#])
    func brokenEscape(point: String) {
        let found = ControlGroupMounts(memberships: "0::/\n", mounts: "29 22 0:26 / \(point) rw - cgroup2 none rw")
        #expect(found.unified == point)
    }

    @Test("a mount that shows another part of the hierarchy is passed over")
    func otherPart() {
        let found = ControlGroupMounts(
            memberships: "0::/system.slice/a.service\n",
            mounts: """
                50 22 0:26 /system.slice/b.service /mnt/b rw - cgroup2 cgroup2 rw
                51 22 0:26 /system.slice/a /mnt/prefix rw - cgroup2 cgroup2 rw
                52 22 0:26 /system.slice /mnt/slice rw - cgroup2 cgroup2 rw
                \(unifiedMount)
                """)
        #expect(found.unified == "/mnt/slice/a.service")
        #expect(found.unifiedMount == "/mnt/slice")
        let none = ControlGroupMounts(memberships: "0::/x\n", mounts: "50 22 0:26 /y /mnt/y rw - cgroup2 cgroup2 rw")
        #expect(none.unified == nil)
        #expect(none.unifiedMount == nil)
    }

    @Test("a later mount of another part does not hide the one that shows our group")
    func laterOtherPart() {
        let found = ControlGroupMounts(
            memberships: "4:memory:/a\n3:pids:/a\n0::/\n",
            mounts: hybridMounts + """

                90 31 0:31 /other /var/lib/container/memory rw - cgroup cgroup rw,memory
                91 31 0:32 /other /var/lib/container/pids rw - cgroup cgroup rw,pids
                """)
        #expect(found.legacyMemory == "/sys/fs/cgroup/memory/a")
        #expect(found.legacyProcesses == "/sys/fs/cgroup/pids/a")
    }

    @Test(
        "a group outside of our namespace is not looked for above the mount", arguments: ["/..", "/../b", "/../../b"])
    func outsideNamespace(group: String) {
        #expect(ControlGroupMounts(memberships: "0::\(group)\n", mounts: unifiedMount).unified == nil)
    }

    @Test("a group whose name begins with dots is an ordinary one")
    func dottedName() {
        #expect(ControlGroupMounts(memberships: "0::/..b\n", mounts: unifiedMount).unified == "/sys/fs/cgroup/..b")
    }

    @Test(
        "text of another kind means no groups, and no trap",
        arguments: [
            "", "\n\n", ":::", "0:", "0::", "- - - -", "1 2 3 4 5 6 -", "1 2 3 4 5 6 - cgroup2",
            "a b c d e f - cgroup2 x",
        ])
    func malformed(text: String) {
        let found = ControlGroupMounts(memberships: text, mounts: text)
        #expect(found.unified == nil)
        #expect(found.legacyMemory == nil)
    }

    @Test("a group's own colons belong to its name")
    func colons() {
        let found = ControlGroupMounts(memberships: "0::/a:b:c\n", mounts: unifiedMount)
        #expect(found.unified == "/sys/fs/cgroup/a:b:c")
    }
}
