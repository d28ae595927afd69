/// Reading and writing at positions that another tensor names.
extension Tensor {
  private static let gatherOperator = Operator("gather")
  private static let scatterAddOperator = Operator("scatter_add")
  private static let selectOperator = Operator("index_select")
  private static let addOperator = Operator("index_add")
  private static let embeddingOperator = Operator("embedding")
  private static let copyOperator = Operator("copy_")
  private static let copyRowsOperator = Operator("index_copy_")
  private static let fillOperator = Operator("fill_", "Scalar")
  private static let fillAtOperator = Operator("scatter_", "value")
  private static let convertOperator = Operator("to", "dtype")
  private static let moveOperator = Operator("to", "device")
  private static let cloneOperator = Operator("clone")

  /// Elements at `indices` along an axis; the result has the shape of `indices`.
  public func gather(_ indices: Tensor, axis: Int) -> Tensor {
    Self.gatherOperator(.tensor(self), .int(axis), .tensor(indices))
  }

  /// A copy with `source` added at `indices` along an axis.
  public func scatterAdd(_ indices: Tensor, axis: Int, _ source: Tensor) -> Tensor {
    Self.scatterAddOperator(.tensor(self), .int(axis), .tensor(indices), .tensor(source))
  }

  /// The rows (of any axis) that an integer vector names.
  public func rows(_ indices: Tensor, axis: Int = 0) -> Tensor {
    Self.selectOperator(.tensor(self), .int(axis), .tensor(indices))
  }

  /// A copy with the rows of `source` added to the rows that an integer vector names.
  public func addingRows(_ indices: Tensor, axis: Int = 0, _ source: Tensor) -> Tensor {
    Self.addOperator(.tensor(self), .int(axis), .tensor(indices), .tensor(source))
  }

  /// Rows of this table `[V, d]` for integer tokens `[...]`, as `[..., d]`.
  public func embedding(_ tokens: Tensor) -> Tensor { Self.embeddingOperator(.tensor(self), .tensor(tokens)) }

  /// Writes the elements of `source` into this tensor's memory, converting and moving as needed.
  public func copy(from source: Tensor) { Self.copyOperator.perform(.tensor(self), .tensor(source)) }

  /// Writes the rows of `source` into this tensor's memory at the rows that an integer vector names.
  public func copyRows(_ indices: Tensor, axis: Int = 0, from source: Tensor) {
    Self.copyRowsOperator.perform(.tensor(self), .int(axis), .tensor(indices), .tensor(source))
  }

  /// Writes one value into this tensor's memory.
  public func fill(_ value: Double) { Self.fillOperator.perform(.tensor(self), .double(value)) }

  /// Writes one value into this tensor's memory at `indices` along an axis.
  public func fill(_ value: Double, at indices: Tensor, axis: Int) {
    Self.fillAtOperator.perform(.tensor(self), .int(axis), .tensor(indices), .double(value))
  }

  /// The elements converted to another type; the tensor itself if it has that type.
  public func to(_ dtype: DType) -> Tensor {
    dtype == self.dtype ? self : Self.convertOperator(.tensor(self), .dtype(dtype))
  }

  /// The elements on another device; the tensor itself if it lies there.
  public func to(_ device: Device) -> Tensor {
    device == self.device ? self : Self.moveOperator(.tensor(self), .device(device), .dtype(dtype))
  }

  /// A copy in memory of its own.
  public func cloned() -> Tensor { Self.cloneOperator(.tensor(self)) }
}
