/// Sums, means, extremes, orders, and the distributions made of them.
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
  private static let topOperator = Operator("topk")
  private static let sortOperator = Operator("sort", "stable")
  private static let normOperator = Operator("linalg_vector_norm")
  private static let countsOperator = Operator("bincount")

  /// The sum of all elements, a scalar.
  public func sum() -> Tensor { Self.sumAllOperator(.tensor(self)) }

  /// Sums along one axis.
  public func sum(_ axis: Int, keep: Bool = false) -> Tensor {
    Self.sumOperator(.tensor(self), .ints([axis]), .bool(keep))
  }

  /// The mean of all elements, a scalar.
  public func mean() -> Tensor { Self.meanAllOperator(.tensor(self)) }

  /// Means along one axis.
  public func mean(_ axis: Int, keep: Bool = false) -> Tensor {
    Self.meanOperator(.tensor(self), .ints([axis]), .bool(keep))
  }

  /// The largest element, a scalar.
  public func max() -> Tensor { Self.maximumOperator(.tensor(self), .ints([])) }

  /// The largest elements along one axis.
  public func max(_ axis: Int, keep: Bool = false) -> Tensor {
    Self.maximumOperator(.tensor(self), .ints([axis]), .bool(keep))
  }

  /// The smallest elements along one axis.
  public func min(_ axis: Int, keep: Bool = false) -> Tensor {
    Self.minimumOperator(.tensor(self), .ints([axis]), .bool(keep))
  }

  /// The position of the largest element along one axis; the first of equal ones.
  public func argmax(_ axis: Int, keep: Bool = false) -> Tensor {
    Self.argmaxOperator(.tensor(self), .int(axis), .bool(keep))
  }

  /// Running sums along one axis.
  public func cumulativeSum(_ axis: Int) -> Tensor { Self.cumulativeSumOperator(.tensor(self), .int(axis)) }

  /// exp(x) over its sum along an axis.
  public func softmax(_ axis: Int) -> Tensor { Self.softmaxOperator(.tensor(self), .int(axis)) }

  /// The logarithm of the softmax.
  public func logSoftmax(_ axis: Int) -> Tensor { Self.logSoftmaxOperator(.tensor(self), .int(axis)) }

  /// The `count` largest elements along an axis, largest first, and their positions.
  public func top(_ count: Int, axis: Int = -1) -> (values: Tensor, indices: Tensor) {
    let results = Self.topOperator.results(2, .tensor(self), .int(count), .int(axis))
    return (results[0], results[1])
  }

  /// Elements in order along an axis, equal ones as they came, and where each came from.
  public func sorted(_ axis: Int = -1, descending: Bool = false) -> (values: Tensor, indices: Tensor) {
    let results = Self.sortOperator.results(2, .tensor(self), .bool(true), .int(axis), .bool(descending))
    return (results[0], results[1])
  }

  /// The Euclidean norm of all elements, a scalar.
  public func norm() -> Tensor { Self.normOperator(.tensor(self)) }

  /// How often each whole number from 0 below `length` occurs in an integer vector.
  public func counts(_ length: Int) -> Tensor { Self.countsOperator(.tensor(self), .none, .int(length)) }
}
