/// Comparisons, `where` and masks.
extension Tensor {
  private static let equalOperator = Operator("eq", "Tensor")
  private static let equalScalarOperator = Operator("eq", "Scalar")
  private static let lessOperator = Operator("lt", "Tensor")
  private static let lessScalarOperator = Operator("lt", "Scalar")
  private static let lessOrEqualOperator = Operator("le", "Tensor")
  private static let greaterScalarOperator = Operator("gt", "Scalar")
  private static let finiteOperator = Operator("isfinite")
  private static let notOperator = Operator("logical_not")
  private static let whereOperator = Operator("where", "self")
  private static let maskedFillOperator = Operator("masked_fill", "Scalar")

  /// True where a = b.
  public static func .== (a: Tensor, b: Tensor) -> Tensor { equalOperator(.tensor(a), .tensor(b)) }
  /// True where a equals the integer b.
  public static func .== (a: Tensor, b: Int) -> Tensor { equalScalarOperator(.tensor(a), .int(b)) }
  /// True where a < b.
  public static func .< (a: Tensor, b: Tensor) -> Tensor { lessOperator(.tensor(a), .tensor(b)) }
  /// True where a < b for a scalar b.
  public static func .< (a: Tensor, b: Double) -> Tensor { lessScalarOperator(.tensor(a), .double(b)) }
  /// True where a ≤ b.
  public static func .<= (a: Tensor, b: Tensor) -> Tensor { lessOrEqualOperator(.tensor(a), .tensor(b)) }
  /// True where a > b for a scalar b.
  public static func .> (a: Tensor, b: Double) -> Tensor { greaterScalarOperator(.tensor(a), .double(b)) }

  /// True where an element is neither infinite nor NaN.
  public func isFinite() -> Tensor { Self.finiteOperator(.tensor(self)) }

  /// Logical negation of a boolean tensor.
  public func not() -> Tensor { Self.notOperator(.tensor(self)) }

  /// `a` where the mask is true, `b` elsewhere.
  public static func `where`(_ mask: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
    whereOperator(.tensor(mask), .tensor(a), .tensor(b))
  }

  /// A copy with `value` where the mask is true.
  public func maskedFill(_ mask: Tensor, _ value: Double) -> Tensor {
    Self.maskedFillOperator(.tensor(self), .tensor(mask), .double(value))
  }
}
