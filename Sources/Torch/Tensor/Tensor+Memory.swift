import Foundation
import WidebandCTorch

/// A Swift type that a tensor's elements can be converted from and to.
public protocol Element: BitwiseCopyable, Sendable {
  /// The dtype of a tensor with such elements.
  static var dtype: DType { get }
}

extension Float: Element {
  /// `float32`.
  public static var dtype: DType { .float32 }
}
extension Double: Element {
  /// `float64`.
  public static var dtype: DType { .float64 }
}
extension Int64: Element {
  /// `int64`.
  public static var dtype: DType { .int64 }
}
extension Int32: Element {
  /// `int32`.
  public static var dtype: DType { .int32 }
}
extension UInt8: Element {
  /// `uint8`.
  public static var dtype: DType { .uint8 }
}
extension Bool: Element {
  /// `bool`.
  public static var dtype: DType { .bool }
}

/// Conversion from and to Swift arrays, and tensors over existing memory.
extension Tensor {
  /// A tensor with a copy of `elements` in row-major order; a vector where no shape is given.
  public init<E: Element>(_ elements: [E], shape: [Int]? = nil, on device: Device = .cpu) {
    let shape = shape ?? [elements.count]
    guard !CUDAGraph.isCapturing else {
      ErrorScope.current.report(
        TorchError("Tensor: \(E.dtype)\(shape) from the processor's memory cannot be captured in a graph"))
      self = .empty
      return
    }
    let tensor = Tensor.zeros(shape, E.dtype)
    guard tensor.isEmpty || tensor.count == elements.count else {
      ErrorScope.current.report(TorchError("Tensor: \(elements.count) elements do not fill the shape \(shape)"))
      self = .empty
      return
    }
    if let target = tensor.pointer.flatMap({ wb_tensor_data($0) }) {
      elements.withUnsafeBytes { bytes in
        if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
      }
    }
    self = device == .cpu ? tensor : tensor.to(device)
  }

  /// A tensor over existing memory, which is not copied. It retains `owner`, which keeps the memory valid, such as a
  /// mapped file.
  ///
  /// The memory must contain all elements in row-major order, aligned to `dtype.size`. Writing into a tensor over a
  /// read-only mapping is an access violation: copy it first.
  public init(borrowing memory: UnsafeRawPointer, shape: [Int], dtype: DType, owner: AnyObject) {
    let context = Unmanaged.passRetained(owner)
    let sizes = shape.map { Int64($0) }
    let pointer = wb_tensor_borrow(
      UnsafeMutableRawPointer(mutating: memory), sizes, Int32(sizes.count), dtype.rawValue,
      { context in
        if let context { Unmanaged<AnyObject>.fromOpaque(context).release() }
      }, context.toOpaque())
    if pointer == nil { context.release() }
    self.init(result: pointer, of: "borrow(\(dtype)\(shape))")
  }

  /// All elements in row-major order, converted to `E`.
  ///
  /// - Throws: the scope's first error, if this tensor is the result of a failure.
  public func elements<E: Element>(_ type: E.Type = E.self) throws -> [E] {
    try withContiguousBytes(as: E.dtype) { Array($0.bindMemory(to: E.self)) }
  }

  /// The value of a tensor with one element.
  ///
  /// - Throws: `TorchError` for any other number of elements.
  public func item() throws -> Double {
    let values = try elements(Double.self)
    guard values.count == 1 else { throw TorchError("item: a tensor of shape \(shape) has \(values.count) elements") }
    return values[0]
  }

  /// Whether another tensor has the same shape, dtype and bytes.
  public func isIdentical(to other: Tensor) throws -> Bool {
    guard shape == other.shape, dtype == other.dtype else { return false }
    return try withContiguousBytes { own in
      try other.withContiguousBytes { others in
        guard let own = own.baseAddress, let start = others.baseAddress, own != start else { return true }
        return memcmp(own, start, others.count) == 0
      }
    }
  }

  /// Calls `body` with the elements as bytes in CPU memory, in row-major order; converted where a dtype is given.
  ///
  /// - Throws: the scope's first error if this tensor is the result of a failure; what `body` throws.
  public func withContiguousBytes<Result>(
    as dtype: DType? = nil, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    guard !CUDAGraph.isCapturing else {
      throw TorchError("reading \(self.dtype)\(shape) cannot be captured in a graph")
    }
    let source = withoutGradients { to(dtype ?? self.dtype).to(.cpu).contiguous() }
    guard let pointer = source.pointer else {
      throw ErrorScope.current.firstError ?? TorchError("the tensor is the result of a failed operator")
    }
    let bytes = UnsafeRawBufferPointer(start: wb_tensor_data(pointer), count: source.count * source.dtype.size)
    return try withExtendedLifetime(source) { try body(bytes) }
  }
}
