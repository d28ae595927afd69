/// Element-wise arithmetic with broadcasting.
extension Tensor {
  private static let addOperator = Operator("add", "Tensor")
  private static let addScalarOperator = Operator("add", "Scalar")
  private static let subtractOperator = Operator("sub", "Tensor")
  private static let subtractScalarOperator = Operator("sub", "Scalar")
  private static let reverseSubtractOperator = Operator("rsub", "Scalar")
  private static let multiplyOperator = Operator("mul", "Tensor")
  private static let multiplyScalarOperator = Operator("mul", "Scalar")
  private static let divideOperator = Operator("div", "Tensor")
  private static let divideScalarOperator = Operator("div", "Scalar")
  private static let floorDivideOperator = Operator("floor_divide", "Scalar")
  private static let remainderOperator = Operator("remainder", "Scalar")
  private static let powerOperator = Operator("pow", "Tensor_Scalar")
  private static let scalarPowerOperator = Operator("pow", "Scalar")
  private static let negateOperator = Operator("neg")
  private static let absoluteOperator = Operator("abs")
  private static let exponentialOperator = Operator("exp")
  private static let logarithmOperator = Operator("log")
  private static let squareRootOperator = Operator("sqrt")
  private static let roundOperator = Operator("round")
  private static let tanhOperator = Operator("tanh")
  private static let sineOperator = Operator("sin")
  private static let cosineOperator = Operator("cos")
  private static let siluOperator = Operator("silu")
  private static let addcmulOperator = Operator("addcmul")

  /// a + b.
  public static func + (a: Tensor, b: Tensor) -> Tensor { addOperator(.tensor(a), .tensor(b)) }
  /// a + b for a scalar b.
  public static func + (a: Tensor, b: Double) -> Tensor { addScalarOperator(.tensor(a), .double(b)) }
  /// a - b.
  public static func - (a: Tensor, b: Tensor) -> Tensor { subtractOperator(.tensor(a), .tensor(b)) }
  /// a - b for a scalar b.
  public static func - (a: Tensor, b: Double) -> Tensor { subtractScalarOperator(.tensor(a), .double(b)) }
  /// a - b for a scalar a.
  public static func - (a: Double, b: Tensor) -> Tensor { reverseSubtractOperator(.tensor(b), .double(a)) }
  /// a ∘ b.
  public static func * (a: Tensor, b: Tensor) -> Tensor { multiplyOperator(.tensor(a), .tensor(b)) }
  /// a · b for a scalar b.
  public static func * (a: Tensor, b: Double) -> Tensor { multiplyScalarOperator(.tensor(a), .double(b)) }
  /// a · b for a scalar a.
  public static func * (a: Double, b: Tensor) -> Tensor { b * a }
  /// a / b.
  public static func / (a: Tensor, b: Tensor) -> Tensor { divideOperator(.tensor(a), .tensor(b)) }
  /// a / b for a scalar b.
  public static func / (a: Tensor, b: Double) -> Tensor { divideScalarOperator(.tensor(a), .double(b)) }
  /// -a.
  public static prefix func - (a: Tensor) -> Tensor { negateOperator(.tensor(a)) }

  /// a + b for an integer scalar b; integer tensors keep their dtype.
  public static func + (a: Tensor, b: Int) -> Tensor { addScalarOperator(.tensor(a), .int(b)) }

  /// ⌊x / divisor⌋ of an integer tensor.
  public func floorDivide(by divisor: Int) -> Tensor { Self.floorDivideOperator(.tensor(self), .int(divisor)) }

  /// The remainder of x / divisor of an integer tensor, with the divisor's sign.
  public func remainder(by divisor: Int) -> Tensor { Self.remainderOperator(.tensor(self), .int(divisor)) }

  /// x to the power of `exponent`.
  public func power(_ exponent: Double) -> Tensor { Self.powerOperator(.tensor(self), .double(exponent)) }

  /// `base` to the power of each element.
  public static func power(_ base: Double, _ exponents: Tensor) -> Tensor {
    scalarPowerOperator(.double(base), .tensor(exponents))
  }

  /// |x|.
  public func abs() -> Tensor { Self.absoluteOperator(.tensor(self)) }

  /// The nearest integer, ties to even.
  public func rounded() -> Tensor { Self.roundOperator(.tensor(self)) }

  /// exp(x).
  public func exp() -> Tensor { Self.exponentialOperator(.tensor(self)) }

  /// The natural logarithm; NaN for negative elements.
  public func log() -> Tensor { Self.logarithmOperator(.tensor(self)) }

  /// √x; NaN for negative elements.
  public func squareRoot() -> Tensor { Self.squareRootOperator(.tensor(self)) }

  /// tanh(x).
  public func tanh() -> Tensor { Self.tanhOperator(.tensor(self)) }

  /// sin(x), x in radians.
  public func sin() -> Tensor { Self.sineOperator(.tensor(self)) }

  /// cos(x), x in radians.
  public func cos() -> Tensor { Self.cosineOperator(.tensor(self)) }

  /// x / (1 + exp(-x)).
  public func silu() -> Tensor { Self.siluOperator(.tensor(self)) }

  /// self + a ∘ b in one operator, with broadcasting.
  public func addcmul(_ a: Tensor, _ b: Tensor) -> Tensor {
    Self.addcmulOperator(.tensor(self), .tensor(a), .tensor(b))
  }
}
