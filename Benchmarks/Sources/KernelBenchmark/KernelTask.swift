import Wideband

/// One thing to be timed, in one or more passes.
struct KernelTask {
  /// What of a layer is done; a layer that cannot be taken apart has one pass, `both`, and an optimizer a `step`.
  enum ForwardContext: String {
    case forward, backward, both, step
  }

  /// What a pass has to do at least.
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

  /// What kernel it is, as in the peer's tasks.
  let name: String
  /// Its sizes other than the number of tokens.
  let shape: String
  let tokens: Int
  let costs: [Cost]
  /// Does all passes once and gives the seconds of each.
  let run: () throws -> [Double]

  /// The median seconds of each pass.
  ///
  /// After two runs that are not counted there are at least five, and more of them the shorter they are.
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

/// The seconds that `body` takes, and what it gives.
func timed<Result>(_ body: () throws -> Result) rethrows -> (seconds: Double, result: Result) {
  let clock = ContinuousClock()
  let start = clock.now
  let result = try body()
  return ((clock.now - start) / .seconds(1), result)
}

/// A kernel that the library did not choose.
struct MissingKernel: Error, CustomStringConvertible {
  let name: String
  var description: String { "there is no fused kernel for '\(name)' on this machine: expected one in float32" }
}
