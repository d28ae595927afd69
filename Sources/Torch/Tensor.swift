import CTorch

/// An n-dimensional array on a device, with the derivative of everything that made it when recording is on.
///
/// A tensor is a reference: views and in-place operators share its memory. Operators never throw; after a failure
/// they yield an empty tensor, and `withTorch` throws what happened.
///
///     let y = try withTorch { (x.matmul(w) + b).tanh() }
public struct Tensor: @unchecked Sendable {
  private let handle: Handle

  /// Owns one reference of libtorch's.
  private final class Handle {
    let pointer: OpaquePointer?
    init(_ pointer: OpaquePointer?) { self.pointer = pointer }
    deinit { if let pointer { wb_tensor_release(pointer) } }
  }

  /// The result of an operator that failed.
  static let empty = Tensor(handle: Handle(nil))

  private init(handle: Handle) { self.handle = handle }

  /// A tensor of its own for a handle that stays somebody else's.
  init(borrowing pointer: OpaquePointer) { handle = Handle(wb_tensor_retain(pointer)) }

  init(owning pointer: OpaquePointer?) { handle = Handle(pointer) }

  /// Takes over what a C function returned, or records why it returned nothing.
  init(result pointer: OpaquePointer?, of function: @autoclosure () -> String) {
    if pointer == nil { ErrorScope.current.record(.last(of: function())) }
    handle = Handle(pointer)
  }

  var pointer: OpaquePointer? { handle.pointer }

  /// Whether this stands for the result of a failure.
  var isEmpty: Bool { handle.pointer == nil }

  /// The number of axes; 0 for a scalar.
  public var rank: Int { pointer.map { Int(wb_tensor_rank($0)) } ?? 0 }

  /// The size of every axis.
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

  /// The type of the elements.
  public var dtype: DType { pointer.flatMap { DType(rawValue: wb_tensor_dtype($0)) } ?? .float32 }

  /// Where the elements lie.
  public var device: Device { pointer.map { Device(packed: wb_tensor_device($0)) } ?? .cpu }
}
