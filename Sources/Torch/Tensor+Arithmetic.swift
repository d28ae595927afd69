/// Element by element, with broadcasting.
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
  private static let reciprocalSquareRootOperator = Operator("rsqrt")
  private static let tanhOperator = Operator("tanh")
  private static let sineOperator = Operator("sin")
  private static let cosineOperator = Operator("cos")
  private static let sigmoidOperator = Operator("sigmoid")
  private static let siluOperator = Operator("silu")

  /// Sums of elements.
  public static func + (a: Tensor, b: Tensor) -> Tensor { addOperator(.tensor(a), .tensor(b)) }
  /// A number added to every element.
  public static func + (a: Tensor, b: Double) -> Tensor { addScalarOperator(.tensor(a), .double(b)) }
  /// Differences of elements.
  public static func - (a: Tensor, b: Tensor) -> Tensor { subtractOperator(.tensor(a), .tensor(b)) }
  /// A number taken from every element.
  public static func - (a: Tensor, b: Double) -> Tensor { subtractScalarOperator(.tensor(a), .double(b)) }
  /// Every element taken from a number.
  public static func - (a: Double, b: Tensor) -> Tensor { reverseSubtractOperator(.tensor(b), .double(a)) }
  /// Products of elements.
  public static func * (a: Tensor, b: Tensor) -> Tensor { multiplyOperator(.tensor(a), .tensor(b)) }
  /// Every element times a number.
  public static func * (a: Tensor, b: Double) -> Tensor { multiplyScalarOperator(.tensor(a), .double(b)) }
  /// Every element times a number.
  public static func * (a: Double, b: Tensor) -> Tensor { b * a }
  /// Quotients of elements.
  public static func / (a: Tensor, b: Tensor) -> Tensor { divideOperator(.tensor(a), .tensor(b)) }
  /// Every element divided by a number.
  public static func / (a: Tensor, b: Double) -> Tensor { divideScalarOperator(.tensor(a), .double(b)) }
  /// Every element with the other sign.
  public static prefix func - (a: Tensor) -> Tensor { negateOperator(.tensor(a)) }

  /// Whole-number addition, which keeps integer tensors integer.
  public static func + (a: Tensor, b: Int) -> Tensor { addScalarOperator(.tensor(a), .int(b)) }

  /// Quotients rounded down, for integer tensors.
  public func dividedDown(by divisor: Int) -> Tensor { Self.floorDivideOperator(.tensor(self), .int(divisor)) }

  /// Remainders with the divisor's sign, for integer tensors.
  public func remainder(by divisor: Int) -> Tensor { Self.remainderOperator(.tensor(self), .int(divisor)) }

  /// Elements to a power.
  public func power(_ exponent: Double) -> Tensor { Self.powerOperator(.tensor(self), .double(exponent)) }

  /// A base to the power of each element.
  public static func power(_ base: Double, _ exponents: Tensor) -> Tensor {
    scalarPowerOperator(.double(base), .tensor(exponents))
  }

  /// Absolute values.
  public func abs() -> Tensor { Self.absoluteOperator(.tensor(self)) }
  /// The nearest whole number, halves to even.
  public func rounded() -> Tensor { Self.roundOperator(.tensor(self)) }

  /// e to the power of each element.
  public func exp() -> Tensor { Self.exponentialOperator(.tensor(self)) }

  /// Natural logarithms; not a number below zero.
  public func log() -> Tensor { Self.logarithmOperator(.tensor(self)) }

  /// Square roots; not a number below zero.
  public func squareRoot() -> Tensor { Self.squareRootOperator(.tensor(self)) }

  /// One over the square root.
  public func reciprocalSquareRoot() -> Tensor { Self.reciprocalSquareRootOperator(.tensor(self)) }

  /// Hyperbolic tangents.
  public func tanh() -> Tensor { Self.tanhOperator(.tensor(self)) }

  /// Sines of angles in radians.
  public func sin() -> Tensor { Self.sineOperator(.tensor(self)) }

  /// Cosines of angles in radians.
  public func cos() -> Tensor { Self.cosineOperator(.tensor(self)) }

  /// 1 / (1 + exp(-x)).
  public func sigmoid() -> Tensor { Self.sigmoidOperator(.tensor(self)) }

  /// x · sigmoid(x).
  public func silu() -> Tensor { Self.siluOperator(.tensor(self)) }
}

extension Tensor {
  private static let addProductOperator = Operator("addcmul")

  /// self + a ∘ b in one pass, with broadcasting.
  public func addingProduct(_ a: Tensor, _ b: Tensor) -> Tensor {
    Self.addProductOperator(.tensor(self), .tensor(a), .tensor(b))
  }
}
