import WidebandDistributed

/// The losses of a batch of a step, as other processes are told.
struct MicroBatchLosses {
  /// Contributions to the losses of the step by name, the same names for each batch.
  var losses: [(name: String, value: Double)]
  /// Next-token losses by phase.
  var phases: PhaseLosses

  /// The losses of the batches of all processes in the order of the step: batch i·W + r is number i of process r of W.
  ///
  /// - Throws: `DistributedError` if another process is lost.
  static func gathered(_ own: [MicroBatchLosses], in group: ProcessGroup?) throws -> [MicroBatchLosses] {
    guard let group else { return own }
    let names = own.first?.losses.map(\.name) ?? []
    let all = try group.allGather(own.flatMap(\.values)).map { values in
      var rest = values[...]
      return own.map { _ in
        let phases = PhaseLosses(values: take(Int(rest.popFirst() ?? 0), from: &rest))
        return MicroBatchLosses(losses: Array(zip(names, take(names.count, from: &rest))), phases: phases)
      }
    }
    return own.indices.flatMap { index in all.map { $0[index] } }
  }

  private var values: [Double] { [Double(phases.values.count)] + phases.values + losses.map(\.value) }

  private static func take(_ count: Int, from values: inout ArraySlice<Double>) -> [Double] {
    defer { values = values.dropFirst(count) }
    return Array(values.prefix(count))
  }
}
