/// Views, slices and concatenation. A view shares memory with its source; negative axes count from the end.
extension Tensor {
  private static let reshapeOperator = Operator("reshape")
  private static let transposeOperator = Operator("transpose", "int")
  private static let sliceOperator = Operator("slice", "Tensor")
  private static let selectOperator = Operator("select", "int")
  private static let squeezeOperator = Operator("squeeze", "dim")
  private static let unsqueezeOperator = Operator("unsqueeze")
  private static let expandOperator = Operator("expand")
  private static let flattenOperator = Operator("flatten", "using_ints")
  private static let contiguousOperator = Operator("contiguous")
  private static let concatenateOperator = Operator("cat")
  private static let stackOperator = Operator("stack")
  private static let rollOperator = Operator("roll")

  /// The elements in another shape; one size may be -1.
  public func reshaped(_ shape: [Int]) -> Tensor { Self.reshapeOperator(.tensor(self), .ints(shape)) }

  /// The elements in another shape; one size may be -1.
  public func reshaped(_ shape: Int...) -> Tensor { reshaped(shape) }

  /// Axes `first` to `last` merged into one.
  public func flattened(_ first: Int = 0, _ last: Int = -1) -> Tensor {
    Self.flattenOperator(.tensor(self), .int(first), .int(last))
  }

  /// Two axes exchanged.
  public func transposed(_ first: Int = -2, _ second: Int = -1) -> Tensor {
    Self.transposeOperator(.tensor(self), .int(first), .int(second))
  }

  /// The indices `range` of one axis; the tensor itself if that is the whole axis.
  public func slice(_ axis: Int, _ range: Range<Int>) -> Tensor {
    if range == 0..<size(axis), !range.isEmpty { return self }
    return Self.sliceOperator(.tensor(self), .int(axis), .int(range.lowerBound), .int(range.upperBound))
  }

  /// The indices from `range.lowerBound` to the end of one axis.
  public func slice(_ axis: Int, _ range: PartialRangeFrom<Int>) -> Tensor {
    if range.lowerBound == 0, size(axis) > 0 { return self }
    return Self.sliceOperator(.tensor(self), .int(axis), .int(range.lowerBound))
  }

  /// One index of an axis, which is removed.
  public func select(_ axis: Int, _ index: Int) -> Tensor {
    Self.selectOperator(.tensor(self), .int(axis), .int(index))
  }

  /// Consecutive parts of an axis, of the given sizes.
  public func split(_ sizes: [Int], axis: Int = -1) -> [Tensor] {
    var start = 0
    return sizes.map { size in
      defer { start += size }
      return slice(axis, start..<(start + size))
    }
  }

  /// An axis of size 1 removed.
  public func squeezed(_ axis: Int) -> Tensor { Self.squeezeOperator(.tensor(self), .int(axis)) }

  /// A new axis of size 1.
  public func unsqueezed(_ axis: Int) -> Tensor { Self.unsqueezeOperator(.tensor(self), .int(axis)) }

  /// Axes of size 1 broadcast to the given shape without copying; -1 leaves a size unchanged.
  public func expanded(_ shape: [Int]) -> Tensor { Self.expandOperator(.tensor(self), .ints(shape)) }

  /// The elements in row-major order; a copy only if they are in another order.
  public func contiguous() -> Tensor { Self.contiguousOperator(.tensor(self)) }

  /// The elements shifted cyclically along an axis.
  public func rolled(_ shift: Int, axis: Int) -> Tensor {
    Self.rollOperator(.tensor(self), .ints([shift]), .ints([axis]))
  }

  /// Tensors concatenated along an existing axis.
  public static func concatenate(_ tensors: [Tensor], axis: Int = 0) -> Tensor {
    concatenateOperator(.tensors(tensors), .int(axis))
  }

  /// Tensors of one shape stacked along a new axis.
  public static func stack(_ tensors: [Tensor], axis: Int = 0) -> Tensor {
    stackOperator(.tensors(tensors), .int(axis))
  }
}
