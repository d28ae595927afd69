import Foundation
import Testing

@testable import WidebandTorch

@Suite struct ErrorTests {
  let a = Tensor.zeros([2, 3])
  let b = Tensor.zeros([4, 5], .float64)

  @Test func messagesNameTheOperatorAndShapes() {
    expectError(
      "matmul(float32[2, 3], float32[2, 3]): mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)"
    ) { _ = a.matmul(a) }
    expectError(
      "add(float32[2, 3], float64[4, 5]): The size of tensor a (3) must match the size of tensor b (5) at "
        + "non-singleton dimension 1"
    ) { _ = a + b }
    expectError("reshape(float32[2, 3], [4]): shape '[4]' is invalid for input of size 6") { _ = a.reshaped(4) }
    expectError(
      "cat(2 tensors, 0): Sizes of tensors must match except in dimension 0. Expected size 3 but got size 5 for "
        + "tensor number 1 in the list."
    ) { _ = Tensor.concatenate([a, b]) }
    expectError("embedding(float32[2, 3], int64[1]): index out of range in self") { _ = a.embedding(integers(2)) }
    expectError(
      "slice(float32[2, 3], 2, 0, 1): Dimension out of range (expected to be in range of [-2, 1], but got 2)"
    ) { _ = a.slice(2, 0..<1) }
  }

  @Test func theFirstErrorWins() {
    expectError("reshape(float32[2, 3], [7]): shape '[7]' is invalid for input of size 6") {
      let first = a.reshaped(7)
      _ = a.reshaped(8)
      _ = first + 1.0
    }
  }

  @Test func emptyTensorsSwallowOperators() throws {
    let scope = ErrorScope.enter()
    defer { scope.leave() }
    let empty = a.reshaped(7)
    let message = scope.firstError?.description
    #expect(empty.isEmpty && empty.shape == [] && empty.count == 0 && empty.size(0) == 0)
    #expect((empty + a).isEmpty)
    #expect((2.0 * empty).tanh().softmax(-1).isEmpty)
    #expect(Tensor.concatenate([a, empty]).isEmpty)
    #expect(empty.topK(1).indices.isEmpty)
    #expect(empty.rmsNorm(vector(1), epsilon: 0).isEmpty)
    #expect(empty.to(.float64).to(.cpu).isEmpty)
    #expect(empty.requiringGradient().gradient == nil)
    #expect(!empty.requiresGradient)
    empty.fill(1)
    empty.copy(from: a)
    empty.backward()
    empty.clearGradient()
    #expect(scope.firstError?.description == message)
    #expect(throws: TorchError.self) { try empty.elements(Float.self) }
  }

  @Test func scopesNest() throws {
    let outer = try withTorch {
      let error = #expect(throws: TorchError.self) { try withTorch { a.reshaped(7) } }
      #expect(error?.description == "reshape(float32[2, 3], [7]): shape '[7]' is invalid for input of size 6")
      return a + 1.0
    }
    #expect(outer.shape == [2, 3])
    expectError("reshape(float32[2, 3], [7]): shape '[7]' is invalid for input of size 6") {
      _ = a.reshaped(7)
      try withTorch { _ = a + 1.0 }
    }
  }

  @Test func theOperatorsErrorGoesBeforeTheBodys() {
    expectError("reshape(float32[2, 3], [7]): shape '[7]' is invalid for input of size 6") {
      let broken = a.reshaped(7)
      throw TorchError("unexpected shape \(broken.shape)")
    }
    expectError("as it is") { throw TorchError("as it is") }
  }

  @Test func aFailureFromOutsideReachesTheScopeThatUsesIt() {
    let message = "reshape(float32[2, 3], [7]): shape '[7]' is invalid for input of size 6"
    expectError(message) {
      let empty = a.reshaped(7)
      expectError(message) { _ = empty + 1.0 }
      expectError(message) { _ = a.rmsNorm(empty, epsilon: 0) }
    }
  }

  @Test("outside of scopes the last error is reported") func rootScope_error() {
    Thread.detachAndWait {
      let a = Tensor.zeros([2, 3])
      _ = a.reshaped(7)
      let empty = a.reshaped(8)
      let error = #expect(throws: TorchError.self) { try empty.elements(Float.self) }
      #expect(error?.description == "reshape(float32[2, 3], [8]): shape '[8]' is invalid for input of size 6")
    }
  }

  @Test("each thread has its own scopes") func scopes_perThread() throws {
    try withTorch {
      Thread.detachAndWait { _ = Tensor.zeros([2, 3]).reshaped(7) }
    }
  }

  @Test func elementsThatDoNotFillAShape() {
    expectError("Tensor: 3 elements do not fill the shape [2, 2]") { _ = Tensor([Float(1), 2, 3], shape: [2, 2]) }
    expectError("item: a tensor of shape [2] has 2 elements") { _ = try vector(1, 2).item() }
  }

  @Test func impossibleSizes() {
    for shape in [[-1], [Int.max], [Int.max, Int.max]] {
      let error = #expect(throws: TorchError.self) { try withTorch { Tensor.zeros(shape) } }
      #expect(error?.description.hasPrefix("zeros(\(shape), 6, none, cpu): ") == true)
    }
  }

  @Test func messagesAreOneLine() {
    let error = #expect(throws: TorchError.self) { try withTorch { Tensor.einsum("ij,jk->", a, b) } }
    #expect(error?.description.contains("\n") == false)
    #expect(error?.description.hasPrefix("einsum(\"ij,jk->\", 2 tensors): ") == true)
  }

  @Test func operatorsThatDoNotExist() {
    expectError("no_such: this libtorch has no such operator") { _ = Operator("no_such")(.int(1)) }
    expectError("tanh(float32[2, 3], 1): takes at most 1 arguments, not 2") {
      _ = Operator("tanh")(.tensor(a), .int(1))
    }
    expectError("matmul(float32[2, 3]): argument 'other' is missing") { _ = Operator("matmul")(.tensor(a)) }
    expectError("topk(float32[2, 3], 1): gave 2 results") { _ = Operator("topk")(.tensor(a), .int(1)) }
  }
}

extension Thread {
  /// Runs `body` on a new thread, which has no scope.
  static func detachAndWait(_ body: @escaping @Sendable () -> Void) {
    let done = DispatchSemaphore(value: 0)
    Thread.detachNewThread {
      body()
      done.signal()
    }
    done.wait()
  }
}
