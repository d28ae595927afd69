import Wideband

/// Algorithm 1 of Virtual Width Networks on random tokens, compared with the model's fused kernels.
@main
struct WideNetwork {
  static func main() throws {
    Machine.prepare()
    var configuration = ModelConfiguration(
      vocabularySize: 1000, hiddenSize: 128, layerCount: 4, headCount: 4, intermediateSize: 352)
    configuration.virtualWidth = VirtualWidth(fractionRate: 4, slots: 32)
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 1))
    guard let network = model.virtualWidthNetwork else { return }

    // A fresh connection reads and carries whole slots: maps that are not zero make its coefficients depend on the token.
    let generator = try Generator(seed: 1)
    for (name, weight) in model.weights.tensors where name.contains("dynamic_") {
      withoutGradients { weight.copy(from: .normal(weight.shape, standardDeviation: 0.5, from: generator)) }
    }

    let tokens = Tensor.integers([2, 64], in: 0..<1000, from: generator)
    let context = ForwardContext(length: 64, configuration: configuration)
    try withTorch {
      try withoutGradients {
        let hidden = network(tokens, sublayers: model.sublayers(in: context))
        print("tokens \(tokens.shape) to \(hidden.shape), through \(network.connections.count) connections")

        // The coefficients of the first connection for every token.
        let coefficients = network.connections[0].coefficients(of: network.embedding(tokens))
        print("read \(coefficients.read.shape), carry \(coefficients.carry.shape), write \(coefficients.write.shape)")

        let fused = network.reduce(model.trunk(tokens, in: context))
        print("largest difference from the fused kernels: \(try (hidden - fused).abs().max().item())")
      }
    }
  }
}
