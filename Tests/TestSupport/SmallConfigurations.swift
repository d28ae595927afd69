import WidebandLanguageModel
import WidebandVirtualWidth

extension ModelConfiguration {
  /// A model that runs in milliseconds: V 61, D 48 unless told otherwise, two layers, four heads on two key heads.
  public static func small(
    hiddenSize: Int = 48, _ change: (inout ModelConfiguration) -> Void = { _ in }
  ) -> ModelConfiguration {
    var configuration = ModelConfiguration(
      vocabularySize: 61, hiddenSize: hiddenSize, layerCount: 2, headCount: 4, headSize: 8, intermediateSize: 56)
    configuration.keyValueHeadCount = 2
    configuration.contextLength = 64
    change(&configuration)
    return configuration
  }

  /// Width, experts and two further prediction depths together.
  public static let everything = small {
    $0.virtualWidth = VirtualWidth(fractionRate: 4, slots: 8, embedding: .wide)
    $0.experts = Experts(count: 6, perToken: 2, intermediateSize: 16, balanceLossWeight: 0.01)
    $0.multiTokenPrediction = MultiTokenPrediction(depth: 2, lossWeight: 0.4)
  }

  /// One configuration for each optional part of a model, and `everything`.
  public static let variety: [(name: String, configuration: ModelConfiguration)] = [
    ("plain", small()),
    ("tied", small { $0.isHeadTied = true }),
    (
      "wide",
      small { $0.virtualWidth = VirtualWidth(fractionRate: 2, slots: 3, embedding: .wide, connections: .static) }
    ),
    ("expanded", small { $0.virtualWidth = VirtualWidth(fractionRate: 3, slots: 8) }),
    (
      "experts",
      small {
        $0.experts = Experts(count: 5, perToken: 2, intermediateSize: 16, isRenormalized: false, layerStep: 2)
      }
    ),
    ("depths", small { $0.multiTokenPrediction = MultiTokenPrediction(depth: 3) }),
    ("everything", everything),
  ]
}
