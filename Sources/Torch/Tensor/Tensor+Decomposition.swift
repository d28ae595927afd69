/// Matrix decompositions.
extension Tensor {
  private static let singularValuesOperator = Operator("linalg_svd")
  private static let orthogonalTriangularOperator = Operator("linalg_qr")

  /// Singular value decomposition U S Vᵀ of a matrix `[m, n]`, with k = min(m, n): U `[m, k]`, S `[k]` in descending
  /// order, and Vᵀ `[k, n]`.
  public func singularValues() -> (left: Tensor, values: Tensor, right: Tensor) {
    let results = Self.singularValuesOperator.results(3, .tensor(self), .bool(false), .none)
    return (results[0], results[1], results[2])
  }

  /// QR decomposition of a matrix `[m, n]`, with k = min(m, n): Q `[m, k]` with orthonormal columns, and R `[k, n]`,
  /// upper triangular.
  public func orthogonalTriangular() -> (orthogonal: Tensor, triangular: Tensor) {
    let results = Self.orthogonalTriangularOperator.results(2, .tensor(self), .string("reduced"))
    return (results[0], results[1])
  }
}
