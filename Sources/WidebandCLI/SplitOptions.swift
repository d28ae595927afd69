import ArgumentParser
import LanguageModel

/// The layer split of a model whose folder does not say how to decode it directly.
struct SplitOptions: ParsableArguments {
  @Option(help: ArgumentHelp("First layers that run for every token; the model's own, or 0.", valueName: "number"))
  var encodingLayers: Int?
  @Option(help: ArgumentHelp("Last layers that run for every token; the model's own without it.", valueName: "number"))
  var decodingLayers: Int?
  @Option(help: ArgumentHelp("How a head's thinking enters the last layers; the model's own, or select."))
  var gate: ModelConfiguration.DirectDecoding.Gate?

  /// Gives a configuration the split that these options name, if it has none of its own.
  ///
  /// - Parameters:
  ///   - file: the configuration's, for errors.
  ///   - cycle: the longest cycle that is asked for; nil where the model is to be decoded ordinarily.
  ///   - drafts: whether direct decoding is to draft.
  /// - Throws: `CommandError` for a split against the file's own, one that the model's layers cannot have, and none at
  ///   all.
  func apply(to configuration: inout ModelConfiguration, of file: String, cycle: Int?, drafts: Bool = false) throws {
    if let own = configuration.directDecoding { return try requireEqual(to: own, in: file) }
    if drafts, cycle == nil || decodingLayers == nil {
      throw CommandError("\(file) has no direct_decoding: expected --decoding-layers and --cycle beside --draft direct")
    }
    guard let cycle else { return try requireNothing() }
    guard let decodingLayers else {
      throw CommandError("\(file) has no direct_decoding: expected --decoding-layers beside --cycle")
    }
    let (E, D, L) = (encodingLayers ?? 0, decodingLayers, configuration.layerCount)
    guard (0...L).contains(E), (0...L).contains(D), E + D <= L else {
      throw CommandError(
        "--encoding-layers is \(E) and --decoding-layers \(D): expected together at most the model's \(L) layers")
    }
    guard (1...1024).contains(cycle) else { throw CommandError("--cycle is \(cycle): expected 1 to 1024") }
    configuration.directDecoding = .init(
      encodingLayers: E, decodingLayers: D, cycle: cycle, gate: gate ?? .select)
  }

  private func requireEqual(to own: ModelConfiguration.DirectDecoding, in file: String) throws {
    let pairs: [(key: String, asked: String?, own: String)] = [
      ("encoding_layers", encodingLayers.map(String.init), "\(own.encodingLayers)"),
      ("decoding_layers", decodingLayers.map(String.init), "\(own.decodingLayers)"),
      ("gate", gate?.rawValue, own.gate.rawValue),
    ]
    for (key, asked, own) in pairs {
      guard let asked, asked != own else { continue }
      throw CommandError(
        "--\(key.replacing("_", with: "-")) is \(asked): expected \(own), the direct_decoding.\(key) of "
          + "\(file), or nothing")
    }
  }

  private func requireNothing() throws {
    let given = [
      ("encoding-layers", encodingLayers != nil), ("decoding-layers", decodingLayers != nil), ("gate", gate != nil),
    ]
    if let (name, _) = given.first(where: \.1) {
      throw CommandError("--\(name) is given without --cycle: expected both, or neither")
    }
  }
}

extension ModelConfiguration.DirectDecoding.Gate: ExpressibleByArgument {}
