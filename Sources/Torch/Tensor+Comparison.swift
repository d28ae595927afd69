/// Comparisons, choices and masks.
extension Tensor {
  private static let equalOperator = Operator("eq", "Tensor")
  private static let equalScalarOperator = Operator("eq", "Scalar")
  private static let lessOperator = Operator("lt", "Tensor")
  private static let lessScalarOperator = Operator("lt", "Scalar")
  private static let lessOrEqualOperator = Operator("le", "Tensor")
  private static let greaterScalarOperator = Operator("gt", "Scalar")
  private static let finiteOperator = Operator("isfinite")
  private static let notOperator = Operator("logical_not")
  private static let chooseOperator = Operator("where", "self")
  private static let maskOperator = Operator("masked_fill", "Scalar")

  /// True where elements are equal.
  public static func .== (a: Tensor, b: Tensor) -> Tensor { equalOperator(.tensor(a), .tensor(b)) }
  /// True where an element equals a whole number.
  public static func .== (a: Tensor, b: Int) -> Tensor { equalScalarOperator(.tensor(a), .int(b)) }
  /// True where the left element is smaller.
  public static func .< (a: Tensor, b: Tensor) -> Tensor { lessOperator(.tensor(a), .tensor(b)) }
  /// True where an element is smaller than a number.
  public static func .< (a: Tensor, b: Double) -> Tensor { lessScalarOperator(.tensor(a), .double(b)) }
  /// True where the left element is not larger.
  public static func .<= (a: Tensor, b: Tensor) -> Tensor { lessOrEqualOperator(.tensor(a), .tensor(b)) }
  /// True where an element is larger than a number.
  public static func .> (a: Tensor, b: Double) -> Tensor { greaterScalarOperator(.tensor(a), .double(b)) }

  /// True where an element is neither infinite nor not-a-number.
  public func isFinite() -> Tensor { Self.finiteOperator(.tensor(self)) }

  /// True where a boolean element is false.
  public func not() -> Tensor { Self.notOperator(.tensor(self)) }

  /// `a` where the mask is true, `b` elsewhere.
  public static func choose(_ mask: Tensor, _ a: Tensor, _ b: Tensor) -> Tensor {
    chooseOperator(.tensor(mask), .tensor(a), .tensor(b))
  }

  /// `value` where the mask is true, the tensor's own elements elsewhere.
  public func masked(_ mask: Tensor, _ value: Double) -> Tensor {
    Self.maskOperator(.tensor(self), .tensor(mask), .double(value))
  }
}
