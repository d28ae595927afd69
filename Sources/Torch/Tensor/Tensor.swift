import WidebandCTorch

/// An n-dimensional array on a device, with autograd.
///
/// A tensor is a reference: copies and views share its memory, and in-place operators write to all of them. It is
/// therefore not Sendable; a tensor that no other code refers to can be sent to another isolation domain.
///
/// Operators do not throw. A failed operator returns an empty tensor and reports its error to the enclosing
/// `withTorch`, which throws it.
///
///     let y = try withTorch { (x.matmul(w) + b).tanh() }
public struct Tensor {
  private let handle: Handle

  /// Owns one reference to a tensor of libtorch.
  private final class Handle {
    let pointer: OpaquePointer?
    init(_ pointer: OpaquePointer?) { self.pointer = pointer }
    deinit { if let pointer { wb_tensor_release(pointer) } }
  }

  /// The result of a failed operator.
  static var empty: Tensor { Tensor(owning: nil) }

  /// Retains the tensor of a handle that the caller owns.
  init(borrowing pointer: OpaquePointer) { handle = Handle(wb_tensor_retain(pointer)) }

  /// Takes over the caller's reference.
  package init(owning pointer: OpaquePointer?) { handle = Handle(pointer) }

  /// Takes over the result of a C function; reports its error where the result is nil.
  init(result pointer: OpaquePointer?, of function: @autoclosure () -> String) {
    if pointer == nil { ErrorScope.current.report(.last(of: function())) }
    handle = Handle(pointer)
  }

  /// The handle of the C interface; nil after a failure.
  package var pointer: OpaquePointer? { handle.pointer }

  /// Whether this is the result of a failed operator.
  var isEmpty: Bool { handle.pointer == nil }

  /// The number of axes; 0 for a scalar.
  public var rank: Int { pointer.map { Int(wb_tensor_rank($0)) } ?? 0 }

  /// The sizes of all axes.
  public var shape: [Int] {
    guard let pointer else { return [] }
    return (0..<wb_tensor_rank(pointer)).map { Int(wb_tensor_size(pointer, $0)) }
  }

  /// The size of one axis, counted from the end when negative; 0 where there is no such axis.
  public func size(_ axis: Int) -> Int {
    let position = axis < 0 ? rank + axis : axis
    guard let pointer, position >= 0, position < rank else { return 0 }
    return Int(wb_tensor_size(pointer, Int32(position)))
  }

  /// The number of elements.
  public var count: Int { pointer.map { Int(wb_tensor_count($0)) } ?? 0 }

  /// The dtype of the elements.
  public var dtype: DType { pointer.flatMap { DType(rawValue: wb_tensor_dtype($0)) } ?? .float32 }

  /// The device that stores the elements.
  public var device: Device { pointer.map { Device(packed: wb_tensor_device($0)) } ?? .cpu }
}
