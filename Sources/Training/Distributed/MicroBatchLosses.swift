import WidebandDistributed

/// The losses of a batch of a step, as other processes are told.
struct MicroBatchLosses {
  /// Contributions to the losses of the step by name, the same names for each batch.
  var losses: [(name: String, value: Double)]
  /// Next-token losses by phase.
  var phases: PhaseLosses

  /// The losses of the batches of all processes in the order of the step.
  ///
  /// - Throws: `DistributedError` if another process is lost.
  static func gathered(_ own: [MicroBatchLosses], in group: ProcessGroup?) throws -> [MicroBatchLosses] {
    guard let group else { return own }
    let names = own.first?.losses.map(\.name) ?? []
    return try group.gatherByBatch(own.map { $0.losses.map(\.value) + $0.phases.values }).map { values in
      MicroBatchLosses(
        losses: Array(zip(names, values)), phases: PhaseLosses(values: Array(values.dropFirst(names.count))))
    }
  }
}
