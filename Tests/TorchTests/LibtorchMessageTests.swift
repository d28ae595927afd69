import Testing

@testable import WidebandTorch

@Suite struct LibtorchMessageTests {
  @Test(
    "libtorch's messages of failed allocations are shortened",
    arguments: [
      (
        "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate "
          + "4398046511104 bytes. Error code 12 (Cannot allocate memory)",
        "cannot allocate 4398046511104 bytes of memory"
      ),
      ("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes.", "cannot allocate 8 bytes of memory"),
      (
        "CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has a total capacity of 139.81 GiB of which",
        "cannot allocate 2.50 GiB of the device's memory"
      ),
      ("std::bad_alloc", "cannot allocate memory"),
    ])
  func outOfMemory(message: String, text: String) {
    #expect(LibtorchMessage(message).text == text)
    #expect(LibtorchMessage(message).isOutOfMemory)
  }

  @Test("other messages are their first line")
  func others() {
    let message = LibtorchMessage("The size of tensor a (3) must match\nframe #0")
    #expect(message.text == "The size of tensor a (3) must match")
    #expect(!message.isOutOfMemory)
  }

  @Test("the error of a failed allocation does not name the operator")
  func allocation_fails() {
    let error = #expect(throws: TorchError.self) { try withTorch { Tensor.zeros([1 << 42, 1 << 14]) } }
    #expect(error?.description == "cannot allocate \(1 << 58) bytes of memory")
    #expect(error?.kind == .outOfMemory)
  }
}
