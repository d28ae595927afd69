/// Sums, means, extremes, softmax, top-k and sorting. Axes are kept with size 1 where `keep` is true.
extension Tensor {
  private static let sumOperator = Operator("sum", "dim_IntList")
  private static let sumAllOperator = Operator("sum")
  private static let meanOperator = Operator("mean", "dim")
  private static let meanAllOperator = Operator("mean")
  private static let maximumOperator = Operator("amax")
  private static let minimumOperator = Operator("amin")
  private static let argmaxOperator = Operator("argmax")
  private static let cumulativeSumOperator = Operator("cumsum")
  private static let softmaxOperator = Operator("softmax", "int")
  private static let logSoftmaxOperator = Operator("log_softmax", "int")
  private static let topKOperator = Operator("topk")
  private static let sortOperator = Operator("sort", "stable")
  private static let normOperator = Operator("linalg_vector_norm")
  private static let bincountOperator = Operator("bincount")

  /// The sum of all elements, a scalar.
  public func sum() -> Tensor { Self.sumAllOperator(.tensor(self)) }

  /// The sum along one axis.
  public func sum(_ axis: Int, keep: Bool = false) -> Tensor {
    Self.sumOperator(.tensor(self), .ints([axis]), .bool(keep))
  }

  /// The mean of all elements, a scalar.
  public func mean() -> Tensor { Self.meanAllOperator(.tensor(self)) }

  /// The mean along one axis.
  public func mean(_ axis: Int, keep: Bool = false) -> Tensor {
    Self.meanOperator(.tensor(self), .ints([axis]), .bool(keep))
  }

  /// The largest element, a scalar.
  public func max() -> Tensor { Self.maximumOperator(.tensor(self), .ints([])) }

  /// The largest element along one axis.
  public func max(_ axis: Int, keep: Bool = false) -> Tensor {
    Self.maximumOperator(.tensor(self), .ints([axis]), .bool(keep))
  }

  /// The smallest element along one axis.
  public func min(_ axis: Int, keep: Bool = false) -> Tensor {
    Self.minimumOperator(.tensor(self), .ints([axis]), .bool(keep))
  }

  /// The index of the largest element along one axis; the first of equal ones.
  public func argmax(_ axis: Int, keep: Bool = false) -> Tensor {
    Self.argmaxOperator(.tensor(self), .int(axis), .bool(keep))
  }

  /// The cumulative sum along one axis.
  public func cumulativeSum(_ axis: Int) -> Tensor { Self.cumulativeSumOperator(.tensor(self), .int(axis)) }

  /// Softmax along an axis.
  public func softmax(_ axis: Int) -> Tensor { Self.softmaxOperator(.tensor(self), .int(axis)) }

  /// Log-softmax along an axis.
  public func logSoftmax(_ axis: Int) -> Tensor { Self.logSoftmaxOperator(.tensor(self), .int(axis)) }

  /// The `count` largest elements along an axis in descending order, and their indices.
  public func topK(_ count: Int, axis: Int = -1) -> (values: Tensor, indices: Tensor) {
    let results = Self.topKOperator.results(2, .tensor(self), .int(count), .int(axis))
    return (results[0], results[1])
  }

  /// Elements sorted along an axis by a stable sort, and their original indices.
  public func sorted(_ axis: Int = -1, descending: Bool = false) -> (values: Tensor, indices: Tensor) {
    let results = Self.sortOperator.results(2, .tensor(self), .bool(true), .int(axis), .bool(descending))
    return (results[0], results[1])
  }

  /// The Euclidean norm of all elements, a scalar.
  public func norm() -> Tensor { Self.normOperator(.tensor(self)) }

  /// How often each integer from 0 to `length` - 1 occurs in an integer vector.
  public func bincount(_ length: Int) -> Tensor { Self.bincountOperator(.tensor(self), .none, .int(length)) }
}
