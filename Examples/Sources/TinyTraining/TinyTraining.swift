import Wideband

/// A wide model learns one sentence by heart, byte by byte.
@main
struct TinyTraining {
  static func main() throws {
    Machine.prepare()
    let sentence = Array("In the beginning was the Word, and the Word was with God.".utf8)

    // A backbone of D = 64 channels, and a state of 16 slots of 64 / 4 channels: r = 4.
    var configuration = ModelConfiguration(
      vocabularySize: 256, hiddenSize: 64, layerCount: 2, headCount: 4, intermediateSize: 176)
    configuration.virtualWidth = VirtualWidth(fractionRate: 4, slots: 16, embedding: .wide)
    let model = try LanguageModel(configuration, weights: WeightStore(seed: 1))
    for weight in model.weights.tensors.values { weight.requiringGradient() }
    print("\(model.weights.parameterCount) parameters")

    let optimizer = try AdamW(
      model.weights.tensors,
      Recipe.Optimizer(
        learningRate: 3e-3, connectionRates: .init(all: 0.1), beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1,
        clip: 1))
    let length = sentence.count - 1
    let tokens = Tensor(sentence.dropLast().map(Int64.init), shape: [1, length])
    let targets = Tensor(sentence.dropFirst().map(Int64.init), shape: [1, length])
    for step in 1...100 {
      let loss = try withTorch {
        let context = ForwardContext(length: length, configuration: configuration)
        let loss = model.losses(tokens, targets: targets, in: context).total
        loss.backward()
        optimizer.step(learningRate: 3e-3, divisor: 1)
        return try loss.item()
      }
      if step.isMultiple(of: 20) { print("step \(step): \(loss) nats") }
    }

    // The most probable next byte after each byte of the sentence.
    let learned = try withTorch { try model.logits(tokens).argmax(-1).elements(UInt8.self) }
    print(String(decoding: sentence.prefix(1) + learned, as: UTF8.self))
  }
}
