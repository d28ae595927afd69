import Testing
import WidebandTorch

@Suite struct DeviceTests {
  @Test func theProcessor() throws {
    let device = try Device("cpu")
    #expect(device == .cpu)
    #expect(device.description == "cpu")
    #expect(device.peakBytes == 0)
    try device.synchronize()
    #expect(Tensor.zeros([1]).device == .cpu)
  }

  @Test(arguments: ["tpu", "", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda:128", "cuda:99999999999", "CUDA", "mps:1"])
  func unknownNames(_ name: String) {
    expectError("unknown device '\(name)': expected cpu, cuda, cuda:N or mps") { _ = try Device(name) }
  }

  /// Whatever the machine has, it does not have a hundred GPUs.
  @Test(arguments: ["cuda:99", "cuda:127"])
  func absentDevices(_ name: String) {
    let error = #expect(throws: TorchError.self) { try Device(name) }
    #expect(error?.description.hasPrefix("device '\(name)' is not available: ") == true)
    #expect(error?.description.contains("\n") == false)
    #expect(error?.kind == .device)
  }

  #if os(Linux)
    @Test func appleDevicesOnLinux() {
      expectError("device 'mps' is not available: this build of libtorch has no such device") { _ = try Device("mps") }
    }
  #endif

  /// A GPU is either ready for use or an error that says what is missing, each time it is asked for.
  @Test func cudaIsReadyOrAnError() throws {
    for _ in 0..<2 {
      do {
        let device = try Device("cuda")
        #expect(device.description == "cuda:0")
        try expect([3, 3]) { Tensor.ones([2], on: device) + 2.0 }
      } catch let error as TorchError {
        #expect(error.description.hasPrefix("device 'cuda' is not available: "))
        #expect(!error.description.contains("\n"))
      }
    }
    try expect([3]) { vector(1) + 2.0 }
  }

  @Test func threads() async {
    await #expect(processExitsWith: .success) {
      Machine.prepare()
      Machine.threadCount = 1
      #expect(Machine.threadCount == 1)
      for count in [0, -3, Int.min] {
        Machine.threadCount = count
        #expect(Machine.threadCount == 1)
      }
      Machine.threadCount = 2
      #expect(Machine.threadCount == 2)
      let sum = try Tensor.ones([300_000]).sum().item()
      #expect(sum == 300_000)
    }
  }
}
