import Foundation
import Wideband

/// A benchmark of a chain of dynamic hyper-connections of one width, around identity sublayers.
struct ConnectionBenchmark {
  /// The results.
  struct Report {
    let width: VirtualWidth
    let copyBandwidth: Double
    /// The largest relative error by the dtype of the state, with the name of the result and the tolerance.
    let errors: [(dtype: DType, worst: String, error: Double, tolerance: Double)]
    /// Seconds, and bytes of activations that are read or written.
    let times: [(name: String, seconds: Double, bytes: Double)]

    var isRight: Bool { errors.allSatisfy { $0.error <= $0.tolerance } }

    func share(_ time: (name: String, seconds: Double, bytes: Double)) -> Double {
      time.bytes / time.seconds / copyBandwidth
    }

    var text: String {
      let head = "(m, n) = (\(width.fractionRate), \(width.slots))"
      let checks = errors.map {
        "  \($0.dtype): \(String(format: "%.1e", $0.error)) off at most (\($0.worst)), "
          + ($0.error <= $0.tolerance ? "ok" : "WRONG")
      }
      let rows = times.map {
        let name = $0.name.padding(toLength: 20, withPad: " ", startingAt: 0)
        return
          "  \(name) \(String(format: "%8.3f ms, %3.0f %% of the copy's bandwidth", $0.seconds * 1e3, share($0) * 100))"
      }
      return ([head] + checks + rows).joined(separator: "\n")
    }

    var json: String {
      let rows = times.map {
        String(format: "\"%@\": {\"seconds\": %.4g, \"share\": %.3f}", $0.name, $0.seconds, share($0))
      }
      let head = "\"m\": \(width.fractionRate), \"n\": \(width.slots), \"right\": \(isRight)"
      return "{\(([head] + rows).joined(separator: ", "))}"
    }
  }

  private let width: VirtualWidth
  private let C, tokens: Int
  private let dtype: DType
  private let copyBandwidth: Double
  private let device: Device
  private let weights: WeightStore
  private let connections: [GeneralizedHyperConnection]
  private let random: Generator

  private static let shortChain = 2, longChain = 6

  init(
    _ width: VirtualWidth, hiddenSize: Int, tokens: Int, dtype: DType, copyBandwidth: Double, on device: Device
  ) throws {
    self.width = width
    self.tokens = tokens
    self.dtype = dtype
    self.copyBandwidth = copyBandwidth
    self.device = device
    C = width.slotWidth(hiddenSize: hiddenSize)
    random = try Generator(seed: 0)
    let store = WeightStore(seed: 0, on: device)
    let slotWidth = C
    connections = try (0..<Self.longChain).map {
      try GeneralizedHyperConnection(width, slotWidth: slotWidth, epsilon: 1e-6, in: store.root[$0])
    }
    weights = store
    try withTorch {
      withoutGradients {
        // Perturbed initial values, because the dynamic maps are initially zero; a small amount, so that states do not
        // grow.
        for weight in store.tensors.values {
          weight.copy(from: weight + Tensor.normal(weight.shape, standardDeviation: 0.05, from: random).to(device))
        }
      }
      for weight in store.tensors.values { weight.requiringGradient() }
    }
  }

  func run() throws -> Report {
    let checked = dtype == .float32 ? [DType.float32] : [.float32, dtype]
    return Report(
      width: width, copyBandwidth: copyBandwidth, errors: try checked.map(check), times: try measure())
  }

  private func state(_ tokens: Int) -> Tensor {
    Tensor.normal([1, tokens, width.slots, C], from: random).to(device)
  }

  private func chain(_ state: Tensor, count: Int) -> Tensor {
    connections.prefix(count).reduce(State(state)) { state, connection in connection(state) { $0 } }.tensor
  }

  // MARK: Correctness

  private func check(_ dtype: DType) throws -> (dtype: DType, worst: String, error: Double, tolerance: Double) {
    try withTorch {
      // The inputs are rounded to the dtype; the reference computes with the same values in float32.
      let (start, direction) = (state(257).to(dtype), state(257).to(dtype))
      let found = results(start, direction)
      let expected = Kernels.$selected.withValue(.composed) { results(start.to(.float32), direction.to(.float32)) }
      let errors = try zip(found, expected).map { one, other in
        (
          one.name,
          try (one.value.to(.float64) - other.value.to(.float64)).norm().item()
            / max(other.value.to(.float64).norm().item(), 1e-30)
        )
      }
      let worst = errors.first { $0.1.isNaN } ?? errors.max { $0.1 < $1.1 } ?? ("", .nan)
      return (dtype, worst.0, worst.1.isNaN ? .infinity : worst.1, dtype == .float32 ? 1e-4 : 2e-2)
    }
  }

  /// The state after two connections, and the gradients of the initial state and of all weights.
  private func results(_ start: Tensor, _ direction: Tensor) -> [(name: String, value: Tensor)] {
    let leaf = start.detached().cloned().requiringGradient()
    let end = chain(leaf, count: Self.shortChain)
    (end * direction).to(.float32).sum().backward()
    var all = [("state", end.detached()), ("gradient of the state", leaf.gradient ?? .zeros(leaf.shape, on: device))]
    for (name, weight) in weights.tensors {
      if let gradient = weight.gradient { all.append((name, gradient.cloned())) }
      weight.clearGradient()
    }
    return all.map { (name: $0.0, value: $0.1) }
  }

  // MARK: Time

  private func measure() throws -> [(name: String, seconds: Double, bytes: Double)] {
    let start = try withTorch { state(tokens).to(dtype) }
    func forward(_ count: Int) throws -> Double {
      try time { withoutGradients { _ = chain(start, count: count) } }
    }
    func both(_ count: Int) throws -> Double {
      try time {
        let end = chain(start, count: count)
        end.sum().backward()
        for weight in weights.tensors.values { weight.clearGradient() }
      }
    }
    let added = Double(Self.longChain - Self.shortChain)
    let apart = try forward(1)
    let writeRead = (try forward(Self.longChain) - forward(Self.shortChain)) / added
    let wholeStep = (try both(Self.longChain) - both(Self.shortChain)) / added
    let narrow = Double(tokens * width.fractionRate * C * dtype.size), wide = narrow * width.factor
    return [
      ("read, write", apart, 3 * wide + 2 * narrow),
      ("write and read", writeRead, 2 * wide + 2 * narrow),
      ("backward", wholeStep - writeRead, 3 * wide + 3 * narrow),
    ]
  }

  /// The seconds of `body`: the median of five rounds, each of ten repetitions on a GPU, after a warm-up of two.
  private func time(_ body: () -> Void) throws -> Double {
    let clock = ContinuousClock()
    let repeats = device.kind == .cpu ? 1 : 10
    func round(_ repeats: Int) throws -> Double {
      let start = clock.now
      try withTorch { for _ in 0..<repeats { body() } }
      try device.synchronize()
      return (clock.now - start) / .seconds(1) / Double(repeats)
    }
    _ = try round(2)
    return try (0..<5).map { _ in try round(repeats) }.sorted()[2]
  }
}
