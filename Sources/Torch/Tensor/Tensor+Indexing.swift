/// Reading and writing at indices, copies and conversions.
extension Tensor {
  private static let gatherOperator = Operator("gather")
  private static let indexSelectOperator = Operator("index_select")
  private static let indexAddOperator = Operator("index_add")
  private static let embeddingOperator = Operator("embedding")
  private static let copyOperator = Operator("copy_")
  private static let indexCopyOperator = Operator("index_copy_")
  private static let fillOperator = Operator("fill_", "Scalar")
  private static let scatterOperator = Operator("scatter_", "value")
  private static let convertOperator = Operator("to", "dtype")
  private static let moveOperator = Operator("to", "device")
  private static let cloneOperator = Operator("clone")

  /// The elements at `indices` along an axis, in the shape of `indices`.
  public func gather(_ indices: Tensor, axis: Int) -> Tensor {
    Self.gatherOperator(.tensor(self), .int(axis), .tensor(indices))
  }

  /// The slices of an axis at the indices of an integer vector.
  public func indexSelect(_ indices: Tensor, axis: Int = 0) -> Tensor {
    Self.indexSelectOperator(.tensor(self), .int(axis), .tensor(indices))
  }

  /// A copy with the slices of `source` added to those at the indices of an integer vector.
  public func addingRows(_ indices: Tensor, axis: Int = 0, _ source: Tensor) -> Tensor {
    Self.indexAddOperator(.tensor(self), .int(axis), .tensor(indices), .tensor(source))
  }

  /// The rows `[..., d]` of this table `[V, d]` for integer tokens `[...]`.
  public func embedding(_ tokens: Tensor) -> Tensor { Self.embeddingOperator(.tensor(self), .tensor(tokens)) }

  /// Writes the elements of `source` into this tensor, converted to its dtype and device.
  public func copy(from source: Tensor) { Self.copyOperator.perform(.tensor(self), .tensor(source)) }

  /// Writes the slices of `source` into this tensor at the indices of an integer vector.
  public func indexCopy(_ indices: Tensor, axis: Int = 0, from source: Tensor) {
    Self.indexCopyOperator.perform(.tensor(self), .int(axis), .tensor(indices), .tensor(source))
  }

  /// Sets all elements to `value`, in place.
  public func fill(_ value: Double) { Self.fillOperator.perform(.tensor(self), .double(value)) }

  /// Sets the elements at `indices` along an axis to `value`, in place.
  public func fill(_ value: Double, at indices: Tensor, axis: Int) {
    Self.scatterOperator.perform(.tensor(self), .int(axis), .tensor(indices), .double(value))
  }

  /// The elements converted to another dtype; the tensor itself if it has that dtype.
  public func to(_ dtype: DType) -> Tensor {
    dtype == self.dtype ? self : Self.convertOperator(.tensor(self), .dtype(dtype))
  }

  /// A copy on another device; the tensor itself if it is on that device.
  public func to(_ device: Device) -> Tensor {
    device == self.device ? self : Self.moveOperator(.tensor(self), .device(device), .dtype(dtype))
  }

  /// A copy that shares no memory with this tensor.
  public func cloned() -> Tensor { Self.cloneOperator(.tensor(self)) }
}
