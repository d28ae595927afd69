import CTorch

/// Runs `body` without recording derivatives on this thread.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
  let before = wb_set_gradients_enabled(false)
  defer { _ = wb_set_gradients_enabled(before) }
  return try body()
}

/// Derivatives by reverse accumulation.
extension Tensor {
  private static let detachOperator = Operator("detach")

  /// Whether a gradient is accumulated for this tensor or for something that it was made of.
  public var requiresGradient: Bool { pointer.map { wb_tensor_requires_gradient($0) } ?? false }

  /// This tensor as a leaf whose gradient `backward` fills in. The dtype must be a real one.
  @discardableResult
  public func requiringGradient(_ required: Bool = true) -> Tensor {
    guard let pointer else { return self }
    if !wb_tensor_require_gradient(pointer, required) {
      ErrorScope.current.record(.last(of: "requires_grad(\(dtype)\(shape))"))
    }
    return self
  }

  /// The accumulated gradient of a leaf; nil before the first backward pass.
  public var gradient: Tensor? {
    guard let pointer, let gradient = wb_tensor_gradient(pointer) else { return nil }
    return Tensor(owning: gradient)
  }

  /// Forgets the accumulated gradient.
  public func clearGradient() {
    if let pointer { wb_tensor_clear_gradient(pointer) }
  }

  /// Adds d(self)/d(leaf) to the gradient of every leaf that this scalar was made of.
  public func backward() {
    guard let pointer else { return }
    if !wb_tensor_backward(pointer, nil) {
      ErrorScope.current.record(.last(of: "backward(\(dtype)\(shape))"))
    }
  }

  /// What `part` makes of this tensor; of all that it computes on the way nothing is kept, and the backward pass computes
  /// it again. `part` must give the same every time, at most 16 tensors, and none after a failure.
  public func recomputing(_ part: @escaping (Tensor) -> [Tensor]) -> [Tensor] {
    guard let pointer else {
      ErrorScope.current.recordEarlierFailure()
      return []
    }
    let kernels = Kernels.selected
    let context = Unmanaged.passRetained(Part { input in Kernels.$selected.withValue(kernels) { part(input) } })
    let run: wb_part = { (context, input, results, capacity) -> Int32 in
      guard let context, let input, let results else { return -1 }
      let outputs = Unmanaged<Part>.fromOpaque(context).takeUnretainedValue().run(Tensor(borrowing: input))
      guard outputs.count <= capacity, !outputs.contains(where: \.isEmpty) else { return -1 }
      for (index, output) in outputs.enumerated() {
        results[index] = output.pointer.flatMap { wb_tensor_retain($0) }
      }
      return Int32(outputs.count)
    }
    return withUnsafeTemporaryAllocation(of: OpaquePointer?.self, capacity: 16) { results in
      let count = wb_recomputed(
        pointer, run, context.toOpaque(), { context in context.map { Unmanaged<Part>.fromOpaque($0).release() } },
        results.baseAddress, 16)
      if count < 0 { ErrorScope.current.record(.last(of: "recompute(\(dtype)\(shape))")) }
      return (0..<Swift.max(0, Int(count))).map { Tensor(owning: results[$0]) }
    }
  }

  /// A function that C calls.
  private final class Part {
    let run: (Tensor) -> [Tensor]
    init(_ run: @escaping (Tensor) -> [Tensor]) { self.run = run }
  }

  /// The same for a tensor whose own gradient is `upstream`, of its shape: adds Σ upstream ∘ d(self)/d(leaf).
  public func backward(from upstream: Tensor) {
    guard let pointer, let source = upstream.pointer else { return }
    if !wb_tensor_backward(pointer, source) {
      ErrorScope.current.record(.last(of: "backward(\(dtype)\(shape), \(upstream.shape))"))
    }
  }

  /// The same values, cut off from what they were made of.
  public func detached() -> Tensor { Self.detachOperator(.tensor(self)) }
}
