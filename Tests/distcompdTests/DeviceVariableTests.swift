// By which variables programs of each maker are told which devices are theirs.

import TaskModel
import Testing

@testable import distcompd

@Suite("What tells a task its devices")
struct DeviceVariableTests {
    @Test(
        "those of NVIDIA go by name; of AMD the runtime goes by name, and what stands on it counts within that; numbers are told once",
        arguments: [
            (
                ["GPU-4b2c1a9f-8d3e", "MIG-1"],
                ["GPU-4b2c1a9f-8d3e,MIG-1", "GPU-4b2c1a9f-8d3e,MIG-1", "GPU-4b2c1a9f-8d3e,MIG-1"]
            ),
            (
                ["GPU-deadbeefdeadbeef", "GPU-00000000000000a1"],
                ["0,1", "0,1", "GPU-deadbeefdeadbeef,GPU-00000000000000a1"]
            ),
            (["3", "5"], ["3,5", "3,5", nil]), ([], ["", "", ""]),
        ] as [([String], [String?])])
    func names(devices: [String], expected: [String?]) {
        let parts =
            devices.isEmpty ? [] : [(name: "gpu", thousandths: 1000 * devices.count, devices: devices)]
        let variables = TaskVariables.variables(parts, managesDevices: true)
        let values = Dictionary(uniqueKeysWithValues: variables)
        #expect(TaskVariables.devices.map { values[$0] } == expected)
        #expect(values["DISTCOMP_RESOURCE_GPU"] == (devices.isEmpty ? nil : devices.joined(separator: ",")))
    }

    @Test("a node that gives out no GPUs says nothing of them, and of an amount how much it is")
    func amounts() {
        let parts = [(name: "scratch_gb", thousandths: 1500, devices: [String]())]
        let variables = TaskVariables.variables(parts, managesDevices: false)
        #expect(variables.map(\.0) == ["DISTCOMP_RESOURCE_SCRATCH_GB"] && variables.map(\.1) == ["1.5"])
    }
}
