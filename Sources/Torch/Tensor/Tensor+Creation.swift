import WidebandCTorch

/// New tensors. Sizes are in elements; the defaults are float32 and the CPU.
extension Tensor {
  private static let zerosOperator = Operator("zeros")
  private static let fullOperator = Operator("full")
  private static let arangeOperator = Operator("arange", "start_step")
  private static let eyeOperator = Operator("eye", "m")
  private static let normalOperator = Operator("normal_")
  private static let uniformOperator = Operator("uniform_")
  private static let randomOperator = Operator("randint", "low_generator")

  /// A tensor of zeros.
  public static func zeros(_ shape: [Int], _ dtype: DType = .float32, on device: Device = .cpu) -> Tensor {
    zerosOperator(.ints(shape), .dtype(dtype), .none, .device(device))
  }

  /// A tensor filled with `value`.
  public static func full(_ shape: [Int], _ value: Double, _ dtype: DType = .float32, on device: Device = .cpu)
    -> Tensor
  {
    fullOperator(.ints(shape), .double(value), .dtype(dtype), .none, .device(device))
  }

  /// A tensor of ones.
  public static func ones(_ shape: [Int], _ dtype: DType = .float32, on device: Device = .cpu) -> Tensor {
    full(shape, 1, dtype, on: device)
  }

  /// The vector of every `step`-th integer of a range.
  public static func range(
    _ range: Range<Int>, by step: Int = 1, _ dtype: DType = .int64, on device: Device = .cpu
  ) -> Tensor {
    arangeOperator(
      .int(range.lowerBound), .int(range.upperBound), .int(step), .dtype(dtype), .none, .device(device))
  }

  /// A matrix `[rows, columns]` with ones on its diagonal.
  public static func identity(
    _ rows: Int, _ columns: Int, _ dtype: DType = .float32, on device: Device = .cpu
  ) -> Tensor {
    eyeOperator(.int(rows), .int(columns), .dtype(dtype), .none, .device(device))
  }

  /// Independent samples of a normal distribution.
  public static func normal(
    _ shape: [Int], mean: Double = 0, standardDeviation: Double = 1, _ dtype: DType = .float32,
    from generator: Generator, on device: Device = .cpu
  ) -> Tensor {
    let tensor = zeros(shape, dtype, on: device)
    normalOperator.perform(.tensor(tensor), .double(mean), .double(standardDeviation), .generator(generator))
    return tensor
  }

  /// Independent samples of the uniform distribution over a half-open range.
  public static func uniform(
    _ shape: [Int], in range: Range<Double> = 0..<1, _ dtype: DType = .float32,
    from generator: Generator, on device: Device = .cpu
  ) -> Tensor {
    let tensor = zeros(shape, dtype, on: device)
    uniformOperator.perform(
      .tensor(tensor), .double(range.lowerBound), .double(range.upperBound), .generator(generator))
    return tensor
  }

  /// Independent integers, uniform over a half-open range.
  public static func integers(
    _ shape: [Int], in range: Range<Int>, _ dtype: DType = .int64, from generator: Generator,
    on device: Device = .cpu
  ) -> Tensor {
    randomOperator(
      .int(range.lowerBound), .int(range.upperBound), .ints(shape), .generator(generator), .dtype(dtype), .none,
      .device(device))
  }
}
