import ArgumentParser
import Wideband

/// The layer split of direct decoding, for models whose configuration has none.
struct SplitOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp("First layers that run for every token; by default the model's, or 0.", valueName: "number"))
  var encodingLayers: Int?
  @Option(help: ArgumentHelp("Last layers that run for every token; by default the model's.", valueName: "number"))
  var decodingLayers: Int?
  @Option(
    help: ArgumentHelp("How the thinking layers' state enters the last layers; by default the model's, or select."))
  var gate: ModelConfiguration.DirectDecoding.Gate?

  /// Sets the split of these options in a configuration that has none.
  ///
  /// - Parameters:
  ///   - file: the path of the configuration, for errors.
  ///   - cycle: the maximum requested cycle length, within `Limits.cycle`; nil for ordinary decoding.
  ///   - drafts: whether direct decoding is used for drafts.
  /// - Throws: `CommandError` if the split contradicts the configuration's own, does not fit the model's layers, or is
  ///   missing.
  func apply(to configuration: inout ModelConfiguration, of file: String, cycle: Int?, drafts: Bool = false) throws {
    if let own = configuration.directDecoding { return try requireEqual(to: own, in: file) }
    if drafts, cycle == nil || decodingLayers == nil {
      throw CommandError("\(file) has no direct_decoding: expected --decoding-layers and --cycle with --draft direct")
    }
    guard let cycle else { return try requireNothing() }
    guard let decodingLayers else {
      throw CommandError("\(file) has no direct_decoding: expected --decoding-layers with --cycle")
    }
    let split = ModelConfiguration.DirectDecoding(
      encodingLayers: encodingLayers ?? 0, decodingLayers: decodingLayers, cycle: cycle, gate: gate ?? .select)
    guard split.fits(layerCount: configuration.layerCount) else {
      throw CommandError(
        "--encoding-layers is \(split.encodingLayers) and --decoding-layers \(decodingLayers): expected together at most "
          + "the model's \(configuration.layerCount) layers")
    }
    configuration.directDecoding = split
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
