import WidebandData
import WidebandLanguageModel

extension Batch {
  /// The context of a forward pass over these rows, in which packed documents attend to themselves alone.
  ///
  /// - Parameter gate: the gate of direct decoding; nil for the ordinary model.
  public func context(_ configuration: ModelConfiguration, gate: CycleGate? = nil) -> ForwardContext {
    guard let packing else {
      return ForwardContext(length: tokens.size(1), configuration: configuration, gate: gate, on: tokens.device)
    }
    return ForwardContext(
      positions: packing.positions, documents: packing.documents, configuration: configuration, gate: gate)
  }
}
