import Foundation
import WidebandData
import WidebandTorch

extension Trainer {
  /// What has to be the same in all processes that train together, by names in messages.
  public var facts: [(name: String, value: String)] {
    get throws {
      var recipe = recipe
      // Hosts may have the folders at different places: their content counts.
      (recipe.data, recipe.from) = (nil, nil)
      let settings = try recipe.leaves().sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
      return settings + [
        ("data", sources.data ?? ""), ("teacher", sources.teacher ?? ""), ("steps taken", "\(stepsTaken)"),
      ]
    }
  }

  /// Checks that all processes that train together have the same weights, by a checksum.
  ///
  /// - Throws: `DistributedError` that names a process whose weights differ, or is lost.
  func requireSameWeights() throws {
    guard let group else { return }
    var sum = Checksum()
    for (_, weight) in optimizer.weights {
      try withTorch { try weight.elements(Float.self) }.withUnsafeBytes { sum.add($0) }
    }
    try group.requireSame([("the weights' checksum", String(format: "%08x", sum.value))])
  }
}

extension Recipe {
  /// Checks that the batches of a step can be shared out to so many processes.
  ///
  /// - Throws: `TrainingError.unshared` that names the keys.
  func requireShares(of processes: Int, on device: Device) throws {
    guard processes > 1 || distributed != nil else { return }
    guard training.accumulation.isMultiple(of: processes) else {
      throw TrainingError.unshared(
        "training: a step has \(training.accumulation) batches of \(training.rowsPerBatch) rows (tokens_per_step, "
          + "sequence_length, rows_per_batch): expected a multiple of \(processes), the number of processes")
    }
    guard device == .cpu else {
      throw TrainingError.unshared(
        "the device is \(device): expected cpu, as the exchange of gradients (several processes, the key distributed) "
          + "does not work on GPUs yet")
    }
  }
}
