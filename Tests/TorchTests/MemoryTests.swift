import Foundation
import Testing
import WidebandTorch

@Suite struct MemoryTests {
  /// Owns memory and calls a closure when it is released.
  private final class Owner {
    let memory: UnsafeMutableRawPointer
    let released: () -> Void

    init(_ elements: [Float], _ released: @escaping () -> Void) {
      let target = UnsafeMutableRawPointer.allocate(byteCount: max(1, elements.count * 4), alignment: 64)
      elements.withUnsafeBytes { if let base = $0.baseAddress { target.copyMemory(from: base, byteCount: $0.count) } }
      memory = target
      self.released = released
    }

    deinit {
      memory.deallocate()
      released()
    }
  }

  @Test("captured work can neither read elements nor create tensors from arrays") func capture_hostMemory() throws {
    let tensor = try withTorch { Tensor.ones([2]) }
    CUDAGraph.$isCapturing.withValue(true) {
      expectError("reading float32[2] cannot be captured in a graph") { _ = try tensor.elements(Double.self) }
      expectError("Tensor: int64[1] from the processor's memory cannot be captured in a graph") {
        _ = Tensor([Int64(1)])
      }
    }
    #expect(try tensor.elements(Double.self) == [1, 1])
  }

  private final class Count {
    var value = 0
  }

  private func borrowed(_ elements: [Float], shape: [Int], _ count: Count) throws -> Tensor {
    try withTorch {
      let owner = Owner(elements) { count.value += 1 }
      return Tensor(borrowing: owner.memory, shape: shape, dtype: .float32, owner: owner)
    }
  }

  @Test func borrowedMemoryIsNotCopied() throws {
    let owner = Owner([1, 2, 3]) {}
    let tensor = try withTorch { Tensor(borrowing: owner.memory, shape: [3], dtype: .float32, owner: owner) }
    owner.memory.storeBytes(of: 9, toByteOffset: 4, as: Float.self)
    try expect([1, 9, 3]) { tensor }
    tensor.slice(0, 2...).fill(8)
    #expect(owner.memory.load(fromByteOffset: 8, as: Float.self) == 8)
  }

  @Test func theOwnerLivesAsLongAsTheLastView() throws {
    let count = Count()
    var tensor: Tensor? = try borrowed([1, 2, 3, 4], shape: [2, 2], count)
    var view: Tensor? = try withTorch { tensor.map { $0.select(0, 1) } }
    #expect(count.value == 0)
    tensor = nil
    #expect(count.value == 0)
    try expect([3, 4]) { view ?? .zeros([]) }
    view = nil
    #expect(count.value == 1)
  }

  @Test func derivativesKeepTheOwnerToo() throws {
    let count = Count()
    do {
      let weight = try withTorch { vector(2, 2).requiringGradient() }
      var product: Tensor? = try withTorch { try borrowed([5, 6], shape: [2], count) * weight }
      #expect(count.value == 0)
      try withTorch { product?.sum().backward() }
      try expect([5, 6]) { weight.gradient ?? .zeros([]) }
      product = nil
    }
    #expect(count.value == 1)
  }

  @Test func aFailedLoanReleasesTheOwnerOnce() {
    let count = Count()
    #expect(throws: TorchError.self) { try borrowed([1], shape: [-1], count) }
    #expect(count.value == 1)
  }

  @Test func aLoanOfNothing() throws {
    let count = Count()
    do {
      let tensor = try borrowed([], shape: [0, 4], count)
      #expect(tensor.shape == [0, 4])
      #expect(try tensor.elements(Float.self) == [])
    }
    #expect(count.value == 1)
  }

  @Test func elementsAreConvertedAndPutInOrder() throws {
    let t = try withTorch { matrix([[1.5, 2], [3, 4]]).transposed() }
    #expect(try t.elements(Float.self) == [1.5, 3, 2, 4])
    #expect(try t.elements(Int32.self) == [1, 3, 2, 4])
    #expect(try t.elements(Int64.self) == [1, 3, 2, 4])
    #expect(try t.elements(Bool.self) == [true, true, true, true])
    #expect(try t.to(.bfloat16).elements(UInt8.self) == [1, 3, 2, 4])
    try t.withContiguousBytes { #expect($0.load(fromByteOffset: 4, as: Float.self) == 3) }
    #expect(try vector(2.5).item() == 2.5)
  }

  @Test("the elements of a tensor that requires a gradient can be read") func elements_withAutograd() throws {
    let x = try withTorch { vector(1, 2).requiringGradient() }
    #expect(try withTorch { try (x * 2.0).transposed(0, 0).elements(Double.self) } == [2, 4])
  }

  @Test func nothingAtAll() throws {
    let none = Tensor([Float]())
    #expect(none.shape == [0])
    #expect(try none.elements(Float.self) == [])
    #expect(Tensor([Int64](), shape: [3, 0, 2]).shape == [3, 0, 2])
  }
}
