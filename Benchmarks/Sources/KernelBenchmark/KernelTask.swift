import Wideband

/// A kernel to be timed, in one or more passes.
struct KernelTask {
  /// The parts of a kernel that are timed. A layer whose parts cannot be separated has the pass `both`, an optimizer `step`.
  enum ForwardContext: String {
    case forward, backward, both, step
  }

  /// The minimum cost of a pass.
  struct Cost {
    let pass: ForwardContext
    /// Multiplications and additions.
    let operations: Double
    /// Operands and results, each read or written once, float32.
    let bytes: Double

    init(_ pass: ForwardContext, operations: Int, floats: Int) {
      self.pass = pass
      self.operations = Double(operations)
      bytes = Double(floats * 4)
    }
  }

  /// The name of the kernel, as in the peer's tasks.
  let name: String
  /// Its sizes other than the number of tokens.
  let shape: String
  let tokens: Int
  let costs: [Cost]
  /// Runs all passes once and returns the seconds of each.
  let run: () throws -> [Double]

  /// The median seconds of each pass.
  ///
  /// Two warm-up runs are not counted. At least five runs are; there are more of short ones.
  func measure() throws -> [Double] {
    for _ in 0..<2 { _ = try run() }
    var samples: [[Double]] = []
    var total = 0.0
    while samples.count < 5 || (total < 0.5 && samples.count < 101) {
      let sample = try run()
      total += sample.reduce(0, +)
      samples.append(sample)
    }
    return costs.indices.map { pass in samples.map { $0[pass] }.sorted()[samples.count / 2] }
  }
}

/// The seconds that `body` takes, and its result.
func timed<Result>(_ body: () throws -> Result) rethrows -> (seconds: Double, result: Result) {
  let clock = ContinuousClock()
  let start = clock.now
  let result = try body()
  return ((clock.now - start) / .seconds(1), result)
}

/// The error for a kernel that the library does not use.
struct MissingKernel: Error, CustomStringConvertible {
  let name: String
  var description: String { "there is no fused kernel for '\(name)' on this machine: expected one in float32" }
}
