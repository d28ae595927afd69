import Foundation
import Wideband
import WidebandCheckedInput
import WidebandServing

/// How `serve` serves its model, in a line.
struct ServeSummary {
  /// As in "small: context 4096, 4 sequences at once, 1.07GB of keys and values, 8 threads".
  let text: String

  /// - Parameter name: the model's name in answers.
  init(name: String, _ engine: ServingEngine) {
    let options = engine.options
    let memory = ByteCount(options.parallel * engine.context * Self.bytesPerPosition(engine))
    var parts = [
      "context \(engine.context)", "\(options.parallel) sequence\(options.parallel == 1 ? "" : "s") at once",
      "\(memory) of keys and values at most",
    ]
    if let cycle = options.cycle { parts.append("cycle \(cycle)") }
    if let method = options.draftMethod { parts.append("drafts by \(method.rawValue)") }
    parts.append("\(Machine.threadCount) thread\(Machine.threadCount == 1 ? "" : "s")")
    text = "\(printable(name)): \(parts.joined(separator: ", "))"
  }

  /// Keys and values of one position in all layers, and in those of a drafter.
  private static func bytesPerPosition(_ engine: ServingEngine) -> Int {
    let (model, options) = (engine.model.model, engine.options)
    let configuration = model.configuration
    let format = options.cacheFormat ?? KVCacheFormat(for: model)
    let head = format.bytes(channels: configuration.headSize)
    let drafter = options.draftMethod == .prediction ? configuration.multiTokenPrediction?.depth ?? 0 : 0
    return 2 * configuration.keyValueHeadCount * head * (configuration.layerCount + drafter)
  }
}
