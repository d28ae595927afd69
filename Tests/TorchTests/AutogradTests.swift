import TestSupport
import Testing
import WidebandTorch

@Suite struct AutogradTests {
  @Test func derivativeByHand() throws {
    let x = try withTorch { vector(1, 2, 3).requiringGradient() }
    #expect(x.requiresGradient)
    #expect(x.gradient == nil)
    // d/dx of the sum of x³ - 2x is 3x² - 2.
    try withTorch { (x.power(3) - x * 2.0).sum().backward() }
    try expect([1, 10, 25]) { x.gradient ?? .zeros([]) }
  }

  @Test func passesAccumulateUntilCleared() throws {
    let x = try withTorch { vector(3).requiringGradient() }
    for total in [3.0, 6, 9] {
      try withTorch { (x * 3.0).sum().backward() }
      try expect([total]) { x.gradient ?? .zeros([]) }
    }
    x.clearGradient()
    #expect(x.gradient == nil)
    try withTorch { (x * 3.0).sum().backward() }
    try expect([3]) { x.gradient ?? .zeros([]) }
  }

  @Test func aGradientFromAbove() throws {
    let x = try withTorch { vector(1, 2, 3).requiringGradient() }
    try withTorch { (x * x).backward(from: vector(1, 0, -2)) }
    try expect([2, 0, -12]) { x.gradient ?? .zeros([]) }
    let error = #expect(throws: TorchError.self) { try withTorch { (x * x).backward(from: vector(1, 0)) } }
    #expect(error?.description == "backward(float32[3], [2]): the gradient has another shape than the tensor")
  }

  @Test func sharedOperandsAdd() throws {
    let gradient = try gradients(of: [vector(2)]) { ($0[0] * $0[0] + $0[0]).sum() }[0]
    try expect([5]) { gradient }
  }

  @Test func broadcastOperandsSum() throws {
    let found = try gradients(of: [matrix([[1], [2]]), vector(3, 4, 5)]) { ($0[0] * $0[1]).sum() }
    try expect([12, 12], shape: [2, 1]) { found[0] }
    try expect([3, 3, 3], shape: [3]) { found[1] }
  }

  @Test func detachedTensorsStopDerivatives() throws {
    let x = try withTorch { vector(2).requiringGradient() }
    let y = try withTorch { x * x }
    #expect(y.requiresGradient)
    #expect(!y.detached().requiresGradient)
    try withTorch { (y.detached() * x).sum().backward() }
    try expect([4]) { x.gradient ?? .zeros([]) }
  }

  @Test func detachedTensorsShareMemory() throws {
    let x = try withTorch { vector(2, 3).requiringGradient() }
    x.detached().fill(7)
    try expect([7, 7]) { x }
  }

  @Test("results without gradients require none") func withoutGradients_results() throws {
    let x = try withTorch { vector(2).requiringGradient() }
    let y = try withTorch { withoutGradients { x * x } }
    #expect(!y.requiresGradient)
    #expect(try withTorch { x * x }.requiresGradient)
    withoutGradients {
      withoutGradients {}
      #expect(!(x * x).requiresGradient)
    }
  }

  @Test("autograd is on again after an error") func withoutGradients_error() throws {
    let x = try withTorch { vector(2).requiringGradient() }
    #expect(throws: TorchError.self) { try withoutGradients { throw TorchError("stop") } }
    #expect((x * x).requiresGradient)
  }

  @Test func weightsChangeInPlaceWithoutGradients() throws {
    let x = try withTorch { vector(2).requiringGradient() }
    try withTorch { withoutGradients { x.copy(from: x * 2.0) } }
    try expect([4]) { x }
    #expect(x.requiresGradient)
    expectError("fill_(float32[1], 1.0): a leaf Variable that requires grad is being used in an in-place operation.") {
      x.fill(1)
    }
  }

  @Test func gradientsFlowThroughConversions() throws {
    let found = try gradients(of: [vector(1, 2)]) { ($0[0].to(.bfloat16) * 3.0).to(.float32).sum() }[0]
    #expect(found.dtype == .float32)
    try expect([3, 3]) { found }
  }

  @Test("backward needs a scalar that requires a gradient") func backward_invalid() {
    expectError("backward(float32[2]): grad can be implicitly created only for scalar outputs") {
      vector(1, 2).requiringGradient().backward()
    }
    expectError("backward(float32[]): element 0 of tensors does not require grad and does not have a grad_fn") {
      vector(1, 2).sum().backward()
    }
  }

  @Test("integer tensors have no gradient") func requiringGradient_integers() {
    expectError("requires_grad(int64[2]): Only Tensors of floating point and complex dtype can require gradients") {
      integers(1, 2).requiringGradient()
    }
  }

  @Test("a function is called once for each backward pass, when the gradient is whole")
  func afterGradient_isCalled() throws {
    let (x, other) = try withTorch { (vector(2).requiringGradient(), vector(5).requiringGradient()) }
    var seen: [Float] = []
    try x.afterGradient { seen += (try? x.gradient?.elements(Float.self)) ?? [] }
    for _ in 0..<2 { try withTorch { (x * x + x * other).sum().backward() } }
    #expect(seen == [9, 18])
    // A function may take the gradient away, and replaces the one before it.
    try x.afterGradient {
      seen.append(0)
      x.clearGradient()
    }
    try withTorch { x.recomputing { [$0 * x] }[0].sum().backward() }
    #expect(seen == [9, 18, 0, 0])
    #expect(x.gradient == nil)
    x.removeGradientHook()
    try withTorch { x.sum().backward() }
    #expect(seen.count == 4)
  }

  @Test("only leaves that require a gradient have a function after it") func afterGradient_isRefused() throws {
    let x = vector(2).requiringGradient()
    #expect(throws: TorchError.self) { try (x * 2.0).afterGradient {} }
  }
}
