import WidebandCTorch

/// Runs `body` with autograd off on this thread, as PyTorch's `no_grad`: its results require no gradient.
public func withoutGradients<Result>(_ body: () throws -> Result) rethrows -> Result {
  let before = wb_set_gradients_enabled(false)
  defer { _ = wb_set_gradients_enabled(before) }
  return try body()
}

/// Reverse-mode automatic differentiation.
extension Tensor {
  private static let detachOperator = Operator("detach")

  /// Whether this tensor, or a tensor that it was computed from, requires a gradient.
  public var requiresGradient: Bool { pointer.map { wb_tensor_requires_gradient($0) } ?? false }

  /// Makes this leaf tensor require a gradient, which `backward` accumulates. Its dtype must be a floating-point type.
  @discardableResult
  public func requiringGradient(_ required: Bool = true) -> Tensor {
    guard let pointer else { return self }
    if !wb_tensor_require_gradient(pointer, required) {
      ErrorScope.current.report(.last(of: "requires_grad(\(dtype)\(shape))"))
    }
    return self
  }

  /// The accumulated gradient of a leaf, of its shape and dtype; nil before the first backward pass.
  public var gradient: Tensor? {
    guard let pointer, let gradient = wb_tensor_gradient(pointer) else { return nil }
    return Tensor(owning: gradient)
  }

  /// Sets the accumulated gradient to nil.
  public func clearGradient() {
    if let pointer { wb_tensor_clear_gradient(pointer) }
  }

  /// Calls `body` in every backward pass after this leaf's gradient has been added to, as PyTorch's
  /// `register_post_accumulate_grad_hook`: on the thread of the backward pass, with autograd off. Replaces the function
  /// that was set before.
  ///
  /// - Throws: `TorchError` if this tensor is no leaf that requires a gradient.
  public func afterGradient(_ body: @escaping () -> Void) throws {
    let run: @convention(c) (UnsafeMutableRawPointer?) -> Void = { context in
      context.map { Unmanaged<Box<() -> Void>>.fromOpaque($0).takeUnretainedValue().value() }
    }
    guard let pointer,
      wb_tensor_set_gradient_hook(
        pointer, run, Unmanaged.passRetained(Box(body)).toOpaque(),
        { context in context.map { Unmanaged<AnyObject>.fromOpaque($0).release() } })
    else { throw TorchError.last(of: "after_gradient(\(dtype)\(shape))") }
  }

  /// Removes the function that `afterGradient` set.
  public func removeGradientHook() {
    if let pointer { _ = wb_tensor_set_gradient_hook(pointer, nil, nil, nil) }
  }

  /// Adds Σ upstream ∘ d(self)/d(leaf) to the gradient of every leaf that this tensor was computed from.
  ///
  /// - Parameter upstream: the gradient of this tensor, of its shape; nil for a scalar, whose gradient is 1.
  public func backward(from upstream: Tensor? = nil) {
    guard let pointer, upstream?.isEmpty != true else { return }
    if !wb_tensor_backward(pointer, upstream?.pointer) {
      let operands = "\(dtype)\(shape)" + (upstream.map { ", \($0.shape)" } ?? "")
      ErrorScope.current.report(.last(of: "backward(\(operands))"))
    }
  }

  /// Activation checkpointing: `part(self)` without its intermediate activations, which the backward pass recomputes by
  /// calling `part` again.
  ///
  /// - Parameter part: a deterministic function that returns at most 16 tensors.
  /// - Returns: the outputs of `part`; an empty array after a failure.
  public func recomputing(_ part: @escaping (Tensor) -> [Tensor]) -> [Tensor] {
    guard let pointer else {
      ErrorScope.current.reportEarlierFailure()
      return []
    }
    let kernels = Kernels.selected
    let context = Unmanaged.passRetained(
      Box<(Tensor) -> [Tensor]> { input in Kernels.$selected.withValue(kernels) { part(input) } })
    let run: wb_checkpointed_function = { (context, input, results, capacity) -> Int32 in
      guard let context, let input, let results else { return -1 }
      let outputs = Unmanaged<Box<(Tensor) -> [Tensor]>>.fromOpaque(context).takeUnretainedValue().value(
        Tensor(borrowing: input))
      guard outputs.count <= capacity, !outputs.contains(where: \.isEmpty) else { return -1 }
      for (index, output) in outputs.enumerated() {
        results[index] = output.pointer.flatMap { wb_tensor_retain($0) }
      }
      return Int32(outputs.count)
    }
    return withUnsafeTemporaryAllocation(of: OpaquePointer?.self, capacity: 16) { results in
      let count = wb_activation_checkpoint(
        pointer, run, context.toOpaque(), { context in context.map { Unmanaged<AnyObject>.fromOpaque($0).release() } },
        results.baseAddress, 16)
      if count < 0 { ErrorScope.current.report(.last(of: "recompute(\(dtype)\(shape))")) }
      return (0..<Swift.max(0, Int(count))).map { Tensor(owning: results[$0]) }
    }
  }

  /// A view of the same values without their autograd history.
  public func detached() -> Tensor { Self.detachOperator(.tensor(self)) }
}
