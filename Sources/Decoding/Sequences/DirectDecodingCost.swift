import WidebandLanguageModel
import WidebandTorch

/// The cost of one token in layers and in bytes of weights, with ordinary and with direct decoding.
///
/// Decoding of one sequence is bound by the bandwidth at which weights are read. Direct decoding reads the weights of the
/// thinking layers once a cycle, and all others once a token, so that its speedup is at most `bound`:
///
///     layers  = (E + D) / L + T / (cycle · L)
///     bound   = (L w + h) / ((E + D + T / cycle) w + h)      w: bytes of a layer, h: bytes of readout and head
///
/// E, T and D are the numbers of encoding, thinking and decoding layers. Of a mixture-of-experts layer a token reads its
/// routed experts; the `cycle` tokens of a head's block read as many different ones as uniform routing selects on average.
/// The sequences of a batch, with aligned cycles, share what they read. Source of the formulas: arXiv 2510.11958.
public struct DirectDecodingCost: Sendable {
  /// The share of the layers that one token reads.
  public let layersPerToken: Double
  /// Bytes of weights that one token reads.
  public let bytesPerToken: Double
  /// Bytes of weights that one token reads in ordinary decoding.
  public let ordinaryBytesPerToken: Double

  /// The maximum speedup over ordinary decoding.
  public var bound: Double { ordinaryBytesPerToken / bytesPerToken }

  /// The cost of a model's token.
  ///
  /// - Parameters:
  ///   - cycle: tokens of a cycle; nil for ordinary decoding.
  ///   - sequences: the size of the batch.
  /// - Throws: `ConfigurationError` if there is a cycle and the model has no layer split.
  public init(_ model: LanguageModel, cycle: Int?, sequences: Int = 1) throws {
    let weights = LayerWeights(model)
    let L = model.configuration.layerCount
    func bytes(_ layers: some Sequence<Int>, tokens: Int) -> Double {
      layers.reduce(0) { $0 + weights.bytes(layer: $1, tokens: tokens * sequences) } / Double(sequences)
    }
    let readout = weights.readout / Double(sequences)
    ordinaryBytesPerToken = readout + bytes(0..<L, tokens: 1)
    guard let cycle else {
      layersPerToken = 1
      bytesPerToken = ordinaryBytesPerToken
      return
    }
    guard let split = model.configuration.directDecoding else { throw ConfigurationError.missingSplit }
    let groups = split.groups(layerCount: L)
    let always = Double(groups.encoding.count + groups.decoding.count)
    layersPerToken = (always + Double(groups.thinking.count) / Double(cycle)) / Double(L)
    let everyToken = bytes(groups.encoding, tokens: 1) + bytes(groups.decoding, tokens: 1)
    bytesPerToken = readout + everyToken + bytes(groups.thinking, tokens: cycle) / Double(cycle)
  }
}

/// Bytes of a model's weights by layer.
private struct LayerWeights {
  /// Bytes that every token reads outside of the layers: embedding expansion, reduce, final norm and head.
  let readout: Double
  private var dense: [Double]
  private var experts: [Double]
  private let configuration: ModelConfiguration

  init(_ model: LanguageModel) {
    configuration = model.configuration
    dense = Array(repeating: 0, count: configuration.layerCount)
    experts = dense
    let head = configuration.isHeadTied ? "model.embed_tokens." : "lm_head."
    var readout = 0.0
    for (name, tensor) in model.weights.tensors {
      let bytes = Double(tensor.count * tensor.dtype.size)
      let path = name.split(separator: ".")
      if path.count > 3, path[0] == "model", path[1] == "layers", let layer = Int(path[2]) {
        if name.contains(".mlp.experts.") { experts[layer] += bytes } else { dense[layer] += bytes }
      } else if [head, "model.embed_expand", "model.reduce", "model.norm."].contains(where: name.hasPrefix) {
        readout += bytes
      } else if name.hasPrefix("model.ngram_memory.") {
        // One row of a table, or a gain.
        readout += tensor.rank == 2 ? bytes / Double(tensor.size(0)) : bytes
      }
    }
    self.readout = readout
  }

  /// Bytes of a layer that `tokens` tokens of one pass read.
  func bytes(layer: Int, tokens: Int) -> Double {
    guard let routing = configuration.experts else { return dense[layer] }
    let missed = 1 - Double(routing.perToken) / Double(routing.count)
    let fraction = 1 - (0..<tokens).reduce(1) { product, _ in product * missed }
    return dense[layer] + fraction * experts[layer]
  }
}
